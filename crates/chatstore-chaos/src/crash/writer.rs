//! One of the writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chatstore_bench::client::{Answer, Client};
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;

use super::ledger::Ledger;

/// Appends one message after the other until the server is dead.
pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) conversations: Arc<Vec<String>>,
    pub(super) ledger: Ledger,
    pub(super) name: String,
    pub(super) random: Random,
    pub(super) begun: Instant,
    pub(super) killed: Arc<AtomicBool>,
}

impl Writer {
    pub(super) async fn run(mut self) -> Result<(), Error> {
        loop {
            let conversation = &self.conversations[self.random.below(self.conversations.len())];
            let content = format!("{}, message {}", self.name, self.ledger.operations() + 1);
            self.ledger.sending(conversation, &content, self.begun.elapsed())?;
            let answer = self.client.append(conversation, &content).await;
            self.ledger.answered(&answer, self.begun.elapsed())?;
            if matches!(answer, Answer::Stored(_)) {
                continue;
            }
            if self.killed.load(Ordering::Relaxed) {
                return self.ledger.close();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
