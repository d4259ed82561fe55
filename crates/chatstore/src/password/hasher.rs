//! Hashing, a few passwords at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use chatstore_model::{IdSource, PasswordHash};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::argon2id::{Argon2Hash, Memory, SALT};
use super::pbkdf2::Pbkdf2Hash;
use super::stored::{Stored, Verdict};
use super::wrapped::Wrapped;
use super::{MOST_BYTES, Password};

/// Callers that wait while one password is hashed. At about 30 ms each the last waits half a second.
const WAITING_PER_PERMIT: usize = 16;

/// Too many passwords are being hashed, or there is no memory to hash one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// Hashes passwords, a few at a time: one fewer than the machine has cores, so that other requests go on,
/// and at least one. Each takes 19 MiB, which the next one takes over.
#[derive(Clone, Debug)]
pub(crate) struct Passwords(Arc<Gate>);

#[derive(Debug)]
struct Gate {
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    admitted: Arc<Semaphore>,
    /// Memory that nobody hashes in now, at most as often as there are permits to run.
    memory: Mutex<Vec<Memory>>,
}

/// A place among those whose passwords are hashed, or soon will be.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    _admitted: Arc<OwnedSemaphorePermit>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self::with_permits(cores.saturating_sub(1).max(1))
    }

    fn with_permits(permits: usize) -> Self {
        Self(Arc::new(Gate {
            running: Arc::new(Semaphore::new(permits)),
            admitted: Arc::new(Semaphore::new(permits * (1 + WAITING_PER_PERMIT))),
            memory: Mutex::default(),
        }))
    }

    /// A place, to be taken before anything else is done for a password: who gets none has cost little.
    pub(crate) fn place(&self) -> Result<Place, Busy> {
        let admitted = Arc::clone(&self.0.admitted).try_acquire_owned().map_err(|_| Busy)?;
        Ok(Place { gate: Arc::clone(&self.0), _admitted: Arc::new(admitted) })
    }

    /// Whether it is a hash that [`Place::wrap`] makes stronger.
    pub(crate) fn is_legacy(hash: &PasswordHash) -> bool {
        Pbkdf2Hash::parse(hash.expose()).is_some()
    }
}

impl Place {
    /// The hash of a new password.
    pub(crate) async fn hash(
        &self,
        password: Password,
        ids: &Arc<dyn IdSource>,
    ) -> Result<PasswordHash, Busy> {
        let salt = salt(ids);
        self.run(move |memory| {
            let hash = Argon2Hash::make(password.expose().as_bytes(), salt, memory)?;
            Ok(PasswordHash::made(hash.to_string()))
        })
        .await
    }

    /// Checks a password. With `None` (nobody of that name, no password, a disabled user) and with a hash of
    /// a form that is not understood it does the work of a wrong password and answers [`Verdict::Wrong`];
    /// so it does with a password that nobody can have, being too long or with U+0000.
    pub(crate) async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<Verdict, Busy> {
        self.run(move |memory| {
            let text = password.expose();
            let is_possible = text.len() <= MOST_BYTES && !text.contains('\0');
            let secret = if is_possible { text.as_bytes() } else { b"" };
            let Some(stored) = hash.and_then(|hash| Stored::parse(hash.expose())) else {
                Argon2Hash::make(secret, [0; SALT], memory)?;
                return Ok(Verdict::Wrong);
            };
            let verdict = stored.verify(secret, memory)?;
            Ok(if is_possible { verdict } else { Verdict::Wrong })
        })
        .await
    }

    /// Makes a PBKDF2 hash stronger without its password; `None` when it is none.
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

    /// Place and permit end with the work and not with the caller, who may go away: they bound the memory.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, Busy> + Send + 'static,
    ) -> Result<T, Busy> {
        let place = self.clone();
        let running = Arc::clone(&self.gate.running).acquire_owned().await.map_err(|_| Busy)?;
        let worked = spawn_blocking(move || {
            let mut memory = place.gate.free_memory().pop().unwrap_or_default();
            let outcome = work(&mut memory);
            place.gate.free_memory().push(memory);
            drop((running, place));
            outcome
        });
        worked.await.map_err(|_| Busy)?
    }
}

