//! The hot statements are answered from the index that exists for them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "a case that meets the unexpected fails at once"
)]

mod data;
mod documents;
mod hot;
mod postgres;
mod sqlite;
