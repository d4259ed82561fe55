//! What handlers share.

use std::sync::Arc;

use chatstore::{AsUser, Store};

use crate::extract::Caller;

/// What handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    openapi: String,
}

impl AppState {
    /// The state of a router over this store.
    pub(crate) fn new(store: Store, openapi: String) -> Self {
        Self(Arc::new(Shared { store, openapi }))
    }

    /// The store, for what belongs to nobody: health, keys, ids of requests.
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
}
