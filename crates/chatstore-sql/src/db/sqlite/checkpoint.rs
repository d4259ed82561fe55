//! Moving the write-ahead log into the file, beside the writer rather than in its way.
//!
//! A thread of its own does most of the work. Under steady load it never catches up with the
//! writer, and the log would grow for ever; past a bound the writer therefore does the rest itself,
//! which is little by then, and the next commit starts the log anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

/// Pages in the log after which the checkpointing thread is woken, and again after as many more.
const WAKE_PAGES: i32 = 1_000;

/// Pages in the log after which the writer helps: 32 MB.
const BOUND_PAGES: i32 = 8_000;

const CHECKPOINT: &str = "pragma wal_checkpoint(passive)";

/// The writer's side: counts pages and decides who checkpoints when.
pub(super) struct Checkpoints {
    pages: Arc<AtomicI32>,
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
    next_wake: i32,
    next_help: i32,
}

impl Checkpoints {
    /// Watches the log of `writer` and starts the thread that owns `connection`.
    pub(super) fn start(writer: &mut Connection, connection: Connection) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&pages);
        writer.wal_hook(Some(move |_: &mut _, in_log| {
            counted.store(in_log, Ordering::Relaxed);
            Ok(())
        }))?;
        let (wake, woken) = sync_channel(1);
        let work = move || run(&connection, &woken);
        let thread = thread::Builder::new()
            .name("chatstore-checkpoint".to_owned())
            .spawn(work)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(Self { pages, wake, thread, next_wake: WAKE_PAGES, next_help: BOUND_PAGES })
    }

    /// Ends the thread and waits for it, so that the writer's connection is the last to close: that
    /// one moves the whole log into the file and removes it.
    pub(super) fn stop(self) {
        drop(self.wake);
        if self.thread.join().is_err() {
            tracing::error!("the checkpointing thread had panicked");
        }
    }

    /// To be called by the writer after each commit.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < WAKE_PAGES {
            self.next_wake = WAKE_PAGES;
            self.next_help = BOUND_PAGES;
        } else if pages >= self.next_wake {
            self.next_wake = pages + WAKE_PAGES;
            // A full channel means that the thread is about to look anyway.
            let _ = self.wake.try_send(());
        }
        if pages >= self.next_help {
            // While the thread is at it, the writer tries again at its next commit.
            if checkpoint(writer) {
                self.next_help = pages + BOUND_PAGES;
            }
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        checkpoint(connection);
    }
}

/// True unless another connection is at it.
fn checkpoint(connection: &Connection) -> bool {
    let answer: rusqlite::Result<(i64, i64, i64)> =
        connection.query_row(CHECKPOINT, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    match answer {
        Ok((busy, log_pages, moved_pages)) => {
            tracing::trace!(busy, log_pages, moved_pages, "checkpoint");
            busy == 0
        }
        Err(error) => {
            tracing::warn!(%error, "checkpoint failed; the log keeps growing until one succeeds");
            true
        }
    }
}
