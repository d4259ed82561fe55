//! What handlers share.

use std::sync::Arc;

use chatstore::{AsUser, Store};

use crate::admission::Admission;
use crate::caller::Caller;
use crate::metrics::Metrics;

/// What handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    openapi: String,
    takes_anonymous: bool,
    admission: Admission,
    metrics: Metrics,
}

impl AppState {
    /// The state of a router over this store.
    pub(crate) fn new(store: Store, openapi: String, takes_anonymous: bool, metrics: Metrics) -> Self {
        let admission = Admission::default();
        Self(Arc::new(Shared { store, openapi, takes_anonymous, admission, metrics }))
    }

    /// The store, for what belongs to nobody: health, keys, users, ids of requests.
    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The store as the caller sees it.
    pub(crate) fn as_caller(&self, caller: Caller) -> AsUser<'_> {
        self.0.store.as_user(caller.user())
    }

    /// The OpenAPI document as JSON.
    pub(crate) fn openapi(&self) -> &str {
        &self.0.openapi
    }

    /// Whether requests without credentials may make and read anonymous conversations.
    pub(crate) fn takes_anonymous(&self) -> bool {
        self.0.takes_anonymous
    }

    /// Who may work now.
    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}
