//! Serving a router on a socket, to clients that may be slow.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

/// How long the head of a request may take, and how long a connection may stay without one.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a client may leave an answer unread.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// How long requests in progress may take after the shutdown.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// Concurrent connections; further ones wait in the system's queue.
const CONNECTIONS: usize = 8_192;

/// Bytes and fields of a head that are read at all; the limits that are answered with a document are lower.
const HEAD_BYTES: usize = 256 * 1024;
const HEAD_FIELDS: usize = 256;

/// How long to wait when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests until `shutdown` is done; then accepts no new ones and ends when those in progress are
/// answered, or after 30 seconds.
///
/// A client has 10 seconds for the head of a request, 30 for its body, and 30 without reading anything of an
/// answer; then its connection is closed.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let permit = Arc::clone(&connections).acquire_owned();
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = async {
                let permit = permit.await;
                (listener.accept().await, permit)
            } => accepted,
        };
        let (stream, permit) = match accepted {
            (Ok((stream, _)), permit) => (stream, permit),
            (Err(error), _) => {
                // A client that is already gone, or no descriptor left: the listener goes on.
                tracing::warn!(error.cause = %error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (watcher, router) = (graceful.watcher(), router.clone());
        tokio::spawn(async move {
            answer(stream, router, watcher).await;
            drop(permit);
        });
    }
    drop(listener);
    if timeout(DRAIN_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests in progress did not end within 30 s and are abandoned");
    }
    Ok(())
}

/// Answers the requests of one connection.
async fn answer(stream: TcpStream, router: Router, watcher: Watcher) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error.cause = %error, "small answers may be delayed");
    }
    let peer = stream.peer_addr().ok();
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIME));
    let service = router.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service));
    if let Err(error) = watcher.watch(connection).await {
        tracing::trace!(error.cause = %error, "a connection ended early");
    }
}
