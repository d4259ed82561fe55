//! A connection in use, and what becomes of it when its user stops waiting.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;

use deadpool_postgres::{Client, ClientWrapper};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::connections::Connections;
use super::deadlines;
use crate::error::StoreError;

/// A connection in use. It goes back to the pool when its last statement is answered.
///
/// A caller who stops waiting leaves it in the middle of a statement. Then it is finished in the background: the
/// statement may end by itself, is cancelled after a while, and only a connection that stays silent is given up.
pub(super) struct Checkout {
    connections: Arc<Connections>,
    client: Option<Client>,
    permit: Option<OwnedSemaphorePermit>,
    is_idle: bool,
}

impl Checkout {
    /// Acquires a connection.
    ///
    /// # Errors
    /// As [`Connections::acquire`].
    pub(super) async fn acquire(connections: &Arc<Connections>) -> Result<Self, StoreError> {
        let (client, permit) = connections.acquire().await?;
        let connections = Arc::clone(connections);
        Ok(Self { connections, client: Some(client), permit: Some(permit), is_idle: false })
    }

    /// Says that no statement is under way.
    pub(super) const fn set_idle(&mut self) {
        self.is_idle = true;
    }

    /// Closes the connection.
    pub(super) fn discard(mut self) {
        if let Some(client) = self.client.take() {
            drop(Client::take(client));
        }
    }

    /// Takes the connection out of the pool for good.
    pub(super) fn into_own(mut self) -> Result<ClientWrapper, StoreError> {
        match self.client.take() {
            Some(client) => Ok(Client::take(client)),
            None => Err(StoreError::backend("a connection in use is there")),
        }
    }
}

impl Deref for Checkout {
    type Target = Client;

    fn deref(&self) -> &Client {
        #[allow(clippy::expect_used, reason = "the connection is only taken with the checkout itself")]
        self.client.as_ref().expect("a connection in use is there")
    }
}

impl DerefMut for Checkout {
    fn deref_mut(&mut self) -> &mut Client {
        #[allow(clippy::expect_used, reason = "the connection is only taken with the checkout itself")]
        self.client.as_mut().expect("a connection in use is there")
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        let permit = self.permit.take();
        if self.is_idle {
            // The connection is back before the next caller may come for it.
            drop(client);
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(finish(Arc::clone(&self.connections), client, permit))),
            Err(_) => drop(Client::take(client)),
        }
    }
}

/// Waits until a connection is idle, cancels what it is doing if that takes long, and gives it up if it stays
/// silent. It counts as in use meanwhile.
///
/// Behind a pooler nothing is cancelled: PgBouncer 1.18 exits when a cancelled connection is closed at the wrong moment
/// (<https://github.com/pgbouncer/pgbouncer/issues/822>). The server ends the statement by its own deadline there.
async fn finish(connections: Arc<Connections>, client: Client, permit: Option<OwnedSemaphorePermit>) {
    let may_cancel = connections.keeps_statements();
    let ended = {
        // An answer to this follows the answers to everything that was sent before.
        let mut idle = pin!(client.check_connection());
        match timeout(deadlines::ABANDONED, idle.as_mut()).await {
            Ok(ended) => Some(ended),
            Err(_) if may_cancel => {
                connections.cancel(client.cancel_token()).await;
                timeout(deadlines::CANCELLED, idle).await.ok()
            }
            Err(_) => None,
        }
    };
    if !matches!(ended, Some(Ok(()))) {
        tracing::debug!("a connection in the middle of a statement is given up: it does not answer");
        if may_cancel {
            connections.found_silent();
        }
        drop(Client::take(client));
    }
    drop(permit);
}
