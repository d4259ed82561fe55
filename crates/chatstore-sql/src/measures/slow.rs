//! Statements that take long, as lines of the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lines in a second: a database that is slow is slow for all.
const LINES_A_SECOND: u64 = 10;

/// Tells of statements that take longer than a threshold, without their values.
#[derive(Debug)]
pub(super) struct SlowStatements {
    threshold: Option<Duration>,
    opened: Instant,
    /// The second in which the last line was, and in the lower half how many there were in it.
    lines: AtomicU64,
    unlogged: AtomicU64,
    count: AtomicU64,
}

const COUNT_BITS: u32 = 32;

impl SlowStatements {
    pub(super) fn new(threshold: Option<Duration>) -> Self {
        Self {
            threshold,
            opened: Instant::now(),
            lines: AtomicU64::new(0),
            unlogged: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }

    pub(super) fn note(&self, name: &'static str, took: Duration, rows: u64) {
        if self.threshold.is_none_or(|threshold| took < threshold) {
            return;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        if !self.may_log(self.opened.elapsed().as_secs()) {
            self.unlogged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let unlogged = self.unlogged.swap(0, Ordering::Relaxed);
        tracing::warn!(
            target: "chatstore::statements",
            statement = name,
            duration.ms = took.as_secs_f64() * 1_000.0,
            rows,
            unlogged = (unlogged > 0).then_some(unlogged),
            "slow statement"
        );
    }

    /// Takes one of the lines of this second.
    fn may_log(&self, second: u64) -> bool {
        let take = |lines: u64| {
            let count = if lines >> COUNT_BITS == second { lines & u64::from(u32::MAX) } else { 0 };
            (count < LINES_A_SECOND).then_some(second << COUNT_BITS | (count + 1))
        };
        self.lines.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_ten_lines_and_the_next_one_ten_more() {
        let slow = SlowStatements::new(Some(Duration::ZERO));
        let lines = |second| (0..100).filter(|_| slow.may_log(second)).count();
        assert_eq!((lines(0), lines(1), lines(1), lines(7)), (10, 10, 0, 10));
    }

    #[test]
    fn without_a_threshold_no_statement_is_slow() {
        let slow = SlowStatements::new(None);
        slow.note("messages.append", Duration::from_secs(60), 1);
        assert_eq!(slow.count(), 0);
    }
}
