//! The write-ahead log and its checkpoints.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use rusqlite::Connection;

/// What the writer's connection saw of the log.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Pages in the log after the last commit.
    pub(super) pages: AtomicI32,
    pub(super) commits: AtomicU64,
    moved: AtomicU64,
    busy: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    /// Moves what the log holds into the file, and counts that it was tried.
    pub(super) fn checkpoint(&self, connection: &Connection, mode: Mode) -> rusqlite::Result<Moved> {
        let moved = checkpoint(connection, mode);
        let count = match &moved {
            Ok(Moved { is_busy: false, .. }) => &self.moved,
            Ok(_) => &self.busy,
            Err(_) => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        moved
    }

    /// Checkpoints by what they did.
    pub(super) fn checkpoints(&self) -> Vec<(&'static str, u64)> {
        [("moved", &self.moved), ("busy", &self.busy), ("failed", &self.failed)]
            .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
            .to_vec()
    }
}

/// How far a checkpoint goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As far as readers let it, without making writers wait.
    Passive,
    /// Everything, and the log is empty afterwards; writers wait meanwhile.
    Truncate,
}

/// What a checkpoint did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    /// Another connection was at it, or readers were in the way of the mode.
    pub(super) is_busy: bool,
    /// Whether every page of the log is in the file now.
    pub(super) is_whole: bool,
}

pub(super) fn checkpoint(connection: &Connection, mode: Mode) -> rusqlite::Result<Moved> {
    let statement = match mode {
        Mode::Passive => "pragma wal_checkpoint(passive)",
        Mode::Truncate => "pragma wal_checkpoint(truncate)",
    };
    let answer: rusqlite::Result<(i64, i64, i64)> =
        connection.query_row(statement, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    match answer {
        Ok((busy, log_pages, moved_pages)) => {
            tracing::trace!(busy, log_pages, moved_pages, "checkpoint");
            Ok(Moved { is_busy: busy != 0, is_whole: log_pages == moved_pages })
        }
        Err(error) => {
            tracing::warn!(%error, "checkpoint failed; the log keeps growing until one succeeds");
            Err(error)
        }
    }
}
