//! The slow connections.

use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

/// Connections that are opened at the same time, fewer than the server's queue of them is long.
const AT_ONCE: usize = 100;

/// The body that is announced, and how often a byte of it comes.
const BODY: usize = 100_000;
const BYTE_EVERY: Duration = Duration::from_secs(1);

/// In what way a connection is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slowness {
    HalfHead,
    SlowBody,
}

/// Opens slow connections.
#[derive(Debug)]
pub(super) struct SlowClients {
    pub(super) port: u16,
    pub(super) key: String,
    /// When the server must have closed which.
    pub(super) head_limit: Duration,
    pub(super) body_limit: Duration,
}

/// Slow connections that stand.
#[derive(Debug)]
pub(super) struct Gathered(JoinSet<Option<Duration>>);

impl SlowClients {
    /// Opens several and returns when all are open.
    pub(super) async fn open(&self, slowness: Slowness, count: usize) -> Result<Gathered, Error> {
        let mut held = JoinSet::new();
        let mut left = count;
        while left > 0 {
            let group = left.min(AT_ONCE);
            let mut there = Vec::with_capacity(group);
            for _ in 0..group {
                let (arrived, arrival) = oneshot::channel();
                let (port, bytes, limit) = (self.port, self.beginning(slowness), self.limit(slowness));
                held.spawn(async move { hold(port, &bytes, slowness, limit, arrived).await });
                there.push(arrival);
            }
            for arrival in there {
                arrival.await.map_err(|_| "a slow connection could not be opened")?;
            }
            left -= group;
        }
        Ok(Gathered(held))
    }

    fn beginning(&self, slowness: Slowness) -> Vec<u8> {
        let key = &self.key;
        let head = format!(
            "POST /api/v1/conversations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        );
        match slowness {
            Slowness::HalfHead => head,
            Slowness::SlowBody => {
                format!("{head}Content-Type: application/json\r\nContent-Length: {BODY}\r\n\r\n{{")
            }
        }
        .into_bytes()
    }

    const fn limit(&self, slowness: Slowness) -> Duration {
        match slowness {
            Slowness::HalfHead => self.head_limit,
            Slowness::SlowBody => self.body_limit,
        }
    }
}

impl Gathered {
    /// Waits until the server has closed them; after how long it did, `None` for one that it left open too long.
    pub(super) async fn closing_times(mut self) -> Result<Vec<Option<Duration>>, Error> {
        let mut closed_after = Vec::with_capacity(self.0.len());
        while let Some(finished) = self.0.join_next().await {
            closed_after.push(finished?);
        }
        Ok(closed_after)
    }
}

async fn hold(
    port: u16,
    beginning: &[u8],
    slowness: Slowness,
    limit: Duration,
    arrived: oneshot::Sender<()>,
) -> Option<Duration> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(beginning).await.ok()?;
    let begun = Instant::now();
    arrived.send(()).ok()?;
    let end = begun + limit;
    let mut next_byte = begun + BYTE_EVERY;
    let mut answer = [0; 1_024];
    while Instant::now() < end {
        let until = if slowness == Slowness::SlowBody { next_byte.min(end) } else { end };
        match timeout_at(until.into(), stream.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => return Some(begun.elapsed()),
            // An answer comes before the end, 408 perhaps.
            Ok(Ok(_)) => {}
            Err(_) if slowness == Slowness::SlowBody => {
                next_byte += BYTE_EVERY;
                if stream.write_all(b" ").await.is_err() {
                    return Some(begun.elapsed());
                }
            }
            Err(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    /// Two connections of each kind, on a server that closes what it accepts after a while.
    async fn closing_times(close_after: Duration) -> Vec<Option<Duration>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    tokio::time::sleep(close_after).await;
                    drop(stream);
                });
            }
        };
        let serving = tokio::spawn(serve);
        let slow = SlowClients { port, key: String::new(), head_limit: LIMIT, body_limit: LIMIT };
        let heads = slow.open(Slowness::HalfHead, 2).await.unwrap();
        let bodies = slow.open(Slowness::SlowBody, 2).await.unwrap();
        let closed = [heads.closing_times().await.unwrap(), bodies.closing_times().await.unwrap()].concat();
        serving.abort();
        closed
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closes_is_told_from_one_it_leaves_open() {
        assert!(closing_times(Duration::from_millis(20)).await.iter().all(Option::is_some));
        assert_eq!(closing_times(Duration::from_secs(60)).await, [None; 4]);
    }
}
