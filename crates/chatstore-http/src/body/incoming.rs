//! Bodies as they arrive: how large one may be, how slow, and how much memory all of them take.
//!
//! What has arrived of a body counts, not what was announced. Up to 16 KiB it costs a client no more than its
//! connection; beyond that the caller has to be known, and holds a share of the memory for all bodies.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, header};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use crate::budget::{HeldMemory, Holder};
use crate::caller::sender;
use crate::client::ClientAddress;
use crate::error::{Problem, ProblemKind, Shortage};
use crate::serve::Arrival;
use crate::state::AppState;

/// Maximum size of a body from a caller who need not be known yet, in bytes.
const SMALL_BYTES: usize = 16 * 1024;

/// Bytes of a refused body that are read and thrown away.
const DRAINED_BYTES: usize = 8 * 1024 * 1024;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// How long it may arrive at any rate, and the bytes of each second after that.
const ANY_RATE_TIME: Duration = Duration::from_secs(10);
const LEAST_RATE: usize = 4 * 1024;

/// Maximum size of a body with data that has no limit of its own, in bytes.
pub(crate) const DATA_BYTES: usize = 1024 * 1024;

/// How large the bodies of a route may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyLimit {
    /// 16 KiB: passwords, tokens and names, of clients that need not be known.
    Credentials,
    /// 1 MiB.
    Data,
    /// What the store takes, with the documents.
    Documents,
    /// What the options say, with the messages.
    Messages,
}

impl BodyLimit {
    fn bytes(self, state: &AppState) -> usize {
        match self {
            Self::Credentials => SMALL_BYTES,
            Self::Data => DATA_BYTES,
            Self::Documents => state.store().document_limit(),
            Self::Messages => state.policy().max_body,
        }
    }
}

/// The body of a request, or why it could not be read. It is refused only where the handler extracts it, after a
/// caller who may not send it.
#[derive(Debug, Clone)]
pub(super) struct BufferedBody(pub(super) Result<Bytes, Problem>);

/// Why a body is not read to its end.
enum Refusal {
    /// Said where the handler extracts the body.
    Later(Problem),
    /// Said at once.
    Now(Problem),
}

/// Reads the whole body of a request, and the memory it holds until the request is done.
///
/// # Errors
/// When it does not arrive in time, is large and its caller unknown, or there is no memory left for it; the connection
/// has to be closed then.
pub(crate) async fn buffer_body(
    state: &AppState,
    limit: BodyLimit,
    request: Request,
) -> Result<(Request, Option<HeldMemory>), Problem> {
    let (mut head, body) = request.into_parts();
    if !matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        return Ok((Request::from_parts(head, body), None));
    }
    let arrival = head.extensions.get::<Arrival>().cloned();
    let awaited = arrival.as_ref().map(Arrival::await_body);
    let mut incoming = Incoming::new(state, limit, &head, body);
    let read = match incoming.read().await {
        Ok(bytes) => Ok(bytes),
        Err(Refusal::Later(problem)) => Err(problem),
        Err(Refusal::Now(problem)) => return Err(problem),
    };
    let memory = incoming.memory;
    drop(awaited);
    head.extensions.insert(BufferedBody(read));
    Ok((Request::from_parts(head, Body::empty()), memory))
}

/// A body that is being read.
struct Incoming<'r> {
    state: &'r AppState,
    /// In bytes.
    limit: usize,
    head: &'r Parts,
    stream: BodyDataStream,
    began: Instant,
    arrived: usize,
    /// Of a large one.
    memory: Option<HeldMemory>,
}

impl<'r> Incoming<'r> {
    fn new(state: &'r AppState, limit: BodyLimit, head: &'r Parts, body: Body) -> Self {
        let stream = body.into_data_stream();
        Self {
            state,
            limit: limit.bytes(state),
            head,
            stream,
            began: Instant::now(),
            arrived: 0,
            memory: None,
        }
    }

    async fn read(&mut self) -> Result<Bytes, Refusal> {
        let announced = self.announced();
        if announced > self.limit {
            return Err(self.refuse_too_large().await);
        }
        if announced > SMALL_BYTES {
            self.admit().await?;
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        self.account().await?;
        let Some(second) = self.next().await? else { return Ok(first) };
        let mut bytes = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            self.account().await?;
            bytes.extend_from_slice(&chunk);
            next = self.next().await?;
        }
        Ok(bytes.freeze())
    }

    fn announced(&self) -> usize {
        let announced = self.head.headers.get(header::CONTENT_LENGTH);
        announced.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
    }

    /// The next part, if it arrives in time.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        match timeout_at(deadline(self.began, self.arrived), self.stream.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(chunk))) => {
                self.arrived += chunk.len();
                Ok(Some(chunk))
            }
            Ok(Some(Err(_))) => Err(Refusal::Later(cut_off())),
            Err(_) => Err(Refusal::Now(too_slow())),
        }
    }

    /// Counts what has arrived.
    async fn account(&mut self) -> Result<(), Refusal> {
        if self.arrived > self.limit {
            return Err(self.refuse_too_large().await);
        }
        if self.arrived <= SMALL_BYTES {
            return Ok(());
        }
        self.admit().await?;
        let held = self.memory.as_mut().map_or(Ok(()), |memory| memory.grow_to(self.arrived));
        held.map_err(|_| Refusal::Now(Problem::overloaded(Shortage::Memory)))
    }

    /// Lets a large body in, of a caller who is known.
    async fn admit(&mut self) -> Result<(), Refusal> {
        if self.memory.is_some() {
            return Ok(());
        }
        match sender(self.head, self.state).await {
            Ok(user) => {
                let network = Holder::Network(ClientAddress::network(self.head));
                let holders = user.map(Holder::User).into_iter().chain([network]).collect();
                self.memory = Some(self.state.bodies().share(holders));
                Ok(())
            }
            Err(problem) => {
                self.drain().await;
                Err(Refusal::Now(problem))
            }
        }
    }

    async fn refuse_too_large(&mut self) -> Refusal {
        self.drain().await;
        Refusal::Later(too_large(self.limit))
    }

    /// Reads on for a while: a client that is still sending when the connection is closed may never see why. One that
    /// waits to be asked for its body sees it anyway.
    async fn drain(&mut self) {
        if self.head.headers.contains_key(header::EXPECT) {
            return;
        }
        let end = self.arrived.saturating_add(DRAINED_BYTES);
        while self.arrived <= end {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }
}

/// When the next part of a body must have arrived, after so many bytes of it have.
fn deadline(began: Instant, arrived: usize) -> Instant {
    let seconds = u64::try_from(arrived / LEAST_RATE).unwrap_or(u64::MAX);
    began + ANY_RATE_TIME.saturating_add(Duration::from_secs(seconds)).min(BODY_TIME)
}

fn too_large(bytes: usize) -> Problem {
    Problem::new(ProblemKind::TooLarge, format!("the body must have at most {bytes} bytes"))
}

fn cut_off() -> Problem {
    Problem::malformed("the body was cut off")
}

fn too_slow() -> Problem {
    Problem::malformed(
        "the body did not arrive in time: it has 30 seconds, and after the first 10 at least 4 KiB for each second",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_ten_seconds_and_then_one_for_every_4_kib_and_thirty_in_all() {
        let began = Instant::now();
        for (arrived, seconds) in
            [(0, 10), (4_095, 10), (4_096, 11), (40_960, 20), (81_920, 30), (1_048_576, 30)]
        {
            assert_eq!(deadline(began, arrived) - began, Duration::from_secs(seconds), "{arrived}");
        }
        assert_eq!(deadline(began, usize::MAX) - began, BODY_TIME);
    }
}
