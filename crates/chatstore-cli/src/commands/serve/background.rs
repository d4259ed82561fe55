//! What a server does beside answering requests.

use std::future::Future;
use std::time::Duration;

use chatstore::Store;
use chatstore::operations::Maintained;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How often expired rows are deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(15 * 60);

/// How long a task may take to stop.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Tasks that run until the server stops.
pub(crate) struct Background {
    stop: watch::Sender<bool>,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
}

impl Background {
    pub(crate) fn new() -> Self {
        Self { stop: watch::Sender::new(false), tasks: Vec::new() }
    }

    /// Starts a task, given a future that is done when the task has to stop.
    pub(super) fn start<F>(&mut self, name: &'static str, task: impl FnOnce(Stopping) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopping = Stopping(self.stop.subscribe());
        self.tasks.push((name, tokio::spawn(task(stopping))));
    }

    /// Stops all tasks, each after what it is doing.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        for (name, task) in self.tasks {
            let abort = task.abort_handle();
            match timeout(STOP_TIME, task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(task = name, error.cause = %error, "a task failed"),
                Err(_) => {
                    abort.abort();
                    tracing::warn!(task = name, "a task did not stop within 5 s and is abandoned");
                }
            }
        }
    }

    /// Ends all tasks, whatever they are doing.
    pub(super) fn abandon(self) {
        for (_, task) in self.tasks {
            task.abort();
        }
    }
}

/// Tells a task when it has to stop.
pub(super) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Waits until the task has to stop.
    pub(super) async fn requested(&mut self) {
        // Without a sender there is no server any more, either.
        let _ = self.0.wait_for(|stops| *stops).await;
    }
}

/// Deletes what expired when the server starts and periodically, and finishes deletions that were interrupted: another
/// server may have died.
pub(super) async fn sweep(store: Store, kept: Option<Duration>, mut stopping: Stopping) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            biased;
            () = stopping.requested() => return,
            _ = ticks.tick() => {}
        }
        // In a task of its own, so that a panic is not the end of all later ones.
        let mut deletion = tokio::spawn(maintain(store.clone(), kept));
        let deleted = tokio::select! {
            biased;
            () = stopping.requested() => return deletion.abort(),
            deleted = &mut deletion => deleted,
        };
        if let Err(error) = deleted {
            tracing::error!(error.cause = %error, "expired rows were not deleted");
        }
    }
}

async fn maintain(store: Store, kept: Option<Duration>) {
    match store.maintain(kept).await {
        Ok(deleted) if deleted == Maintained::default() => {}
        Ok(deleted) => tracing::info!(
            idempotency_keys = deleted.idempotency_keys,
            sessions = deleted.sessions,
            events = deleted.events,
            deleted_rows = deleted.deleted_rows,
            "what expired, and the rest of interrupted deletions, is deleted"
        ),
        // Logged by each part that failed; the next turn tries again.
        Err(_) => {}
    }
}
