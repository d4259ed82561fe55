//! `doctor`: checks settings and database, and says what to do about problems. Changes nothing.

use std::process::ExitCode;

use chatstore::sql::Sql;
use chatstore::{DatabaseKind, Store};
use chatstore_oidc::Probe;
use chatstore_redis::Redis;
use chatstore_sql::ServerEncryption;
use clap::Args;
use serde::Serialize;

use super::serve::connection;
use super::serve::files::reachable;
use super::serve::production::{SEEDED_REMEDY, UNVERIFIED_REMEDY, is_unverified, seeded_names};
use super::{print, print_json};
use crate::config::{Config, Environment};
use crate::database;
use crate::error::{CliError, code};
use crate::{identity_provider, token_key};

const VERSION: Sql =
    Sql::pair("doctor.version", "select sqlite_version()", "select current_setting('server_version')");

/// The name of the checks of identity providers.
const IDENTITY: &str = "identity";

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

/// A check and its outcome.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    #[serde(flatten)]
    finding: Finding,
}

impl Check {
    /// A check that may have failed to be made.
    fn new(check: &'static str, finding: Result<Finding, CliError>) -> Self {
        let finding = finding.unwrap_or_else(|failure| {
            let (found, todo) = failure.into_parts();
            Finding { status: Status::Failed, found, todo }
        });
        Self { check, finding }
    }
}

/// The outcome of one check.
#[derive(Debug, Serialize)]
struct Finding {
    status: Status,
    found: String,
    todo: Option<String>,
}

impl Finding {
    fn ok(found: impl Into<String>) -> Self {
        Self { status: Status::Ok, found: found.into(), todo: None }
    }

    fn warning(found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { status: Status::Warning, found: found.into(), todo: Some(todo.into()) }
    }

    fn failed(found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { status: Status::Failed, found: found.into(), todo: Some(todo.into()) }
    }
}

pub(crate) async fn run(
    config: Result<Config, CliError>,
    arguments: Arguments,
) -> Result<ExitCode, CliError> {
    let checks = match config {
        Err(failure) => vec![Check::new("configuration", Err(failure))],
        Ok(config) => examine(&config).await,
    };
    if arguments.json {
        print_json(&checks)?;
    } else {
        checks.iter().for_each(print_check);
    }
    let has_failed = checks.iter().any(|check| check.finding.status == Status::Failed);
    Ok(if has_failed { ExitCode::from(code::FAILED) } else { ExitCode::SUCCESS })
}

fn print_check(Check { check, finding }: &Check) {
    print(format_args!("{:<8} {check:<14} {}", finding.status.as_str(), finding.found));
    if let Some(todo) = &finding.todo {
        print(format_args!("{:<23} {todo}", ""));
    }
}

/// Later checks depend on the success of earlier ones.
async fn examine(config: &Config) -> Vec<Check> {
    let mut checks = vec![Check::new("configuration", Ok(configuration(config)))];
    checks.extend(identity_providers(config).await);
    checks.extend(redis(config).await);
    let store = match open(config).await {
        Ok(store) => store,
        Err(failure) => {
            checks.push(Check::new("database", Err(failure)));
            return checks;
        }
    };
    let database = Check::new("database", version(&store).await);
    let is_readable = database.finding.status == Status::Ok;
    checks.push(database);
    if is_readable {
        let schema = Check::new("schema", schema(&store).await);
        let has_tables = schema.finding.status == Status::Ok;
        checks.push(schema);
        checks.extend(match store.kind() {
            DatabaseKind::Sqlite => vec![
                Check::new("completeness", Ok(completeness(&store))),
                Check::new("integrity", integrity(&store).await),
                Check::new("foreign keys", foreign_keys(&store).await),
                Check::new("permissions", Ok(permissions(&store))),
            ],
            DatabaseKind::Postgres => {
                let server = server(&store).await;
                let mut checks = server.unwrap_or_else(|failure| vec![Check::new("server", Err(failure))]);
                checks.insert(0, Check::new("connection", encryption(config, &store)));
                checks
            }
        });
        checks.push(Check::new("token key", token_key(config, &store)));
        if has_tables {
            checks.push(Check::new("seeded passwords", seeded_passwords(config, &store).await));
        }
    }
    store.close().await;
    checks
}

/// Asks Redis whether it answers, if there is one.
async fn redis(config: &Config) -> Option<Check> {
    let options = config.redis.as_ref()?;
    let (protection, remedy) = match options.is_encrypted() {
        true => (
            "encrypted and verified",
            "correct REDIS_URL, name the authority of its certificate in CHATSTORE_REDIS_SSLROOTCERT, or let this \
             machine reach it: meanwhile each server counts and remembers by itself",
        ),
        false => (
            "not encrypted",
            "correct REDIS_URL, or let this machine reach it: meanwhile each server counts and remembers by itself",
        ),
    };
    let finding = match Redis::probe(options).await {
        Ok(()) => Finding::ok(format!("{} answers, {protection}", options.place())),
        // Servers work without it.
        Err(failure) => Finding::warning(failure.to_string(), remedy),
    };
    Some(Check::new("redis", Ok(finding)))
}

