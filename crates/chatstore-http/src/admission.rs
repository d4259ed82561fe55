//! How many requests work at a time, how many wait, and how long each may take.
//!
//! A request takes its turn after its body has arrived, so that a slow client holds nobody up. One that
//! would wait longer than [`QUEUE_TIME`] is refused at once, while it still costs little: a queue that
//! never ends only makes everybody late.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::Problem;

/// Requests that work at a time. SQLite commits the writes of all of them at once; PostgreSQL has 16
/// connections, and a queue in front of them that this bounds.
const WORKING: usize = 64;

/// Requests that wait for their turn: they hold their body, and nothing else.
const WAITING: usize = 4_096;

/// Bodies of more than 16 KiB, and at most 1 MiB, at a time. Small ones need no place, so a client that sends
/// large ones slowly keeps out nobody but others like it.
const LARGE_BODIES: usize = 256;

/// How long one waits for its turn.
const QUEUE_TIME: Duration = Duration::from_millis(40);

/// Between two of a crowd that are told to come again, and how long one of them waits for that at most. Answering
/// costs more than reading, so a crowd is answered beside everybody else and not before them.
const REFUSAL_INTERVAL: Duration = Duration::from_micros(125);
const REFUSAL_TIME: Duration = Duration::from_millis(80);

/// How long a request may take, so that a database which does not answer is noticed.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long a deletion may take: it grows with what is deleted.
const DELETE_TIME: Duration = Duration::from_secs(60);

/// How long a request of this method may take.
pub(crate) fn request_time(method: &Method) -> Duration {
    if method == Method::DELETE { DELETE_TIME } else { REQUEST_TIME }
}

/// Whether a request for this works on a password. It then takes no turn, for which others would wait as long as it
/// does: the store itself has places for so many.
pub(crate) fn is_for_password(uri: &Uri) -> bool {
    matches!(uri.path(), "/api/v1/auth/login" | "/api/v1/auth/register" | "/api/v1/auth/password")
}

/// Who may work now.
#[derive(Debug)]
pub(crate) struct Admission {
    working: Semaphore,
    /// Places for those that work or wait.
    present: Semaphore,
    /// Places for large bodies.
    large_bodies: Arc<Semaphore>,
    /// When the next of a crowd may be refused.
    next_refusal: Mutex<Instant>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            working: Semaphore::new(WORKING),
            present: Semaphore::new(WORKING + WAITING),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES)),
            next_refusal: Mutex::new(Instant::now()),
        }
    }
}

/// The right to work, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _working: SemaphorePermit<'a>,
    _present: SemaphorePermit<'a>,
}

impl Admission {
    /// A place for a large body, if there is one.
    pub(crate) fn place_for_large_body(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.large_bodies).try_acquire_owned().map_err(|_| Problem::overloaded())
    }

    /// Waits for a turn, for a short time.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Problem> {
        let present = self.present.try_acquire().map_err(|_| Problem::overloaded())?;
        let working = timeout(QUEUE_TIME, self.working.acquire()).await;
        let working = working.ok().and_then(Result::ok).ok_or_else(Problem::overloaded)?;
        Ok(Turn { _working: working, _present: present })
    }

    /// What one of a crowd is told, a short time after the one before.
    pub(crate) async fn refusal(&self) -> Problem {
        if let Some(at) = self.when_refused(Instant::now()) {
            sleep_until(at).await;
        }
        Problem::overloaded()
    }

    /// When somebody who came now is refused; `None`, at once, also when too many wait already.
    fn when_refused(&self, now: Instant) -> Option<Instant> {
        let mut next = self.next_refusal.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (*next).max(now);
        if at > now + REFUSAL_TIME {
            return None;
        }
        *next = at + REFUSAL_INTERVAL;
        (at > now).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_beyond_those_that_work_is_refused_after_a_short_time() {
        let admission = Admission::default();
        let mut turns = Vec::new();
        for _ in 0..WORKING {
            turns.push(admission.turn().await.unwrap());
        }
        assert!(admission.turn().await.is_err());
        turns.pop();
        assert!(admission.turn().await.is_ok());
    }

    #[test]
    fn whoever_has_a_password_checked_takes_no_turn() {
        for (path, takes_none) in [
            ("/api/v1/auth/login?x=y", true),
            ("/api/v1/auth/register", true),
            ("/api/v1/auth/password", true),
            ("/api/v1/auth/refresh", false),
            ("/api/v1/conversations", false),
        ] {
            assert_eq!(is_for_password(&Uri::from_static(path)), takes_none, "{path}");
        }
    }

    #[test]
    fn a_crowd_is_refused_one_after_the_other_and_nobody_waits_long() {
        let admission = Admission::default();
        let now = Instant::now();
        let waits: Vec<_> =
            (0..1_000).map(|_| admission.when_refused(now).map_or(Duration::ZERO, |at| at - now)).collect();
        let waiting = usize::try_from(REFUSAL_TIME.as_micros() / REFUSAL_INTERVAL.as_micros()).unwrap();
        assert!(waits[..=waiting].windows(2).all(|pair| pair[1] - pair[0] == REFUSAL_INTERVAL));
        assert_eq!((waits[0], waits[waiting]), (Duration::ZERO, REFUSAL_TIME));
        assert!(waits[waiting + 1..].iter().all(Duration::is_zero));
        assert_eq!(admission.when_refused(now + 2 * REFUSAL_TIME), None);
    }
}
