//! The one thread that writes, and commits for all who wait (group commit).
//!
//! A write is a closure. The thread runs every closure that is waiting inside one transaction,
//! each within a savepoint of its own, commits once, and only then answers them all: an answer
//! means that the write is on disk.

use std::any::Any;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Instant;

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::checkpoint::Checkpoints;
use super::executor::{SqliteExecutor, store_error};
use super::file::OpenFile;
use crate::context::Context;
use crate::error::{Cause, ConnectError, StoreError};
use crate::tx::{Finished, Tx};

/// Writes that may wait before callers wait for a place.
const QUEUE: usize = 1_024;

/// Maximum writes committed together: bounds how long the first of them waits.
const GROUP: usize = 256;

/// The handle by which callers reach the thread.
pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Run(Box<dyn Job>),
    /// Work that makes its own transactions.
    Alone(Box<dyn FnOnce(&mut Connection) + Send>),
    Stop(oneshot::Sender<()>),
}

impl Writer {
    pub(super) fn start(
        mut connection: Connection,
        file: Option<(Arc<OpenFile>, Checkpoints)>,
        context: Arc<Context>,
    ) -> Result<Self, ConnectError> {
        let failed = |cause| ConnectError::Unreachable { place: "the writing thread".to_owned(), cause };
        let (file, checkpoints) = file.unzip();
        if let Some(checkpoints) = &checkpoints {
            checkpoints.watch(&mut connection).map_err(|error| failed(Cause::new(error)))?;
        }
        let (queue, waiting) = mpsc::channel(QUEUE);
        let runtime = Handle::try_current().map_err(|error| failed(Cause::new(error)))?;
        let thread = WriterThread { connection, is_failing: false, file, checkpoints, context, waiting };
        thread::Builder::new()
            .name("chatstore-writer".to_owned())
            .spawn(move || {
                let _entered = runtime.enter();
                thread.run();
            })
            .map_err(|error| failed(Cause::new(error)))?;
        Ok(Self { queue })
    }

    /// Runs `work` on the thread; answered when its effect is on disk.
    pub(crate) async fn run<T, E, M, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnMut(&mut Tx<'_, M>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        M: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let span = Span::current();
        let job = WriteJob { work, span, ended: None, answer, mode: PhantomData::<fn() -> M> };
        self.queue.send(Message::Run(Box::new(job))).await.map_err(|_| StoreError::closed())?;
        answered.await.map_err(|_| StoreError::OutcomeUnknown(Cause::new("the writing thread ended")))?
    }

    /// Runs `work` on the thread between two groups, with no transaction open; none when the thread
    /// has ended or `work` panicked. A transaction that `work` leaves open is rolled back.
    pub(crate) async fn run_alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let alone = move |connection: &mut Connection| {
            // The caller may have gone; what was done stands all the same.
            let _ = answer.send(work(connection));
        };
        self.queue.send(Message::Alone(Box::new(alone))).await.ok()?;
        answered.await.ok()
    }

    /// Writes that wait for the thread.
    pub(super) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Waits until everything queued so far is answered and the connection is closed.
    pub(super) async fn close(&self) {
        let (stopped, stop) = oneshot::channel();
        if self.queue.send(Message::Stop(stopped)).await.is_ok() {
            // An error means that the thread is gone already, which is what was asked for.
            let _ = stop.await;
        }
    }
}

