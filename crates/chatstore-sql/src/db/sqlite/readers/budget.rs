//! How long a read may keep the thread that it runs on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::db::sqlite::location::Location;
use crate::db::sqlite::open::connect;
use crate::error::{Cause, ConnectError};

/// Steps of SQLite's virtual machine between two looks at the clock: an ordinary page takes fewer, and is not
/// measured at all.
const STEPS: i32 = 1_000;

/// Interrupts the statements of a connection once the time of a read is over.
pub(super) struct Budget {
    opened: Instant,
    /// Microseconds after `opened`; the greatest number when there is no end.
    deadline: AtomicU64,
    is_spent: AtomicBool,
}

/// A connection that changes nothing, and the time that a read may take on it.
pub(super) struct ReadingConnection {
    pub(super) connection: Connection,
    pub(super) budget: Arc<Budget>,
}

impl ReadingConnection {
    pub(super) fn open(location: &Location) -> Result<Self, ConnectError> {
        let failed = |error| ConnectError::Unreachable {
            place: "a reading connection".to_owned(),
            cause: Cause::new(error),
        };
        let mut connection = connect(location)?;
        connection.pragma_update(None, "query_only", true).map_err(failed)?;
        let budget = Arc::new(Budget {
            opened: Instant::now(),
            deadline: AtomicU64::new(u64::MAX),
            is_spent: AtomicBool::new(false),
        });
        let watched = Arc::clone(&budget);
        connection.progress_handler(STEPS, Some(move || watched.check())).map_err(failed)?;
        Ok(Self { connection, budget })
    }
}

impl Budget {
    /// Begins a read, which may take so long.
    pub(super) fn begin(&self, time: Option<Duration>) {
        let deadline = time.map_or(u64::MAX, |time| micros(self.opened.elapsed() + time));
        self.is_spent.store(false, Ordering::Relaxed);
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// Ends the read now: nobody waits for it any more.
    pub(super) fn cancel(&self) {
        self.deadline.store(0, Ordering::Relaxed);
    }

    /// Whether a statement of the read was interrupted.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    fn check(&self) -> bool {
        let is_over = micros(self.opened.elapsed()) > self.deadline.load(Ordering::Relaxed);
        if is_over {
            self.is_spent.store(true, Ordering::Relaxed);
        }
        is_over
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
