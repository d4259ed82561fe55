//! The threads that hash passwords, and the line before them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};

use tokio::sync::oneshot;

use super::Busy;
use super::argon2id::Memory;
use super::line::{Admitted, Line};
use crate::limit::ClientNetwork;

/// Callers that wait while one password is hashed. At about 30 ms each the last waits half a second.
const WAITING_PER_THREAD: usize = 16;

/// Hashes passwords, a few at a time: one fewer than the machine has cores, so that other requests go on,
/// and at least one. Each takes 19 MiB, which the next one takes over.
#[derive(Clone, Debug)]
pub(crate) struct Passwords(Arc<Gate>);

/// What a thread does for one password, with the memory that all its hashes take.
type Job = Box<dyn FnOnce(&mut Memory) + Send>;

#[derive(Debug)]
struct Gate {
    threads: usize,
    has_threads: AtomicBool,
    shared: Arc<Shared>,
}

/// What the threads that hash share with those who wait.
struct Shared {
    line: Mutex<Line<Job>>,
    /// Told of each job, and of the end.
    changed: Condvar,
    has_ended: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// The permit to have passwords hashed, now or soon, unless its place is given up for a client of another network.
#[derive(Clone, Debug)]
pub(crate) struct Permit(Arc<Place>);

/// A place in the line, until it is dropped.
#[derive(Debug)]
struct Place {
    gate: Arc<Gate>,
    number: u64,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self::with_threads(cores.saturating_sub(1).max(1))
    }

    fn with_threads(threads: usize) -> Self {
        let shared = Shared {
            line: Mutex::new(Line::new(threads * (1 + WAITING_PER_THREAD))),
            changed: Condvar::new(),
            has_ended: AtomicBool::new(false),
        };
        Self(Arc::new(Gate { threads, has_threads: AtomicBool::new(false), shared: Arc::new(shared) }))
    }

    /// A permit for the application itself; see [`permit_for`](Self::permit_for).
    pub(crate) fn permit(&self) -> Result<Permit, Busy> {
        self.permit_for(ClientNetwork::default())
    }

    /// A permit, to be taken before anything else is done for a password: a caller who gets none has cost little.
    pub(crate) fn permit_for(&self, network: ClientNetwork) -> Result<Permit, Busy> {
        let Admitted { number, given_up } = self.0.shared.line().admit(network).ok_or(Busy)?;
        // Behind the lock, which its end takes too.
        drop(given_up);
        Ok(Permit(Arc::new(Place { gate: Arc::clone(&self.0), number })))
    }

    /// Whether [`Self::permit_for`] would give one now.
    pub(crate) fn has_capacity(&self, network: ClientNetwork) -> bool {
        self.0.shared.line().has_place(network)
    }
}

impl Permit {
    fn rest(&self) {
        self.0.gate.shared.line().rest(self.0.number);
    }

    /// The permit ends with the work and not with the caller, who may go away: it bounds what is hashed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, Busy> + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let permit = self.clone();
        let job: Job = Box::new(move |memory| {
            if answer.is_closed() {
                return;
            }
            let outcome = work(memory);
            permit.rest();
            drop(permit);
            // The caller may have gone away.
            drop(answer.send(outcome));
        });
        self.0.gate.start(self.0.number, job)?;
        answered.await.map_err(|_| Busy)?
    }
}

