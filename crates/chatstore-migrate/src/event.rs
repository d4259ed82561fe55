//! What the engine tells while it works.

use crate::revision::Revision;

/// What is told while migrating.
#[derive(Debug)]
pub enum Event<'e> {
    /// Another process migrates; this one waits.
    Waiting,
    /// A revision is being applied.
    Applying(&'e Revision),
    /// A revision is applied; what was done is on disk.
    Applied(&'e Revision),
    /// A revision is undone; what was done is on disk.
    Undone(&'e Revision),
    /// A data step has changed so many rows so far.
    Rows {
        /// The revision whose step it is.
        revision: &'e Revision,
        /// Rows so far.
        rows: u64,
    },
}

/// How the engine tells what it does.
pub(crate) type Observe<'o> = &'o mut (dyn FnMut(&Event<'_>) + Send);
