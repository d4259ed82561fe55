//! Writers of a server beside which something else goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chatstore_bench::client::Client;
use tokio::task::JoinSet;

use crate::crash::check::Operation;

/// The pause between two messages of a writer.
const PAUSE: Duration = Duration::from_millis(5);

/// Writers at work.
pub(crate) struct Writers {
    end: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Operation>>,
}

impl Writers {
    /// Lets several append to one conversation.
    pub(crate) fn start(count: usize, client: &Client, conversation: &str) -> Self {
        let (end, begun) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let mut tasks = JoinSet::new();
        for number in 0..count {
            let (end, client, conversation) = (Arc::clone(&end), client.clone(), conversation.to_owned());
            tasks.spawn(async move {
                let mut ledger = Vec::new();
                while !end.load(Ordering::Relaxed) {
                    let content = format!("writer {number}, message {}", ledger.len() + 1);
                    let sent_at = begun.elapsed();
                    let answer = client.append(&conversation, &content).await;
                    let (answered_at, conversation) = (begun.elapsed(), conversation.clone());
                    ledger.push(Operation { conversation, content, sent_at, answer, answered_at });
                    tokio::time::sleep(PAUSE).await;
                }
                ledger
            });
        }
        Self { end, tasks }
    }

    /// Ends them; what they wrote.
    pub(crate) async fn finish(self) -> Vec<Operation> {
        self.end.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}
