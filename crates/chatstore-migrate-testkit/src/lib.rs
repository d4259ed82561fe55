//! What the migration engine is tried with on real databases.
//!
//! [`changes`] makes each kind of change to tables with rows and undoes it; [`pairs`] draws two schemas with rows at
//! random and migrates from one to the other and back. Both take the SQL that the engine generates, and compare the
//! outcome with a database that never had another schema. The engine has no driver, so the databases are opened by
//! `chatstore-sql`.
//!
//! The conformance tests of `chatstore-sql` try a few dozen pairs, `cargo xtask migrations-report` more than a
//! thousand. Nothing here may end up in a program that users run.

pub mod changes;
mod harness;
pub mod pairs;
