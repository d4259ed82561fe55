//! What a store has done since it was opened, for those who operate it.

mod limits;
mod models;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chatstore_model::ModelResponse;
use chatstore_sql::DatabaseMeasures;

use crate::limit::Limiter;
use limits::CountedLimiter;
pub use limits::LimitMeasures;
pub use models::ModelMeasures;

/// The counts of a store.
#[derive(Debug)]
pub(crate) struct Measures {
    models: models::Models,
    limits: Arc<limits::Limits>,
    /// By name and outcome. Events are rare enough for a lock.
    security_events: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

/// What a store has done since it was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreMeasures {
    /// What its database did.
    pub database: DatabaseMeasures,
    /// Security events: name, `done` or `refused`, and how many there were.
    pub security_events: Vec<(&'static str, &'static str, u64)>,
    /// What models answered.
    pub models: Vec<ModelMeasures>,
    /// What limits granted and refused.
    pub limits: Vec<LimitMeasures>,
}

impl Measures {
    /// With these security events, by name and outcome, shown before they happen for the first time: a rate needs a
    /// beginning.
    pub(crate) fn new(shown: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        Self {
            models: models::Models::default(),
            limits: Arc::default(),
            security_events: Mutex::new(shown.into_iter().map(|event| (event, 0)).collect()),
        }
    }

    /// The same limiter, whose decisions are counted here.
    pub(crate) fn count_limits(&self, limiter: Arc<dyn Limiter>) -> Arc<dyn Limiter> {
        Arc::new(CountedLimiter { limiter, counts: Arc::clone(&self.limits) })
    }

    /// Counts a reply that was stored now.
    pub(crate) fn note_reply(&self, response: &ModelResponse) {
        self.models.note(response);
    }

    pub(crate) fn note_security_event(&self, name: &'static str, outcome: &'static str) {
        let mut events = self.security_events.lock().unwrap_or_else(PoisonError::into_inner);
        *events.entry((name, outcome)).or_default() += 1;
    }

    pub(crate) fn read(&self, database: DatabaseMeasures) -> StoreMeasures {
        let events = self.security_events.lock().unwrap_or_else(PoisonError::into_inner);
        let security_events =
            events.iter().map(|((name, outcome), count)| (*name, *outcome, *count)).collect();
        StoreMeasures { database, security_events, models: self.models.read(), limits: self.limits.read() }
    }
}
