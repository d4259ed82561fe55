//! `serve`: the HTTP API.

mod background;
pub(crate) mod files;
pub(crate) mod production;
mod signals;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use chatstore::Store;
use chatstore_http::{Api, ServeOptions};
use chatstore_redis::Redis;
use chatstore_sql::ServerEncryption;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};
use crate::identity_provider;
use crate::token_key;
pub(crate) use background::Background;
use background::{Stopping, sweep};
use signals::StopSignals;

/// Descriptors for everything but the connections of clients and of the database: files, logs, metrics.
const OTHER_DESCRIPTORS: usize = 128;

/// How long the server waits for the check of a SQLite file before it serves.
const CHECK_TIME: Duration = Duration::from_secs(1);

/// How long the server waits for Redis before it serves.
const REDIS_TIME: Duration = Duration::from_millis(250);

/// How long closing the database may take when the server is to end at once.
const CLOSE_TIME: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    bind: Option<SocketAddr>,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<(), CliError> {
    production::refuse_unverified_database(config)?;
    let providers = identity_provider::providers(config)?;
    let redis = start_redis(config).await;
    let store = database::open_for_server(config, providers.as_ref(), redis.as_ref()).await?;
    let store = token_key::install_token_keys(config, store)?;
    let mut background = Background::new();
    if let Some(providers) = providers {
        let now = store.now();
        background.start("keys of identity providers", |_| async move { providers.warm_up(now).await });
    }
    // A damaged file is not touched, and answered for: `/readyz` and every request say 503.
    if check_file(&store, &mut background).await {
        database::make_ready(config, &store).await?;
    }
    let listener = listen(arguments.bind.unwrap_or(config.bind)).await?;
    serve(config, store, listener, background).await
}

/// Redis, connected if it answers at once; otherwise it is used from when it does.
async fn start_redis(config: &Config) -> Option<Redis> {
    let redis = Redis::start(config.redis.clone()?);
    if redis.ready(REDIS_TIME).await {
        tracing::info!(redis.place = redis.place(), "using Redis");
    }
    Some(redis)
}

/// Looks for damage of a SQLite file, for a second before the server serves and then beside it; whether the file is sound
/// as far as is known. What is wrong is logged by the store.
async fn check_file(store: &Store, background: &mut Background) -> bool {
    let (finished, is_sound) = tokio::sync::oneshot::channel();
    let checked = store.clone();
    background.start("check of the file", |mut stopping| async move {
        tokio::select! {
            result = checked.operations().check_file() => {
                // The server may serve already.
                let _ = finished.send(result.is_ok());
            }
            () = stopping.requested() => {}
        }
    });
    // Later it is known by what every operation answers.
    !timeout(CHECK_TIME, is_sound).await.is_ok_and(|sound| sound == Ok(false))
}

pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::AddrInUse => code::TRY_AGAIN,
            std::io::ErrorKind::PermissionDenied => code::NO_PERMISSION,
            _ => code::CONFIGURATION,
        };
        CliError::new(code, format!("cannot listen on {address}: {error}"))
            .hint("choose another address with --bind ADDR:PORT")
    })
}

