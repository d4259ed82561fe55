//! The contract of the repositories, each case on both databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "a case that meets the unexpected fails at once"
)]

mod addresses;
mod administration;
mod api_keys;
mod backups;
mod closing;
mod concurrency;
mod conversation_filters;
mod conversation_lists;
mod conversations;
mod copies;
mod damaged_files;
mod deletions;
mod documents;
mod effective_models;
mod erasing;
mod erasing_in_pieces;
mod errors;
mod exchanged_files;
mod fixtures;
mod idempotency_keys;
mod identities;
mod imports;
mod limits;
mod logs;
mod members;
mod message_changes;
mod message_pages;
mod messages;
mod migration_addresses;
mod migration_data;
mod migration_drift;
mod migration_fixtures;
mod migration_graphs;
mod migration_indexes;
mod migration_steps;
mod migrations;
mod opening;
mod page_bytes;
mod passwords;
mod removals;
mod replies;
mod sessions;
mod strangers;
mod transactions;
mod usage;
mod users;
mod values;
mod verbatim_parts;
