//! Hearing what other processes tell through the database.

use deadpool_postgres::Connect as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config};

use super::deadlines;
use super::error::store_error;
use super::wire::Wire;
use crate::error::{Cause, StoreError};

/// Notifications that wait to be taken. Beyond them, the connection reads no more.
const WAITING: usize = 256;

/// What is told on one channel, on a connection of its own, which ends with this.
pub struct Notifications {
    client: Client,
    connection: JoinHandle<()>,
    heard: mpsc::Receiver<String>,
}

impl Notifications {
    /// Begins to hear what is told on a channel.
    pub(super) async fn open(wire: &Wire, config: &Config, channel: &str) -> Result<Self, StoreError> {
        let unanswered = || StoreError::Unavailable(Cause::new("the database does not answer"));
        let (notified, heard) = mpsc::channel(WAITING);
        let opened = timeout(deadlines::ACQUIRE, wire.notifying(notified).connect(config)).await;
        let (client, connection) =
            opened.map_err(|_| unanswered())?.map_err(|error| store_error(&error, "listen"))?;
        let notifications = Self { client, connection, heard };
        let statement = format!("listen \"{}\"", channel.replace('"', "\"\""));
        let listen = notifications.client.batch_execute(&statement);
        let listening = timeout(deadlines::ACQUIRE, listen).await.map_err(|_| unanswered())?;
        listening.map_err(|error| store_error(&error, "listen"))?;
        Ok(notifications)
    }

    /// The next text; `None` when the connection is lost, which is noticed within 7 seconds.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Ok(heard) = timeout(deadlines::LISTENER_IDLE, self.heard.recv()).await {
                return heard;
            }
            let probe = timeout(deadlines::LISTENER_PROBE, self.client.check_connection()).await;
            if !matches!(probe, Ok(Ok(()))) {
                return None;
            }
        }
    }
}

impl Drop for Notifications {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
