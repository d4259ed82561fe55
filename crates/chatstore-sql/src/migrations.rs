//! The revisions of our schema and the record of which are applied.
//!
//! A revision is a folder under `migrations/`, embedded in the binary. All pending revisions are
//! applied in one transaction, so that a failed upgrade leaves nothing behind. Processes that
//! upgrade at the same time wait for each other: on SQLite for the only writer, on PostgreSQL for
//! a lock that is asked for again and again (a waiting lock could deadlock with an index being
//! built).

use std::time::Duration;

use chatstore_model::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::database::{Database, DatabaseKind};
use crate::db::Sql;
use crate::error::StoreError;
use crate::tx::{ReadTx, WriteTx};

const CREATE_HISTORY: Sql = Sql::pair(
    "migrations.create_history",
    "create table if not exists chatstore_migrations (revision text not null, slug text not null, \
     sha256 text not null, applied_at integer not null, \
     constraint pk_chatstore_migrations primary key (revision)) strict, without rowid",
    "create table if not exists chatstore_migrations (revision text collate \"C\" not null, \
     slug text collate \"C\" not null, sha256 text collate \"C\" not null, applied_at timestamptz not null, \
     constraint pk_chatstore_migrations primary key (revision))",
);

const HISTORY_EXISTS: Sql = Sql::pair(
    "migrations.history_exists",
    "select count(*) from sqlite_schema where type = 'table' and name = 'chatstore_migrations'",
    "select count(*) from pg_catalog.pg_class where oid = to_regclass('chatstore_migrations')",
);

const HISTORY: Sql = Sql::same(
    "migrations.history",
    "select revision, sha256, applied_at from chatstore_migrations order by applied_at, revision",
);

const RECORD: Sql = Sql::same(
    "migrations.record",
    "insert into chatstore_migrations (revision, slug, sha256, applied_at) values ($1, $2, $3, $4)",
);

const FORGET: Sql = Sql::same("migrations.forget", "delete from chatstore_migrations where revision = $1");

/// "chatstor" as a number; held until the transaction ends.
const TRY_LOCK: Sql =
    Sql::only_postgres("migrations.try_lock", "select pg_try_advisory_xact_lock(7163375912570417010)");

pub(crate) const STATEMENTS: &[Sql] = &[CREATE_HISTORY, HISTORY_EXISTS, HISTORY, RECORD, FORGET, TRY_LOCK];

/// How often, and how many times, the lock is asked for: two minutes in all.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
const LOCK_ATTEMPTS: u32 = 2_400;

/// A step in the history of the schema.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Twelve hexadecimal digits.
    pub id: String,
    /// A few words, joined by underscores.
    pub slug: String,
    /// The revisions it builds on.
    pub revises: Vec<String>,
    up: [&'static str; 2],
    down: [&'static str; 2],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevisionFile {
    id: String,
    slug: String,
    #[serde(rename = "message")]
    _message: String,
    revises: Vec<String>,
}

/// A way through the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Apply everything that is pending.
    Upgrade,
    /// Undo everything.
    Base,
    /// Undo the newest revision.
    OneDown,
}

/// What a migration found or did.
#[derive(Debug, Clone)]
pub struct Status {
    /// Applied revisions, oldest first, with the time of each.
    pub applied: Vec<(Revision, Timestamp)>,
    /// Revisions that are not applied yet, in order.
    pub pending: Vec<Revision>,
    /// What was applied or undone just now.
    pub changed: Vec<Revision>,
}

/// A migration that could not be done; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database was migrated by a newer program.
    #[error(
        "the database has the revision {0}, which this version does not know; use the version that made it"
    )]
    UnknownRevision(String),
    /// An applied revision is not the one in this program.
    #[error(
        "the revision {0} was applied with another text than this version has; use the version that made it"
    )]
    Edited(String),
    /// Another process is migrating and does not finish.
    #[error("another process is migrating this database and did not finish in two minutes; try again later")]
    Busy,
    /// The revisions in this program are not well-formed: a defect of the build.
    #[error("the revision files of this build are damaged: {0}")]
    Damaged(String),
    /// The database failed.
    #[error("migrating failed: {0}")]
    Store(#[from] StoreError),
}

/// Every revision this program knows, in the order in which they apply.
///
/// # Errors
/// [`MigrationError::Damaged`] when an embedded file is not well-formed.
pub fn revisions() -> Result<Vec<Revision>, MigrationError> {
    macro_rules! embedded {
        ($folder:literal) => {
            (
                include_str!(concat!("../migrations/", $folder, "/revision.toml")),
                [
                    include_str!(concat!("../migrations/", $folder, "/up.sqlite.sql")),
                    include_str!(concat!("../migrations/", $folder, "/up.pg.sql")),
                ],
                [
                    include_str!(concat!("../migrations/", $folder, "/down.sqlite.sql")),
                    include_str!(concat!("../migrations/", $folder, "/down.pg.sql")),
                ],
            )
        };
    }
    let files = [embedded!("f3a91c07d2b4_first_schema")];
    files
        .into_iter()
        .map(|(text, up, down)| {
            let file: RevisionFile =
                toml::from_str(text).map_err(|error| MigrationError::Damaged(error.to_string()))?;
            Ok(Revision { id: file.id, slug: file.slug, revises: file.revises, up, down })
        })
        .collect()
}

