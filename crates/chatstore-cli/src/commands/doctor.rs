//! `doctor`: checks settings and database, and says what to do about problems. Changes nothing.

use std::process::ExitCode;

use chatstore::sql::Sql;
use chatstore::{DatabaseKind, Store};
use clap::Args;
use serde::Serialize;

use super::serve::{SEEDED_TODO, seeded_names};
use super::{print, print_json};
use crate::config::{Config, Environment};
use crate::database;
use crate::error::{CliError, code};
use crate::token_key;

const VERSION: Sql =
    Sql::pair("doctor.version", "select sqlite_version()", "select current_setting('server_version')");

/// Each line names one defect; a few are enough.
const INTEGRITY: Sql =
    Sql::pair("doctor.integrity", "select integrity_check from pragma_integrity_check limit 5", "");

const FOREIGN_KEYS: Sql = Sql::pair(
    "doctor.foreign_keys",
    "select \"table\", \"parent\", count(*) from pragma_foreign_key_check group by 1, 2 \
     order by 1, 2 limit 5",
    "",
);

const SERVER: Sql = Sql::only_postgres(
    "doctor.server",
    "select current_setting('synchronous_commit'), current_setting('fsync'), \
     current_setting('server_encoding'), pg_is_in_recovery()",
);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warning,
    Failed,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// The outcome of one check.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    status: Status,
    found: String,
    todo: Option<String>,
}

impl Check {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, status: Status::Ok, found: found.into(), todo: None }
    }

    fn warning(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, status: Status::Warning, found: found.into(), todo: Some(todo.into()) }
    }

    fn failed(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, status: Status::Failed, found: found.into(), todo: Some(todo.into()) }
    }

    fn failure(check: &'static str, failure: CliError) -> Self {
        let (found, todo) = failure.into_parts();
        Self { check, status: Status::Failed, found, todo }
    }
}

pub(crate) async fn run(
    config: Result<Config, CliError>,
    arguments: Arguments,
) -> Result<ExitCode, CliError> {
    let checks = match config {
        Err(failure) => vec![Check::failure("configuration", failure)],
        Ok(config) => examine(&config).await,
    };
    if arguments.json {
        print_json(&checks)?;
    } else {
        checks.iter().for_each(print_check);
    }
    let has_failed = checks.iter().any(|check| check.status == Status::Failed);
    Ok(if has_failed { ExitCode::from(code::FAILED) } else { ExitCode::SUCCESS })
}

fn print_check(check: &Check) {
    print(format_args!("{:<8} {:<14} {}", check.status.as_str(), check.check, check.found));
    if let Some(todo) = &check.todo {
        print(format_args!("{:<23} {todo}", ""));
    }
}

/// Later checks depend on the success of earlier ones.
async fn examine(config: &Config) -> Vec<Check> {
    let mut checks = vec![configuration(config)];
    let store = match open(config).await {
        Ok(store) => store,
        Err(failure) => {
            checks.push(Check::failure("database", failure));
            return checks;
        }
    };
    match version(&store).await {
        Ok(check) => {
            checks.push(check);
            let schema = schema(&store).await;
            let has_tables = schema.status == Status::Ok;
            checks.push(schema);
            checks.extend(match store.kind() {
                DatabaseKind::Sqlite => vec![integrity(&store).await, foreign_keys(&store).await],
                DatabaseKind::Postgres => server(&store).await,
            });
            checks.push(token_key(config, &store));
            if has_tables {
                checks.push(seeded_passwords(config, &store).await);
            }
        }
        Err(error) => checks.push(Check::failure("database", error.into())),
    }
    store.close().await;
    checks
}

async fn open(config: &Config) -> Result<Store, CliError> {
    database::refuse_absent_file(config)?;
    database::open(config).await
}

fn configuration(config: &Config) -> Check {
    let overruled: Vec<&str> = config.overruled.iter().map(|found| found.setting.variable).collect();
    if overruled.is_empty() {
        return Check::ok("configuration", format!("the database comes from: {}", config.database_source()));
    }
    Check::warning(
        "configuration",
        format!("DATABASE_URL ({}) overrules {}", config.database_source(), overruled.join(", ")),
        "set either DATABASE_URL or the parts",
    )
}

async fn version(store: &Store) -> chatstore::Result<Check> {
    let versions = store
        .read("doctor_version", async |tx| tx.query(&VERSION, &[], |row| row.next::<String>()).await)
        .await?;
    let product = match store.kind() {
        DatabaseKind::Sqlite => "SQLite",
        DatabaseKind::Postgres => "PostgreSQL",
    };
    Ok(Check::ok("database", format!("{product} {} at {}", versions.concat(), store.place())))
}

async fn schema(store: &Store) -> Check {
    const NAME: &str = "schema";
    let status = match store.operations().migration_status().await {
        Ok(status) => status,
        Err(error) => return Check::failure(NAME, error.into()),
    };
    if let Err(error) = status.verify_for_service() {
        return Check::failed(NAME, error.to_string(), "use the version of chatstore that applied it");
    }
    if let Some(unknown) = status.unknown.last() {
        let found =
            format!("revision {} ({}) of a newer version, which is compatible", unknown.id, unknown.slug);
        return Check::warning(NAME, found, "use the version of chatstore that applied it");
    }
    let pending: Vec<String> = status.pending().map(ToString::to_string).collect();
    if pending.is_empty() {
        let newest = status.applied().last().map_or("none", |(revision, _)| revision.id.as_str());
        return Check::ok(NAME, format!("up to date, at revision {newest}"));
    }
    let found = format!("pending: {}", pending.join(", "));
    let todo = "run `chatstore migrate upgrade`";
    match store.kind() {
        // Unless the settings forbid it, the next command that needs the tables upgrades them.
        DatabaseKind::Sqlite => Check::warning(NAME, found, todo),
        DatabaseKind::Postgres => Check::failed(NAME, found, todo),
    }
}

