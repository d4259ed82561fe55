//! How many requests change the same conversation, thread, document or user at the same time.
//!
//! On PostgreSQL such requests wait for each other's locks, each with a connection. If another program holds the
//! lock, all connections would soon wait for it, and nothing else would be answered. So only a few of them run;
//! the others wait without a connection, and without a permit of [`Admission`](crate::admission::Admission).

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, Method};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::Problem;

/// Requests that change one thing at the same time: a quarter of the connections. More would only queue for its
/// lock.
const MAX_RUNNING: usize = 4;

/// Requests that wait for those.
const MAX_WAITING: usize = 60;

/// How long one of them waits.
const WAITING_TIME: Duration = Duration::from_secs(1);

/// Things are told apart by a number below this. Two of them rarely share one, and then also their share.
const SHARES: usize = 1024;

/// Which requests may change a thing now.
#[derive(Debug)]
pub(crate) struct Shares {
    shares: Vec<Share>,
    hashing: RandomState,
}

#[derive(Debug, Clone)]
struct Share {
    running: Arc<Semaphore>,
    present: Arc<Semaphore>,
}

/// The right to change a thing, until it is dropped.
#[derive(Debug)]
pub(crate) struct SharePermit {
    _running: OwnedSemaphorePermit,
    _present: OwnedSemaphorePermit,
}

impl Shares {
    /// `is_limited` is false for a database whose writes wait for no connection.
    pub(crate) fn new(is_limited: bool) -> Self {
        let share = |_| Share {
            running: Arc::new(Semaphore::new(MAX_RUNNING)),
            present: Arc::new(Semaphore::new(MAX_RUNNING + MAX_WAITING)),
        };
        let count = if is_limited { SHARES } else { 0 };
        Self { shares: (0..count).map(share).collect(), hashing: RandomState::new() }
    }

    /// Waits until this request may change what it names; `None` for one that names nothing it could wait for.
    /// `caller` are the headers that tell users apart.
    pub(crate) fn acquire(
        &self,
        request: &Request,
        caller: &[HeaderName],
    ) -> impl Future<Output = Result<Option<SharePermit>, Problem>> + use<> {
        let share = self.share(request, caller);
        async {
            let Some(share) = share else { return Ok(None) };
            let present = share.present.try_acquire_owned().map_err(|_| Problem::busy())?;
            let running = timeout(WAITING_TIME, share.running.acquire_owned()).await;
            let running = running.ok().and_then(Result::ok).ok_or_else(Problem::busy)?;
            Ok(Some(SharePermit { _running: running, _present: present }))
        }
    }

    fn share(&self, request: &Request, caller: &[HeaderName]) -> Option<Share> {
        if self.shares.is_empty() || matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let mut segments = request.uri().path().split('/');
        let kind = segments
            .find(|segment| matches!(*segment, "conversations" | "documents" | "threads" | "users"))?;
        let id = segments.next().filter(|id| !id.is_empty())?;
        let mut hasher = self.hashing.build_hasher();
        hasher.write(id.as_bytes());
        // These names mean something else to each user.
        if kind == "threads" || matches!(id, "me" | "by-email") {
            for name in caller {
                hasher.write(request.headers().get(name).map_or(&[], |value| value.as_bytes()));
            }
        }
        let number = usize::try_from(hasher.finish() % SHARES as u64).ok()?;
        self.shares.get(number).cloned()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::header;

    use super::*;

    static CALLER: [HeaderName; 1] = [header::AUTHORIZATION];

    fn request(method: Method, path: &str, key: &str) -> Request {
        let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, key);
        request.body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn of_the_requests_that_change_one_thing_a_few_run_and_others_are_not_held_up() {
        let shares = Shares::new(true);
        let append = || request(Method::POST, "/conversations/7/messages", "a");
        let mut held = Vec::new();
        for _ in 0..MAX_RUNNING {
            held.push(shares.acquire(&append(), &CALLER).await.unwrap());
        }
        let busy = shares.acquire(&append(), &CALLER).await.unwrap_err();
        assert!(busy.status() == 503 && busy.header().is_some());
        for (method, path) in [
            (Method::GET, "/conversations/7/messages"),
            (Method::POST, "/conversations"),
            (Method::POST, "/auth/logout"),
        ] {
            assert!(shares.acquire(&request(method, path, "a"), &CALLER).await.unwrap().is_none(), "{path}");
        }
        held.pop();
        assert!(shares.acquire(&append(), &CALLER).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_thread_of_one_user_is_not_that_of_another() {
        let shares = Shares::new(true);
        let [of_ada, of_bob] = ["a", "b"].map(|key| request(Method::PATCH, "/threads/default", key));
        let number =
            |request: &Request| shares.share(request, &CALLER).map(|share| Arc::as_ptr(&share.running));
        // Two names rarely share a number; then a third one does not.
        let of_eve = request(Method::PATCH, "/threads/default", "c");
        assert!(number(&of_ada) != number(&of_bob) || number(&of_ada) != number(&of_eve));
        assert_eq!(number(&of_ada), number(&of_ada));
        let [by_ada, by_bob] = ["a", "b"].map(|key| request(Method::DELETE, "/conversations/7", key));
        assert_eq!(number(&by_ada), number(&by_bob));
    }

    #[tokio::test]
    async fn nothing_is_limited_where_writes_need_no_connection() {
        let shares = Shares::new(false);
        let append = request(Method::POST, "/conversations/7/messages", "a");
        assert!(shares.acquire(&append, &CALLER).await.unwrap().is_none());
    }
}