impl Revision {
    fn up(&self, kind: DatabaseKind) -> &'static str {
        self.up[kind as usize]
    }

    fn down(&self, kind: DatabaseKind) -> &'static str {
        self.down[kind as usize]
    }

    fn sha256(&self, kind: DatabaseKind) -> String {
        Sha256::digest(self.up(kind)).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Database {
    /// Which revisions are applied and which are pending; changes nothing.
    ///
    /// # Errors
    /// [`MigrationError::UnknownRevision`], [`MigrationError::Edited`], or what the database
    /// reports.
    pub async fn migration_status(&self) -> Result<Status, MigrationError> {
        let rows = self.read("migration_status", async |tx: &mut ReadTx<'_>| history(tx).await).await?;
        compare(rows, self.kind())
    }

    /// Migrates, in one transaction.
    ///
    /// # Errors
    /// [`MigrationError`]; nothing was changed then.
    pub async fn migrate(&self, direction: Direction) -> Result<Status, MigrationError> {
        let before = self.migration_status().await?;
        if direction == Direction::Upgrade && before.pending.is_empty() {
            return Ok(before);
        }
        let kind = self.kind();
        for _ in 0..LOCK_ATTEMPTS {
            let step = self.write("migrate", async move |tx| migrate_once(tx, kind, direction).await);
            match step.await? {
                Step::Done(changed) => {
                    let after = self.migration_status().await?;
                    return Ok(Status { changed, ..after });
                }
                Step::Refused(error) => return Err(error),
                Step::Locked => tokio::time::sleep(LOCK_PAUSE).await,
            }
        }
        Err(MigrationError::Busy)
    }
}

enum Step {
    Done(Vec<Revision>),
    Refused(MigrationError),
    Locked,
}

type Applied = (String, String, Timestamp);

async fn migrate_once(
    tx: &mut WriteTx<'_>,
    kind: DatabaseKind,
    direction: Direction,
) -> Result<Step, StoreError> {
    if kind == DatabaseKind::Postgres && !tx.executor.query_one(&TRY_LOCK, &[], |row| row.get(0)).await? {
        return Ok(Step::Locked);
    }
    if kind == DatabaseKind::Postgres {
        tx.executor.batch("set local statement_timeout = 0").await?;
    }
    tx.executor.execute(&CREATE_HISTORY, &[]).await?;
    let rows = tx.executor.query(&HISTORY, &[], read_applied).await?;
    let status = match compare(rows, kind) {
        Ok(status) => status,
        Err(error) => return Ok(Step::Refused(error)),
    };
    let applied = status.applied.into_iter().map(|(revision, _)| revision).rev();
    match direction {
        Direction::Upgrade => apply(tx, kind, status.pending).await,
        Direction::Base => undo(tx, kind, applied.collect()).await,
        Direction::OneDown => undo(tx, kind, applied.take(1).collect()).await,
    }
}

async fn apply(tx: &mut WriteTx<'_>, kind: DatabaseKind, pending: Vec<Revision>) -> Result<Step, StoreError> {
    for revision in &pending {
        tx.executor.batch(revision.up(kind)).await.map_err(|error| within(revision, error))?;
        let sha256 = revision.sha256(kind);
        let values = [(&revision.id).into(), (&revision.slug).into(), (&sha256).into(), tx.now().into()];
        tx.executor.execute(&RECORD, &values).await?;
    }
    Ok(Step::Done(pending))
}

async fn undo(
    tx: &mut WriteTx<'_>,
    kind: DatabaseKind,
    newest_first: Vec<Revision>,
) -> Result<Step, StoreError> {
    for revision in &newest_first {
        tx.executor.batch(revision.down(kind)).await.map_err(|error| within(revision, error))?;
        tx.executor.execute(&FORGET, &[(&revision.id).into()]).await?;
    }
    Ok(Step::Done(newest_first))
}

/// Names the revision in what the database says about it.
fn within(revision: &Revision, error: StoreError) -> StoreError {
    match error {
        StoreError::Backend(cause) => {
            StoreError::backend(format!("revision {} ({}): {cause}", revision.id, revision.slug))
        }
        known => known,
    }
}

async fn history(tx: &mut ReadTx<'_>) -> Result<Vec<Applied>, StoreError> {
    let exists: i64 = tx.executor.query_one(&HISTORY_EXISTS, &[], |row| row.get(0)).await?;
    if exists == 0 {
        return Ok(Vec::new());
    }
    tx.executor.query(&HISTORY, &[], read_applied).await
}

fn read_applied(row: &crate::db::Row<'_>) -> Result<Applied, StoreError> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// Holds what is applied against what this program knows.
fn compare(rows: Vec<Applied>, kind: DatabaseKind) -> Result<Status, MigrationError> {
    let known = revisions()?;
    let mut applied = Vec::with_capacity(rows.len());
    for (id, sha256, at) in rows {
        let Some(revision) = known.iter().find(|revision| revision.id == id) else {
            return Err(MigrationError::UnknownRevision(id));
        };
        if revision.sha256(kind) != sha256 {
            return Err(MigrationError::Edited(id));
        }
        applied.push((revision.clone(), at));
    }
    let pending = known
        .into_iter()
        .filter(|revision| !applied.iter().any(|(done, _)| done.id == revision.id))
        .collect();
    Ok(Status { applied, pending, changed: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::revisions;

    #[test]
    fn the_folder_of_a_revision_is_named_after_it() {
        let folders: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let known: Vec<String> = revisions()
            .unwrap()
            .iter()
            .map(|revision| format!("{}_{}", revision.id, revision.slug))
            .collect();
        assert_eq!(folders, known);
    }
}
