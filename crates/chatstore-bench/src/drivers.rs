//! The bare drivers as references: connections with the store's settings, and the store's own statements.

use std::path::Path;
use std::time::Duration;

use chatstore_sql::Sql;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::error::Error;

/// Opens a connection with the settings of the store, but SQLite's own checkpoints: one on the writing connection
/// whenever a commit finds 1,000 pages in the log.
///
/// # Errors
/// When SQLite cannot open the file.
pub fn connect(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -8_192)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// The store's own statement with this name.
///
/// # Errors
/// When the store has no such statement any more, so that a benchmark does not go on measuring something else.
pub fn statement(name: &str) -> Result<Sql, Error> {
    let found = chatstore_sql::statements().into_iter().find(|sql| sql.name() == name);
    found.ok_or_else(|| format!("the store has no statement {name}; name the one that replaced it").into())
}
