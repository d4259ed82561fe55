//! One of the writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chatstore_bench::client::{Answer, Client};

/// What is sent with each message, so that the log grows and checkpoints happen.
const PADDING: &str = "some words of a message, ";

pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) conversation: String,
    pub(super) name: String,
    pub(super) stop: Arc<AtomicBool>,
}

/// A message that was sent, and its answer.
pub(super) struct Sent {
    pub(super) content: String,
    pub(super) sent_at: Instant,
    pub(super) answer: Answer,
}

impl Sent {
    pub(super) const fn is_stored(&self) -> bool {
        matches!(self.answer, Answer::Stored(_))
    }
}

impl Writer {
    /// Appends one message after the other; its ledger.
    pub(super) async fn run(self) -> Vec<Sent> {
        let mut ledger = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let content = format!("{}, message {}: {}", self.name, ledger.len() + 1, PADDING.repeat(40));
            let sent_at = Instant::now();
            let answer = self.client.append(&self.conversation, &content).await;
            let sent = Sent { content, sent_at, answer };
            if !sent.is_stored() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ledger.push(sent);
        }
        ledger
    }
}
