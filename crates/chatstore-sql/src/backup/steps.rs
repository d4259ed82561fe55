//! Long work on a thread of its own, which reports how far it is and stops when its caller no longer waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::BackupError;
use crate::error::StoreError;

/// How far a backup, a verification or a restore is. Checking the tables, the last step, is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupProgress {
    /// Bytes done; never falls.
    pub done_bytes: u64,
    /// Bytes to be done; may change by a little.
    pub total_bytes: u64,
}

/// The caller, as the work sees it.
pub(super) struct Steps {
    observe: Box<dyn FnMut(BackupProgress) + Send>,
    is_cancelled: Arc<AtomicBool>,
}

impl Steps {
    /// Tells the caller; fails when the caller has gone.
    pub(super) fn reached(&mut self, done_bytes: u64, total_bytes: u64) -> Result<(), BackupError> {
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(BackupError::Interrupted);
        }
        (self.observe)(BackupProgress { done_bytes, total_bytes });
        Ok(())
    }
}

/// Tells the work that its caller has gone.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread for blocking work.
pub(super) async fn run<T: Send + 'static>(
    observe: impl FnMut(BackupProgress) + Send + 'static,
    work: impl FnOnce(&mut Steps) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let is_cancelled = Arc::new(AtomicBool::new(false));
    let _cancel = CancelOnDrop(Arc::clone(&is_cancelled));
    let mut steps = Steps { observe: Box::new(observe), is_cancelled };
    let done = tokio::task::spawn_blocking(move || work(&mut steps)).await;
    done.unwrap_or_else(|error| Err(StoreError::backend(format!("the work ended early: {error}")).into()))
}