async fn integrity(store: &Store) -> Check {
    const NAME: &str = "integrity";
    let found = store
        .read("doctor_integrity", async |tx| tx.query(&INTEGRITY, &[], |row| row.next::<String>()).await)
        .await;
    match found {
        Err(error) => Check::failure(NAME, error.into()),
        Ok(lines) if lines == ["ok"] => Check::ok(NAME, "the file is sound"),
        Ok(lines) => Check::failed(
            NAME,
            lines.join("; "),
            "stop the server, keep a copy of the file with its -wal and -shm, and restore a backup",
        ),
    }
}

async fn foreign_keys(store: &Store) -> Check {
    const NAME: &str = "foreign keys";
    let found = store
        .read("doctor_foreign_keys", async |tx| {
            tx.query(&FOREIGN_KEYS, &[], |row| {
                let (table, parent, rows): (String, String, i64) = (row.next()?, row.next()?, row.next()?);
                Ok(format!("rows of {table} that refer to no row of {parent}: {rows}"))
            })
            .await
        })
        .await;
    match found {
        Err(error) => Check::failure(NAME, error.into()),
        Ok(violated) if violated.is_empty() => Check::ok(NAME, "every reference is valid"),
        Ok(violated) => {
            let todo = "another program has written to the file with foreign keys off: restore a backup, \
                or delete these rows";
            Check::failed(NAME, violated.join("; "), todo)
        }
    }
}

async fn server(store: &Store) -> Vec<Check> {
    let found = store
        .read("doctor_server", async |tx| {
            tx.query(&SERVER, &[], |row| {
                let settings: [String; 3] = [row.next()?, row.next()?, row.next()?];
                Ok((settings, row.next::<bool>()?))
            })
            .await
        })
        .await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return vec![Check::failure("server", error.into())],
    };
    found
        .iter()
        .flat_map(|([synchronous_commit, fsync, encoding], is_standby)| {
            [durability(synchronous_commit, fsync), encoded(encoding), takes_writes(*is_standby)]
        })
        .collect()
}

fn token_key(config: &Config, store: &Store) -> Check {
    const NAME: &str = "token key";
    match token_key::find(config, store) {
        Err(failure) => Check::failure(NAME, failure),
        Ok(None) => Check::ok(NAME, "the first server creates it"),
        Ok(Some(keys)) if keys.is_weak() => {
            Check::warning(NAME, "not random", "generate one with `openssl rand -base64 32`")
        }
        Ok(Some(_)) => Check::ok(NAME, "set"),
    }
}

async fn seeded_passwords(config: &Config, store: &Store) -> Check {
    const NAME: &str = "seeded passwords";
    match seeded_names(store).await {
        Err(failure) => Check::failure(NAME, failure),
        Ok(names) if names.is_empty() => Check::ok(NAME, "none unchanged"),
        Ok(names) => {
            let found = format!("unchanged: {}", names.join(", "));
            match config.environment {
                Environment::Development => Check::warning(NAME, found, SEEDED_TODO),
                Environment::Production => Check::failed(NAME, found, SEEDED_TODO),
            }
        }
    }
}

fn durability(synchronous_commit: &str, fsync: &str) -> Check {
    const NAME: &str = "durability";
    let found = format!("synchronous_commit = {synchronous_commit}, fsync = {fsync}");
    if fsync != "on" {
        return Check::failed(NAME, found, "set fsync = on: a crash can damage the whole database");
    }
    if synchronous_commit == "off" {
        let todo = "set synchronous_commit = on: a crash loses what was acknowledged just before";
        return Check::failed(NAME, found, todo);
    }
    Check::ok(NAME, found)
}

fn encoded(encoding: &str) -> Check {
    const NAME: &str = "encoding";
    if encoding == "UTF8" {
        return Check::ok(NAME, encoding);
    }
    let todo = "move to a database created with `create database … encoding 'UTF8' template template0`";
    Check::failed(NAME, format!("{encoding} cannot hold every text"), todo)
}

fn takes_writes(is_standby: bool) -> Check {
    const NAME: &str = "writes";
    if is_standby {
        return Check::failed(NAME, "the server is a standby", "name the primary in DATABASE_URL");
    }
    Check::ok(NAME, "accepted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_loses_or_garbles_data_fails_the_check() {
        assert_eq!(durability("on", "on").status, Status::Ok);
        assert_eq!(durability("off", "on").status, Status::Failed);
        assert_eq!(durability("on", "off").status, Status::Failed);
        assert_eq!(encoded("UTF8").status, Status::Ok);
        assert_eq!(encoded("SQL_ASCII").status, Status::Failed);
        assert_eq!(takes_writes(true).status, Status::Failed);
    }
}
