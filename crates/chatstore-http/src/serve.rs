//! Serving a router.

use std::future::Future;

use axum::Router;
use tokio::net::TcpListener;

/// Answers requests until `shutdown` is done; then takes no new ones and ends when those under way are
/// answered.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}
