//! What the crate promises to those who embed it, on both databases.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod auth;
mod copies;
mod deletions;
mod documents;
mod erasing;
mod export;
mod fixtures;
mod keys;
mod logs;
mod memory;
mod others;
mod passwords;
mod races;
mod replaced_trees;
mod rights;
mod shared_cache;
mod statements;
mod transactions;
