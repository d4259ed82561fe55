//! The store's writing statements on a bare rusqlite connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_bench::data::{Targets, content};
use chatstore_bench::drivers::{connect, statement};
use chatstore_bench::error::Error;
use chatstore_bench::random::{Ids, Random};
use chatstore_model::{Clock, Day, IdSource, SystemClock, preview};
use rusqlite::{Connection, params};

use crate::kinds::WriteKind;

/// Statements between two looks at the clock in one large transaction.
const STRETCH: usize = 64;

/// Writes on one connection, and commits when told to.
pub(crate) struct Writer {
    connection: Connection,
    kind: WriteKind,
    targets: Arc<Targets>,
    random: Random,
    ids: Ids,
    content: String,
    raise_head: &'static str,
    insert: &'static str,
    insert_response: &'static str,
    book_usage: &'static str,
}

impl Writer {
    pub(crate) fn open(path: &Path, kind: WriteKind, targets: Arc<Targets>) -> Result<Self, Error> {
        Ok(Self {
            connection: connect(path)?,
            kind,
            targets,
            random: Random::new(7),
            ids: Ids::new(7),
            content: content(),
            raise_head: statement("conversations.bump_own")?.sqlite(),
            insert: statement("messages.insert")?.sqlite(),
            insert_response: statement("responses.insert")?.sqlite(),
            book_usage: statement("usage.book")?.sqlite(),
        })
    }

    /// One write in a transaction of its own.
    pub(crate) fn write_and_commit(&mut self) -> Result<(), Error> {
        self.begin()?;
        self.write()?;
        self.commit()
    }

    fn begin(&self) -> Result<(), Error> {
        self.connection.prepare_cached("begin immediate")?.execute(())?;
        Ok(())
    }

    fn commit(&self) -> Result<(), Error> {
        self.connection.prepare_cached("commit")?.execute(())?;
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        let chosen = self.random.below(self.targets.conversations.len());
        let (owner, conversation) = self.targets.conversations[chosen];
        let (owner, conversation) = (*owner.uuid().as_bytes(), *conversation.uuid().as_bytes());
        let now = SystemClock.now();
        let at = now.as_microseconds();
        let message = *self.ids.uuid(now).as_bytes();
        let (seq, _): (i64, Option<String>) = self
            .connection
            .prepare_cached(self.raise_head)?
            .query_row(params![preview(&self.content), at, owner, conversation], |row| {
                Ok((row.get(1)?, row.get(2)?))
            })?;
        let (role, model) = match self.kind {
            WriteKind::Append => ("user", None),
            WriteKind::Reply => ("assistant", Some(WriteKind::MODEL)),
        };
        let nothing: Option<&str> = None;
        self.connection.prepare_cached(self.insert)?.execute(params![
            owner,
            conversation,
            seq,
            message,
            nothing,
            role,
            self.content,
            nothing,
            model,
            nothing,
            "[]",
            "{}",
            at,
            nothing,
            nothing
        ])?;
        if self.kind == WriteKind::Append {
            return Ok(());
        }
        self.connection.prepare_cached(self.insert_response)?.execute(params![
            owner,
            message,
            conversation,
            WriteKind::MODEL,
            WriteKind::TOKENS_PROMPT,
            WriteKind::TOKENS_COMPLETION,
            WriteKind::TOKENS_PROMPT + WriteKind::TOKENS_COMPLETION,
            nothing,
            WriteKind::COMPLETION_TIME_MS,
            WriteKind::FINISH_REASON,
            false,
            at
        ])?;
        self.connection.prepare_cached(self.book_usage)?.execute(params![
            owner,
            Day::of(now).start().as_microseconds(),
            WriteKind::MODEL,
            0,
            WriteKind::TOKENS_PROMPT,
            WriteKind::TOKENS_COMPLETION,
            WriteKind::TOKENS_PROMPT + WriteKind::TOKENS_COMPLETION,
            WriteKind::COMPLETION_TIME_MS
        ])?;
        Ok(())
    }
}

/// Writes a second when all of them share one transaction; its commit, and the checkpoint that
/// SQLite starts by itself at the end of it, count.
pub(crate) async fn in_one_transaction(
    path: PathBuf,
    kind: WriteKind,
    targets: Arc<Targets>,
    length: Duration,
) -> Result<f64, Error> {
    let write = move || -> Result<f64, Error> {
        let mut writer = Writer::open(&path, kind, targets)?;
        let begun = Instant::now();
        let mut count: u32 = 0;
        writer.begin()?;
        while begun.elapsed() < length {
            for _ in 0..STRETCH {
                writer.write()?;
                count += 1;
            }
        }
        writer.commit()?;
        Ok(f64::from(count) / begun.elapsed().as_secs_f64())
    };
    tokio::task::spawn_blocking(write).await?
}
