//! How often each statement ran, how long that took, and how often it failed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What statements are called that are not the store's own.
const OTHER: &str = "other";

/// What ends a transaction on PostgreSQL: the wait for its disk.
#[cfg(feature = "postgres")]
pub(crate) const COMMIT: &str = "commit";
#[cfg(not(feature = "postgres"))]
const COMMIT: &str = "commit";

/// The counts of every statement, by name. The names are those of the store's statements, so that there is a bounded number
/// of them whatever an application sends.
#[derive(Debug)]
pub(super) struct Statements {
    /// Where each name has its counts; others have the first.
    places: HashMap<&'static str, usize>,
    counts: Box<[Counts]>,
}

#[derive(Debug, Default)]
struct Counts {
    runs: AtomicU64,
    failures: AtomicU64,
    nanoseconds: AtomicU64,
}

/// What became of a statement so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatementMeasures {
    /// Its name, like `messages.append`; `other` for statements of the application's own.
    pub name: &'static str,
    /// How often it ran; a statement with several lists of values counts for each of them.
    pub runs: u64,
    /// How often the database failed or did not answer in time. That a rule refused it is no failure.
    pub failures: u64,
    /// How long it took altogether, with its rows read.
    pub time: Duration,
}

impl Statements {
    /// Counts of these, and of all others together.
    pub(super) fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        let names = [OTHER, COMMIT].into_iter().chain(names);
        let mut places = HashMap::new();
        for name in names {
            let next = places.len();
            places.entry(name).or_insert(next);
        }
        let counts = places.iter().map(|_| Counts::default()).collect();
        Self { places, counts }
    }

    pub(super) fn note(&self, name: &str, runs: u64, took: Duration, has_failed: bool) {
        let place = self.places.get(name).copied().unwrap_or_default();
        let Some(counts) = self.counts.get(place) else { return };
        counts.runs.fetch_add(runs, Ordering::Relaxed);
        counts.failures.fetch_add(has_failed.into(), Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        counts.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Those that ran, by name.
    pub(super) fn read(&self) -> Vec<StatementMeasures> {
        let mut read = Vec::new();
        for (name, place) in &self.places {
            let Some(counts) = self.counts.get(*place) else { continue };
            let measures = StatementMeasures {
                name,
                runs: counts.runs.load(Ordering::Relaxed),
                failures: counts.failures.load(Ordering::Relaxed),
                time: Duration::from_nanos(counts.nanoseconds.load(Ordering::Relaxed)),
            };
            if measures.runs > 0 {
                read.push(measures);
            }
        }
        read.sort_unstable_by_key(|measures| measures.name);
        read
    }
}
