//! How many requests run at the same time, how many wait, and how long each may take.
//!
//! A request acquires its permit after its body has arrived, so that a slow client holds up no other. One that
//! would wait longer than [`QUEUE_TIME`] is rejected immediately, while it still costs little: an endless queue
//! only makes every answer late.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::{Problem, Shortage};

/// Requests that run at the same time. SQLite commits the writes of all of them together; PostgreSQL has 16
/// connections, and a queue in front of them that this bounds.
pub(crate) const MAX_CONCURRENT: usize = 64;

/// Requests that wait for a permit: they hold their body, and nothing else.
const MAX_QUEUED: usize = 4_096;

/// How long a request waits for a permit.
const QUEUE_TIME: Duration = Duration::from_millis(40);

/// The time between two rejections in a burst, and the maximum delay of one. Answering costs more than reading,
/// so a burst is answered beside all other requests and not before them.
const REJECTION_INTERVAL: Duration = Duration::from_micros(125);
const MAX_REJECTION_DELAY: Duration = Duration::from_millis(80);

/// How long a request may take, so that an unresponsive database is noticed.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long a deletion may take: it grows with the number of deleted rows.
const DELETE_TIME: Duration = Duration::from_secs(60);

/// How long a request of this method may take.
pub(crate) fn request_time(method: &Method) -> Duration {
    if method == Method::DELETE { DELETE_TIME } else { REQUEST_TIME }
}

/// Which requests may run now.
#[derive(Debug)]
pub(crate) struct Admission {
    running: Arc<Semaphore>,
    /// Permits for requests that run or wait.
    present: Arc<Semaphore>,
    /// When the next request of a burst may be rejected.
    next_rejection: Mutex<Instant>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            present: Arc::new(Semaphore::new(MAX_CONCURRENT + MAX_QUEUED)),
            next_rejection: Mutex::new(Instant::now()),
        }
    }
}

/// The right to run, until it is dropped: when the work is over, whether its client still waits or not.
#[derive(Debug)]
pub(crate) struct Permit {
    _running: OwnedSemaphorePermit,
    _present: OwnedSemaphorePermit,
}

impl Admission {
    /// Waits for a permit, for a short time.
    pub(crate) async fn acquire(&self) -> Result<Permit, Problem> {
        let present = Arc::clone(&self.present).try_acquire_owned().map_err(|_| overloaded())?;
        let running = timeout(QUEUE_TIME, Arc::clone(&self.running).acquire_owned()).await;
        let running = running.ok().and_then(Result::ok).ok_or_else(overloaded)?;
        Ok(Permit { _running: running, _present: present })
    }

    /// The rejection of a request in a burst, a short time after the one before.
    pub(crate) async fn paced_rejection(&self) -> Problem {
        if let Some(at) = self.rejection_time(Instant::now()) {
            sleep_until(at).await;
        }
        Problem::overloaded(Shortage::Passwords)
    }

    /// When a request that came now is rejected; `None`, immediately, also when too many wait already.
    fn rejection_time(&self, now: Instant) -> Option<Instant> {
        let mut next = self.next_rejection.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (*next).max(now);
        if at > now + MAX_REJECTION_DELAY {
            return None;
        }
        *next = at + REJECTION_INTERVAL;
        (at > now).then_some(at)
    }
}

fn overloaded() -> Problem {
    Problem::overloaded(Shortage::Permits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_beyond_the_concurrent_ones_is_rejected_after_a_short_time() {
        let admission = Admission::default();
        let mut permits = Vec::new();
        for _ in 0..MAX_CONCURRENT {
            permits.push(admission.acquire().await.unwrap());
        }
        assert!(admission.acquire().await.is_err());
        permits.pop();
        assert!(admission.acquire().await.is_ok());
    }

    #[test]
    fn a_burst_is_rejected_one_by_one_and_none_waits_long() {
        let admission = Admission::default();
        let now = Instant::now();
        let waits: Vec<_> =
            (0..1_000).map(|_| admission.rejection_time(now).map_or(Duration::ZERO, |at| at - now)).collect();
        let waiting =
            usize::try_from(MAX_REJECTION_DELAY.as_micros() / REJECTION_INTERVAL.as_micros()).unwrap();
        assert!(waits[..=waiting].windows(2).all(|pair| pair[1] - pair[0] == REJECTION_INTERVAL));
        assert_eq!((waits[0], waits[waiting]), (Duration::ZERO, MAX_REJECTION_DELAY));
        assert!(waits[waiting + 1..].iter().all(Duration::is_zero));
        assert_eq!(admission.rejection_time(now + 2 * MAX_REJECTION_DELAY), None);
    }
}
