//! The HTTP contract over a real socket, each case on both databases.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bodies;
mod conversations;
mod failures;
mod lists;
mod memberships;
mod messages;
mod mounting;
mod refusals;
mod replies;
mod server;
mod support;
mod walks;
