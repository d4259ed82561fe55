//! The task that writes what waits in the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_model::LogEvent;
use chatstore_sql::{Database, DatabaseKind, PieceRows, StoreError, WeakDatabase, WriteTx};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::waiting::Shared;

/// How long events are gathered before the first batch: a few at a time cost as much as one.
const GATHER: Duration = Duration::from_millis(20);

/// How long the writer waits after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How often a batch is tried that does not succeed.
const ATTEMPTS: u32 = 30;

/// How long the end of a store waits for what was not written yet.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// Rows of a batch then, when nothing else has to be written.
const FLUSHED_ROWS: i64 = 500;

/// What became of a batch.
enum Written {
    /// It is stored; how long it took inside of its transaction.
    Stored(Duration),
    /// It waits again.
    Failed,
    /// There was nothing to write.
    Nothing,
}

/// Starts the task, unless it runs. Outside of a runtime nothing can wait for the database: events wait until the next one
/// inside, or until the store is closed.
pub(super) fn start(shared: &Arc<Shared>, database: &Database) {
    let Ok(runtime) = Handle::try_current() else { return };
    if std::mem::replace(&mut shared.lock().has_writer, true) {
        return;
    }
    // The task does not keep the database open: a program that ends without closing its store loses what waits.
    runtime.spawn(write_all(Arc::clone(shared), database.downgrade(), database.kind()));
}

async fn write_all(shared: Arc<Shared>, database: WeakDatabase, kind: DatabaseKind) {
    let (mut rows, mut failures) = (PieceRows::short(kind), 0);
    sleep(GATHER).await;
    loop {
        let Some(database) = database.upgrade() else {
            shared.lock().has_writer = false;
            return;
        };
        let begun = Instant::now();
        let written = write_batch(&shared, &database, rows.count(), failures + 1 == ATTEMPTS).await;
        drop(database);
        let pause = match written {
            Written::Stored(took) => {
                failures = 0;
                rows = rows.after(took);
                pause_after(begun.elapsed())
            }
            Written::Failed => {
                failures = (failures + 1) % ATTEMPTS;
                AFTER_FAILURE
            }
            Written::Nothing => {
                let mut state = shared.lock();
                if state.waiting.is_empty() {
                    state.has_writer = false;
                    return;
                }
                continue;
            }
        };
        sleep(pause).await;
    }
}

/// How long others have after a batch.
fn pause_after(batch: Duration) -> Duration {
    batch.clamp(Duration::from_millis(5), Duration::from_millis(200))
}

/// Writes a batch. The last attempt at one drops it when it fails.
async fn write_batch(shared: &Shared, database: &Database, rows: i64, is_last: bool) -> Written {
    let _alone = shared.writing.lock().await;
    let batch: Arc<[LogEvent]> = shared.lock().take(usize::try_from(rows).unwrap_or(usize::MAX)).into();
    if batch.is_empty() {
        return Written::Nothing;
    }
    let mut unwritten = Unwritten { shared, batch: Some(Arc::clone(&batch)) };
    let events = Arc::clone(&batch);
    let record = async move |tx: &mut WriteTx<'_>| {
        let begun = Instant::now();
        tx.logs().record(&events[..]).await?;
        Ok::<_, StoreError>(begun.elapsed())
    };
    match database.write("log_record", record).await {
        Ok(took) => {
            unwritten.batch = None;
            let mut state = shared.lock();
            state.in_batch = 0;
            state.stored += batch.len() as u64;
            Written::Stored(took)
        }
        Err(error) if is_last => {
            unwritten.batch = None;
            tracing::warn!(error.cause = %error, "events were not stored");
            let mut state = shared.lock();
            state.in_batch = 0;
            state.drop_events(batch.len());
            Written::Failed
        }
        Err(error) => {
            tracing::debug!(error.cause = %error, "events are stored later");
            Written::Failed
        }
    }
}

/// A batch that goes back into the queue, also when the task is given up.
struct Unwritten<'s> {
    shared: &'s Shared,
    batch: Option<Arc<[LogEvent]>>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.shared.lock().put_back(&batch);
        }
    }
}

/// Writes what waits, without pauses.
pub(super) async fn flush(shared: &Shared, database: &Database) {
    let all = async {
        while matches!(write_batch(shared, database, FLUSHED_ROWS, false).await, Written::Stored(_)) {}
    };
    // What is left is told below.
    let _ = timeout(FLUSH_TIME, all).await;
    let mut state = shared.lock();
    let left = state.take(usize::MAX).len();
    state.in_batch = 0;
    if left > 0 {
        state.drop_events(left);
    }
}

#[cfg(test)]
mod tests {
    use chatstore_model::{CanonicalJson, LogEventId, LogLevel, UserId};
    use chatstore_sql::{DatabaseOptions, Direction};

    use super::super::waiting::Urgency;
    use super::*;

    /// A database without tables, and an event that waits for it.
    async fn waiting() -> (Database, Shared) {
        let database = Database::open(DatabaseOptions::new("sqlite://:memory:")).await.unwrap();
        let (at, shared) = (database.clock().now(), Shared::default());
        let event = LogEvent {
            user_id: UserId::ANONYMOUS,
            id: LogEventId::first_at(at),
            at,
            level: LogLevel::Info,
            event: "one".to_owned(),
            conversation_id: None,
            request_id: None,
            actor_id: None,
            key_id: None,
            acting_for_id: None,
            data: CanonicalJson::object(),
        };
        assert!(shared.lock().push(Urgency::High, event));
        (database, shared)
    }

    #[tokio::test]
    async fn a_batch_that_fails_waits_again() {
        let (database, shared) = waiting().await;
        assert!(matches!(write_batch(&shared, &database, 10, false).await, Written::Failed));
        assert_eq!(shared.lock().waiting.len(), 1);
        database.migrate(Direction::Upgrade).await.unwrap();
        assert!(matches!(write_batch(&shared, &database, 10, false).await, Written::Stored(_)));
        assert!(matches!(write_batch(&shared, &database, 10, false).await, Written::Nothing));
        let state = shared.lock();
        assert_eq!((state.stored, state.dropped), (1, 0));
    }

    #[tokio::test]
    async fn a_batch_whose_last_attempt_fails_is_dropped_and_counted() {
        let (database, shared) = waiting().await;
        assert!(matches!(write_batch(&shared, &database, 10, true).await, Written::Failed));
        assert!(matches!(write_batch(&shared, &database, 10, false).await, Written::Nothing));
        let state = shared.lock();
        assert_eq!((state.stored, state.dropped), (0, 1));
    }
}
