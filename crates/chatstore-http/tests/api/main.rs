//! The HTTP contract over a real socket, each case on both databases.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod acting;
mod adapters;
mod addresses;
mod anonymous;
mod authorization;
mod bodies;
mod conditions;
mod connections;
mod conversations;
mod documents;
mod every_route;
mod failures;
mod given;
mod idempotency;
mod include;
mod keys;
mod large_answers;
mod limits;
mod lists;
mod login;
mod login_limits;
mod me;
mod members;
mod memberships;
mod messages;
mod mounting;
mod newest;
mod operations;
mod ownership;
mod paging;
mod provider;
mod refusals;
mod removals;
mod repetitions;
mod replies;
mod server;
mod sessions;
mod support;
mod thread_messages;
mod threads;
mod usage;
mod users;
mod walks;
