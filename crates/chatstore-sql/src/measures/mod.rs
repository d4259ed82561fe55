//! What a database has done since it was opened, for those who operate it.
//!
//! Everything is counted by relaxed atomics: no lock is taken and no memory is needed for a statement.

mod histogram;
mod slow;
mod statements;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use histogram::{Distribution, Histogram};
use slow::SlowStatements;
#[cfg(feature = "postgres")]
pub(crate) use statements::COMMIT;
pub use statements::StatementMeasures;
use statements::Statements;

/// What the statements of a database did, whichever database it is.
#[derive(Debug)]
pub(crate) struct Measures {
    statements: Statements,
    slow: SlowStatements,
    timeouts: AtomicU64,
    conflict_retries: AtomicU64,
    #[cfg(feature = "sqlite")]
    pub(crate) groups: Groups,
}

/// What SQLite's writer commits at once, and what readers give to other threads.
#[cfg(feature = "sqlite")]
#[derive(Debug)]
pub(crate) struct Groups {
    pub(crate) sizes: Histogram,
    pub(crate) times: Histogram,
    pub(crate) long_reads: AtomicU64,
}

/// What a database has done since it was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseMeasures {
    /// The statements that ran, by name.
    pub statements: Vec<StatementMeasures>,
    /// Statements that took longer than the threshold.
    pub slow_statements: u64,
    /// Statements that the database did not answer in time.
    pub statement_timeouts: u64,
    /// Transactions that ran again after a conflict with another one.
    pub conflict_retries: u64,
    /// `None` for a database in memory, which has only one.
    pub connections: Option<ConnectionMeasures>,
    /// `None` for PostgreSQL.
    pub sqlite: Option<SqliteMeasures>,
}

/// The connections of a database: to the server, or for reads of a SQLite file.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionMeasures {
    /// How many there may be.
    pub max: usize,
    /// How many are open.
    pub open: usize,
    /// How many of them are in use.
    pub busy: usize,
    /// Seconds for which callers waited for one.
    pub waits: Distribution,
    /// How often none became free in time.
    pub timeouts: u64,
}

/// What only SQLite has.
#[derive(Debug, Clone, PartialEq)]
pub struct SqliteMeasures {
    /// Writes that were committed together.
    pub group_sizes: Distribution,
    /// Seconds that it took to run and commit them.
    pub group_times: Distribution,
    /// Writes that wait for the writer.
    pub queued_writes: usize,
    /// Bytes of the write-ahead log.
    pub log_bytes: u64,
    /// Checkpoints by what they did: `moved`, `busy` or `failed`.
    pub checkpoints: Vec<(&'static str, u64)>,
    /// Reads that took so long that they ran again on a thread of their own.
    pub long_reads: u64,
}

/// Waits for connections.
#[derive(Debug)]
pub(crate) struct Waits {
    times: Histogram,
    timeouts: AtomicU64,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It did what it was to do, or a rule refused it.
    Done,
    /// It took too long here and runs again elsewhere.
    Interrupted,
    /// It was not answered in time.
    TimedOut,
    Failed,
}

impl Measures {
    /// Of a database with statements of these names.
    pub(crate) fn new(
        names: impl IntoIterator<Item = &'static str>,
        slow_threshold: Option<Duration>,
    ) -> Self {
        Self {
            statements: Statements::new(names),
            slow: SlowStatements::new(slow_threshold),
            timeouts: AtomicU64::new(0),
            conflict_retries: AtomicU64::new(0),
            #[cfg(feature = "sqlite")]
            groups: Groups {
                sizes: Histogram::of_sizes(),
                times: Histogram::of_times(),
                long_reads: AtomicU64::new(0),
            },
        }
    }

    /// A statement that begins now, with so many lists of values. One that is dropped before its end has failed.
    pub(crate) fn begin(&self, name: &'static str, runs: usize) -> RunningStatement<'_> {
        RunningStatement { measures: self, name, runs: runs as u64, since: Instant::now(), has_ended: false }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn count_conflict_retry(&self) {
        self.conflict_retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(
        &self,
        connections: Option<ConnectionMeasures>,
        sqlite: Option<SqliteMeasures>,
    ) -> DatabaseMeasures {
        DatabaseMeasures {
            statements: self.statements.read(),
            slow_statements: self.slow.count(),
            statement_timeouts: self.timeouts.load(Ordering::Relaxed),
            conflict_retries: self.conflict_retries.load(Ordering::Relaxed),
            connections,
            sqlite,
        }
    }
}

/// A statement under way.
pub(crate) struct RunningStatement<'m> {
    measures: &'m Measures,
    name: &'static str,
    runs: u64,
    since: Instant,
    has_ended: bool,
}

impl RunningStatement<'_> {
    pub(crate) fn end(mut self, rows: u64, ended: Ended) {
        self.has_ended = true;
        let (measures, took) = (self.measures, self.since.elapsed());
        let has_failed = matches!(ended, Ended::TimedOut | Ended::Failed);
        measures.statements.note(self.name, self.runs, took, has_failed);
        if ended == Ended::TimedOut {
            measures.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        if ended != Ended::Interrupted {
            measures.slow.note(self.name, took, rows);
        }
    }
}

impl Drop for RunningStatement<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.measures.statements.note(self.name, self.runs, self.since.elapsed(), true);
        }
    }
}

impl Default for Waits {
    fn default() -> Self {
        Self { times: Histogram::of_times(), timeouts: AtomicU64::new(0) }
    }
}

impl Waits {
    pub(crate) fn observe(&self, time: Duration) {
        self.times.observe_time(time);
    }

    pub(crate) fn count_timeout(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, (max, open, busy): (usize, usize, usize)) -> ConnectionMeasures {
        let (waits, timeouts) = (self.times.read(), self.timeouts.load(Ordering::Relaxed));
        ConnectionMeasures { max, open, busy, waits, timeouts }
    }
}
