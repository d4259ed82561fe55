//! The id of a request.

use std::sync::Arc;

use axum::extract::Request;

/// The id of a request, in its extensions.
#[derive(Debug, Clone)]
pub(super) struct RequestId(Arc<str>);

impl RequestId {
    pub(super) fn new(id: &Arc<str>) -> Self {
        Self(Arc::clone(id))
    }

    /// That of a request; empty before it has one.
    pub(super) fn of(request: &Request) -> Arc<str> {
        request.extensions().get::<Self>().map_or_else(|| Arc::from(""), |Self(id)| Arc::clone(id))
    }
}