/// Asks each identity provider for its keys, as a server does.
async fn identity_providers(config: &Config) -> Vec<Check> {
    let providers = match identity_provider::providers(config) {
        Ok(None) => return Vec::new(),
        Ok(Some(providers)) => providers,
        Err(failure) => return vec![Check::new(IDENTITY, Err(failure))],
    };
    let probes = providers.probe().await;
    probes.into_iter().map(|probe| Check::new(IDENTITY, Ok(keys_of_provider(probe)))).collect()
}

fn keys_of_provider(Probe { issuer, keys }: Probe) -> Finding {
    match keys {
        Ok(count) => Finding::ok(format!("{issuer} is reachable, keys: {count}")),
        Err(error) => {
            Finding::failed(error.to_string(), "correct CHATSTORE_OIDC_ISSUER, or let this machine reach it")
        }
    }
}

async fn open(config: &Config) -> Result<Store, CliError> {
    database::refuse_absent_file(config)?;
    database::open(config).await
}

fn configuration(config: &Config) -> Finding {
    if !config.half_an_address().is_empty() {
        let ignored: Vec<String> = config
            .half_an_address()
            .iter()
            .map(|found| format!("{} ({})", found.setting.variable, found.source))
            .collect();
        return Finding::warning(
            format!("the database is a SQLite file; ignored without POSTGRES_USER: {}", ignored.join(", ")),
            "set POSTGRES_USER to use PostgreSQL, or DATABASE_URL to name a database",
        );
    }
    let overruled: Vec<&str> = config.overruled.iter().map(|found| found.setting.variable).collect();
    if overruled.is_empty() {
        return Finding::ok(format!("the database comes from: {}", config.database_source()));
    }
    Finding::warning(
        format!("DATABASE_URL ({}) overrules {}", config.database_source(), overruled.join(", ")),
        "set either DATABASE_URL or the parts",
    )
}

async fn version(store: &Store) -> Result<Finding, CliError> {
    let versions = store
        .read("doctor_version", async |tx| tx.query(&VERSION, &[], |row| row.next::<String>()).await)
        .await?;
    let product = match store.kind() {
        DatabaseKind::Sqlite => "SQLite",
        DatabaseKind::Postgres => "PostgreSQL",
    };
    Ok(Finding::ok(format!("{product} {} at {}", versions.concat(), store.place())))
}

async fn schema(store: &Store) -> Result<Finding, CliError> {
    let status = store.operations().migration_status().await?;
    if let Err(error) = status.verify_for_service() {
        return Ok(Finding::failed(error.to_string(), "use the version of chatstore that applied it"));
    }
    if let Some(unknown) = status.unknown.last() {
        let found =
            format!("revision {} ({}) of a newer version, which is compatible", unknown.id, unknown.slug);
        return Ok(Finding::warning(found, "use the version of chatstore that applied it"));
    }
    let pending: Vec<String> = status.pending().map(ToString::to_string).collect();
    if pending.is_empty() {
        let newest = status.applied().last().map_or("none", |(revision, _)| revision.id.as_str());
        return Ok(Finding::ok(format!("up to date, at revision {newest}")));
    }
    let found = format!("pending: {}", pending.join(", "));
    let todo = "run `chatstore migrate upgrade`";
    Ok(match store.kind() {
        // Unless the settings forbid it, the next command that needs the tables upgrades them.
        DatabaseKind::Sqlite => Finding::warning(found, todo),
        DatabaseKind::Postgres => Finding::failed(found, todo),
    })
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

fn token_key(config: &Config, store: &Store) -> Result<Finding, CliError> {
    Ok(match token_key::find(config, store)? {
        None => Finding::ok("the first server creates it"),
        Some(keys) if keys.is_weak() => {
            Finding::warning("not random, or published", "generate one with `openssl rand -base64 32`")
        }
        Some(_) => Finding::ok("set"),
    })
}

async fn seeded_passwords(config: &Config, store: &Store) -> Result<Finding, CliError> {
    let names = seeded_names(store).await?;
    if names.is_empty() {
        return Ok(Finding::ok("none unchanged"));
    }
    let found = format!("unchanged: {}", names.join(", "));
    Ok(match config.environment {
        Environment::Development => Finding::warning(found, SEEDED_REMEDY),
        Environment::Production => Finding::failed(found, SEEDED_REMEDY),
    })
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
    use super::*;

    #[test]
    fn a_server_that_loses_or_garbles_data_fails_the_check() {
        assert_eq!(durability("on", "on").status, Status::Ok);
        assert_eq!(durability("off", "on").status, Status::Failed);
        assert_eq!(durability("on", "off").status, Status::Failed);
        assert_eq!(takes_writes(true).status, Status::Failed);
    }
}
