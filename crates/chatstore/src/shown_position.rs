//! From where on the calls of one caller show the database.

use std::cell::Cell;

use chatstore_sql::WalPosition;

tokio::task_local! {
    /// What a caller was told belongs to all of their calls, whichever of the services these use.
    static PRESENT: ShownPosition;
}

/// From where on the calls of one caller show a database that has standbys, for a caller who goes to several servers: what
/// one of them told the caller after a write is what the next one has to show.
#[derive(Debug, Default)]
pub struct ShownPosition {
    least: Option<WalPosition>,
    written: Cell<Option<WalPosition>>,
}

impl ShownPosition {
    /// Does work in which lists show everything before `least`, beside what their reader wrote in this process. Returns with
    /// it where its last write is, where there are standbys. Tasks that it spawns are no part of it.
    pub fn run<T>(
        least: Option<WalPosition>,
        work: impl Future<Output = T>,
    ) -> impl Future<Output = (T, Option<WalPosition>)> {
        let shown = Self { least, written: Cell::default() };
        // Work is large, and moved more than once on the way to its task.
        let work = Box::pin(work);
        PRESENT.scope(shown, async {
            let done = work.await;
            (done, PRESENT.with(|shown| shown.written.get()))
        })
    }

    /// From where on the present reads have to show the database, for work that goes on in a task of its own.
    #[must_use]
    pub fn least() -> Option<WalPosition> {
        PRESENT.try_with(|shown| shown.least).unwrap_or_default()
    }

    /// Whether the caller of the present call is told where it writes.
    pub(crate) fn is_told() -> bool {
        PRESENT.try_with(|_| ()).is_ok()
    }

    /// Notes where a write is.
    pub(crate) fn note(position: Option<WalPosition>) {
        if position.is_some() {
            // An error says that nobody asked.
            let _ = PRESENT.try_with(|shown| shown.written.set(shown.written.get().max(position)));
        }
    }
}
