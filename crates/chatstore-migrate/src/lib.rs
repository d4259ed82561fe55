//! A migration engine: revisions in a graph, a history in the database, and the path between the two.
//!
//! The engine knows no table except those of its own history, and links no driver. It is given
//! [`Revision`]s, which it orders as a [`Graph`], and a [`Connection`], through which a
//! [`Migrator`] applies, undoes and records them. What it writes into the history is SQL text, so
//! that the script for another client ([`Migrator::script`]) is the same as what is run here.
//!
//! Guarantees:
//! - A revision and its row in the history are one transaction, so a process that dies leaves
//!   either both or neither, and the next upgrade continues from there.
//! - A revision that cannot run in a transaction is marked in the history first. When the mark is
//!   found later, what was left half done is removed and built again.
//! - One process migrates at a time; the others wait, and find the work done.
//! - A revision whose text differs from the one that was applied, or that is unknown here, stops
//!   everything before anything is changed.
//!
//! The wanted schema is declared as a [`model::Schema`]. A [`Difference`] between two of them
//! becomes SQL for both dialects, in both directions, without a database. The actual schema of a database
//! is a [`Catalog`], in the words of that database: what the revisions create and what is declared are
//! compared in a scratch database ([`Migrator::replay`], [`model::Schema::catalog_in`]).
//!
//! What in a revision endangers existing rows is a [`LintFinding`] of [`lint()`].
//!
//! This engine is complete. Its list of features is closed: it is changed to correct defects, and to keep
//! up with new versions of the two databases. What it does not do, it leaves to the SQL files and data steps
//! of a revision, which can do everything that the database can. A wish for something else belongs in an
//! issue of the program that wants it, with the revision that cannot be written today.
//!
//! The files form layers, and none imports one above it: dialects, the model and errors; SQL text that is
//! read (`syntax`); renames, differences and the SQL made of them (`rename` < `diff` < `render` < `alter` <
//! `rebuild` < `sql`); revisions and their graph; the history; the migrator, single operations and `apply`.
//! A new column of the history needs its definition in `history/record.rs` or `history/log.rs`, for new
//! databases and for existing ones.

/// The examples of the guide, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/migrations.md")]
mod guide {}

mod alter;
mod apply;
mod catalog;
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
mod operation;
mod rebuild;
mod rename;
mod render;
mod revision;
mod scratch;
mod script;
mod sql;
mod status;
mod syntax;

pub use catalog::{Catalog, Deviation};
pub use connection::{Answer, Connection, TextRow};
pub use data_step::{DataStep, DataSteps, StepAnswer, StepConnection};
pub use dialect::Dialect;
pub use diff::{Difference, SchemaChange};
pub use error::{DatabaseError, DatabaseErrorKind, DiffError, MigrationError};
pub use event::MigrationEvent;
pub use folder::{NewRevision, read_folders, slug_of};
pub use generate::SNAPSHOT;
pub use graph::{Graph, Target};
pub use hazard::{Hazard, LintFinding};
pub use history::{HistoryEntry, LogEntry, Progress, TABLES};
pub use lint::{Parent, lint};
pub use migrator::Migrator;
pub use rename::Renames;
pub use revision::{Revision, RevisionFiles};
pub use script::Script;
pub use status::MigrationStatus;
