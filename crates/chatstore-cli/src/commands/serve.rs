//! `serve`: the HTTP API.

use std::net::SocketAddr;
use std::time::Duration;

use chatstore::Store;
use chatstore_http::Api;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Environment};
use crate::database;
use crate::error::{CliError, code};
use crate::server_lock::ServerLock;
use crate::token_key;

/// How often expired rows are deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    bind: Option<SocketAddr>,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<(), CliError> {
    let store = database::open(config).await?;
    let lock = ServerLock::take(&store)?;
    let store = token_key::install_token_keys(config, store, &lock)?;
    database::make_ready(config, &store).await?;
    let listener = listen(arguments.bind.unwrap_or(config.bind)).await?;
    serve(config, store, listener, lock).await
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

/// Serves until the process is asked to stop, then finishes the requests in progress.
pub(crate) async fn serve(
    config: &Config,
    store: Store,
    listener: TcpListener,
    lock: ServerLock,
) -> Result<(), CliError> {
    if config.environment == Environment::Production {
        refuse_seeded_passwords(&store).await?;
    }
    let failed = |error: std::io::Error| CliError::new(code::FAILED, format!("serving failed: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(%address, database = store.kind().as_str(), place = store.place(), "serving");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing the requests in progress");
    };
    raise_descriptor_limit();
    let api = Api::new(store.clone())
        .anonymous(config.anonymous)
        .registration(config.open_registration)
        .trusted_proxies(config.trusted_proxies.clone())
        .requests_a_minute(config.rate_limit);
    let metrics = tokio::spawn(serve_metrics(listen_for_metrics(config).await?, api.clone()));
    let sweeper = tokio::spawn(sweep(store.clone()));
    let served = chatstore_http::serve(listener, api.router(), stop).await;
    metrics.abort();
    sweeper.abort();
    served.map_err(failed)?;
    store.close().await;
    drop(lock);
    tracing::info!("stopped");
    Ok(())
}

/// Passwords that `seed` printed or was given may be known to people other than the user.
async fn refuse_seeded_passwords(store: &Store) -> Result<(), CliError> {
    let names = seeded_names(store).await?;
    if names.is_empty() {
        return Ok(());
    }
    let message = format!(
        "CHATSTORE_ENV is production, and these users still have the password of `chatstore seed`: {}",
        names.join(", ")
    );
    Err(CliError::new(code::CONFIGURATION, message).hint(SEEDED_TODO))
}

/// What to do about users who still have the password of `seed`.
pub(crate) const SEEDED_TODO: &str =
    "give each another password with `chatstore user set-password NAME`, or log in and change it";

/// The users who still have the password of `seed`.
pub(crate) async fn seeded_names(store: &Store) -> Result<Vec<String>, CliError> {
    let users = store.operations().unchanged_seeds().await?;
    Ok(users.into_iter().map(|user| user.username.unwrap_or_else(|| user.id.to_string())).collect())
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

async fn serve_metrics(listener: Option<TcpListener>, api: Api) {
    let Some(listener) = listener else { return };
    if let Err(error) = chatstore_http::serve(listener, api.metrics_router(), std::future::pending()).await {
        tracing::error!(error.cause = %error, "serving metrics failed");
    }
}

/// Deletes expired rows periodically.
async fn sweep(store: Store) {
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    loop {
        ticks.tick().await;
        match store.operations().prune_idempotency_keys().await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "idempotency keys older than a day were deleted"),
            Err(error) => tracing::warn!(error.cause = %error, "old idempotency keys were not deleted"),
        }
        match store.operations().prune_sessions().await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "sessions and refresh tokens that expired were deleted"),
            Err(error) => tracing::warn!(error.cause = %error, "expired sessions were not deleted"),
        }
    }
}

/// Every connection needs a descriptor, and the usual limit of a shell is 1,024.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(error.cause = %error, "the limit of open files could not be raised");
    }
}