/// A write whose types are erased.
trait Job: Send {
    /// Does the work.
    fn run(&mut self, executor: SqliteExecutor<'_>, context: &Context) -> Ran;

    /// Tells the caller, once it is known whether the commit succeeded.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

/// What became of a job's work.
struct Ran {
    /// Whether its changes are to be kept.
    is_kept: bool,
    /// What the database reported in it, or the panic that ended it.
    failure: Option<StoreError>,
}

/// How a job's work ended.
enum Ended<T, E> {
    Returned(Result<T, E>),
    /// Turning it into the caller's error is left to the answer: the caller's code does it, and may panic too.
    Panicked(StoreError),
}

struct WriteJob<T, E, M, F> {
    work: F,
    /// Of the request, for what is logged meanwhile.
    span: Span,
    ended: Option<Ended<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
    mode: PhantomData<fn() -> M>,
}

impl<T, E, M, F> Job for WriteJob<T, E, M, F>
where
    F: AsyncFnMut(&mut Tx<'_, M>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
    M: Send,
{
    fn run(&mut self, executor: SqliteExecutor<'_>, context: &Context) -> Ran {
        let _entered = self.span.clone().entered();
        let finished = catch_unwind(AssertUnwindSafe(|| {
            let mut tx = Tx::new(executor.into(), context);
            let result = poll_once(pin!((self.work)(&mut tx)));
            tx.finish(result)
        }));
        match finished {
            Ok(Finished { result, failure }) => {
                let is_kept = result.is_ok();
                self.ended = Some(Ended::Returned(result));
                Ran { is_kept, failure }
            }
            Err(panic) => {
                let panicked =
                    StoreError::backend(format!("a write panicked: {}", panic_text(panic.as_ref())));
                self.ended = Some(Ended::Panicked(panicked.clone()));
                Ran { is_kept: false, failure: Some(panicked) }
            }
        }
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let result = match (self.ended, commit) {
            (Some(Ended::Returned(result)), Ok(())) => result,
            (Some(Ended::Panicked(panicked)), Ok(())) => Err(panicked.into()),
            // Also for a write that failed by itself: it may have failed because of what another in
            // the same commit did, which is undone now.
            (_, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(StoreError::backend("a write was not run").into()),
        };
        // The caller may have gone; the write stands all the same.
        let _ = self.answer.send(result);
    }
}

/// A commit whose sync failed may be found in the log by the next process that opens the file. Of one that did not
/// fit on the disk the end is missing, and without that it is none.
fn unknown(error: StoreError) -> StoreError {
    match error {
        StoreError::Backend(cause) | StoreError::Unavailable(cause) => StoreError::OutcomeUnknown(cause),
        known => known,
    }
}

/// Whether a connection may not be used further after this error of a transaction: what its caches hold may not be
/// what the disk holds.
const fn is_failing_after(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Backend(_)
            | StoreError::Corrupt(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::ReadOnly(_)
            | StoreError::StorageFull(_)
            | StoreError::Unavailable(_)
    )
}

fn poll_once<T, E: From<StoreError>>(future: Pin<&mut impl Future<Output = Result<T, E>>>) -> Result<T, E> {
    match future.poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            Err(StoreError::backend("a write waited for something else than the database").into())
        }
    }
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

struct WriterThread {
    connection: Connection,
    /// The connection is replaced before the next transaction.
    is_failing: bool,
    /// None in memory.
    file: Option<Arc<OpenFile>>,
    checkpoints: Option<Checkpoints>,
    context: Arc<Context>,
    waiting: mpsc::Receiver<Message>,
}

impl WriterThread {
    fn run(mut self) {
        let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
        let (mut stop, mut alone) = (None, None);
        while stop.is_none() {
            match self.waiting.blocking_recv() {
                Some(Message::Run(job)) => group.push(job),
                Some(Message::Alone(work)) => alone = Some(work),
                Some(Message::Stop(stopped)) => stop = Some(stopped),
                None => break,
            }
            while stop.is_none() && alone.is_none() && group.len() < GROUP {
                match self.waiting.try_recv() {
                    Ok(Message::Run(job)) => group.push(job),
                    Ok(Message::Alone(work)) => alone = Some(work),
                    Ok(Message::Stop(stopped)) => stop = Some(stopped),
                    Err(_) => break,
                }
            }
            if !group.is_empty() {
                self.commit(&mut group);
            }
            if let Some(work) = alone.take() {
                self.run_alone(work);
            }
            if let Some(checkpoints) = self.checkpoints.as_mut().filter(|_| !self.is_failing) {
                checkpoints.after_commit(&self.connection);
            }
        }
        let Self { connection, file, checkpoints, mut waiting, .. } = self;
        if let Some(checkpoints) = checkpoints {
            checkpoints.stop();
        }
        match file {
            Some(file) => file.close(connection),
            None => drop(connection),
        }
        waiting.close();
        while let Some(message) = waiting.blocking_recv() {
            match message {
                Message::Run(late) => late.answer(Err(StoreError::closed())),
                // Its caller learns that there will be no answer.
                Message::Alone(late) => drop(late),
                Message::Stop(stopped) => drop(stopped.send(())),
            }
        }
        if let Some(stopped) = stop {
            // The caller may have stopped waiting.
            let _ = stopped.send(());
        }
    }

    /// Runs a group in one transaction and answers all in it.
    fn commit(&mut self, group: &mut Vec<Box<dyn Job>>) {
        let since = Instant::now();
        let outcome = self.open_anew_if_failing().and_then(|()| self.run_group(group));
        let groups = &self.context.measures.groups;
        groups.sizes.observe(group.len() as u64);
        groups.times.observe_time(since.elapsed());
        if outcome.is_err() && !self.connection.is_autocommit() {
            self.roll_back();
        }
        self.is_failing = self.file.is_some() && outcome.as_ref().is_err_and(is_failing_after);
        for job in group.drain(..) {
            let answered = catch_unwind(AssertUnwindSafe(|| job.answer(outcome.clone())));
            if let Err(panic) = answered {
                tracing::error!(panic = panic_text(panic.as_ref()), "answering a write panicked");
            }
        }
    }

    fn run_alone(&mut self, work: Box<dyn FnOnce(&mut Connection) + Send>) {
        if let Err(error) = self.open_anew_if_failing().and_then(|()| self.verify()) {
            tracing::warn!(%error, "work on the writing thread was not begun");
            return;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(&mut self.connection))) {
            tracing::error!(panic = panic_text(panic.as_ref()), "work on the writing thread panicked");
        }
        if !self.connection.is_autocommit() {
            self.roll_back();
        }
    }

    fn run_group(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        if let Some(file) = &self.file {
            file.guard.refuse_faulty()?;
        }
        self.statement("begin immediate")?;
        if let [job] = group {
            let ran = self.run_job(job.as_mut());
            self.still_in_transaction(&ran)?;
            return if ran.is_kept { self.commit_transaction() } else { self.statement("rollback") };
        }
        for job in group {
            self.statement("savepoint job")?;
            let ran = self.run_job(job.as_mut());
            self.still_in_transaction(&ran)?;
            if !ran.is_kept {
                self.statement("rollback to job")?;
            }
            self.statement("release job")?;
        }
        self.commit_transaction()
    }

    /// Commits if the file is in its place, and succeeds if it still was afterwards: what went into another file, or
    /// into one without a name, is not acknowledged.
    fn commit_transaction(&self) -> Result<(), StoreError> {
        self.verify()?;
        self.statement("commit").map_err(unknown)?;
        self.verify().map_err(unknown)
    }

    fn verify(&self) -> Result<(), StoreError> {
        self.file.as_ref().map_or(Ok(()), |file| file.guard.verify())
    }

    /// Replaces a connection that failed; the names are looked at first, because SQLite opens them again.
    fn open_anew_if_failing(&mut self) -> Result<(), StoreError> {
        let (true, Some(file)) = (self.is_failing, &self.file) else { return Ok(()) };
        let mut connection = file.open_anew()?;
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.watch(&mut connection).map_err(|error| store_error(error, "watching the log"))?;
        }
        self.connection = connection;
        self.is_failing = false;
        tracing::info!("the writing connection was opened anew");
        Ok(())
    }

    fn run_job(&mut self, job: &mut dyn Job) -> Ran {
        let guard = self.file.as_ref().map(|file| &*file.guard);
        job.run(SqliteExecutor::new(&mut self.connection, &self.context, guard), &self.context)
    }

    /// SQLite gives up the whole transaction when the disk is full or fails; then no write in it
    /// is kept, for the reason of the write that met it.
    fn still_in_transaction(&self, ran: &Ran) -> Result<(), StoreError> {
        if !self.connection.is_autocommit() {
            return Ok(());
        }
        let rolled_back =
            || StoreError::Unavailable(Cause::new("the transaction was rolled back by a failing disk"));
        Err(ran.failure.clone().unwrap_or_else(rolled_back))
    }

    fn roll_back(&self) {
        if let Err(error) = self.statement("rollback") {
            tracing::error!(%error, "rolling back failed");
        }
    }

    fn statement(&self, text: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.execute(()))
            .map(|_| ())
            .map_err(|error| store_error(error, text))
    }
}
