//! Imports conversations from elsewhere into a store. Every import can be run again: what it stored before it
//! finds by ids that follow from the source, and what is missing it adds.
//!
//! ```
//! use chatstore::{Store, Timestamp, UserId};
//! use chatstore_import::jsonl::{Jsonl, OnError};
//! use chatstore_import::{ImportOptions, import};
//!
//! # #[tokio::main(flavor = "multi_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lines = r#"{"id": "trip", "turns": [{"role": "user", "content": "Where is it warm in March?"}]}"#;
//! let store = Store::memory().await?;
//! let (input, size) = (lines.as_bytes(), lines.len() as u64);
//! let source = Jsonl { input, size, owner: UserId::ANONYMOUS, on_error: OnError::Stop };
//! let options = ImportOptions { base_time: Timestamp::from_microseconds(0)?, dry_run: false, restore_deleted: false };
//! let report = import(source, &store, options, |_event| {}).await?;
//! assert_eq!(report.table("messages").added, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # How it is built
//! A [`Source`] reads and plans: it turns each of its rows into a [`plan`], without a look at the store. The
//! engine ([`Import`]) takes the plans and collects them into batches. A batch is one transaction: what is
//! stored is looked up, what is missing is decided, and the decision is applied; a dry run applies nothing and
//! remembers it instead. The report counts every row of the source as added, unchanged or left out, and has
//! an [`Issue`] for whatever did not fit.
//!
//! The engine knows no source, a source knows nothing of what is stored, and neither knows SQL of the store: they
//! use its repositories.
//!
//! # To add a source
//! 1. Write a file or a folder in `src/source/` and name it in `src/source/mod.rs`. The engine is not
//!    touched.
//! 2. Implement [`Source`]: name the tables, then hand over users, and conversations each followed by its
//!    messages, with [`Import::user`], [`Import::conversation`] and [`Import::message`]. End with
//!    [`Import::finish`].
//! 3. Name every row by what identifies it in the source ([`plan::derived_uuid`], with a name space of its
//!    own), and keep its key in `metadata.source.id`. Give rows without a time one from a [`plan::RowClock`].
//! 4. Report what does not fit ([`ReportBuilder::issue`]); a row that is left out has one issue that says so.
//! 5. A source that is a table of rows reads them with `source/row`, which keeps what has no field of its own
//!    in `metadata.source`. A source that stores a conversation whole or not at all has a batch of its own,
//!    as `source/jsonl.rs` has.
//! 6. Give it a command in `chatstore-cli/src/commands/import/`, and tests that import it twice, cut off
//!    anywhere, and as a dry run, and compare the digests.

mod engine;
pub mod plan;
mod report;
mod source;

pub use engine::{Import, ImportOptions};
pub use report::{GeneratedPassword, ImportEvent, ImportReport, Issue, ReportBuilder, TableReport};
pub use source::{Source, import, import_keeping_passwords, jsonl, sqlalchemy, tinydb};
