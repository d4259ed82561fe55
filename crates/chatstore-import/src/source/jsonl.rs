//! Conversations as JSON lines: `{"id": …, "turns": [{"role": …, "content": …}, …]}`.
//!
//! A line becomes a conversation whose `thread_id` is the line's `id`. Ids are UUIDv5 of the owner and
//! what the line says, and times are the base time plus the row's position in microseconds, so that the same
//! file gives the same rows in every database, and nothing when it is imported again. What a line
//! or a turn says beyond these fields is kept in `metadata.source`.
//!
//! A conversation is imported whole or not at all: one that is stored already is compared and left as it is.

use std::io::BufRead;

use chatstore::Error;
use chatstore_model::{
    CanonicalJson, ConversationId, IntoValid, Limit, MessageId, MessageRange, MessageRole, NewConversation,
    NewMessage, Order, Timestamp, UserId,
};
use chatstore_sql::{Tx, Via};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Source;
use crate::engine::{Batch, BatchState, Import, Mode, StoreResult, Write};
use crate::plan::{RowClock, derived_uuid};
use crate::report::{ImportReport, Issue};

/// The name space of imported ids. It was generated once and must never change.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d2c_5d0e_97b4_4c0f_8a31_0f6b_5c9e_21d7);

/// Maximum messages written together; on SQLite this holds the writer for a few milliseconds.
const BATCH_MESSAGES: usize = 400;

/// A longer line is refused rather than read into memory.
const LINE_BYTES: usize = 64 * 1024 * 1024;

/// JSON lines. In the report, the key of a conversation is the number of its line.
#[derive(Debug)]
pub struct Jsonl<R> {
    /// The lines.
    pub input: R,
    /// The bytes of all lines, so that progress can be shown.
    pub size: u64,
    /// Who owns the conversations.
    pub owner: UserId,
    /// What to do about a line that cannot be imported.
    pub on_error: OnError,
}

/// What to do about a line that cannot be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Stop at it; what came before it is kept.
    Stop,
    /// Report it and go on.
    Skip,
}

/// An import that stopped. Lines before the named one are stored, it and those after it are not.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// A line cannot be imported.
    #[error("line {line}: {reason}")]
    BadLine {
        /// The line.
        line: u64,
        /// Why.
        reason: String,
    },
    /// The file could not be read.
    #[error("reading failed at line {line}: {source}")]
    Read {
        /// The line.
        line: u64,
        /// Why.
        source: std::io::Error,
    },
    /// The store failed.
    #[error("the store failed at line {line}: {source}")]
    Store {
        /// The first line that is not stored.
        line: u64,
        /// Why.
        source: Error,
    },
}

#[derive(Deserialize)]
struct Line {
    id: String,
    turns: Vec<Turn>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A line ready to be stored.
struct PlannedLine {
    number: u64,
    id: ConversationId,
    conversation: NewConversation,
    messages: Vec<NewMessage>,
}

impl<R: BufRead> Source for Jsonl<R> {
    type Error = JsonlError;

    fn tables(&self) -> Vec<&'static str> {
        vec!["conversations", "messages"]
    }

    async fn read(mut self, import: Import<'_>) -> Result<ImportReport, JsonlError> {
        let clock = RowClock::starting_at(import.base_time());
        let (owner, on_error) = (self.owner, self.on_error);
        let mut lines = Lines { import, owner, on_error, clock, waiting: Vec::new() };
        let mut text = Vec::new();
        let (mut line, mut bytes) = (0, 0);
        loop {
            line += 1;
            let read =
                read_line(&mut self.input, &mut text).map_err(|source| JsonlError::Read { line, source })?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            if !text.trim_ascii().is_empty() {
                lines.take(line, &text).await?;
                lines.import.report.progress_at(bytes, self.size);
            }
        }
        lines.flush().await?;
        lines.import.finish().await.map_err(|source| JsonlError::Store { line, source })
    }
}

fn read_line(input: &mut impl BufRead, text: &mut Vec<u8>) -> std::io::Result<usize> {
    text.clear();
    let read = std::io::Read::take(&mut *input, LINE_BYTES as u64).read_until(b'\n', text)?;
    if read == LINE_BYTES && text.last() != Some(&b'\n') {
        return Err(std::io::Error::other("the line is longer than 64 MiB"));
    }
    Ok(read)
}

/// The lines that are being imported.
struct Lines<'i> {
    import: Import<'i>,
    owner: UserId,
    on_error: OnError,
    clock: RowClock,
    waiting: Vec<PlannedLine>,
}

