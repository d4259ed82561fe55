//! A PostgreSQL database, read over one connection.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::Fuse;
use futures_util::{StreamExt, TryStreamExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row, RowStream, Socket};

use super::selection::quoted_path;
use super::{ExternalColumn, ExternalError, ExternalRow, ExternalValue, PIECE_BYTES, PIECE_ROWS, size};
use crate::db::postgres::with_source;
use crate::db::tls::TlsMode;
use crate::error::Cause;
use crate::url::{PostgresTarget, postgres_place};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One snapshot for everything; nothing may be written; a long import is not cut off.
const BEGIN: &str = "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set timezone = 'UTC'; \
    set datestyle = 'ISO'; set intervalstyle = 'iso_8601'; begin isolation level repeatable read read only";

/// A connection inside its transaction.
pub(super) struct PostgresReader(Client);

impl fmt::Debug for PostgresReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PostgresReader")
    }
}

/// Rows as the server sends them.
pub(super) struct PostgresRows {
    rows: Pin<Box<Fuse<RowStream>>>,
    declared: Vec<String>,
}

impl fmt::Debug for PostgresRows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PostgresRows")
    }
}

impl PostgresReader {
    pub(super) async fn open(rest: &str) -> Result<(Self, String), ExternalError> {
        let PostgresTarget { mut config, tls, place, .. } = postgres_place(rest)?;
        config.application_name("chatstore import").connect_timeout(CONNECT_TIMEOUT);
        let client = if tls.mode == TlsMode::Disable {
            connect(&config, NoTls).await
        } else {
            let connector = tls
                .connector()
                .map_err(|reason| ExternalError::Unreadable { place: place.clone(), reason })?;
            connect(&config, connector).await
        };
        let client = client.map_err(|error| connect_error(&place, error))?;
        client.batch_execute(BEGIN).await.map_err(|error| connect_error(&place, error))?;
        Ok((Self(client), place))
    }

    pub(super) async fn table_names(&self) -> Result<Vec<String>, String> {
        let text = "select relname::text from pg_catalog.pg_class where relkind in ('r', 'p', 'v', 'm', 'f') \
                    and pg_catalog.pg_table_is_visible(oid) \
                    and relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) \
                    order by 1";
        let rows = self.0.query(text, &[]).await.map_err(chain)?;
        rows.iter().map(|row| row.try_get(0).map_err(chain)).collect()
    }

    /// The columns of a table; none when there is no such table.
    pub(super) async fn columns(&self, table: &str) -> Result<Vec<ExternalColumn>, String> {
        let text = "select attname::text, typname::text from pg_catalog.pg_attribute \
                    join pg_catalog.pg_type on pg_type.oid = atttypid \
                    where attrelid = to_regclass($1) and attnum > 0 and not attisdropped order by attnum";
        let rows = self.0.query(text, &[&quoted_path(table)]).await.map_err(chain)?;
        let column = |row: &Row| Ok(ExternalColumn { name: row.try_get(0)?, declared: row.try_get(1)? });
        rows.iter().map(column).collect::<Result<_, _>>().map_err(chain)
    }

    /// The number that a statement gives.
    pub(super) async fn number(&self, text: String) -> Result<i64, String> {
        let row = self.0.query_one(&text, &[]).await.map_err(chain)?;
        row.try_get(0).map_err(chain)
    }

    pub(super) async fn rows(&self, text: &str, declared: Vec<String>) -> Result<PostgresRows, String> {
        let parameters: [&str; 0] = [];
        let rows = self.0.query_raw(text, parameters).await.map_err(chain)?;
        Ok(PostgresRows { rows: Box::pin(rows.fuse()), declared })
    }
}

impl PostgresRows {
    pub(super) async fn next(&mut self) -> Result<Option<Vec<ExternalRow>>, String> {
        let mut piece = Vec::new();
        let mut bytes = 0;
        while piece.len() < PIECE_ROWS && bytes <= PIECE_BYTES {
            let Some(row) = self.rows.try_next().await.map_err(chain)? else { break };
            let values = self.values(&row).map_err(chain)?;
            bytes += values.iter().map(size).sum::<usize>();
            piece.push(values);
        }
        Ok((!piece.is_empty()).then_some(piece))
    }

    fn values(&self, row: &Row) -> Result<ExternalRow, tokio_postgres::Error> {
        let values = self.declared.iter().enumerate().map(|(index, declared)| {
            let raw: Option<Raw<'_>> = row.try_get(index)?;
            Ok(raw.map_or(ExternalValue::Null, |raw| value(declared, raw)))
        });
        values.collect()
    }
}

/// A value as it came.
struct Raw<'r>(&'r [u8]);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(_ty: &Type, bytes: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(bytes))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::TEXT | Type::BYTEA)
    }
}

/// Everything but bytes comes as its text.
fn value(declared: &str, Raw(bytes): Raw<'_>) -> ExternalValue {
    if declared == "bytea" {
        return ExternalValue::Bytes(bytes.to_vec());
    }
    // A database without an encoding holds any bytes.
    let Ok(text) = std::str::from_utf8(bytes) else { return ExternalValue::Bytes(bytes.to_vec()) };
    let typed = match declared {
        "bool" => text.parse().ok().map(ExternalValue::Bool),
        "int2" | "int4" | "int8" => text.parse().ok().map(ExternalValue::Int),
        "float4" | "float8" => text.parse().ok().map(ExternalValue::Real),
        _ => None,
    };
    typed.unwrap_or_else(|| ExternalValue::Text(text.to_owned()))
}

async fn connect<T>(config: &Config, tls: T) -> Result<Client, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket> + Send,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(async move {
        // What goes wrong with the connection is reported to the caller who waits for an answer.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to the other application's database ended");
        }
    });
    Ok(client)
}

fn connect_error(place: &str, error: tokio_postgres::Error) -> ExternalError {
    let place = place.to_owned();
    let code = error.code().cloned();
    let cause = Cause::new(chain(error));
    match code.as_ref().map(SqlState::code) {
        Some("28P01" | "28000" | "42501") => ExternalError::Denied { place, cause },
        Some("3D000") => ExternalError::Absent { place },
        _ => ExternalError::Unreachable { place, cause },
    }
}

/// What the driver says, with the reason that it keeps as source.
fn chain(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| with_source(&error), |server| server.message().to_owned())
}