impl Gate {
    /// Lets a job wait for its turn.
    ///
    /// They are threads of their own that hash one password after the other, and not those of the runtime in turn:
    /// each of these may begin on another processor, and whatever ran there before waits until the system takes it
    /// away again, up to 4 ms. One that goes on where it was leaves the other processors alone.
    fn start(&self, number: u64, job: Job) -> Result<(), Busy> {
        if !self.has_threads.swap(true, Ordering::SeqCst) {
            self.start_threads().inspect_err(|_| self.has_threads.store(false, Ordering::SeqCst))?;
        }
        let waits = self.shared.line().wait(number, job);
        waits.map_err(|_| Busy)?;
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Threads that end with the gate.
    fn start_threads(&self) -> Result<(), Busy> {
        for _ in 0..self.threads {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("chatstore-hash".to_owned());
            thread.spawn(move || shared.work_through()).map_err(|_| Busy)?;
        }
        Ok(())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _line = self.shared.line();
        self.shared.has_ended.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A job that waits holds its place, so that none is dropped here.
        drop(self.gate.shared.line().release(self.number));
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line<Job>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work_through(&self) {
        let mut memory = Memory::default();
        while let Some(job) = self.next() {
            // Its caller hears of a panic by the answer that never comes.
            if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
                tracing::error!("hashing a password panicked");
                memory = Memory::default();
            }
        }
    }

    /// The next job; `None` when there will be none.
    fn next(&self) -> Option<Job> {
        let mut line = self.line();
        loop {
            if let Some((_, job)) = line.next() {
                return Some(job);
            }
            if self.has_ended.load(Ordering::SeqCst) {
                return None;
            }
            line = self.changed.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Password, Verification};
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn sixteen_wait_for_each_thread_and_the_next_is_told_that_it_is_busy() {
        let passwords = Passwords::with_threads(1);
        let (release, released) = std::sync::mpsc::channel();
        let permit = passwords.permit().unwrap();
        let first = tokio::spawn(async move { permit.run(move |_| released.recv().map_err(|_| Busy)).await });
        let waiting: Vec<_> = (0..WAITING_PER_THREAD)
            .map(|_| {
                let permit = passwords.permit().unwrap();
                tokio::spawn(async move { permit.run(|_| Ok(())).await })
            })
            .collect();
        assert_eq!(passwords.permit().err(), Some(Busy));
        release.send(()).unwrap();
        for task in waiting.into_iter().chain([first]) {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
        assert_eq!(
            passwords.permit().unwrap().verify(Password::new("a"), None).await,
            Ok(Verification::Wrong)
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_place_is_given_up_for_another_network_and_its_caller_is_told() {
        let passwords = Passwords::with_threads(1);
        let [many, one] = [1, 2].map(|last| ClientNetwork::of(Some([192, 0, 2, last].into())));
        let (release, released) = std::sync::mpsc::channel();
        let first = passwords.permit_for(many).unwrap();
        let first = tokio::spawn(async move { first.run(move |_| released.recv().map_err(|_| Busy)).await });
        let waiting: Vec<_> = (0..WAITING_PER_THREAD)
            .map(|_| {
                let permit = passwords.permit_for(many).unwrap();
                tokio::spawn(async move { permit.run(|_| Ok(())).await })
            })
            .collect();
        assert_eq!(passwords.permit_for(many).err(), Some(Busy));
        let other = passwords.permit_for(one).unwrap();
        release.send(()).unwrap();
        assert_eq!(other.run(|_| Ok(())).await, Ok(()));
        assert_eq!(first.await.unwrap(), Ok(()));
        let mut told = Vec::new();
        for task in waiting {
            told.push(task.await.unwrap());
        }
        assert_eq!(told.iter().filter(|told| **told == Err(Busy)).count(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_caller_who_goes_away_keeps_the_permit_until_the_work_ends_or_need_not_begin() {
        let passwords = Passwords::with_threads(1);
        let taken = || passwords.0.shared.line().taken();
        let (begin, begun) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let permit = passwords.permit().unwrap();
        let first = tokio::spawn(async move {
            let work = move |_: &mut Memory| {
                begin.send(()).map_err(|_| Busy)?;
                released.recv().map_err(|_| Busy)
            };
            permit.run(work).await
        });
        begun.recv().unwrap();
        let permit = passwords.permit().unwrap();
        let (reach, reached) = std::sync::mpsc::channel();
        let second = tokio::spawn(async move { permit.run(move |_| reach.send(()).map_err(|_| Busy)).await });
        until(|| taken() == 2).await;
        for caller in [first, second] {
            caller.abort();
            assert!(caller.await.unwrap_err().is_cancelled());
        }
        assert_eq!(taken(), 2);
        release.send(()).unwrap();
        until(|| taken() == 0).await;
        assert!(reached.recv().is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_fails_one_password_and_the_thread_goes_on() {
        let passwords = Passwords::with_threads(1);
        let panicked: Result<(), Busy> =
            passwords.permit().unwrap().run(|_| panic!("in the middle of a hash")).await;
        assert_eq!(panicked, Err(Busy));
        assert_eq!(
            passwords.permit().unwrap().verify(Password::new("a"), None).await,
            Ok(Verification::Wrong)
        );
    }

    async fn until(condition: impl Fn() -> bool) {
        let holds = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), holds).await.unwrap();
    }
}
