//! Values of the history as SQL text, and the columns of its tables.

use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::error::DatabaseError;

/// When something was done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// Microseconds since 1970.
    Known(i64),
    /// The time at which the database runs a script.
    OfTheDatabase,
}

/// The columns of one of the engine's own tables; empty when it does not exist.
pub(crate) async fn columns(
    connection: &mut dyn Connection,
    table: &str,
) -> Result<Vec<String>, DatabaseError> {
    let sql = match connection.dialect() {
        Dialect::Sqlite => format!("select name from pragma_table_info('{table}')"),
        Dialect::Postgres => format!(
            "select attname from pg_catalog.pg_attribute \
             where attrelid = to_regclass('{table}') and attnum > 0 and not attisdropped"
        ),
    };
    let rows = connection.query(&sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next()?).collect())
}

/// A column with a time as microseconds since 1970.
pub(crate) fn microseconds(dialect: Dialect, column: &str) -> String {
    match dialect {
        Dialect::Sqlite => column.to_owned(),
        Dialect::Postgres => format!("cast(extract(epoch from {column}) * 1000000 as bigint)"),
    }
}

pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

pub(crate) fn number(number: Option<i64>) -> String {
    // PostgreSQL takes an untyped null among selected columns for text.
    number.map_or_else(|| "cast(null as bigint)".to_owned(), |number| number.to_string())
}

pub(crate) fn moment(dialect: Dialect, moment: Moment) -> String {
    match (dialect, moment) {
        (Dialect::Sqlite, Moment::Known(microseconds)) => microseconds.to_string(),
        (Dialect::Postgres, Moment::Known(microseconds)) => {
            format!("timestamptz 'epoch' + interval '{microseconds} microseconds'")
        }
        (Dialect::Sqlite, Moment::OfTheDatabase) => {
            "cast((julianday('now') - 2440587.5) * 86400000000 as integer)".to_owned()
        }
        (Dialect::Postgres, Moment::OfTheDatabase) => "current_timestamp".to_owned(),
    }
}