impl Gate {
    fn free_memory(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
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
            passwords.place().unwrap().hash(Password::new("correct horse battery"), &ids()).await.unwrap();
        let text = hash.expose();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"), "{text}");
        assert_eq!(PasswordHash::known(text), Some(hash.clone()));
        for (password, verdict) in
            [("correct horse battery", Verdict::Right), ("correct horse batterY", Verdict::Wrong)]
        {
            assert_eq!(
                passwords.place().unwrap().verify(Password::new(password), Some(hash.clone())).await,
                Ok(verdict)
            );
        }
    }

    #[tokio::test]
    async fn a_password_that_nobody_can_have_is_wrong_even_where_the_empty_one_is_right() {
        let passwords = Passwords::new();
        let empty = passwords.place().unwrap().hash(Password::new(""), &ids()).await.unwrap();
        for text in ["x".repeat(1_025), "\0".to_owned()] {
            let verdict = passwords.place().unwrap().verify(Password::new(text), Some(empty.clone())).await;
            assert_eq!(verdict, Ok(Verdict::Wrong));
        }
        assert_eq!(
            passwords.place().unwrap().verify(Password::new(""), Some(empty)).await,
            Ok(Verdict::Right)
        );
    }

    #[tokio::test]
    async fn nobody_costs_as_much_as_a_wrong_password() {
        let passwords = Passwords::new();
        let hash =
            passwords.place().unwrap().hash(Password::new("correct horse battery"), &ids()).await.unwrap();
        let mut fastest = [Duration::MAX; 3];
        for _ in 0..8 {
            let unknown = PasswordHash::known("$6$rounds=5000$salt$digest");
            for (index, hash) in [Some(hash.clone()), None, unknown].into_iter().enumerate() {
                let started = Instant::now();
                let verdict =
                    passwords.place().unwrap().verify(Password::new("wrong horse battery"), hash).await;
                assert_eq!(verdict, Ok(Verdict::Wrong));
                fastest[index] = fastest[index].min(started.elapsed());
            }
        }
        assert!(fastest[1] > fastest[0] / 2 && fastest[2] > fastest[0] / 2, "{fastest:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sixteen_wait_for_a_permit_and_the_next_is_told_that_it_is_busy() {
        let passwords = Passwords::with_permits(1);
        let (release, released) = std::sync::mpsc::channel();
        let place = passwords.place().unwrap();
        let first = tokio::spawn(async move { place.run(move |_| released.recv().map_err(|_| Busy)).await });
        let waiting: Vec<_> = (0..WAITING_PER_PERMIT)
            .map(|_| {
                let place = passwords.place().unwrap();
                tokio::spawn(async move { place.run(|_| Ok(())).await })
            })
            .collect();
        assert_eq!(passwords.place().err(), Some(Busy));
        release.send(()).unwrap();
        for task in waiting.into_iter().chain([first]) {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
        assert_eq!(passwords.place().unwrap().verify(Password::new("a"), None).await, Ok(Verdict::Wrong));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_caller_who_goes_away_keeps_the_permit_until_the_work_ends() {
        let passwords = Passwords::with_permits(1);
        let (release, released) = std::sync::mpsc::channel();
        let place = passwords.place().unwrap();
        let caller = tokio::spawn(async move { place.run(move |_| released.recv().map_err(|_| Busy)).await });
        until(|| passwords.0.running.available_permits() == 0).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(passwords.0.running.available_permits(), 0);
        release.send(()).unwrap();
        until(|| passwords.0.running.available_permits() == 1).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_memory_of_a_hash_is_that_of_the_next_whichever_thread_makes_it() {
        let passwords = Passwords::with_permits(2);
        let mut hashing = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let place = passwords.place().unwrap();
            hashing.spawn(async move { place.verify(Password::new("a"), None).await });
        }
        while let Some(verdict) = hashing.join_next().await {
            assert_eq!(verdict.unwrap(), Ok(Verdict::Wrong));
        }
        assert!((1..=2).contains(&passwords.0.free_memory().len()));
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
