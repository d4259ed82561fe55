//! How many requests work at a time, how many wait, and how long each may take.
//!
//! A request takes its turn after its body has arrived, so that a slow client holds nobody up. One that
//! would wait longer than [`QUEUE_TIME`] is refused at once, while it still costs little: a queue that
//! never ends only makes everybody late.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::error::{Problem, ProblemKind};

/// Requests that work at a time. SQLite commits the writes of all of them at once; PostgreSQL has 16
/// connections, and a queue in front of them that this bounds.
const WORKING: usize = 64;

/// Requests that check or make a password at a time. They wait for one another for up to half a second, and take
/// turns of their own so that nobody else waits with them.
const WORKING_ON_PASSWORDS: usize = 64;

/// Requests that wait for their turn: they hold their body, and nothing else.
const WAITING: usize = 4_096;

/// Bodies of more than 16 KiB, and at most 1 MiB, at a time. Small ones need no place, so a client that sends
/// large ones slowly keeps out nobody but others like it.
const LARGE_BODIES: usize = 256;

/// How long one waits for its turn.
const QUEUE_TIME: Duration = Duration::from_millis(40);

/// How long a request may take, so that a database which does not answer is noticed.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// How long a deletion may take: it grows with what is deleted.
const DELETE_TIME: Duration = Duration::from_secs(60);

/// How long a request of this method may take.
pub(crate) fn request_time(method: &Method) -> Duration {
    if method == Method::DELETE { DELETE_TIME } else { REQUEST_TIME }
}

/// Whose turns a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    Ordinary,
    Passwords,
}

impl Queue {
    /// That of a request for this.
    pub(crate) fn of(uri: &Uri) -> Self {
        match uri.path() {
            "/api/v1/auth/login" | "/api/v1/auth/register" | "/api/v1/auth/password" => Self::Passwords,
            _ => Self::Ordinary,
        }
    }
}

/// Who may work now.
#[derive(Debug)]
pub(crate) struct Admission {
    working: Semaphore,
    working_on_passwords: Semaphore,
    /// Places for those that work or wait.
    present: Semaphore,
    /// Places for large bodies.
    large_bodies: Arc<Semaphore>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            working: Semaphore::new(WORKING),
            working_on_passwords: Semaphore::new(WORKING_ON_PASSWORDS),
            present: Semaphore::new(WORKING + WORKING_ON_PASSWORDS + WAITING),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES)),
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
        Arc::clone(&self.large_bodies).try_acquire_owned().map_err(|_| overloaded())
    }

    /// Waits for a turn, for a short time; not at all for one to work on a password, because those who have one
    /// wait long themselves.
    pub(crate) async fn turn(&self, queue: Queue) -> Result<Turn<'_>, Problem> {
        let present = self.present.try_acquire().map_err(|_| overloaded())?;
        let working = match queue {
            Queue::Ordinary => timeout(QUEUE_TIME, self.working.acquire()).await.ok().and_then(Result::ok),
            Queue::Passwords => self.working_on_passwords.try_acquire().ok(),
        };
        match working {
            Some(working) => Ok(Turn { _working: working, _present: present }),
            None => Err(overloaded()),
        }
    }
}

pub(crate) fn overloaded() -> Problem {
    Problem::new(ProblemKind::Overloaded, "the server has too much to do; nothing was changed; try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_beyond_those_that_work_is_refused_after_a_short_time() {
        let admission = Admission::default();
        let mut turns = Vec::new();
        for _ in 0..WORKING {
            turns.push(admission.turn(Queue::Ordinary).await.unwrap());
        }
        assert!(admission.turn(Queue::Ordinary).await.is_err());
        turns.pop();
        assert!(admission.turn(Queue::Ordinary).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_waits_for_a_password_keeps_nobody_else_waiting() {
        let admission = Admission::default();
        let queue = Queue::of(&Uri::from_static("/api/v1/auth/login?x=y"));
        let mut turns = Vec::new();
        for _ in 0..WORKING_ON_PASSWORDS {
            turns.push(admission.turn(queue).await.unwrap());
        }
        assert!(admission.turn(queue).await.is_err());
        assert!(admission.turn(Queue::of(&Uri::from_static("/api/v1/conversations"))).await.is_ok());
    }
}
