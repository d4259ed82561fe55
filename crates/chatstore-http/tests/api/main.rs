//! The HTTP contract over a real socket, each case on both databases.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod acting;
mod adapters;
mod addresses;
mod ai_cache;
mod anonymous;
mod authorization;
mod bodies;
mod branches;
mod browsers;
mod conditions;
mod confirmation;
mod connections;
mod conversation_filters;
mod conversations;
mod documents;
#[path = "../../examples/embed.rs"]
#[allow(dead_code, reason = "an example has a main function")]
mod embed;
mod embedding;
mod every_route;
mod failures;
mod given;
mod heads;
mod idempotency;
mod include;
mod key_rights;
mod keys;
mod large_answers;
mod limits;
mod lists;
mod login;
mod login_limits;
mod logs;
mod me;
mod members;
mod memberships;
mod messages;
mod metrics;
mod monitoring;
mod mounting;
mod names;
mod newest;
mod operations;
mod ownership;
mod paging;
mod provider;
mod provisioning;
mod refusals;
mod removals;
mod repetitions;
mod replies;
mod server;
mod sessions;
mod shared_cache;
mod support;
mod thread_messages;
mod threads;
mod usage;
mod users;
mod verbatim;
mod walks;
mod with_messages;