/// Serves until the process is asked to stop, then finishes the requests in progress. Asked again, it ends at once.
pub(crate) async fn serve(
    config: &Config,
    store: Store,
    listener: TcpListener,
    mut background: Background,
) -> Result<(), CliError> {
    production::check(config, &store).await?;
    files::warn_of_access(&store);
    let failed = |error: std::io::Error| CliError::new(code::FAILED, format!("serving failed: {error}"));
    let mut signals = StopSignals::install().map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let options = serve_options(config);
    tracing::info!(
        %address,
        database = store.kind().as_str(),
        place = store.place(),
        connection = connection(config, &store),
        connections = options.max_connections,
        "serving"
    );
    let api = Api::new(store.clone())
        .anonymous(config.anonymous)
        .registration(config.open_registration)
        .trusted_proxies(config.trusted_proxies.clone())
        .allowed_origins(config.allowed_origins.clone())
        .description(config.docs)
        .front_page(true)
        .requests_a_minute(config.rate_limit)
        .max_body(config.max_body);
    if let Some(listener) = listen_for_metrics(config).await? {
        let api = api.clone();
        background.start("metrics", |stopping| serve_metrics(listener, api, stopping));
    }
    let options = ServeOptions { counts: api.connection_counts(), ..options };
    background.start("sweeper", |stopping| sweep(store.clone(), config.log_retention, stopping));

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async {
        // An error says that the sender is gone, which stops as well.
        let _ = stopped.await;
    };
    let mut serving = pin!(chatstore_http::serve_with(listener, api.router(), options, shutdown));
    let signal = tokio::select! {
        served = &mut serving => return served.map_err(failed),
        signal = signals.next() => signal,
    };
    tracing::info!(signal, "stopping: finishing the requests in progress; a second signal ends them");
    drop(stop);
    let signal = tokio::select! {
        served = &mut serving => {
            served.map_err(failed)?;
            background.stop().await;
            store.close().await;
            tracing::info!("stopped");
            return Ok(());
        }
        signal = signals.next() => signal,
    };
    background.abandon();
    if timeout(CLOSE_TIME, store.close()).await.is_err() {
        tracing::warn!("the database could not be closed within 1 s; what was acknowledged is stored");
    }
    Err(CliError::new(
        code::FAILED,
        format!("stopped at once by {signal}: requests in progress were not answered"),
    )
    .hint("what was acknowledged is stored"))
}

/// How the connection to a PostgreSQL server is protected: `encrypted, verify-full`.
pub(crate) fn connection(config: &Config, store: &Store) -> Option<String> {
    let is_encrypted = store.is_encrypted()?;
    let encryption = ServerEncryption::of(config.database_url()).ok()??;
    let word = if is_encrypted { "encrypted" } else { "not encrypted" };
    Some(format!("{word}, {}", encryption.mode.as_str()))
}

/// The listener for metrics. If the default address is taken, for example by another server, this one starts
/// without metrics; if a configured address is taken, it does not start.
async fn listen_for_metrics(config: &Config) -> Result<Option<TcpListener>, CliError> {
    let Some(address) = config.metrics_bind else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => {
            tracing::info!(%address, "serving metrics");
            Ok(Some(listener))
        }
        Err(error) if config.metrics_bind_is_set() => {
            let failure =
                CliError::new(code::CONFIGURATION, format!("cannot serve metrics on {address}: {error}"));
            Err(failure.hint("choose another address with CHATSTORE_METRICS_BIND, or off"))
        }
        Err(error) => {
            tracing::info!(%address, error.cause = %error, "metrics are not served");
            Ok(None)
        }
    }
}

async fn serve_metrics(listener: TcpListener, api: Api, mut stopping: Stopping) {
    let stop = async move { stopping.requested().await };
    if let Err(error) = chatstore_http::serve(listener, api.metrics_router(), stop).await {
        tracing::error!(error.cause = %error, "serving metrics failed");
    }
}

/// As many connections as there are descriptors for, after raising the limit: the usual one of a shell is 1,024.
fn serve_options(config: &Config) -> ServeOptions {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(error.cause = %error, "the limit of open files could not be raised");
    }
    let wanted = ServeOptions {
        idle_time: config.idle_time,
        trusted_proxies: config.trusted_proxies.clone(),
        ..ServeOptions::default()
    };
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return wanted };
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let others = OTHER_DESCRIPTORS + usize::from(config.pool.get());
    let lacking = (wanted.sockets() + others).saturating_sub(descriptors);
    if lacking == 0 {
        return wanted;
    }
    let max_connections = wanted.max_connections.saturating_sub(lacking).max(1);
    tracing::warn!(
        open_files = descriptors,
        connections = max_connections,
        "the limit of open files allows fewer connections; raise it with ulimit -n or LimitNOFILE"
    );
    let max_connections_per_address = max_connections.div_ceil(2);
    ServeOptions { max_connections, max_connections_per_address, ..wanted }
}
