//! Opens the store that the settings name.

use std::path::Path;

use chatstore::{Builder, ConnectError, DatabaseKind, FileLock, Store};
use chatstore_oidc::Providers;
use chatstore_redis::Redis;

use crate::config::{Config, Migrate};
use crate::error::{CliError, code};
use crate::identity_provider;

/// Opens the database as it is, beside a server.
pub(crate) async fn open(config: &Config) -> Result<Store, CliError> {
    let mut builder = builder(config, config.database_url(), FileLock::Share).listen(false);
    // What a command changes, servers hear.
    if let Some(options) = config.redis.clone() {
        let redis = Redis::start(options);
        builder = builder.messenger(redis.messenger()).shared_cache(redis.cache());
    }
    connect(config, builder).await
}

/// Opens the database as it is, for migrations: past a pooler, if the settings name the server behind it.
pub(crate) async fn open_for_migrations(config: &Config) -> Result<Store, CliError> {
    let url = config.direct.as_deref().unwrap_or(config.database_url());
    connect(config, builder(config, url, FileLock::Share).listen(false)).await
}

/// Opens the database as it is, for a server: the only one of a SQLite file. Tokens of these providers are accepted, and
/// limits are shared through this Redis.
pub(crate) async fn open_for_server(
    config: &Config,
    providers: Option<&Providers>,
    redis: Option<&Redis>,
) -> Result<Store, CliError> {
    let mut builder = builder(config, config.database_url(), FileLock::Own)
        .slow_statement(config.slow_statement)
        .direct(config.direct.clone())
        .standbys(config.standbys.iter().cloned());
    if let Some(redis) = redis {
        builder = builder.limiter(redis.limiter()).messenger(redis.messenger()).shared_cache(redis.cache());
    }
    connect(config, identity_provider::accept_tokens(builder, config, providers)).await
}

/// Opens a standby of the database, to look at it.
pub(crate) async fn open_standby(config: &Config, url: &str) -> Result<Store, CliError> {
    Ok(builder(config, url, FileLock::Share).listen(false).connect().await?)
}

async fn connect(config: &Config, builder: Builder) -> Result<Store, CliError> {
    builder.connect().await.map_err(|error| {
        let is_wrong_url = matches!(error, ConnectError::InvalidUrl { .. });
        let failure = CliError::from(error);
        if is_wrong_url {
            return failure.hint(format!("DATABASE_URL comes from: {}", config.database_source()));
        }
        failure
    })
}

/// Opens a SQLite file instead of the database in the settings, for a server.
pub(crate) async fn open_file_for_server(config: &Config, file: &Path) -> Result<Store, CliError> {
    Ok(builder(config, &format!("sqlite://{}", file.display()), FileLock::Own).connect().await?)
}

fn builder(config: &Config, url: &str, lock: FileLock) -> Builder {
    Store::builder(url)
        .file_lock(lock)
        .pool(config.pool.get().into())
        .default_model(config.default_model.as_str())
        .login_failures(config.login_rate_limit)
        .document_limit(config.document_limit)
        .event_log(config.log_store)
}

/// Opens an existing database with its tables up to date.
pub(crate) async fn open_existing(config: &Config) -> Result<Store, CliError> {
    refuse_absent_file(config)?;
    open_ready(config).await
}

/// Opens the database with its tables up to date. Unless the settings say otherwise, a SQLite file is
/// upgraded on the way; a PostgreSQL database only by `chatstore migrate upgrade`, because other programs
/// may be using it.
pub(crate) async fn open_ready(config: &Config) -> Result<Store, CliError> {
    let store = open(config).await?;
    make_ready(config, &store).await?;
    Ok(store)
}

/// Fails if the SQLite file does not exist. Opening it would create it, which is of no use to commands that read.
pub(crate) fn refuse_absent_file(config: &Config) -> Result<(), CliError> {
    let Some(file) = config.database_url().strip_prefix("sqlite://") else { return Ok(()) };
    let path = Path::new(file);
    // A path directly below the root is explained where the URL is parsed.
    if file == ":memory:" || path.exists() || path.parent() == Some(Path::new("/")) {
        return Ok(());
    }
    Err(CliError::new(code::NO_INPUT, format!("there is no database {file}"))
        .hint("`chatstore migrate upgrade` creates one"))
}

/// Upgrades outdated tables or refuses them, as the settings say. Revisions of a newer version are accepted
/// unless they are marked as breaking: during a rolling deploy, servers of the old version continue. A database
/// whose encoding cannot hold every text is refused.
pub(crate) async fn make_ready(config: &Config, store: &Store) -> Result<(), CliError> {
    store.check_encoding()?;
    let migrate = config.migrate.unwrap_or(match store.kind() {
        DatabaseKind::Sqlite => Migrate::Auto,
        DatabaseKind::Postgres => Migrate::Check,
    });
    if migrate == Migrate::Off {
        return Ok(());
    }
    let status = store.operations().migration_status().await?;
    status.verify_for_service()?;
    for unknown in &status.unknown {
        tracing::warn!(
            revision = unknown.id,
            slug = unknown.slug,
            "the database has a revision of a newer version"
        );
    }
    let Some(pending) = status.pending().next() else { return Ok(()) };
    if migrate == Migrate::Auto {
        match &config.direct {
            Some(_) => drop(open_for_migrations(config).await?.migrate().await?),
            None => drop(store.migrate().await?),
        }
        return Ok(());
    }
    let message = format!("the database at {} lacks the revision {pending}", store.place());
    Err(CliError::new(code::CONFIGURATION, message).hint("run `chatstore migrate upgrade` first"))
}
