//! Generated SQL on real databases, which `chatstore-sql` opens: the engine has no driver.
//!
//! [`changes`] makes each kind of change to tables with rows and undoes it; [`pairs`] draws two schemas with rows at
//! random and migrates from one to the other and back. Both compare the outcome with a database that never had another
//! schema. [`report`] tries all changes and a few dozen pairs; `cargo xtask migrations-report` runs it with more than a
//! thousand. [`rebuilds`] has the cases that need more than a change.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a case that meets the unexpected fails at once"
)]

mod changes;
mod harness;
mod pairs;
mod rebuilds;
mod report;
