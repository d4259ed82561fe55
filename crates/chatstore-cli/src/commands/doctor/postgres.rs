//! The checks of a PostgreSQL server and its standbys.

use chatstore::Store;
use chatstore::sql::{Row, Sql};
use chatstore_sql::ServerEncryption;

use super::super::serve::connection;
use super::super::serve::production::{UNVERIFIED_REMEDY, is_unverified};
use super::{Check, Finding};
use crate::config::{Config, Environment};
use crate::database;
use crate::error::CliError;

const SERVER: Sql = Sql::only_postgres(
    "doctor.server",
    "select current_setting('synchronous_commit'), current_setting('fsync'), \
     current_setting('server_encoding'), pg_is_in_recovery()",
);

const FLUSHED: Sql = Sql::only_postgres("doctor.flushed", "select pg_current_wal_flush_lsn()::text");

const STANDBY: Sql = Sql::only_postgres(
    "doctor.standby",
    "select pg_is_in_recovery(), pg_is_in_recovery() and pg_is_wal_replay_paused(), case when pg_is_in_recovery() \
     then greatest(0, pg_wal_lsn_diff(($1::text)::pg_lsn, pg_last_wal_replay_lsn()))::bigint end",
);

pub(super) async fn checks(config: &Config, store: &Store) -> Vec<Check> {
    let mut checks = vec![Check::new("connection", encryption(config, store))];
    checks.extend(server(store).await.unwrap_or_else(|failure| vec![Check::new("server", Err(failure))]));
    for url in &config.standbys {
        let failed = |failure: CliError| {
            let (found, _) = failure.into_parts();
            Finding::warning(
                found,
                "correct DATABASE_READ_URL, or let this machine reach it: meanwhile lists are read elsewhere",
            )
        };
        checks.push(Check::new("standby", Ok(standby(config, store, url).await.unwrap_or_else(failed))));
    }
    checks
}

/// Where a standby is, compared to the server that takes writes.
async fn standby(config: &Config, store: &Store, url: &str) -> Result<Finding, CliError> {
    let flushed = store
        .read("doctor_flushed", async |tx| tx.query(&FLUSHED, &[], |row| row.next::<String>()).await)
        .await?
        .concat();
    let standby = database::open_standby(config, url).await?;
    let found = standby
        .read("doctor_standby", async move |tx| {
            let read = |row: &Row<'_>| {
                let where_it_is: (bool, bool, Option<i64>) = (row.next()?, row.next()?, row.next()?);
                Ok(where_it_is)
            };
            tx.query(&STANDBY, &[flushed.as_str().into()], read).await
        })
        .await;
    let place = standby.place().to_owned();
    standby.close().await;
    Ok(match found?.first() {
        Some((true, false, Some(behind))) => Finding::ok(format!("{place} replays, {behind} bytes behind")),
        Some((true, true, _)) => Finding::warning(
            format!("{place} has paused its replay"),
            "run `select pg_wal_replay_resume()` there: meanwhile lists are read elsewhere",
        ),
        // The other server of a pair that may exchange its roles.
        _ => Finding::ok(format!("{place} takes writes: lists are read from standbys")),
    })
}

/// Whether others on the way to the server can read or change what is sent.
fn encryption(config: &Config, store: &Store) -> Result<Finding, CliError> {
    let found = connection(config, store).unwrap_or_default();
    let is_unverified = ServerEncryption::of(config.database_url())?.is_some_and(is_unverified);
    Ok(match config.environment {
        _ if !is_unverified => Finding::ok(found),
        Environment::Development => Finding::warning(found, UNVERIFIED_REMEDY),
        Environment::Production => Finding::failed(found, UNVERIFIED_REMEDY),
    })
}

async fn server(store: &Store) -> Result<Vec<Check>, CliError> {
    let found = store
        .read("doctor_server", async |tx| {
            tx.query(&SERVER, &[], |row| {
                let settings: [String; 3] = [row.next()?, row.next()?, row.next()?];
                Ok((settings, row.next::<bool>()?))
            })
            .await
        })
        .await?;
    let checks = found.iter().flat_map(|([synchronous_commit, fsync, encoding], is_standby)| {
        [
            Check::new("durability", Ok(durability(synchronous_commit, fsync))),
            Check::new("encoding", encoded(store, encoding)),
            Check::new("writes", Ok(takes_writes(*is_standby))),
        ]
    });
    Ok(checks.collect())
}

fn durability(synchronous_commit: &str, fsync: &str) -> Finding {
    let found = format!("synchronous_commit = {synchronous_commit}, fsync = {fsync}");
    if fsync != "on" {
        return Finding::failed(found, "set fsync = on: a crash can damage the whole database");
    }
    if synchronous_commit == "off" {
        let todo = "set synchronous_commit = on: a crash loses what was acknowledged just before";
        return Finding::failed(found, todo);
    }
    Finding::ok(found)
}

fn encoded(store: &Store, encoding: &str) -> Result<Finding, CliError> {
    store.check_encoding()?;
    Ok(Finding::ok(encoding))
}

fn takes_writes(is_standby: bool) -> Finding {
    if is_standby {
        return Finding::failed("the server is a standby", "name the primary in DATABASE_URL");
    }
    Finding::ok("accepted")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn a_server_that_loses_or_garbles_data_fails_the_check() {
        assert_eq!(durability("on", "on").status, Status::Ok);
        assert_eq!(durability("off", "on").status, Status::Failed);
        assert_eq!(durability("on", "off").status, Status::Failed);
        assert_eq!(takes_writes(true).status, Status::Failed);
    }
}
