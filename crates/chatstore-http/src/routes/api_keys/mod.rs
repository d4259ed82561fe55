//! API keys.

pub(crate) mod any;
pub(crate) mod current;
pub(crate) mod own;
