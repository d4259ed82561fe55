//! One of the writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chatstore_bench::client::{Answer, Client};
use chatstore_bench::random::Random;

use super::check::Operation;

/// Appends one message after the other until the server is dead.
pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) conversations: Arc<Vec<String>>,
    pub(super) name: String,
    pub(super) random: Random,
    pub(super) begun: Instant,
    pub(super) killed: Arc<AtomicBool>,
}

impl Writer {
    /// Its ledger: every operation with its answer.
    pub(super) async fn run(mut self) -> Vec<Operation> {
        let mut ledger = Vec::new();
        loop {
            let conversation = self.conversations[self.random.below(self.conversations.len())].clone();
            let content = format!("{}, message {}", self.name, ledger.len() + 1);
            let sent_at = self.begun.elapsed();
            let answer = self.client.append(&conversation, &content).await;
            let is_stored = matches!(answer, Answer::Stored(_));
            let answered_at = self.begun.elapsed();
            ledger.push(Operation { conversation, content, sent_at, answer, answered_at });
            if is_stored {
                continue;
            }
            if self.killed.load(Ordering::Relaxed) {
                return ledger;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
