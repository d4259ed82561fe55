//! Handlers, a file for each resource: request, answer, handler.

pub(crate) mod ai_cache;
pub(crate) mod api_keys;
pub(crate) mod auth;
pub(crate) mod conversations;
pub(crate) mod docs;
pub(crate) mod documents;
pub(crate) mod export;
pub(crate) mod front_page;
pub(crate) mod health;
pub(crate) mod logs;
pub(crate) mod messages;
pub(crate) mod metrics;
pub(crate) mod responses;
pub(crate) mod sessions;
pub(crate) mod shared_cache;
pub(crate) mod usage;
pub(crate) mod users;

/// What the field `metadata` of a change is for.
pub(crate) const REPLACES_METADATA: &str = "Replaces the metadata whole.";
