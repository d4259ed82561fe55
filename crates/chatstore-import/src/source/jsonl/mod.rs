//! Conversations as JSON lines: `{"id": …, "turns": [{"role": …, "content": …}, …]}`, and documents:
//! `{"type": "document", "id": …, "content": …}` with `title`, `metadata`, `created_at` and `updated_at`, as an export has
//! them.
//!
//! A turn may have `parts`, a list of objects that is kept byte for byte, and their `format`; its content may then be left
//! out or null, and is the text of the parts. A number that 64 bits do not hold exactly is taken in parts alone.
//!
//! A line may have `messages` instead of `turns`, and `thread_id`, `conversation_id`, `external_id` or `session_id` instead
//! of `id`; one without any is known by what it says. `owner` and its like name a user by id, name or address, who is
//! created when there is none. What it says as `title` (or `name`), `model`, `created_at`, `updated_at` and `metadata`, and what a turn says as `model`, `created_at`,
//! `external_id`, `token_count`, `used_documents` and `metadata`, is taken if it is what these fields may have. Content that is a list of
//! objects is `parts`; it may be null beside `tool_calls`. The roles `human`, `ai`, `bot`, `model` and `function` are
//! understood.
//!
//! A line becomes a conversation whose `thread_id` is the line's `id`. Ids are UUIDv5 of the owner and
//! what the line says, and times are the base time plus the row's position in microseconds, so that the same
//! file gives the same rows in every database, and nothing when it is imported again. What a line
//! or a turn says beyond these fields is kept in `metadata.source`.
//!
//! A line is imported whole or not at all: one that cannot be is found before anything of it is stored, and a
//! conversation that is stored already is compared and left as it is. A long line is read twice and stored in pieces;
//! memory depends on its longest turn and not on its length. If the import is interrupted between two pieces, the
//! conversation has its first messages; the next import adds the others.

mod batch;
mod document;
mod known;
mod measure;
mod owner;
mod piece;
mod planner;
mod text;
mod turn;
mod visit;

use std::io::BufRead;

use chatstore::{DatabaseKind, Error};
use chatstore_model::{NewMessage, UserId};

use super::Source;
use crate::engine::Import;
use crate::report::{ImportReport, Issue};
use batch::{ItemBatch, ItemOutcome};
use document::LineDocument;
use piece::Piece;
use planner::{PlannedHead, Planner, Unplanned};
use text::{Line, ReadLine, read_line};
use visit::Head;

/// Maximum messages written together. On SQLite this holds the writer for a few milliseconds; on PostgreSQL no other writer waits
/// for a transaction that only adds, and each is a write to the disk.
const BATCH_MESSAGES_ON_SQLITE: usize = 400;
const BATCH_MESSAGES_ON_POSTGRES: usize = 2_000;

/// Maximum documents written together.
const BATCH_DOCUMENTS: usize = 400;

/// Maximum bytes of the texts of either.
const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// JSON lines. In the report, the key of a conversation is the number of its line.
#[derive(Debug)]
pub struct Jsonl<R> {
    /// The lines.
    pub input: R,
    /// The bytes of all lines, so that progress can be shown.
    pub size: u64,
    /// Who owns the conversations and documents whose lines name no owner.
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

/// An import that stopped. Lines before the named one are stored, those after it are not. Of the named one nothing
/// is, unless the store failed and it is a long one: then its first messages may be.
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

impl<R: BufRead> Source for Jsonl<R> {
    type Error = JsonlError;

    fn tables(&self) -> Vec<&'static str> {
        vec!["users", "conversations", "messages", "documents"]
    }

    async fn read(mut self, import: Import<'_>) -> Result<ImportReport, JsonlError> {
        let on_error = self.on_error;
        let planner = Planner::new(self.owner, import.base_time());
        let batch_messages = match import.database_kind() {
            DatabaseKind::Sqlite => BATCH_MESSAGES_ON_SQLITE,
            DatabaseKind::Postgres => BATCH_MESSAGES_ON_POSTGRES,
        };
        let mut lines = Lines {
            import,
            on_error,
            planner,
            batch_messages,
            waiting: Vec::new(),
            documents: Vec::new(),
            messages: 0,
            bytes: 0,
        };
        let (mut line, mut bytes) = (0, 0);
        loop {
            line += 1;
            let (read, size) =
                read_line(&mut self.input).map_err(|source| JsonlError::Read { line, source })?;
            bytes += size;
            match read {
                ReadLine::End => break,
                ReadLine::Blank => continue,
                ReadLine::Line(text) => lines.take(line, *text).await?,
                ReadLine::Document(fields) => lines.take_document(line, fields).await?,
                ReadLine::Bad(reason) => lines.refuse("conversations", line, reason).await?,
            }
            lines.import.report.progress_at(bytes, self.size);
        }
        lines.flush_all().await?;
        lines.import.finish().await.map_err(|source| JsonlError::Store { line, source })
    }
}

/// The lines that are being imported.
struct Lines<'i> {
    import: Import<'i>,
    on_error: OnError,
    planner: Planner,
    /// Maximum messages written together.
    batch_messages: usize,
    waiting: Vec<Piece>,
    /// With the numbers of their lines. Never together with pieces: lines are stored in their order.
    documents: Vec<(u64, LineDocument)>,
    /// Of what waits.
    messages: usize,
    bytes: usize,
}

