//! The writers: batches over HTTP, one after the other, with a ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chatstore_bench::client::Client;
use chatstore_bench::error::Error;
use chatstore_bench::wire::{Connection, post};
use serde_json::json;
use tokio::task::JoinSet;

/// Messages that are stored together or not at all.
pub(super) const BATCH: usize = 3;

/// Writers that share a conversation.
const WRITERS_EACH: usize = 4;

/// A batch that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) name: String,
    pub(super) at: Instant,
    /// When it was answered as stored.
    pub(super) acknowledged: Option<Instant>,
}

/// Writers at work.
pub(super) struct Writers {
    tasks: JoinSet<Result<Vec<Sent>, String>>,
    are_asked_to_end: Arc<AtomicBool>,
}

impl Writers {
    pub(super) async fn start(port: u16, key: &str, count: usize) -> Result<Self, Error> {
        let are_asked_to_end = Arc::new(AtomicBool::new(false));
        let client = Client::new(port, key)?;
        let mut tasks = JoinSet::new();
        let mut conversation = String::new();
        for number in 0..count {
            if number % WRITERS_EACH == 0 {
                conversation = client.create_conversation().await?;
            }
            let path = format!("/api/v1/conversations/{conversation}/messages");
            let (key, end) = (key.to_owned(), Arc::clone(&are_asked_to_end));
            let work = async move {
                write(port, &path, &key, number, &end).await.map_err(|error| error.to_string())
            };
            tasks.spawn(work);
        }
        Ok(Self { tasks, are_asked_to_end })
    }

    /// Ends them; every batch that they sent.
    pub(super) async fn finish(self) -> Result<Vec<Sent>, Error> {
        self.are_asked_to_end.store(true, Ordering::Relaxed);
        let ledgers: Result<Vec<Vec<Sent>>, String> = self.tasks.join_all().await.into_iter().collect();
        Ok(ledgers?.into_iter().flatten().collect())
    }
}

async fn write(
    port: u16,
    path: &str,
    key: &str,
    writer: usize,
    end: &AtomicBool,
) -> Result<Vec<Sent>, Error> {
    let mut connection = Connection::open(port).await?;
    let mut ledger: Vec<Sent> = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let name = format!("batch {writer}-{}", ledger.len());
        let messages: Vec<_> = (1..=BATCH)
            .map(|number| json!({ "content": format!("{name}, message {number} of {BATCH}") }))
            .collect();
        let request = post(path, key, &json!({ "messages": messages }).to_string());
        let at = Instant::now();
        let status = connection.exchange(&request).await?.status();
        let acknowledged = (status == 201).then(Instant::now);
        ledger.push(Sent { name, at, acknowledged });
        if acknowledged.is_none() && status != 503 {
            return Err(format!("a batch was answered with {status}").into());
        }
    }
    Ok(ledger)
}
