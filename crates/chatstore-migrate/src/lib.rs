//! Migrations of a schema: revisions in a graph, a history in the database, and the way between the two.
//!
//! The engine knows no table but those of its own history and links no driver. It is given
//! [`Revision`]s, which it orders as a [`Graph`], and a [`Connection`], through which a
//! [`Migrator`] applies, undoes and records them. What it writes into the history is SQL text, so
//! that the script for another client ([`Migrator::script`]) is what is run here.
//!
//! What holds whatever happens:
//! - A revision and its row in the history are one transaction, so a process that dies leaves
//!   either both or neither, and the next upgrade goes on from there.
//! - A revision that cannot run in a transaction is marked in the history before. When the mark is
//!   found later, what was left half done is removed and built again.
//! - One process migrates at a time; the others wait, and find the work done.
//! - A revision whose text is not the one that was applied, or that nobody here knows, stops
//!   everything before anything is changed.
//!
//! What the schema should be is declared as a [`model::Schema`]. A [`Difference`] between two of them
//! becomes SQL for both dialects, both ways, without a database. What databases have is a
//! [`Catalog`], in their own words: what the revisions make and what is declared are compared in a
//! scratch database ([`Migrator::replay`], [`model::Schema::realise`]).
//!
//! What in a revision endangers the rows that are there is a [`Finding`] of [`lint()`].
//!
//! To add something to what is remembered of a revision: its column in `history.rs`, for new
//! histories and for those that are there already.

/// The examples of the guide, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrations.md")]
mod guide {}

mod alter;
mod apply;
mod catalog;
mod change;
mod connection;
mod data_step;
mod dialect;
mod diff;
mod error;
mod event;
mod folder;
mod generate;
mod graph;
mod hazard;
mod history;
mod introspect;
mod lint;
mod lock;
mod migrator;
pub mod model;
mod rebuild;
mod rename;
mod render;
mod revision;
mod script;
mod shadow;
mod sql;
mod status;
mod syntax;

pub use catalog::{Catalog, Deviation};
pub use connection::{Answer, Connection, TextRow};
pub use data_step::{DataStep, DataSteps, StepAnswer, StepConnection};
pub use dialect::Dialect;
pub use diff::{Difference, SchemaChange};
pub use error::{DatabaseError, DatabaseErrorKind, DiffError, MigrationError};
pub use event::Event;
pub use folder::{NewRevision, read_folders, slug_of};
pub use generate::SNAPSHOT;
pub use graph::{Graph, Target};
pub use hazard::{Finding, Hazard};
pub use history::{Applied, LogEntry, Progress, TABLES};
pub use lint::{Parent, lint};
pub use migrator::Migrator;
pub use rename::Renames;
pub use revision::{Revision, RevisionFiles};
pub use script::Script;
pub use status::Survey;
