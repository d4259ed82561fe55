//! Looking for damage, out of the way of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::setpriority_process;
use tokio::sync::oneshot;

use super::executor::store_error;
use super::fault::Fault;
use super::file::OpenFile;
use crate::error::{Cause, StoreError};

/// Files of up to so many bytes are checked with their indexes.
const WHOLE_BYTES: u64 = 64 << 20;

/// After this time the check works half of the time.
const AT_FULL_SPEED: Duration = Duration::from_secs(1);

/// How long it works, and then rests.
const SLICE: Duration = Duration::from_millis(20);

/// Pages and instructions between two looks at the time.
const STEPS: i32 = 200;

/// The lowest priority of a thread.
const NICENESS: i32 = 19;

/// Ends the check when its caller goes.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Reads the whole file on a thread of its own; damage makes it unusable.
pub(super) async fn check(file: Arc<OpenFile>) -> Result<(), StoreError> {
    let stop = Stop(Arc::new(AtomicBool::new(false)));
    let stops = Arc::clone(&stop.0);
    let (answer, answered) = oneshot::channel();
    let work = move || {
        let result = run(&file, stops);
        // The caller may have gone.
        let _ = answer.send(result);
    };
    thread::Builder::new()
        .name("chatstore-check".to_owned())
        .spawn(work)
        .map_err(|error| StoreError::Unavailable(Cause::new(error)))?;
    answered.await.map_err(|_| StoreError::backend("the check of the file panicked"))?
}

fn run(file: &OpenFile, stops: Arc<AtomicBool>) -> Result<(), StoreError> {
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the check of the file runs at the usual priority");
    }
    let mut connection = file.open_anew()?;
    let failed = |error| store_error(error, "checking the file");
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    let mut pace = Pace { stops, begun: Instant::now(), slice_begun: Instant::now() };
    connection.progress_handler(STEPS, Some(move || pace.rest())).map_err(failed)?;
    let bytes =
        file.guard.file().metadata().map_err(|error| StoreError::Unavailable(Cause::new(error)))?.len();
    let statement = if bytes <= WHOLE_BYTES { "pragma integrity_check(3)" } else { "pragma quick_check(3)" };
    let begun = Instant::now();
    let found = match lines(&connection, statement) {
        Ok(lines) if lines == ["ok"] => None,
        Ok(lines) => Some(lines.join("; ")),
        Err(error) => match store_error(error, statement) {
            StoreError::Corrupt(found) => Some(found),
            other => return Err(other),
        },
    };
    let Some(found) = found else {
        tracing::debug!(bytes, milliseconds = begun.elapsed().as_millis(), "the database file is sound");
        return Ok(());
    };
    // A file that was exchanged looks damaged too, and is reported as what it is.
    file.guard.verify()?;
    tracing::warn!(%found, "the check of the database file found damage");
    Err(file.guard.report(Fault::Damaged))
}

fn lines(connection: &Connection, statement: &str) -> rusqlite::Result<Vec<String>> {
    connection.prepare(statement)?.query_map((), |row| row.get(0))?.collect()
}

struct Pace {
    stops: Arc<AtomicBool>,
    begun: Instant,
    slice_begun: Instant,
}

impl Pace {
    /// True when the check is to end.
    fn rest(&mut self) -> bool {
        if self.begun.elapsed() > AT_FULL_SPEED && self.slice_begun.elapsed() >= SLICE {
            thread::sleep(SLICE);
            self.slice_begun = Instant::now();
        }
        self.stops.load(Ordering::Relaxed)
    }
}
