//! Conversations as JSON lines: `{"id": …, "turns": [{"role": …, "content": …}, …]}`.
//!
//! A line becomes a conversation whose `thread_id` is the line's `id`. Ids are UUIDv5 of the owner and
//! what the line says, and times are the base time plus the row's position in microseconds, so that the same
//! file gives the same rows in every database, and nothing when it is imported again. What a line
//! or a turn says beyond these fields is kept in `metadata.source`.

use std::io::BufRead;

use chatstore_model::{
    Conversation, ConversationId, IntoValid, Json, Limit, MessageId, MessageRange, MessageRole,
    NewConversation, NewMessage, Order, Timestamp, UserId,
};
use chatstore_sql::{By, StoreError, WriteTx};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::Error;
use crate::store::Store;

/// The name space of imported ids (RFC 9562, section 5.5); made once, never to be changed.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d2c_5d0e_97b4_4c0f_8a31_0f6b_5c9e_21d7);

/// Messages written together at most; on SQLite this holds the writer for a few milliseconds.
const BATCH_MESSAGES: usize = 400;

/// A line longer than this is refused rather than read into memory.
const LINE_BYTES: usize = 64 * 1024 * 1024;

/// What to do about a line that cannot be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Stop at it; what came before it is kept.
    Stop,
    /// Report it and go on.
    Skip,
}

/// How to import.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Who owns the conversations.
    pub owner: UserId,
    /// The time of the first row; each further row is a microsecond later.
    pub base_time: Timestamp,
    /// What to do about a line that cannot be imported.
    pub on_error: OnError,
    /// Check every line and compare it with what is there, but write nothing.
    pub dry_run: bool,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Lines read, blank ones left aside.
    pub read: u64,
    /// What was added.
    pub imported: Imported,
    /// Lines that were there already.
    pub unchanged: u64,
    /// Lines that were not imported.
    pub skipped: Vec<Skipped>,
}

/// Rows that were added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Conversations.
    pub conversations: u64,
    /// Messages.
    pub messages: u64,
}

/// A line that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// An import that stopped. Lines before the named one are stored, it and those after it are not.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line cannot be imported.
    #[error("line {}: {}", .0.line, .0.reason)]
    BadLine(Skipped),
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
struct Prepared {
    line: u64,
    conversation: NewConversation,
    messages: Vec<NewMessage>,
}

enum Outcome {
    Imported,
    Unchanged,
    Differs(String),
}

/// Imports every line of `input`; `progress` is told the bytes read so far. Lines are written in
/// transactions of several conversations; a conversation is there whole or not at all.
///
/// # Errors
/// [`ImportError`].
pub async fn import(
    store: &Store,
    mut input: impl BufRead,
    options: Options,
    mut progress: impl FnMut(u64),
) -> Result<Report, ImportError> {
    let mut import = Import { store, options, report: Report::default(), waiting: Vec::new(), position: 0 };
    let mut text = Vec::new();
    let mut line = 0;
    let mut bytes = 0;
    loop {
        line += 1;
        let read = read_line(&mut input, &mut text).map_err(|source| ImportError::Read { line, source })?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        if text.trim_ascii().is_empty() {
            continue;
        }
        import.report.read += 1;
        match import.prepare(line, &text) {
            Ok(prepared) => import.waiting.push(prepared),
            Err(reason) => {
                import.flush().await?;
                import.skip(line, reason)?;
            }
        }
        if import.waiting.iter().map(|prepared| prepared.messages.len()).sum::<usize>() >= BATCH_MESSAGES {
            import.flush().await?;
        }
        progress(bytes);
    }
    import.flush().await?;
    Ok(import.report)
}

fn read_line(input: &mut impl BufRead, text: &mut Vec<u8>) -> std::io::Result<usize> {
    text.clear();
    let read = std::io::Read::take(&mut *input, LINE_BYTES as u64).read_until(b'\n', text)?;
    if read == LINE_BYTES && text.last() != Some(&b'\n') {
        return Err(std::io::Error::other("the line is longer than 64 MiB"));
    }
    Ok(read)
}

struct Import<'s> {
    store: &'s Store,
    options: Options,
    report: Report,
    waiting: Vec<Prepared>,
    /// Rows so far, conversations and messages alike.
    position: i64,
}

