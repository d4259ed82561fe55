//! Headers of this API that HTTP itself does not know.

use axum::http::HeaderName;

/// Names a request, for the log and for problems.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names the trace of several services to which a request belongs, for the log.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Names a change, so that it takes effect once.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says how long a key is remembered.
pub(crate) const IDEMPOTENCY_RETENTION: HeaderName = HeaderName::from_static("idempotency-retention");

/// Marks an answer which repeats the one to an earlier request.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// From where on a database with standbys has to be shown.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("chatstore-position");
