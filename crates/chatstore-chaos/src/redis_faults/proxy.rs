//! What is between the servers and Redis, and can be slow or answer nonsense.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use chatstore_bench::error::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// How late a slow answer is.
const SLOW: Duration = Duration::from_secs(2);

const GARBAGE: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\r\n\x00\xff";

/// What becomes of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    Passed,
    Slow,
    Garbage,
}

/// Forwards connections to a port of the loopback interface.
pub(super) struct Proxy {
    port: u16,
    answers: Arc<AtomicU8>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(super) async fn start(redis: u16) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let answers = Arc::new(AtomicU8::new(Answers::Passed as u8));
        let known = Arc::clone(&answers);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Without a server the client is refused.
                let Ok(server) = TcpStream::connect(("127.0.0.1", redis)).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(forward(from_client, to_server, None));
                tokio::spawn(forward(from_server, to_client, Some(Arc::clone(&known))));
            }
        });
        Ok(Self { port, answers, accepting: accepting.abort_handle() })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn set(&self, answers: Answers) {
        self.answers.store(answers as u8, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Ends with either side.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, answers: Option<Arc<AtomicU8>>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let known = answers.as_ref().map_or(Answers::Passed as u8, |answers| answers.load(Ordering::SeqCst));
        let bytes = if known == Answers::Garbage as u8 { GARBAGE } else { &buffer[..count] };
        if known == Answers::Slow as u8 {
            tokio::time::sleep(SLOW).await;
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
