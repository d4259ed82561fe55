//! The thread that keeps the write-ahead log small and looks after the file.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::descriptors::lock_holder;
use super::fault::{Fault, Rescue};
use super::guard::FileGuard;
use super::log::{Counters, Mode};
use crate::error::{Cause, StoreError};

/// How often the file is looked at while nothing is written.
const TICK: Duration = Duration::from_secs(1);

/// The same while someone waits for an empty log, or a log for its rescue.
const SHORT_TICK: Duration = Duration::from_millis(50);

/// Time without a commit after which the log is emptied.
const IDLE: Duration = Duration::from_secs(5);

/// How long a caller waits for an empty log.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long readers are waited for at a time, with writers waiting too.
const BUSY_TIMEOUT: Duration = Duration::from_millis(20);

/// Bytes of the log about which the operator is told.
const LARGE_LOG_BYTES: u64 = 64 << 20;

/// What the thread is asked for.
pub(super) enum Task {
    /// To move what the log holds into the file.
    Move,
    /// The same, and to empty the log.
    Empty(oneshot::Sender<Result<(), StoreError>>),
    Stop,
}

pub(super) struct Keeper {
    connection: Connection,
    guard: Arc<FileGuard>,
    counters: Arc<Counters>,
    waiting: Vec<(oneshot::Sender<Result<(), StoreError>>, Instant)>,
    /// Someone waited in vain; it is made up for.
    owes_empty_log: bool,
    commits: u64,
    /// Since when nothing was committed.
    quiet_since: Instant,
    large_since: Option<Instant>,
    is_told_of_large_log: bool,
    is_rescued: bool,
}

impl Keeper {
    pub(super) fn new(connection: Connection, guard: Arc<FileGuard>, counters: Arc<Counters>) -> Self {
        Self {
            connection,
            guard,
            counters,
            waiting: Vec::new(),
            owes_empty_log: false,
            commits: 0,
            quiet_since: Instant::now(),
            large_since: None,
            is_told_of_large_log: false,
            is_rescued: false,
        }
    }