impl Lines<'_> {
    /// Takes a line, of which nothing is stored unless all of it can be.
    async fn take(&mut self, number: u64, line: Line) -> Result<(), JsonlError> {
        self.flush_documents().await?;
        let Line { head, turns } = line;
        let (head, mut planner) = match self.planner.plan(number, head, &turns) {
            Ok(planned) => planned,
            Err(Unplanned::Bad(reason)) => return self.refuse("conversations", number, reason).await,
            Err(Unplanned::Unread(source)) => return Err(JsonlError::Read { line: number, source }),
        };
        let unread = |source| JsonlError::Read { line: number, source };
        let (mut start, mut messages, mut bytes) = (0, Vec::new(), 0);
        for (index, turn) in turns.read().map_err(unread)?.enumerate() {
            let turn = turn.map_err(unread)?;
            // The turn was checked, so that its plan cannot fail.
            let message = planner.plan(&turn).map_err(|reason| unread(std::io::Error::other(reason)))?;
            bytes += message.content.len() + message.parts.as_ref().map_or(0, |parts| parts.as_str().len());
            messages.push(message);
            let is_full = messages.len() == self.batch_messages || bytes >= BATCH_BYTES;
            if is_full && index + 1 < head.turns {
                let piece = Piece { head: head.clone(), start, messages: std::mem::take(&mut messages) };
                (start, bytes) = (index + 1, 0);
                if !self.store_piece(piece).await? {
                    return Ok(());
                }
            }
        }
        if start > 0 {
            self.store_piece(Piece { head, start, messages }).await?;
            return Ok(());
        }
        self.wait(head, messages, bytes).await
    }

    /// Takes a document.
    async fn take_document(&mut self, number: u64, fields: Head) -> Result<(), JsonlError> {
        self.flush().await?;
        match self.planner.document(fields, self.import.document_limit()) {
            Ok(new) => {
                self.bytes += new.new.content.as_str().len();
                self.documents.push((number, new));
            }
            Err(reason) => return self.refuse("documents", number, reason).await,
        }
        if self.documents.len() >= BATCH_DOCUMENTS || self.bytes >= BATCH_BYTES {
            self.flush_documents().await?;
        }
        Ok(())
    }

    /// Stores a whole conversation together with others.
    async fn wait(
        &mut self,
        head: PlannedHead,
        messages: Vec<NewMessage>,
        bytes: usize,
    ) -> Result<(), JsonlError> {
        self.messages += messages.len();
        self.bytes += bytes;
        self.waiting.push(Piece { head, start: 0, messages });
        if self.messages >= self.batch_messages || self.bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Stores a piece of a long conversation, after what waits; whether the next may follow.
    async fn store_piece(&mut self, piece: Piece) -> Result<bool, JsonlError> {
        self.flush().await?;
        let number = piece.head.number;
        self.waiting.push(piece);
        let skipped = self.flush().await?;
        Ok(!skipped.contains(&number))
    }

    /// Reports a line that cannot be imported, or stops at it, after what waits is stored.
    async fn refuse(&mut self, table: &'static str, number: u64, reason: String) -> Result<(), JsonlError> {
        self.flush_all().await?;
        if self.on_error == OnError::Stop {
            return Err(JsonlError::BadLine { line: number, reason });
        }
        self.import.report.issue(skipped(table, number, reason));
        Ok(())
    }

    async fn flush_all(&mut self) -> Result<(), JsonlError> {
        self.flush().await?;
        self.flush_documents().await
    }

    /// Stores the documents that wait in one transaction.
    async fn flush_documents(&mut self) -> Result<(), JsonlError> {
        let Some((line, _)) = self.documents.first() else { return Ok(()) };
        let line = *line;
        let (numbers, documents): (Vec<u64>, _) = std::mem::take(&mut self.documents).into_iter().unzip();
        self.bytes = 0;
        let stops = self.on_error == OnError::Stop;
        let batch = ItemBatch { stops, items: documents };
        let outcomes =
            self.import.commit(batch).await.map_err(|source| JsonlError::Store { line, source })?;
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            let ItemOutcome::Differs(reason) = outcome else { continue };
            if stops {
                return Err(JsonlError::BadLine { line: number, reason });
            }
            self.import.report.issue(skipped("documents", number, reason));
        }
        Ok(())
    }

    /// Stores what waits in one transaction; the lines of it that were skipped.
    async fn flush(&mut self) -> Result<Vec<u64>, JsonlError> {
        let Some(first) = self.waiting.first() else { return Ok(Vec::new()) };
        let line = first.head.number;
        let pieces = std::mem::take(&mut self.waiting);
        (self.messages, self.bytes) = (0, 0);
        let numbers: Vec<u64> = pieces.iter().map(|piece| piece.head.number).collect();
        let stops = self.on_error == OnError::Stop;
        let batch = ItemBatch { stops, items: pieces };
        let outcomes =
            self.import.commit(batch).await.map_err(|source| JsonlError::Store { line, source })?;
        let mut skipped_lines = Vec::new();
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            let ItemOutcome::Differs(reason) = outcome else { continue };
            if stops {
                return Err(JsonlError::BadLine { line: number, reason });
            }
            self.import.report.issue(skipped("conversations", number, reason));
            skipped_lines.push(number);
        }
        Ok(skipped_lines)
    }
}

fn skipped(table: &'static str, line: u64, reason: String) -> Issue {
    Issue::of_row(table, &line.to_string(), reason, "left out").leaving_out()
}
