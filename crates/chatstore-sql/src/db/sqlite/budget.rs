//! How long a read may keep the thread that it runs on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Steps of SQLite's virtual machine between two looks at the clock. A page of 200 rows takes fewer and is not measured
/// at all: the clock runs on while its thread has no processor, so that a short read would look long on a busy machine.
const STEPS: i32 = 10_000;

/// Interrupts the statements of a connection once the time of a read is over.
pub(super) struct Budget {
    opened: Instant,
    /// Microseconds after `opened`; the greatest number when there is no end.
    deadline: AtomicU64,
    /// How many more may be read.
    bytes: AtomicUsize,
    is_spent: AtomicBool,
}

impl Budget {
    /// The budget of a connection, without an end until a read begins.
    ///
    /// # Errors
    /// When SQLite takes no progress handler.
    pub(super) fn of(connection: &mut Connection) -> rusqlite::Result<Arc<Self>> {
        let budget = Arc::new(Self {
            opened: Instant::now(),
            deadline: AtomicU64::new(u64::MAX),
            bytes: AtomicUsize::new(usize::MAX),
            is_spent: AtomicBool::new(false),
        });
        let watched = Arc::clone(&budget);
        connection.progress_handler(STEPS, Some(move || watched.check()))?;
        Ok(budget)
    }

    /// Begins a read, which may take so long and read so many bytes.
    pub(super) fn begin(&self, time: Duration, bytes: usize) {
        self.set(micros(self.opened.elapsed() + time), bytes);
    }

    /// Begins a read without an end.
    pub(super) fn begin_unbounded(&self) {
        self.set(u64::MAX, usize::MAX);
    }

    fn set(&self, deadline: u64, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.is_spent.store(false, Ordering::Relaxed);
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// Ends the read now: its caller no longer waits.
    pub(super) fn cancel(&self) {
        self.deadline.store(0, Ordering::Relaxed);
    }

    /// Whether a statement of the read was interrupted.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    /// Counts bytes that were read; whether they are too many or the time is over, which is noted then.
    pub(super) fn check_bytes(&self, bytes: usize) -> bool {
        let left = self.bytes.load(Ordering::Relaxed).saturating_sub(bytes);
        self.bytes.store(left, Ordering::Relaxed);
        if left == 0 {
            self.cancel();
        }
        self.check()
    }

    /// Whether the time of the read is over, which is noted then.
    pub(super) fn check(&self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_never_too_long_and_a_count_of_many_rows_is() {
        let mut connection = Connection::open_in_memory().unwrap();
        let rows = "create table rows (a, b, c, d, e, f, g, h, i, j, k, l, n, primary key (n)); \
             with recursive many (n) as (select 1 union all select n + 1 from many where n < 50000) \
             insert into rows (a, n) select 'text', n from many";
        connection.execute_batch(rows).unwrap();
        let budget = Budget::of(&mut connection).unwrap();
        let read = |statement: &str| {
            budget.begin(Duration::ZERO, usize::MAX);
            let mut statement = connection.prepare(statement).unwrap();
            let mut rows = statement.query(()).unwrap();
            while let Ok(Some(_)) = rows.next() {}
            budget.is_spent()
        };
        assert!(!read("select * from rows where n > 1000 order by n limit 201"));
        assert!(read("select count(a) from rows"));
    }

    #[test]
    fn a_read_ends_when_it_has_read_its_bytes() {
        let mut connection = Connection::open_in_memory().unwrap();
        let budget = Budget::of(&mut connection).unwrap();
        budget.begin(Duration::from_secs(60), 100);
        assert!(!budget.check_bytes(99) && !budget.is_spent());
        assert!(budget.check_bytes(1) && budget.is_spent());
        budget.begin_unbounded();
        assert!(!budget.check_bytes(1_000_000) && !budget.is_spent());
    }
}
