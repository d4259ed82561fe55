//! Serving a router on a socket, to clients that may be slow, idle or many.
//!
//! `connections` counts the connections and decides which are closed for new ones, `peers` by whose they are; a `slot`
//! is what is known of one; `connection` answers its requests, over a `stream` that ends it without losing one; `head`
//! knows what a head must not be.

mod connection;
mod connections;
mod counts;
mod head;
mod options;
mod peers;
mod slot;
mod stream;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use connection::{Arrival, Draining};
use connections::Connections;
pub use counts::ConnectionCounts;
pub(crate) use head::MalformedHead;
pub use options::ServeOptions;
use slot::Order;

use crate::repetitions::{Repetition, Repetitions};

/// How long requests in progress may take after the shutdown.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// How long connections are still accepted after the shutdown, and idle ones kept open: clients that send requests
/// learn from an answer that their connection ends, and proxies from `readyz` that this server does.
const GRACE_TIME: Duration = Duration::from_millis(250);

/// How long to wait when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests until `shutdown` is done, with the default options; see [`serve_with`].
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_with(listener, router, ServeOptions::default(), shutdown).await
}

/// Answers requests until `shutdown` is done; then answers those that have arrived, each as the last of its
/// connection, and ends when they are answered, or after 30 seconds.
///
/// For a quarter of a second after the shutdown new connections are still accepted, and `readyz` is 503. Then the
/// listener is closed, after the system's queue of connections was emptied, and connections are closed that have
/// no request in progress and no byte of one in the socket. No request is lost that was sent before the shutdown.
///
/// A request whose head RFC 9112 forbids, for example one of HTTP/1.1 without a `Host`, is answered 400 by the routes of
/// [`router`](crate::router); others see it as it is.
///
/// A client has 10 seconds for the head of a request once it has begun, 30 for its body, and 30 without reading
/// anything of an answer; then its connection is closed.
///
/// # Errors
/// When the listener fails.
pub async fn serve_with(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let connections = Connections::new(options);
    let server = Server { router, connections, refusals: Repetitions::new(log_refusal) };
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            (stream, peer) = server.accept(&listener) => server.start(stream, peer),
        }
    }
    server.drain(listener).await
}

fn log_refusal(event: &str, repetition: Repetition) {
    match repetition {
        Repetition::Again { count, total } => {
            tracing::warn!(event.count = count, event.total = total, "{event}, in the last 10 s again");
        }
        Repetition::Over { total } => tracing::info!(event.total = total, "over: {event}"),
    }
}

struct Server {
    router: Router,
    connections: Connections,
    refusals: Repetitions,
}

impl Server {
    /// The next connection. Dropping the future loses none.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            self.connections.room().await;
            match listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    // No descriptor or memory left: the listener goes on.
                    if self.refusals.is_first("connections could not be accepted") {
                        tracing::warn!(error.cause = %error, "connections could not be accepted");
                    }
                    self.connections.release_some();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Answers the requests of a connection, in a task of its own, or closes it.
    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(ticket) = self.connections.admit(peer.ip()) else {
            if self.refusals.is_first("too many connections of one address") {
                tracing::warn!(client.address = %peer.ip(), "too many connections of one address: no more are taken");
            }
            return;
        };
        let router = self.router.clone();
        if ticket.is_beyond_limit && self.refusals.is_first("too many connections") {
            tracing::warn!("too many connections: the longest without a request are closed for new ones");
        }
        tokio::spawn(async move { connection::answer(stream, router, ticket.slot.clone()).await });
    }

    async fn drain(self, listener: TcpListener) -> io::Result<()> {
        let end = Instant::now() + DRAIN_TIME;
        self.connections.announce(Order::CloseAfterAnswer);
        let mut grace = std::pin::pin!(sleep(GRACE_TIME));
        loop {
            tokio::select! {
                biased;
                () = &mut grace => break,
                (stream, peer) = self.accept(&listener) => self.start(stream, peer),
                () = self.connections.none_left() => break,
            }
        }
        if self.empty_queue(listener)? > 0 {
            sleep(GRACE_TIME).await;
        }
        self.connections.announce(Order::CloseWhenIdle);
        if timeout_at(end, self.connections.none_left()).await.is_err() {
            tracing::warn!("requests in progress did not end within 30 s and are abandoned");
            self.connections.announce(Order::Abandon);
        }
        Ok(())
    }

    /// Accepts what waits in the system's queue, and closes the listener: closing one with connections in its queue
    /// resets them. The system is asked, because the runtime may not have noticed all of them.
    fn empty_queue(&self, listener: TcpListener) -> io::Result<usize> {
        let listener = listener.into_std()?;
        let mut accepted = 0;
        loop {
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(true)?;
                    self.start(TcpStream::from_std(stream)?, peer);
                    accepted += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(accepted),
                Err(error) => {
                    tracing::warn!(error.cause = %error, "connections in the queue were not accepted");
                    return Ok(accepted);
                }
            }
        }
    }
}
