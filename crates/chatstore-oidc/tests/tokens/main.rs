//! Tokens of a provider on a real socket: which are accepted, and when the provider is asked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fetching;
mod forged;
mod support;
mod valid;
