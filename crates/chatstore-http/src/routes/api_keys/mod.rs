//! API keys.

pub(crate) mod any;
pub(crate) mod own;
