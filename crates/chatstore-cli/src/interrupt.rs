//! Work that leaves nothing behind when the process is asked to stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{CliError, code};

/// Waits for `work`, or stops waiting at SIGINT or SIGTERM; the work then ends by itself before the process does.
pub(crate) async fn until_interrupted<T, E: Into<CliError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, CliError> {
    let failed =
        |error: std::io::Error| CliError::new(code::FAILED, format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        done = work => done.map_err(Into::into),
        _ = terminate.recv() => Err(interrupted()),
        _ = interrupt.recv() => Err(interrupted()),
    }
}

fn interrupted() -> CliError {
    CliError::new(code::FAILED, "interrupted: nothing was created")
}
