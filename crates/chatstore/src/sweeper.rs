//! Whose turn it is to delete what is marked.

use std::sync::atomic::AtomicBool;

use tokio::sync::Mutex;

/// The sweep of this process: one runs, and one more may wait for it.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    pub(crate) running: Mutex<()>,
    pub(crate) is_waiting: AtomicBool,
}