    pub(super) fn run(mut self, tasks: &Receiver<Task>) {
        if let Err(error) = self.connection.busy_timeout(BUSY_TIMEOUT) {
            tracing::warn!(%error, "the checkpointing connection waits longer than it should");
        }
        // A log that was left by a killed process; only after it does the index say what is in the file.
        let mut is_first = true;
        loop {
            let tick = if self.waiting.is_empty() { TICK } else { SHORT_TICK };
            let must_move = match tasks.recv_timeout(tick) {
                Ok(Task::Move) => true,
                Ok(Task::Empty(answer)) => {
                    self.waiting.push((answer, Instant::now() + EMPTY_TIMEOUT));
                    true
                }
                Err(RecvTimeoutError::Timeout) => std::mem::take(&mut is_first),
                Ok(Task::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            };
            match self.guard.verify() {
                Ok(()) => self.keep(must_move),
                Err(error) => self.give_up(&error),
            }
        }
        if let Some(fault) = self.guard.fault() {
            self.rescue(fault);
        }
    }

    fn keep(&mut self, must_move: bool) {
        if must_move {
            // Its failure is logged, and it is tried again.
            let _ = self.counters.checkpoint(&self.connection, Mode::Passive);
        }
        self.guard.pair();
        let now = Instant::now();
        let commits = self.counters.commits.load(Ordering::Relaxed);
        if commits != self.commits {
            self.commits = commits;
            self.quiet_since = now;
        }
        let log_bytes = self.guard.log_bytes();
        self.tell_of_large_log(log_bytes, now);
        let is_idle = now.duration_since(self.quiet_since) >= IDLE && log_bytes > 0;
        if is_idle || self.owes_empty_log || !self.waiting.is_empty() {
            self.empty_log(now);
        }
    }

    fn empty_log(&mut self, now: Instant) {
        // Most of it without the lock that writers need.
        let moved = self
            .counters
            .checkpoint(&self.connection, Mode::Passive)
            .and_then(|_| self.counters.checkpoint(&self.connection, Mode::Truncate));
        match moved {
            Ok(moved) if !moved.is_busy => {
                self.owes_empty_log = false;
                self.waiting.drain(..).for_each(|(answer, _)| drop(answer.send(Ok(()))));
            }
            Ok(_) => {
                let late = self.waiting.extract_if(.., |(_, deadline)| *deadline <= now);
                for (answer, _) in late {
                    self.owes_empty_log = true;
                    let cause =
                        Cause::new("a read keeps the log from being emptied; it is as soon as it ends");
                    // The caller may have gone.
                    let _ = answer.send(Err(StoreError::Timeout(cause)));
                }
            }
            Err(error) => {
                self.owes_empty_log = !self.waiting.is_empty();
                for (answer, _) in self.waiting.drain(..) {
                    let cause = Cause::new(error.to_string());
                    let _ = answer.send(Err(StoreError::Unavailable(cause)));
                }
            }
        }
    }

    fn tell_of_large_log(&mut self, log_bytes: u64, now: Instant) {
        if log_bytes <= LARGE_LOG_BYTES {
            self.large_since = None;
            self.is_told_of_large_log = false;
            return;
        }
        let since = *self.large_since.get_or_insert(now);
        let seconds = now.duration_since(since).as_secs();
        if seconds > 0 && !self.is_told_of_large_log {
            self.is_told_of_large_log = true;
            tracing::warn!(
                log.mebibytes = log_bytes >> 20,
                log.large_for_seconds = seconds,
                "the write-ahead log is large: a long read, also of another program, keeps it from beginning anew"
            );
        }
    }

    fn give_up(&mut self, error: &StoreError) {
        for (answer, _) in self.waiting.drain(..) {
            // The caller may have gone.
            let _ = answer.send(Err(error.clone()));
        }
        if let Some(fault) = self.guard.fault() {
            self.rescue(fault);
        }
    }

    /// Brings to safety what only the log holds, as far as the fault lets it; tried again until it succeeds.
    fn rescue(&mut self, fault: Fault) {
        if self.is_rescued {
            return;
        }
        let is_rescued = match fault.rescue() {
            Rescue::Nothing => Ok(true),
            Rescue::SetAside => self.set_log_aside(),
            Rescue::Move => self.move_log(Mode::Passive),
            Rescue::MoveAndEmpty => self.move_log(Mode::Truncate),
        };
        match is_rescued {
            Ok(is_rescued) => self.is_rescued = is_rescued,
            Err(error) => tracing::error!(%error, "the write-ahead log could not be brought to safety"),
        }
    }

    fn move_log(&self, mode: Mode) -> Result<bool, String> {
        let moved = self.counters.checkpoint(&self.connection, mode).map_err(|error| error.to_string())?;
        let is_moved = moved.is_whole && !moved.is_busy;
        if is_moved {
            let (process, number) = (std::process::id(), self.guard.file().number().unwrap_or_default());
            tracing::warn!(
                "every acknowledged write is in the file that was open; until this process ends it can also be \
                 copied from /proc/{process}/fd/{number}"
            );
        }
        Ok(is_moved)
    }

    fn set_log_aside(&self) -> Result<bool, String> {
        let is_of_another = lock_holder(self.guard.file().id())
            .is_some_and(|holder| holder != std::process::id().to_string());
        // Another process that owns the file looks after its log.
        if is_of_another || !self.guard.has_own_log() {
            return Ok(true);
        }
        let log = &self.guard.paths().log;
        let mut aside = log.clone().into_os_string();
        aside.push(format!("-of-{}", std::process::id()));
        let aside = PathBuf::from(aside);
        std::fs::rename(log, &aside).map_err(|error| error.to_string())?;
        tracing::warn!(
            log.path = %aside.display(),
            "the write-ahead log was renamed, because it does not belong to the new content of the file"
        );
        Ok(true)
    }
}
