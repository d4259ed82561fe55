//! The checks of a SQLite file.

use chatstore::Store;
use chatstore::sql::Sql;

use super::super::serve::files::reachable;
use super::{Check, Finding};
use crate::error::CliError;

/// Each line names one defect; a few are enough.
const INTEGRITY: Sql =
    Sql::pair("doctor.integrity", "select integrity_check from pragma_integrity_check limit 5", "");

const FOREIGN_KEYS: Sql = Sql::pair(
    "doctor.foreign_keys",
    "select \"table\", \"parent\", count(*) from pragma_foreign_key_check group by 1, 2 \
     order by 1, 2 limit 5",
    "",
);

pub(super) async fn checks(store: &Store) -> Vec<Check> {
    vec![
        Check::new("completeness", Ok(completeness(store))),
        Check::new("integrity", integrity(store).await),
        Check::new("foreign keys", foreign_keys(store).await),
        Check::new("permissions", Ok(permissions(store))),
    ]
}

fn completeness(store: &Store) -> Finding {
    if !store.operations().may_lack_rows() {
        return Finding::ok("no sign of missing rows");
    }
    let found = "the file is a copy of one that was in use, without the -wal beside it: the newest rows may be missing";
    Finding::warning(
        found,
        "use `chatstore backup` on the original; if this file is all there is, the next clean stop of a server \
         accepts it",
    )
}

async fn integrity(store: &Store) -> Result<Finding, CliError> {
    let lines = store
        .read("doctor_integrity", async |tx| tx.query(&INTEGRITY, &[], |row| row.next::<String>()).await)
        .await?;
    if lines == ["ok"] {
        return Ok(Finding::ok("the file is sound"));
    }
    let todo = "stop the server, keep a copy of the file with its -wal and -shm, and restore a backup with \
        `chatstore restore`";
    Ok(Finding::failed(lines.join("; "), todo))
}

async fn foreign_keys(store: &Store) -> Result<Finding, CliError> {
    let violated = store
        .read("doctor_foreign_keys", async |tx| {
            tx.query(&FOREIGN_KEYS, &[], |row| {
                let (table, parent, rows): (String, String, i64) = (row.next()?, row.next()?, row.next()?);
                Ok(format!("rows of {table} that refer to no row of {parent}: {rows}"))
            })
            .await
        })
        .await?;
    if violated.is_empty() {
        return Ok(Finding::ok("every reference is valid"));
    }
    let todo = "another program has written to the file with foreign keys off: restore a backup, \
        or delete these rows";
    Ok(Finding::failed(violated.join("; "), todo))
}

/// The files hold what every user wrote. SQLite gives those beside the database its permissions.
fn permissions(store: &Store) -> Finding {
    let Some(file) = store.file() else { return Finding::ok("in memory") };
    let reachable = reachable(file);
    if reachable.is_empty() {
        return Finding::ok("the file is accessible to its owner only");
    }
    let found: Vec<&str> = reachable.iter().map(|one| one.found.as_str()).collect();
    let todo: Vec<&str> = reachable.iter().map(|one| one.todo.as_str()).collect();
    Finding::warning(found.join("; "), todo.join("; "))
}
