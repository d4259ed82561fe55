//! Hashing, a few passwords at a time.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};

use chatstore_model::{IdSource, PasswordHash};
use tokio::sync::oneshot;

use super::argon2id::{Argon2Hash, Memory, SALT};
use super::line::{Admitted, Line};
use super::pbkdf2::Pbkdf2Hash;
use super::stored::{Stored, Verification};
use super::wrapped::Wrapped;
use super::{Busy, MOST_BYTES, Password};
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

    /// Whether it is a hash that [`Permit::wrap`] makes stronger.
    pub(crate) fn is_legacy(hash: &PasswordHash) -> bool {
        Pbkdf2Hash::parse(hash.expose()).is_some()
    }
}

impl Permit {
    /// The hash of a new password.
    pub(crate) async fn hash(
        &self,
        password: Password,
        ids: &Arc<dyn IdSource>,
    ) -> Result<PasswordHash, Busy> {
        let salt = salt(ids);
        self.run(move |memory| {
            let hash = Argon2Hash::make(password.to_hash().as_bytes(), salt, memory)?;
            Ok(PasswordHash::made(hash.to_string()))
        })
        .await
    }

    /// Checks a password. With `None` (no such user, no password, a disabled user) and with a hash of
    /// a form that is not understood it does the work of a wrong password and answers [`Verification::Wrong`];
    /// so it does with a password that no user can have, being too long or with U+0000.
    pub(crate) async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<Verification, Busy> {
        let right = self.find_right(password, vec![hash]).await?;
        Ok(right.map_or(Verification::Wrong, |(_, verification)| verification))
    }

