//! Connections to PostgreSQL: silent, refused, abandoned, behind a pooler; and the statements prepared on them.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test that cannot go on fails")]

mod abandoned;
mod encoding;
mod few;
mod fixtures;
mod pooler;
mod prepared;
mod read_only;
mod silent;