impl Lines<'_> {
    async fn take(&mut self, number: u64, text: &[u8]) -> Result<(), JsonlError> {
        match self.plan(number, text) {
            Ok(line) => self.waiting.push(line),
            Err(reason) => {
                self.flush().await?;
                if self.on_error == OnError::Stop {
                    return Err(JsonlError::BadLine { line: number, reason });
                }
                self.import.report.issue(skipped(number, reason));
            }
        }
        if self.waiting.iter().map(|line| line.messages.len()).sum::<usize>() >= BATCH_MESSAGES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Stores the waiting lines in one transaction.
    async fn flush(&mut self) -> Result<(), JsonlError> {
        let Some(first) = self.waiting.first() else { return Ok(()) };
        let line = first.number;
        let lines = std::mem::take(&mut self.waiting);
        let batch = LineBatch { owner: self.owner, on_error: self.on_error, lines };
        let stop = self.import.commit(batch).await.map_err(|source| JsonlError::Store { line, source })?;
        stop.map_or(Ok(()), |(line, reason)| Err(JsonlError::BadLine { line, reason }))
    }

    /// Reads a line and checks it against the limits.
    fn plan(&mut self, number: u64, text: &[u8]) -> Result<PlannedLine, String> {
        let line: Line =
            serde_json::from_slice(text).map_err(|error| format!("not a conversation: {error}"))?;
        if line.turns.is_empty() {
            return Err("the conversation has no turns".to_owned());
        }
        let id = ConversationId::from_uuid(self.uuid(&[b"conversation", line.id.as_bytes()]));
        let conversation = NewConversation {
            id: Some(id),
            metadata: source(line.rest)?,
            created_at: Some(self.next_time()),
            ..NewConversation::thread(&line.id)
        };
        (&conversation).into_valid().map_err(|error| error.to_string())?;
        let mut messages = Vec::with_capacity(line.turns.len());
        for (index, turn) in line.turns.into_iter().enumerate() {
            let role: MessageRole =
                turn.role.parse().map_err(|error| format!("turns[{index}].role {:?} {error}", turn.role))?;
            let digest = Sha256::digest(format!("{}\0{}", turn.role, turn.content));
            let place = index.to_string();
            let message_id = self.uuid(&[b"message", line.id.as_bytes(), place.as_bytes(), &digest]);
            let message = NewMessage {
                id: Some(MessageId::from_uuid(message_id)),
                metadata: source(turn.rest)?,
                created_at: Some(self.next_time()),
                ..NewMessage::new(role, turn.content)
            };
            (&message).into_valid().map_err(|error| format!("turns[{index}]: {error}"))?;
            messages.push(message);
        }
        Ok(PlannedLine { number, id, conversation, messages })
    }

    /// An id that follows from the owner and the parts.
    fn uuid(&self, parts: &[&[u8]]) -> Uuid {
        let prefix = [b"jsonl".as_slice(), self.owner.uuid().as_bytes()].concat();
        derived_uuid(NAMESPACE, &prefix, parts)
    }

    fn next_time(&mut self) -> Timestamp {
        let time = self.clock.time();
        self.clock.follow(None);
        time
    }
}

/// What has no field of its own.
fn source(rest: Map<String, Value>) -> Result<CanonicalJson, String> {
    if rest.is_empty() {
        return Ok(CanonicalJson::object());
    }
    let metadata = Map::from_iter([("source".to_owned(), Value::Object(rest))]);
    CanonicalJson::new(Value::Object(metadata)).map_err(|error| error.to_string())
}

/// Lines that are stored in one transaction.
struct LineBatch {
    owner: UserId,
    on_error: OnError,
    lines: Vec<PlannedLine>,
}

impl Batch for LineBatch {
    const NAME: &'static str = "import_jsonl";
    /// The number of the line that stops the import, and why.
    type Outcome = Option<(u64, String)>;

    async fn decide<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
    ) -> StoreResult<Self::Outcome> {
        for line in &self.lines {
            match put(tx, state, self.owner, line).await? {
                None => {}
                Some(reason) if self.on_error == OnError::Stop => return Ok(Some((line.number, reason))),
                Some(reason) => state.report.issues.push(skipped(line.number, reason)),
            }
        }
        Ok(None)
    }
}

fn skipped(line: u64, reason: String) -> Issue {
    Issue::of_row("conversations", &line.to_string(), reason, "left out").leaving_out()
}

/// Stores a line, or compares it with the conversation that is stored; how that differs.
async fn put<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owner: UserId,
    line: &PlannedLine,
) -> StoreResult<Option<String>> {
    let stored = tx.conversations().get(Via::Owner(owner), line.id).await?;
    let mut found = stored.map(|(conversation, _)| conversation.id);
    if let (None, Some(thread_id)) = (found, &line.conversation.thread_id) {
        found = tx.conversations().find_by_thread(owner, thread_id).await?.map(|found| found.id);
    }
    if let Some(conversation) = found {
        let difference = compare(tx, owner, conversation, &line.messages).await?;
        if difference.is_none() {
            state.report.keep("conversations");
        }
        return Ok(difference);
    }
    let key = line.number.to_string();
    M::apply(tx, state, Write::Conversation(owner, &line.conversation, &key)).await?;
    M::apply(tx, state, Write::Messages(owner, line.id, &line.messages)).await?;
    state.report.add("conversations", 1);
    state.report.add("messages", line.messages.len() as u64);
    Ok(None)
}

/// How the conversation differs from one that begins with exactly these messages; what came after them does not
/// matter.
async fn compare<M>(
    tx: &mut Tx<'_, M>,
    owner: UserId,
    conversation: ConversationId,
    messages: &[NewMessage],
) -> StoreResult<Option<String>> {
    let mut compared = 0;
    let mut after = 0;
    while compared < messages.len() {
        let range = MessageRange { after, before: i64::MAX };
        let page =
            tx.messages().page(Via::Owner(owner), conversation, range, Order::Ascending, Limit::MAX).await?;
        for (stored, new) in page.items.iter().zip(&messages[compared..]) {
            compared += 1;
            if stored.role != new.role || stored.content != new.content {
                return Ok(Some(format!(
                    "a conversation with this id already exists and differs at turn {compared}; it was not changed"
                )));
            }
        }
        match page.next {
            Some(seq) => after = seq,
            None if compared < messages.len() => {
                return Ok(Some(format!(
                    "a conversation with this id already exists and has only {compared} of the {} turns; \
                     it was not changed",
                    messages.len()
                )));
            }
            None => {}
        }
    }
    Ok(None)
}
