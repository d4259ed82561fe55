//! What every transaction of a database shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chatstore_model::{Clock, IdSource};

use crate::measures::Measures;

/// Clock, ids, default model and counters of one database.
pub(crate) struct Context {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) default_model: Arc<str>,
    pub(crate) rows_at_once: i64,
    pub(crate) measures: Measures,
    statements: AtomicU64,
}

impl Context {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        default_model: Arc<str>,
        rows_at_once: i64,
        measures: Measures,
    ) -> Self {
        Self { clock, ids, default_model, rows_at_once, measures, statements: AtomicU64::new(0) }
    }

    pub(crate) fn count_statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }
}
