//! Telling other processes, and hearing from them.

use std::sync::Arc;
use std::time::Duration;

use chatstore::messenger::{Hear, Heard, Messenger, MessengerFuture};
use redis::AsyncCommands as _;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use crate::link::{KeptOpen, Pushed};

/// How long the first connection of a process is waited for to tell something: a command may tell it and end.
const FIRST_CONNECTION: Duration = Duration::from_millis(200);

/// Tells and hears by publishing and subscribing.
#[derive(Debug)]
pub(crate) struct RedisMessenger(pub(crate) Arc<KeptOpen>);

impl Messenger for RedisMessenger {
    fn publish<'a>(&'a self, text: &'a str) -> MessengerFuture<'a> {
        Box::pin(async move {
            // When it could not be opened in time, the command fails and says so.
            let _ = timeout(FIRST_CONNECTION, self.0.tried()).await;
            let channel = self.0.options().channel();
            let told =
                self.0.run(async |connection| connection.publish::<_, _, i64>(channel, text).await).await;
            if let Err(error) = told {
                tracing::debug!(error.cause = %error, "other processes were not told of a change");
            }
        })
    }

    fn listen(self: Arc<Self>, hear: Hear) -> MessengerFuture<'static> {
        let mut pushed = self.0.pushed();
        Box::pin(async move {
            // What was told before was not heard.
            hear(Heard::Interrupted);
            loop {
                match pushed.recv().await {
                    Ok(Pushed::Text(text)) => hear(Heard::Text(&text)),
                    Ok(Pushed::Opened) | Err(RecvError::Lagged(_)) => hear(Heard::Interrupted),
                    Err(RecvError::Closed) => return,
                }
            }
        })
    }
}
