//! chatstore's storage: drivers, repositories, schema and migrations. The only crate with SQL.
//!
//! A [`Database`] is opened from a URL and used through [`Database::read`] and
//! [`Database::write`], which lend a transaction; the transaction lends one repository per
//! entity:
//!
//! ```no_run
//! # use chatstore_sql::{Database, DatabaseOptions, StoreError};
//! # use chatstore_model::{NewConversation, UserId};
//! # async fn example(database: Database, owner: UserId) -> Result<(), StoreError> {
//! let trip = NewConversation::titled("Trip");
//! database.write("create", async move |tx| tx.conversations().create(owner, &trip).await).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Rules that hold for every repository:
//! - The owner is part of every call on owned data; there is no look-up by id alone.
//! - A look-up returns `Option`; an operation on something that must exist fails with
//!   [`StoreError::NotFound`], which says the same about what is absent and what is another's.
//! - An intent of several steps is one method, so that no caller holds a transaction together.
//! - Requests are checked against the limits before any SQL runs.
//!
//! This crate knows no service and no HTTP. To add an entity: its table in `schema/`, its repository
//! with its accessor in `repo/` and a revision under `migrations/`; a statement whose text differs
//! between the databases goes into `docs/sql-dialect.md`.

/// Does the same with whichever of the two systems a value is of.
macro_rules! on_either {
    ($of:ident: $value:expr, $one:ident => $work:expr) => {
        match $value {
            #[cfg(feature = "sqlite")]
            $of::Sqlite($one) => $work,
            #[cfg(feature = "postgres")]
            $of::Postgres($one) => $work,
        }
    };
}

mod analyze;
#[cfg(all(feature = "sqlite", unix))]
mod backup;
mod context;
mod database;
mod db;
mod error;
mod external;
mod file_lock;
mod marked;
mod measures;
mod migrations;
mod options;
mod piece_rows;
#[cfg(feature = "postgres")]
mod positions;
mod repo;
pub mod schema;
mod server_failure;
mod standby_reads;
mod sweep;
mod tx;
mod url;
mod user_access;

#[cfg(all(feature = "sqlite", unix))]
pub use backup::{Backup, BackupError, BackupProgress, restore_backup, verify_backup};
pub use chatstore_migrate as migrate;
pub use chatstore_migrate::{MigrationError, Revision};
pub use database::{Database, WeakDatabase};
#[cfg(feature = "postgres")]
pub use db::TlsMode;
#[cfg(feature = "postgres")]
pub use db::postgres::Notifications;
pub use db::{Bytes, FromColumn, Row, Sql, Value};
pub use error::{Cause, ConnectError, StoreError, UnsupportedEncoding};
pub use external::{
    ExternalColumn, ExternalDatabase, ExternalError, ExternalRow, ExternalRows, ExternalTable, ExternalValue,
    Joined, Selection,
};
pub use file_lock::FileLock;
pub use marked::{Deletion, Marked};
pub use measures::{
    ConnectionMeasures, DatabaseMeasures, Distribution, Histogram, SqliteMeasures, StatementMeasures,
};
pub use migrations::{
    DATA_STEPS, Direction, MigrationSummary, Migrations, new_revision_id, revisions, snapshot,
};
pub use options::{DatabaseKind, DatabaseOptions};
pub use piece_rows::PieceRows;

pub use repo::{
    ApiKeys, Completion, ConversationList, Conversations, CopiedMessages, Copies, CopyPlan, CopyProgress,
    Counts, DeletedThreads, Deletions, DocumentList, Documents, Family, FoundApiKey, FoundDocuments,
    IdempotencyKeys, Identities, ImportedResponse, ImportedRows, Imports, LogActor, LogList, LogOwner, Logs,
    MarkedCounts, Members, Messages, NewSecret, Owners, Passwords, PathBounds, PathStart, Piece,
    PiecePosition, PresentMessage, Presented, RefreshTokens, Relative, RemovedPiece, Responses, Rotation,
    Sessions, Statistics, TableDigest, Usage, Users, Via,
};
pub use server_failure::ServerFailure;
pub use standby_reads::{InvalidWalPosition, StandbyReads, WalPosition};
pub use sweep::{Sweep, Swept};
pub use tx::{ReadOnly, ReadTx, ReadWrite, Tx, WriteTx};
pub use url::DatabasePlace;
#[cfg(feature = "postgres")]
pub use url::ServerEncryption;
pub use user_access::{UserRead, UserWrite};

/// Every statement, for the tests that hold them to rules.
#[must_use]
pub fn statements() -> Vec<Sql> {
    repo::statements()
}
