//! Events that come in floods: the first of a kind is logged, then their number every 10 seconds, then that they
//! are over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time between two lines about one kind of event.
const INTERVAL: Duration = Duration::from_secs(10);

/// Kinds of events that are counted at the same time; further ones are counted together.
const MAX_KINDS: usize = 256;
const OTHER_KINDS: &str = "other kinds";

/// What is logged about a kind of event after its first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// It came again, `count` times in the last interval and `total` times since the first line.
    Again { count: u64, total: u64 },
    /// It did not come for an interval, after it had come `total` times.
    Over { total: u64 },
}

/// Counts events by kind. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Repetitions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    interval: Duration,
    log: fn(&str, Repetition),
    counts: Mutex<HashMap<String, Count>>,
}

#[derive(Debug, Default)]
struct Count {
    /// Since the last line.
    new: u64,
    total: u64,
}

impl Repetitions {
    /// Counts events, about whose repetitions `log` writes a line, given their kind.
    pub(crate) fn new(log: fn(&str, Repetition)) -> Self {
        Self::with_interval(log, INTERVAL)
    }

    fn with_interval(log: fn(&str, Repetition), interval: Duration) -> Self {
        Self(Arc::new(Shared { interval, log, counts: Mutex::default() }))
    }

    /// Counts an event; whether it is to be logged, because it is the first of its kind for some time.
    pub(crate) fn is_first(&self, kind: &str) -> bool {
        let mut counts = self.0.counts();
        let is_counted = counts.len() < MAX_KINDS || counts.contains_key(kind);
        let kind = if is_counted { kind } else { OTHER_KINDS };
        if let Some(count) = counts.get_mut(kind) {
            count.new += 1;
            count.total += 1;
            return false;
        }
        counts.insert(kind.to_owned(), Count { new: 0, total: 1 });
        drop(counts);
        tokio::spawn(Arc::clone(&self.0).report(kind.to_owned()));
        true
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line every interval until the kind of event is over.
    async fn report(self: Arc<Self>, kind: String) {
        loop {
            tokio::time::sleep(self.interval).await;
            match self.repetition(&kind) {
                Some(again @ Repetition::Again { .. }) => (self.log)(&kind, again),
                Some(over @ Repetition::Over { total }) => {
                    if total > 1 {
                        (self.log)(&kind, over);
                    }
                    return;
                }
                None => return,
            }
        }
    }

    fn repetition(&self, kind: &str) -> Option<Repetition> {
        let mut counts = self.counts();
        let count = counts.get_mut(kind)?;
        let (new, total) = (std::mem::take(&mut count.new), count.total);
        if new > 0 {
            return Some(Repetition::Again { count: new, total });
        }
        counts.remove(kind);
        Some(Repetition::Over { total })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;

    static LINES: OnceLock<UnboundedSender<(String, Repetition)>> = OnceLock::new();

    fn lines() -> UnboundedReceiver<(String, Repetition)> {
        let (sender, receiver) = unbounded_channel();
        LINES.set(sender).unwrap();
        receiver
    }

    fn log(kind: &str, repetition: Repetition) {
        LINES.get().unwrap().send((kind.to_owned(), repetition)).unwrap();
    }

    // One test for all of it, because it has one log.
    #[tokio::test]
    async fn a_flood_has_a_first_line_then_counts_then_an_end() {
        let mut lines = lines();
        let events = Repetitions::with_interval(log, Duration::from_millis(100));
        assert!(events.is_first("single"), "an event that comes once has one line");
        assert!(events.is_first("flood"));
        assert!((0..1_000).all(|_| !events.is_first("flood")));
        let again = Repetition::Again { count: 1_000, total: 1_001 };
        assert_eq!(lines.recv().await.unwrap(), ("flood".to_owned(), again));
        assert!(!events.is_first("flood"));
        let again = Repetition::Again { count: 1, total: 1_002 };
        assert_eq!(lines.recv().await.unwrap(), ("flood".to_owned(), again));
        let over = Repetition::Over { total: 1_002 };
        assert_eq!(lines.recv().await.unwrap(), ("flood".to_owned(), over));
        assert!(events.is_first("flood"), "what is over begins again");
        assert!(lines.try_recv().is_err());
    }

    #[tokio::test]
    async fn the_number_of_kinds_that_are_counted_is_bounded() {
        let events = Repetitions::with_interval(|_, _| {}, Duration::from_secs(60));
        for number in 0..MAX_KINDS {
            assert!(events.is_first(&number.to_string()));
        }
        assert!(events.is_first("one more") && !events.is_first("and another"));
        assert!(!events.is_first("0"));
    }
}
