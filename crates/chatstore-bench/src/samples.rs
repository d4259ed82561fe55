//! Medians and percentiles.

use std::time::Duration;

/// The middle of `values`, of an even number the mean of the two middle ones; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// A figure with two decimals.
pub fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// How long each of many operations took.
#[derive(Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(latencies: I) -> Self {
        Self(latencies.into_iter().collect())
    }
}

impl Latencies {
    /// Notes one operation.
    pub fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// Takes over those of another caller.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many operations there were.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency that `hundredths` percent of the operations did not exceed, in milliseconds; 0 of none.
    pub fn percentile(&mut self, hundredths: usize) -> f64 {
        self.0.sort_unstable();
        let rank = (self.0.len() * hundredths).div_ceil(100);
        let found = self.0.get(rank.saturating_sub(1));
        found.map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
    }

    /// Median, 99th percentile and maximum, as they are printed.
    pub fn summary(&mut self) -> [f64; 3] {
        [50, 99, 100].map(|hundredths| rounded(self.percentile(hundredths)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn a_percentile_is_the_smallest_latency_that_enough_operations_kept_to() {
        let mut latencies = Latencies::default();
        for milliseconds in (1..=200).rev() {
            latencies.push(Duration::from_millis(milliseconds));
        }
        assert_eq!(latencies.percentile(50), 100.0);
        assert_eq!(latencies.percentile(99), 198.0);
        assert_eq!(Latencies::default().percentile(99), 0.0);
    }
}
