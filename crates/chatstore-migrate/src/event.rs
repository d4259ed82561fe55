//! What the engine reports while it works.

use crate::revision::Revision;

/// The progress of a migration.
#[derive(Debug)]
pub enum MigrationEvent<'e> {
    /// Another process is migrating; this one waits.
    Waiting,
    /// A revision is being applied.
    Applying(&'e Revision),
    /// A revision is applied and committed.
    Applied(&'e Revision),
    /// A revision is undone and committed.
    Undone(&'e Revision),
    /// A data step has changed some rows.
    Rows {
        /// The revision whose step it is.
        revision: &'e Revision,
        /// Rows so far.
        rows: u64,
    },
    /// What a data step found that those who migrate should know.
    Note {
        /// The revision whose step it is.
        revision: &'e Revision,
        /// A sentence.
        text: &'e str,
    },
}

/// What receives the events.
pub(crate) type Observe<'o> = &'o mut (dyn FnMut(&MigrationEvent<'_>) + Send);