impl Import<'_> {
    fn skip(&mut self, line: u64, reason: String) -> Result<(), ImportError> {
        let skipped = Skipped { line, reason };
        match self.options.on_error {
            OnError::Stop => Err(ImportError::BadLine(skipped)),
            OnError::Skip => {
                self.report.skipped.push(skipped);
                Ok(())
            }
        }
    }

    /// Reads a line and checks it against the limits.
    fn prepare(&mut self, number: u64, text: &[u8]) -> Result<Prepared, String> {
        let line: Line =
            serde_json::from_slice(text).map_err(|error| format!("not a conversation: {error}"))?;
        if line.turns.is_empty() {
            return Err("the conversation has no turns".to_owned());
        }
        let conversation = NewConversation {
            id: Some(ConversationId::from_uuid(self.name(&[b"conversation", line.id.as_bytes()]))),
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
            let message = NewMessage {
                id: Some(MessageId::from_uuid(self.name(&[
                    b"message",
                    line.id.as_bytes(),
                    index.to_string().as_bytes(),
                    &digest,
                ]))),
                metadata: source(turn.rest)?,
                created_at: Some(self.next_time()),
                ..NewMessage::new(role, turn.content)
            };
            (&message).into_valid().map_err(|error| format!("turns[{index}]: {error}"))?;
            messages.push(message);
        }
        Ok(Prepared { line: number, conversation, messages })
    }

    /// A UUIDv5 of the owner and the parts, which cannot run into each other.
    fn name(&self, parts: &[&[u8]]) -> Uuid {
        let mut name = b"jsonl".to_vec();
        name.extend_from_slice(self.options.owner.uuid().as_bytes());
        for part in parts {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part);
        }
        Uuid::new_v5(&NAMESPACE, &name)
    }

    fn next_time(&mut self) -> Timestamp {
        self.position += 1;
        self.options.base_time.plus_microseconds(self.position - 1)
    }

    /// Stores the waiting lines in one transaction.
    async fn flush(&mut self) -> Result<(), ImportError> {
        let Some(first) = self.waiting.first() else { return Ok(()) };
        let line = first.line;
        let batch = std::mem::take(&mut self.waiting);
        let lines: Vec<(u64, u64)> =
            batch.iter().map(|prepared| (prepared.line, prepared.messages.len() as u64)).collect();
        let options = self.options;
        let stored = self
            .store
            .write("import_jsonl", async move |tx| {
                let mut outcomes = Vec::with_capacity(batch.len());
                for prepared in &batch {
                    let outcome = put(tx, options, prepared).await?;
                    let stop = options.on_error == OnError::Stop && matches!(outcome, Outcome::Differs(_));
                    outcomes.push(outcome);
                    if stop {
                        break;
                    }
                }
                Ok(outcomes)
            })
            .await;
        let outcomes = stored.map_err(|source| ImportError::Store { line, source })?;
        for ((line, messages), outcome) in lines.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Imported => {
                    self.report.imported.conversations += 1;
                    self.report.imported.messages += messages;
                }
                Outcome::Unchanged => self.report.unchanged += 1,
                Outcome::Differs(reason) => self.skip(line, reason)?,
            }
        }
        Ok(())
    }
}

/// Stores a line, or compares it with what is there.
async fn put(tx: &mut WriteTx<'_>, options: Options, prepared: &Prepared) -> Result<Outcome, StoreError> {
    let owner = options.owner;
    let new = &prepared.conversation;
    let mut found: Option<Conversation> = None;
    if let Some(id) = new.id {
        found = tx.conversations().get(By::Owner(owner), id).await?.map(|(conversation, _)| conversation);
    }
    if let (None, Some(thread_id)) = (&found, &new.thread_id) {
        found = tx.conversations().find_by_thread(owner, thread_id).await?;
    }
    if let Some(conversation) = found {
        return compare(tx, owner, conversation.id, &prepared.messages).await;
    }
    if !options.dry_run {
        let conversation = tx.conversations().create(owner, new).await?;
        tx.messages().append_many(owner, conversation.id, &[], &prepared.messages).await?;
    }
    Ok(Outcome::Imported)
}

/// Whether the conversation begins with exactly these messages; what came after them is no matter.
async fn compare(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    conversation: ConversationId,
    messages: &[NewMessage],
) -> Result<Outcome, StoreError> {
    let mut compared = 0;
    let mut after = 0;
    while compared < messages.len() {
        let range = MessageRange { after, before: i64::MAX };
        let page =
            tx.messages().page(By::Owner(owner), conversation, range, Order::Ascending, Limit::MAX).await?;
        for (stored, new) in page.items.iter().zip(&messages[compared..]) {
            compared += 1;
            if stored.role != new.role || stored.content != new.content {
                return Ok(Outcome::Differs(format!(
                    "a conversation with this id is there already and differs at turn {compared}; it was left as it is"
                )));
            }
        }
        match page.next {
            Some(seq) => after = seq,
            None if compared < messages.len() => {
                return Ok(Outcome::Differs(format!(
                    "a conversation with this id is there already and has only {compared} of the {} turns; \
                     it was left as it is",
                    messages.len()
                )));
            }
            None => {}
        }
    }
    Ok(Outcome::Unchanged)
}

/// What has no field of ours.
fn source(rest: Map<String, Value>) -> Result<Json, String> {
    if rest.is_empty() {
        return Ok(Json::object());
    }
    let metadata = Map::from_iter([("source".to_owned(), Value::Object(rest))]);
    Json::new(Value::Object(metadata)).map_err(|error| error.to_string())
}
