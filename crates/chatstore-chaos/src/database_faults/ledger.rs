//! Clients that append and keep a ledger, and the comparison of their ledgers with what is stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chatstore_bench::client::Client;
use chatstore_bench::error::Error;
use chatstore_bench::wire::Connection;
use chatstore_bench::wire_caller::Prepared;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longer than the server may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// After an append that was not stored.
const PAUSE: Duration = Duration::from_millis(10);

/// What a client knows of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored,
    /// The server said that nothing was changed.
    Refused,
    /// There was no answer, or one that does not say.
    Unknown,
    /// A status that no fault excuses.
    Unexpected(u16),
}

/// One append.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) content: String,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    pub(super) outcome: Outcome,
}

/// The appends of one client to one conversation.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) conversation: String,
    pub(super) appends: Vec<Append>,
}

/// Clients at work, each with a connection of its own, as fast as they are answered.
pub(super) struct Writers {
    ended: Arc<AtomicBool>,
    tasks: JoinSet<Ledger>,
}

impl Writers {
    /// Starts one client for each conversation.
    pub(super) fn start(port: u16, key: &str, conversations: &[String]) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for (number, conversation) in conversations.iter().enumerate() {
            let (key, conversation, ended) = (key.to_owned(), conversation.clone(), Arc::clone(&ended));
            tasks.spawn(async move { write(port, number, &key, conversation, &ended).await });
        }
        Self { ended, tasks }
    }

    /// Lets each finish its append; their ledgers.
    pub(super) async fn finish(mut self) -> Result<Vec<Ledger>, Error> {
        self.ended.store(true, Ordering::Relaxed);
        let mut ledgers = Vec::new();
        while let Some(ledger) = self.tasks.join_next().await {
            ledgers.push(ledger?);
        }
        Ok(ledgers)
    }
}

async fn write(port: u16, number: usize, key: &str, conversation: String, ended: &AtomicBool) -> Ledger {
    let mut appends = Vec::new();
    let mut connection = None;
    while !ended.load(Ordering::Relaxed) {
        let content = format!("{number} {}", appends.len());
        let request = append_request(&conversation, key, &content);
        let begun = Instant::now();
        let answer = timeout(TIMEOUT, append(port, &mut connection, &request)).await;
        let outcome = answer.ok().and_then(Result::ok).unwrap_or(Outcome::Unknown);
        if outcome == Outcome::Unknown {
            connection = None;
        }
        appends.push(Append { content, begun, ended: Instant::now(), outcome });
        if outcome != Outcome::Stored {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ledger { conversation, appends }
}

/// What an append to a conversation sends.
pub(super) fn append_request(conversation: &str, key: &str, content: &str) -> Prepared {
    Prepared::append(conversation, key, &json!({ "content": content }).to_string())
}

async fn append(
    port: u16,
    connection: &mut Option<Connection>,
    request: &Prepared,
) -> Result<Outcome, Error> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(port).await?),
    };
    let answer = open.exchange(request.bytes()).await?;
    Ok(match answer.status() {
        201 => Outcome::Stored,
        503 if String::from_utf8_lossy(answer.body()).contains("outcome-unknown") => Outcome::Unknown,
        503 => Outcome::Refused,
        other => Outcome::Unexpected(other),
    })
}

/// Appends stored in a second between two instants.
#[expect(clippy::cast_precision_loss, reason = "counts of appends are far below 2^52")]
pub(super) fn rate(ledgers: &[Ledger], from: Instant, until: Instant) -> f64 {
    let is_in = |append: &&Append| append.ended >= from && append.ended < until;
    let stored = all(ledgers).filter(is_in).filter(|append| append.outcome == Outcome::Stored).count();
    stored as f64 / (until - from).as_secs_f64()
}

/// Every append of every ledger.
pub(super) fn all(ledgers: &[Ledger]) -> impl Iterator<Item = &Append> {
    ledgers.iter().flat_map(|ledger| &ledger.appends)
}

/// Appends with this outcome.
pub(super) fn count(ledgers: &[Ledger], outcome: Outcome) -> usize {
    all(ledgers).filter(|append| append.outcome == outcome).count()
}

/// The longest time to an answer.
pub(super) fn slowest(ledgers: &[Ledger]) -> Duration {
    all(ledgers).map(|append| append.ended - append.begun).max().unwrap_or_default()
}

/// What contradicts the ledgers in what is stored.
pub(super) async fn check(client: &Client, ledgers: &[Ledger]) -> Result<Vec<String>, Error> {
    let mut violations = Vec::new();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for append in all(ledgers) {
        if let Outcome::Unexpected(status) = append.outcome {
            *statuses.entry(status).or_default() += 1;
        }
    }
    violations.extend(statuses.into_iter().map(|(status, count)| format!("{count} answers {status}")));
    let mut by_conversation: BTreeMap<&str, Vec<&Ledger>> = BTreeMap::new();
    for ledger in ledgers {
        by_conversation.entry(&ledger.conversation).or_default().push(ledger);
    }
    for (conversation, ledgers) in by_conversation {
        let stored = client.read_back(conversation).await?;
        let numbers_have_gaps = stored.iter().zip(1..).any(|(message, seq)| message.seq != seq);
        if numbers_have_gaps {
            violations.push(format!("{conversation}: numbers with a gap"));
        }
        let mut copies: HashMap<&str, usize> = HashMap::new();
        for message in &stored {
            *copies.entry(&message.content).or_default() += 1;
        }
        for append in ledgers.iter().flat_map(|ledger| &ledger.appends) {
            let copies = copies.get(append.content.as_str()).copied().unwrap_or(0);
            let is_right = match append.outcome {
                Outcome::Stored => copies == 1,
                Outcome::Refused | Outcome::Unexpected(_) => copies == 0,
                Outcome::Unknown => copies <= 1,
            };
            if !is_right {
                let outcome = append.outcome;
                violations
                    .push(format!("{conversation}: {:?} {outcome:?}, stored {copies} times", append.content));
            }
        }
    }
    Ok(violations)
}
