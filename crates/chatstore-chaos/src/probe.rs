//! One more client that asks now and then, to see what a single user sees while others load the server.
//!
//! It is a thread with a connection of its own: among the tasks of a busy load generator its answers would wait for
//! their turn, and that wait would be blamed on the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::wire::Connection;
use tokio::time::timeout;

/// How long it waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// `None` when there was no answer.
    pub(crate) status: Option<u16>,
    pub(crate) begun: Instant,
    pub(crate) latency: Duration,
    pub(crate) has_retry_after: bool,
}

/// A client at work.
#[derive(Debug)]
pub(crate) struct Probe {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Vec<Sample>>>,
}

impl Probe {
    /// Begins to send the request again and again, each `interval` after the answer before.
    pub(crate) fn start(port: u16, request: Vec<u8>, interval: Duration) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(ask(port, &request, interval, &until)))
        });
        Self { ended, thread }
    }

    /// Ends it; all answers.
    pub(crate) async fn finish(self) -> Result<Vec<Sample>, Error> {
        self.ended.store(true, Ordering::Relaxed);
        let samples = tokio::task::spawn_blocking(move || self.thread.join()).await?;
        Ok(samples.map_err(|_| "a probe failed")??)
    }
}

async fn ask(port: u16, request: &[u8], interval: Duration, ended: &AtomicBool) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut connection: Option<Connection> = None;
    while !ended.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let answered = ask_once(port, request, &mut connection).await;
        let latency = begun.elapsed();
        if answered.is_err() {
            connection = None;
        }
        let (status, has_retry_after) =
            answered.map_or((None, false), |(status, retry_after)| (Some(status), retry_after));
        samples.push(Sample { status, begun, latency, has_retry_after });
        tokio::time::sleep(interval).await;
    }
    samples
}

async fn ask_once(
    port: u16,
    request: &[u8],
    connection: &mut Option<Connection>,
) -> Result<(u16, bool), Error> {
    let connection = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(port).await?),
    };
    let answer = timeout(TIMEOUT, connection.exchange(request)).await??;
    Ok((answer.status(), answer.header("retry-after").is_some()))
}
