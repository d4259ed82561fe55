//! How values are distributed, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of the ranges of times, in nanoseconds: 50 µs to 5 s.
const TIMES: [u64; 16] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
];

const NANOSECONDS: f64 = 1e9;

/// The upper ends of the ranges of sizes.
const SIZES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// Counts values by the range they are in. Takes a few nanoseconds, no lock and no memory.
#[derive(Debug)]
pub struct Histogram {
    ends: &'static [u64],
    /// What a value is divided by to be shown.
    unit: f64,
    /// One more than there are ends: for what is beyond all of them.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a [`Histogram`] counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    /// The upper end of each range, the last infinite, and how many values are in it and in no lower one.
    pub ranges: Vec<(f64, u64)>,
    /// All values added up.
    pub sum: f64,
}

impl Distribution {
    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(_, count)| count).sum()
    }
}

impl Histogram {
    /// For times, which are shown in seconds.
    #[must_use]
    pub fn of_times() -> Self {
        Self::new(&TIMES, NANOSECONDS)
    }

    /// For sizes of groups.
    #[must_use]
    pub fn of_sizes() -> Self {
        Self::new(&SIZES, 1.0)
    }

    fn new(ends: &'static [u64], unit: f64) -> Self {
        let counts = (0..=ends.len()).map(|_| AtomicU64::new(0)).collect();
        Self { ends, unit, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a time.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts a value: a size, or a time in nanoseconds.
    pub fn observe(&self, value: u64) {
        let range = self.ends.iter().take_while(|end| **end < value).count();
        if let Some(count) = self.counts.get(range) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> Distribution {
        let ends = self.ends.iter().map(|end| *end as f64 / self.unit).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let sum = self.sum.load(Ordering::Relaxed) as f64 / self.unit;
        Distribution { ranges: ends.zip(counts).collect(), sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_first_range_whose_end_it_does_not_exceed() {
        let sizes = Histogram::of_sizes();
        [1, 2, 3, 4, 256, 257].into_iter().for_each(|size| sizes.observe(size));
        let read = sizes.read();
        let expected: [(f64, u64); 4] = [(1.0, 1), (2.0, 1), (4.0, 2), (8.0, 0)];
        assert_eq!(read.ranges[..4], expected);
        assert_eq!(read.ranges[8..], [(256.0, 1), (f64::INFINITY, 1)]);
        assert_eq!((read.count(), read.sum), (6, 523.0));
    }

    #[test]
    fn times_are_shown_in_seconds() {
        let times = Histogram::of_times();
        times.observe_time(Duration::from_micros(1_500));
        let read = times.read();
        assert_eq!(read.ranges.iter().find(|(_, count)| *count == 1), Some(&(0.0025, 1)));
        assert!((read.sum - 0.0015).abs() < 1e-9);
    }
}
