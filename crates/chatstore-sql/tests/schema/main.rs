//! Both databases hold the declared schema, alike, and the statements keep to its rules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "a case that meets the unexpected fails at once"
)]

mod catalog;
mod declared;
mod dialect;
mod keywords;
mod live_conditions;
mod owner_conditions;
mod parity;
mod postgres;
mod reading;
mod sqlite;
