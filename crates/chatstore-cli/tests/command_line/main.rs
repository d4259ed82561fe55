//! The real binary, on both databases: what it prints, what it stores and how it fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod backup;
mod bad_input;
mod commands;
mod connecting;
mod database_files;
mod demo;
mod doctor;
mod documents;
mod generated;
mod identity_providers;
mod import;
mod lint;
mod logs_tail;
mod migrate;
mod migrate_refusals;
mod operators;
mod outage;
mod passwords;
mod postgres_backups;
mod private_files;
mod production;
mod program;
mod roles;
mod security_log;
mod seed;
mod service;
mod settings;
mod stopping;
mod token_key;
mod users_and_keys;
