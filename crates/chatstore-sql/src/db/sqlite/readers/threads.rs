//! Reads that take long, on a few threads of their own, which give way to all others. A read lasts as long as its
//! caller waits for it, and keeps the write-ahead log from being emptied meanwhile.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::connection::ReadingConnection;
use crate::context::Context;
use crate::db::sqlite::budget::Budget;
use crate::db::sqlite::executor::SqliteExecutor;
use crate::db::sqlite::guard::FileGuard;
use crate::db::sqlite::location::Location;
use crate::db::sqlite::writer::panic_text;
use crate::error::{Cause, ConnectError, StoreError};
use crate::tx::{ReadOnly, Tx};

/// Long reads that run at the same time.
const THREADS: usize = 2;

/// Long reads that wait; further ones are refused.
const QUEUE: usize = 64;

/// The niceness of the threads: what is short goes first where processors are few.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

pub(super) struct ReaderThreads {
    /// None once it is closed.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    /// Ends when all threads have ended.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
    shared: Arc<Shared>,
}

/// What the threads have in common.
struct Shared {
    waiting: Mutex<mpsc::Receiver<Job>>,
    is_closing: AtomicBool,
    budgets: Mutex<Vec<Arc<Budget>>>,
}

struct Job {
    progress: Arc<Progress>,
    run: Box<dyn FnOnce(&mut ReadingConnection) + Send>,
}

/// What became of a read, for its caller who may stop waiting.
#[derive(Default)]
struct Progress {
    is_given_up: AtomicBool,
    running: Mutex<Option<Arc<Budget>>>,
}

impl Progress {
    fn set_running(&self, budget: Option<&Arc<Budget>>) {
        *locked(&self.running) = budget.cloned();
    }
}

/// Cancels a read whose caller has gone, whether it waits or runs.
struct Caller(Arc<Progress>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.is_given_up.store(true, Ordering::SeqCst);
        if let Some(budget) = &*locked(&self.0.running) {
            budget.cancel();
        }
    }
}

impl ReaderThreads {
    pub(super) fn start(location: &Location) -> Result<Self, ConnectError> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (alive, ended) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            waiting: Mutex::new(waiting),
            is_closing: AtomicBool::new(false),
            budgets: Mutex::default(),
        });
        for number in 1..=THREADS {
            let reading = ReadingConnection::open(location)?;
            locked(&shared.budgets).push(Arc::clone(&reading.budget));
            let (shared, alive) = (Arc::clone(&shared), alive.clone());
            let started =
                thread::Builder::new().name(format!("chatstore-reader-{number}")).spawn(move || {
                    give_way();
                    shared.run(reading);
                    drop(alive);
                });
            started.map_err(|error| ConnectError::Unreachable {
                place: "a reading thread".to_owned(),
                cause: Cause::new(error),
            })?;
        }
        Ok(Self { queue: Mutex::new(Some(queue)), ended: tokio::sync::Mutex::new(ended), shared })
    }

    /// Runs `work` on one of the threads. It is interrupted when its caller stops waiting.
    ///
    /// # Errors
    /// What `work` returns; `Overloaded` when too many wait already.
    pub(super) async fn run<T, E, F>(
        &self,
        context: &Arc<Context>,
        guard: &Arc<FileGuard>,
        mut work: F,
    ) -> Result<T, E>
    where
        F: AsyncFnMut(&mut Tx<'_, ReadOnly>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let runtime = Handle::try_current().map_err(|error| StoreError::Backend(Cause::new(error)))?;
        let (answer, answered) = oneshot::channel();
        let caller = Caller(Arc::default());
        let (context, guard) = (Arc::clone(context), Arc::clone(guard));
        let span = Span::current();
        let run = move |reading: &mut ReadingConnection| {
            let _entered = span.entered();
            let result = catch_unwind(AssertUnwindSafe(|| {
                let executor = SqliteExecutor::new(&mut reading.connection, &context, Some(&guard))
                    .within(&reading.budget);
                runtime.block_on(work(&mut Tx::new(executor.into(), &context)))
            }));
            let result = match result {
                _ if reading.budget.is_spent() => Err(interrupted().into()),
                Ok(result) => result,
                Err(panic) => Err(panicked(panic.as_ref()).into()),
            };
            // The caller may have gone.
            let _ = answer.send(result);
        };
        let job = Job { progress: Arc::clone(&caller.0), run: Box::new(run) };
        let queue = locked(&self.queue).clone().ok_or_else(StoreError::closed)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded("too many long reads wait already"),
            TrySendError::Closed(_) => StoreError::closed(),
        })?;
        drop(queue);
        let result = answered.await.map_err(|_| StoreError::closed())?;
        drop(caller);
        result
    }

    /// Interrupts what runs, refuses what waits, and waits until the connections are closed.
    pub(super) async fn close(&self) {
        self.shared.is_closing.store(true, Ordering::SeqCst);
        drop(locked(&self.queue).take());
        for budget in &*locked(&self.shared.budgets) {
            budget.cancel();
        }
        while self.ended.lock().await.recv().await.is_some() {}
    }
}

impl Shared {
    fn run(&self, mut reading: ReadingConnection) {
        loop {
            let next = locked(&self.waiting).blocking_recv();
            let Some(Job { progress, run }) = next else { return };
            reading.budget.begin_unbounded();
            progress.set_running(Some(&reading.budget));
            let is_wanted =
                !progress.is_given_up.load(Ordering::SeqCst) && !self.is_closing.load(Ordering::SeqCst);
            if is_wanted {
                run(&mut reading);
            }
            progress.set_running(None);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer for a caller who waits no more, or while the store is being closed.
fn interrupted() -> StoreError {
    StoreError::Unavailable(Cause::new("the read was interrupted"))
}

fn panicked(panic: &(dyn Any + Send)) -> StoreError {
    StoreError::backend(format!("a read panicked: {}", panic_text(panic)))
}

/// Lets the threads of writes and short reads go first where processors are few.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "long reads run like short ones");
    }
}