    /// The first of these hashes whose password it is, by its place, with [`Verification::Right`] or
    /// [`Verification::NeedsRehash`]. Each is checked as by [`verify`](Self::verify), so that the work of a wrong password
    /// depends on their number alone.
    pub(crate) async fn find_right(
        &self,
        password: Password,
        hashes: Vec<Option<PasswordHash>>,
    ) -> Result<Option<(usize, Verification)>, Busy> {
        self.run(move |memory| {
            let spellings = spellings(&password);
            for (place, hash) in hashes.into_iter().enumerate() {
                let stored = hash.and_then(|hash| Stored::parse(hash.expose()));
                let verification = try_spellings(stored.as_ref(), &spellings, memory)?;
                if verification != Verification::Wrong {
                    return Ok(Some((place, verification)));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Strengthens a PBKDF2 hash without its password; `None` when it is none.
    pub(crate) async fn wrap(
        &self,
        hash: &PasswordHash,
        ids: &Arc<dyn IdSource>,
    ) -> Result<Option<PasswordHash>, Busy> {
        let Some(inner) = Pbkdf2Hash::parse(hash.expose()) else { return Ok(None) };
        let salt = salt(ids);
        self.run(move |memory| Ok(Some(PasswordHash::made(Wrapped::make(inner, salt, memory)?.to_string()))))
            .await
    }

    fn rest(&self) {
        self.0.gate.shared.line().rest(self.0.number);
    }

    /// The permit ends with the work and not with the caller, who may go away: it bounds what is hashed.
    async fn run<T: Send + 'static>(
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

/// What a hash of the password may be of: the text as it was typed, which hashes from elsewhere are of, and, where it is
/// another, the form that is hashed here. `None` stands for a text that is no user's password, whose work is done all the
/// same.
fn spellings(password: &Password) -> Vec<Option<Cow<'_, str>>> {
    let typed = password.expose();
    if typed.len() > MOST_BYTES {
        return vec![None];
    }
    let hashed = password.to_hash();
    if hashed == typed {
        return vec![if_possible(hashed)];
    }
    vec![if_possible(Cow::Borrowed(typed)), if_possible(hashed)]
}

fn if_possible(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (text.len() <= MOST_BYTES && !text.contains('\0')).then_some(text)
}

/// Checks each spelling against a hash, or does the work of it. One that was hashed in another spelling than new ones are
/// is to be replaced.
fn try_spellings(
    stored: Option<&Stored>,
    spellings: &[Option<Cow<'_, str>>],
    memory: &mut Memory,
) -> Result<Verification, Busy> {
    for (place, spelling) in spellings.iter().enumerate() {
        let secret = spelling.as_deref().unwrap_or_default().as_bytes();
        let Some(stored) = stored else {
            Argon2Hash::make(secret, [0; SALT], memory)?;
            continue;
        };
        let verification = stored.verify(secret, memory)?;
        if spelling.is_none() || verification == Verification::Wrong {
            continue;
        }
        let is_hashed_form = place + 1 == spellings.len();
        return Ok(match verification {
            Verification::Right if !is_hashed_form => Verification::NeedsRehash,
            found => found,
        });
    }
    Ok(Verification::Wrong)
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

fn salt(ids: &Arc<dyn IdSource>) -> [u8; SALT] {
    let mut salt = [0; SALT];
    ids.random(&mut salt);
    salt
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chatstore_model::RandomIds;

    use super::*;

    fn ids() -> Arc<dyn IdSource> {
        Arc::new(RandomIds(|bytes| bytes.fill(7)))
    }

    #[tokio::test]
    async fn a_new_hash_is_argon2id_with_its_salt_from_the_id_source_and_verifies() {
        let passwords = Passwords::new();
        let hash =
            passwords.permit().unwrap().hash(Password::new("correct horse battery"), &ids()).await.unwrap();
        let text = hash.expose();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"), "{text}");
        assert_eq!(PasswordHash::known(text), Some(hash.clone()));
        for (password, verification) in
            [("correct horse battery", Verification::Right), ("correct horse batterY", Verification::Wrong)]
        {
            assert_eq!(
                passwords.permit().unwrap().verify(Password::new(password), Some(hash.clone())).await,
                Ok(verification)
            );
        }
    }

    #[tokio::test]
    async fn an_impossible_password_is_wrong_even_where_the_empty_one_is_right() {
        let passwords = Passwords::new();
        let empty = passwords.permit().unwrap().hash(Password::new(""), &ids()).await.unwrap();
        for text in ["x".repeat(1_025), "\0".to_owned()] {
            let verification =
                passwords.permit().unwrap().verify(Password::new(text), Some(empty.clone())).await;
            assert_eq!(verification, Ok(Verification::Wrong));
        }
        assert_eq!(
            passwords.permit().unwrap().verify(Password::new(""), Some(empty)).await,
            Ok(Verification::Right)
        );
    }

    #[tokio::test]
    async fn an_unknown_user_costs_as_much_as_a_wrong_password() {
        let passwords = Passwords::new();
        let hash =
            passwords.permit().unwrap().hash(Password::new("correct horse battery"), &ids()).await.unwrap();
        let mut fastest = [Duration::MAX; 3];
        for _ in 0..8 {
            let unknown = PasswordHash::known("$6$rounds=5000$salt$digest");
            for (index, hash) in [Some(hash.clone()), None, unknown].into_iter().enumerate() {
                let started = Instant::now();
                let verification =
                    passwords.permit().unwrap().verify(Password::new("wrong horse battery"), hash).await;
                assert_eq!(verification, Ok(Verification::Wrong));
                fastest[index] = fastest[index].min(started.elapsed());
            }
        }
        assert!(fastest[1] > fastest[0] / 2 && fastest[2] > fastest[0] / 2, "{fastest:?}");
    }

    #[tokio::test]
    async fn every_candidate_costs_as_much_as_a_wrong_password() {
        let passwords = Passwords::new();
        let hash = passwords.permit().unwrap().hash(Password::new("correct horse battery"), &ids()).await;
        let hash = Some(hash.unwrap());
        for password in ["wrong horse battery", "wrong ho\u{308}rse battery"] {
            let mut fastest = [Duration::MAX; 3];
            for _ in 0..4 {
                let kinds = [vec![hash.clone(), hash.clone()], vec![None, hash.clone()], vec![None, None]];
                for (index, hashes) in kinds.into_iter().enumerate() {
                    let started = Instant::now();
                    let permit = passwords.permit().unwrap();
                    assert_eq!(permit.find_right(Password::new(password), hashes).await, Ok(None));
                    fastest[index] = fastest[index].min(started.elapsed());
                }
            }
            let [both, one, none] = fastest;
            assert!(one > both / 2 && none > both / 2, "{password:?}: {fastest:?}");
        }
    }

    #[tokio::test]
    async fn an_older_hash_is_tried_as_typed_and_then_in_the_form_that_is_hashed() {
        let passwords = Passwords::new();
        let (composed, decomposed) = ("corr\u{e9}ct horse", "corre\u{301}ct horse");
        let of = |text: &str| {
            let hash = Argon2Hash::make(text.as_bytes(), [7; SALT], &mut Memory::default()).unwrap();
            Some(PasswordHash::made(hash.to_string()))
        };
        for (stored, typed, expected) in [
            (composed, composed, Verification::Right),
            (composed, decomposed, Verification::Right),
            (decomposed, decomposed, Verification::NeedsRehash),
            (decomposed, composed, Verification::Wrong),
        ] {
            let permit = passwords.permit().unwrap();
            let verification = permit.verify(Password::new(typed), of(stored)).await;
            assert_eq!(verification, Ok(expected), "{typed:?} for {stored:?}");
        }
        let hashes = vec![None, of("another one"), of(composed), of(composed)];
        let right = passwords.permit().unwrap().find_right(Password::new(composed), hashes).await;
        assert_eq!(right, Ok(Some((2, Verification::Right))));
    }

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
