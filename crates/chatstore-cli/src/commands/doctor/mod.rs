//! `doctor`: checks settings and database, and says what to do about problems. Changes nothing.

mod postgres;
mod sqlite;

use std::process::ExitCode;

use chatstore::sql::Sql;
use chatstore::{DatabaseKind, Store};
use chatstore_oidc::Probe;
use chatstore_redis::Redis;
use clap::Args;
use serde::Serialize;

use super::serve::production::{SEEDED_REMEDY, seeded_names};
use super::{print, print_json};
use crate::config::{Config, Environment};
use crate::database;
use crate::error::{CliError, code};
use crate::{identity_provider, token_key};

const VERSION: Sql =
    Sql::pair("doctor.version", "select sqlite_version()", "select current_setting('server_version')");

/// The name of the checks of identity providers.
const IDENTITY: &str = "identity";

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
        print_checks(&checks);
    }
    let has_failed = checks.iter().any(|check| check.finding.status == Status::Failed);
    Ok(if has_failed { ExitCode::from(code::FAILED) } else { ExitCode::SUCCESS })
}

/// A line for each check, in columns, and below it what to do.
fn print_checks(checks: &[Check]) {
    let width = checks.iter().map(|check| check.check.len()).max().unwrap_or_default();
    for Check { check, finding } in checks {
        print(format_args!("{:<7}  {check:<width$}  {}", finding.status.as_str(), finding.found));
        if let Some(todo) = &finding.todo {
            print(format_args!("{:<7}  {:<width$}  {todo}", "", ""));
        }
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
            DatabaseKind::Sqlite => sqlite::checks(&store).await,
            DatabaseKind::Postgres => postgres::checks(config, &store).await,
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
