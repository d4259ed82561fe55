//! Telling and hearing through PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use chatstore_sql::Database;

use super::messenger::{Hear, Messenger, MessengerFuture};

/// On which everything is told.
const CHANNEL: &str = "chatstore_changes";

/// How long a lost connection is left alone before another one is opened.
#[cfg(feature = "postgres")]
const PAUSE: Duration = Duration::from_secs(1);

/// The same where a pooler is in front of the database, which may be taken away.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// Tells and hears through PostgreSQL.
#[derive(Debug)]
pub(crate) struct PostgresMessenger(pub(crate) Database);

impl Messenger for PostgresMessenger {
    fn publish<'a>(&'a self, text: &'a str) -> MessengerFuture<'a> {
        let (database, text) = (self.0.clone(), text.to_owned());
        Box::pin(async move {
            // In a task of its own, so that it is told all the same when nobody waits any more.
            let told = tokio::spawn(async move {
                database.read("tell", async move |tx| tx.notify(CHANNEL, &text).await).await
            });
            if let Ok(Err(error)) = told.await {
                tracing::debug!(error.cause = %error, "other processes were not told of a change");
            }
        })
    }

    fn listen(self: Arc<Self>, hear: Hear) -> MessengerFuture<'static> {
        Box::pin(async move {
            loop {
                let pause = self.listen_once(&hear).await;
                tokio::time::sleep(pause).await;
            }
        })
    }
}

impl PostgresMessenger {
    /// Hears until the connection is lost; how long to wait then.
    #[cfg(feature = "postgres")]
    async fn listen_once(&self, hear: &Hear) -> Duration {
        use super::messenger::Heard;

        let mut notifications = match self.0.listen(CHANNEL).await {
            None => return LONG_PAUSE,
            Some(Ok(notifications)) => notifications,
            Some(Err(error)) => {
                tracing::debug!(error.cause = %error, "changes by other processes are not heard");
                return PAUSE;
            }
        };
        // What was told before was not heard.
        hear(Heard::Interrupted);
        while let Some(text) = notifications.next().await {
            hear(Heard::Text(&text));
        }
        tracing::debug!("the connection on which changes by other processes are heard is lost");
        PAUSE
    }

    #[cfg(not(feature = "postgres"))]
    #[allow(clippy::unused_async, reason = "the same signature as with PostgreSQL")]
    async fn listen_once(&self, _: &Hear) -> Duration {
        LONG_PAUSE
    }
}
