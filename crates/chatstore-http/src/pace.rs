//! At what pace clients are told that they ask too often.
//!
//! Who is refused and does not wait asks again at once. Each answer costs little, but thousands a second take time from
//! all others, so that those to one network come one after the other.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chatstore::auth::ClientNetwork;
use tokio::time::{Instant, sleep_until};

/// The time between two refusals of one network, and the maximum delay of one.
const INTERVAL: Duration = Duration::from_millis(10);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Networks are told apart by a number below this; two that share one share their pace.
const NUMBERS: u64 = 1_024;

/// When each network may be refused again.
#[derive(Debug)]
pub(crate) struct Pace {
    next: Vec<Mutex<Instant>>,
    hashing: RandomState,
}

impl Default for Pace {
    fn default() -> Self {
        let now = Instant::now();
        Self { next: (0..NUMBERS).map(|_| Mutex::new(now)).collect(), hashing: RandomState::new() }
    }
}

impl Pace {
    /// Waits until a client of this network may be refused, up to a second.
    pub(crate) async fn keep(&self, network: ClientNetwork) {
        if let Some(at) = self.time(network, Instant::now()) {
            sleep_until(at).await;
        }
    }

    /// When it may be; `None` at once.
    fn time(&self, network: ClientNetwork, now: Instant) -> Option<Instant> {
        let number = usize::try_from(self.hashing.hash_one(network) % NUMBERS).unwrap_or_default();
        let mut next = self.next.get(number)?.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (*next).clamp(now, now + MAX_DELAY);
        *next = at + INTERVAL;
        (at > now).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(last: u8) -> ClientNetwork {
        ClientNetwork::of(Some([192, 0, 2, last].into()))
    }

    #[test]
    fn refusals_of_one_network_come_one_after_the_other_and_none_waits_long() {
        let (pace, now) = (Pace::default(), Instant::now());
        let delays: Vec<_> =
            (0..200).map(|_| pace.time(network(1), now).map_or(Duration::ZERO, |at| at - now)).collect();
        assert_eq!(delays[..3], [0, 10, 20].map(Duration::from_millis));
        assert_eq!(delays[100..], [MAX_DELAY; 100]);
        assert_eq!(pace.time(network(1), now + 2 * MAX_DELAY), None);
    }

    #[test]
    fn another_network_is_not_kept_waiting() {
        let (pace, now) = (Pace::default(), Instant::now());
        for _ in 0..100 {
            pace.time(network(1), now);
        }
        // Two networks rarely share a number; then a third one does not.
        assert!(pace.time(network(2), now).is_none() || pace.time(network(3), now).is_none());
    }
}
