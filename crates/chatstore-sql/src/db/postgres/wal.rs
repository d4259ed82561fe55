//! Where servers are in the write-ahead log.

use std::sync::atomic::AtomicU64;

use deadpool_postgres::Client;
use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::types::{PgLsn, ToSql, Type};
use tokio_postgres::{Error, Row, Statement};

use crate::standby_reads::WalPosition;

/// Where it is said where a change is in the log, if that is wanted.
pub(crate) type Noted<'n> = Option<&'n AtomicU64>;

const INSERTED: &str = "select pg_current_wal_insert_lsn()";
const WRITTEN: &str = "select pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn()";

/// A server that takes writes has no such position.
const REPLAYED: &str = "select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() end";

/// Bytes of a page of the log, the header of one, and that of the first of a file, whose size is a multiple of 1 MiB.
const PAGE: u64 = 8 * 1024;
const HEADER: u64 = 24;
const FIRST_HEADER: u64 = 40;
const FILES: u64 = 1024 * 1024;

/// Up to where a server has written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    /// Everything that was committed is before it.
    pub(crate) inserted: WalPosition,
    /// Everything before it is on disk, and on its way to standbys.
    pub(crate) flushed: WalPosition,
}

/// Where the next record begins: what was committed is before it.
pub(super) async fn inserted(client: &Client, keeps_statements: bool) -> Result<WalPosition, Error> {
    let prepared = prepared(client, INSERTED, keeps_statements).await;
    let row = only(client, INSERTED, prepared.as_ref()).await?;
    Ok(end_of_records(row.try_get::<_, PgLsn>(0)?))
}

pub(super) async fn written(client: &Client) -> Result<Written, Error> {
    let row = only(client, WRITTEN, None).await?;
    let flushed: PgLsn = row.try_get(1)?;
    Ok(Written { inserted: end_of_records(row.try_get(0)?), flushed: WalPosition::new(flushed.into()) })
}

/// What [`replayed`] sends, where sessions keep statements: parsed once on a connection. To be awaited before, so that
/// nothing else is sent first.
pub(super) async fn prepare_replayed(client: &Client, keeps_statements: bool) -> Option<Statement> {
    prepared(client, REPLAYED, keeps_statements).await
}

/// Up to where a standby has replayed; `None` when the server is none.
pub(super) async fn replayed(
    client: &Client,
    prepared: Option<&Statement>,
) -> Result<Option<WalPosition>, Error> {
    let row = only(client, REPLAYED, prepared).await?;
    let replayed: Option<PgLsn> = row.try_get(0)?;
    Ok(replayed.map(|replayed| WalPosition::new(replayed.into())))
}

/// The position of a write of which only this answer is known.
pub(super) fn known(answer: Option<Result<WalPosition, Error>>) -> WalPosition {
    match answer {
        Some(Ok(position)) => position,
        // It took place, wherever that is.
        _ => WalPosition::UNKNOWN,
    }
}

/// Nothing is written yet behind the header of a page, so that standbys only reach its beginning.
fn end_of_records(inserted: PgLsn) -> WalPosition {
    let inserted = u64::from(inserted);
    let is_behind_header = inserted % PAGE == HEADER || inserted % FILES == FIRST_HEADER;
    WalPosition::new(if is_behind_header { inserted - inserted % PAGE } else { inserted })
}

/// `None` also when it cannot be prepared: asking without says why.
async fn prepared(client: &Client, sql: &str, keeps_statements: bool) -> Option<Statement> {
    if keeps_statements { client.prepare_cached(sql).await.ok() } else { None }
}

/// The one row of a query, which is one message and one answer.
async fn only(client: &Client, sql: &str, prepared: Option<&Statement>) -> Result<Row, Error> {
    let rows = match prepared {
        Some(statement) => {
            let no_values: [&(dyn ToSql + Sync); 0] = [];
            client.query_raw(statement, no_values).await?
        }
        None => {
            let no_values: [(&(dyn ToSql + Sync), Type); 0] = [];
            client.query_typed_raw(sql, no_values).await?
        }
    };
    pin_mut!(rows);
    let mut first = None;
    while let Some(row) = rows.try_next().await? {
        first = Some(row);
    }
    #[allow(clippy::expect_used, reason = "a query without a table has one row")]
    Ok(first.expect("one row"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_behind_the_header_of_a_page_is_its_beginning() {
        for (inserted, end) in [
            (0x16B_3748, 0x16B_3748),
            (0x16B_4018, 0x16B_4000),
            (0x200_0028, 0x200_0000),
            (0x16B_4028, 0x16B_4028),
            (0x16B_4000, 0x16B_4000),
        ] {
            assert_eq!(end_of_records(PgLsn::from(inserted)), WalPosition::new(end), "{inserted:x}");
        }
    }
}
