//! `serve`: the HTTP API.

use std::net::SocketAddr;
use std::process::ExitCode;

use chatstore::Store;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::database;
use crate::failure::{Failure, code};
use crate::server_lock::ServerLock;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    bind: Option<SocketAddr>,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<ExitCode, Failure> {
    let store = database::open(config).await?;
    let lock = ServerLock::take(&store)?;
    database::make_ready(&store).await?;
    let listener = listen(arguments.bind.unwrap_or(config.bind)).await?;
    serve(store, listener, lock).await
}

pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::AddrInUse => code::TRY_AGAIN,
            std::io::ErrorKind::PermissionDenied => code::NO_PERMISSION,
            _ => code::CONFIGURATION,
        };
        Failure::new(code, format!("cannot listen on {address}: {error}"))
            .hint("choose another address with --bind ADDR:PORT")
    })
}

/// Serves until the process is asked to stop, then answers what is under way.
pub(crate) async fn serve(
    store: Store,
    listener: TcpListener,
    lock: ServerLock,
) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| Failure::new(code::FAILED, format!("serving failed: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tracing::info!(%address, database = store.kind().as_str(), place = store.place(), "serving");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: answering what is under way");
    };
    chatstore_http::serve(listener, chatstore_http::router(store.clone()), stop).await.map_err(failed)?;
    store.close().await;
    drop(lock);
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
