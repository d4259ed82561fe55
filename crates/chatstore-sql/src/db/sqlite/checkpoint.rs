//! Moving the write-ahead log into the file, beside the writer rather than in its way.
//!
//! The keeper's thread does most of the work. Under steady load it never catches up with the
//! writer, and the log would grow for ever; past a bound the writer therefore does the rest itself,
//! which is little by then, and the next commit starts the log anew.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::guard::FileGuard;
use super::keeper::{Keeper, Task};
use super::log::{Counters, Mode};
use crate::error::{Cause, StoreError};

/// Pages in the log after which the keeper is woken, and again after as many more.
const WAKE_PAGES: i32 = 1_000;

/// Pages in the log after which the writer helps.
const BOUND_PAGES: i32 = 8_000;

/// Tasks that may wait for the keeper.
const QUEUE: usize = 64;

/// The way to the keeper.
#[derive(Clone)]
pub(super) struct KeeperHandle(SyncSender<Task>);

impl KeeperHandle {
    /// Moves the whole log into the file and empties it.
    pub(super) async fn empty_log(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Task::Empty(answer)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Unavailable(Cause::new("too many wait for an empty log")),
            TrySendError::Disconnected(_) => StoreError::closed(),
        })?;
        answered.await.map_err(|_| StoreError::closed())?
    }
}

/// The writer's side: counts pages and decides who checkpoints when.
pub(super) struct Checkpoints {
    counters: Arc<Counters>,
    keeper: KeeperHandle,
    thread: JoinHandle<()>,
    next_wake: i32,
    next_help: i32,
}

impl Checkpoints {
    /// Starts the keeper's thread, which owns `connection`.
    pub(super) fn start(connection: Connection, guard: Arc<FileGuard>) -> std::io::Result<Self> {
        let counters = Arc::new(Counters::default());
        let (tasks, waiting) = sync_channel(QUEUE);
        let keeper = Keeper::new(connection, guard, Arc::clone(&counters));
        let thread = thread::Builder::new()
            .name("chatstore-checkpoint".to_owned())
            .spawn(move || keeper.run(&waiting))?;
        let keeper = KeeperHandle(tasks);
        Ok(Self { counters, keeper, thread, next_wake: WAKE_PAGES, next_help: BOUND_PAGES })
    }

    /// Counts what this connection, the writer's, commits.
    pub(super) fn watch(&self, writer: &mut Connection) -> rusqlite::Result<()> {
        let counters = Arc::clone(&self.counters);
        writer.wal_hook(Some(move |_: &mut _, in_log| {
            counters.pages.store(in_log, Ordering::Relaxed);
            counters.commits.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }))
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    pub(super) fn keeper(&self) -> KeeperHandle {
        self.keeper.clone()
    }

    /// Ends the thread and waits for it, so that the writer's connection is the last to close: that
    /// one moves the whole log into the file and removes it.
    pub(super) fn stop(self) {
        // An error means that the thread ended already.
        let _ = self.keeper.0.send(Task::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the checkpointing thread had panicked");
        }
    }

    /// To be called by the writer after each commit.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        let pages = self.counters.pages.load(Ordering::Relaxed);
        if pages < WAKE_PAGES {
            self.next_wake = WAKE_PAGES;
            self.next_help = BOUND_PAGES;
        } else if pages >= self.next_wake {
            self.next_wake = pages + WAKE_PAGES;
            // A full channel means that the thread is about to look anyway.
            let _ = self.keeper.0.try_send(Task::Move);
        }
        if pages >= self.next_help {
            // While the thread is at it, the writer tries again at its next commit.
            match self.counters.checkpoint(writer, Mode::Passive) {
                Ok(moved) if moved.is_busy => {}
                Ok(_) | Err(_) => self.next_help = pages + BOUND_PAGES,
            }
        }
    }
}
