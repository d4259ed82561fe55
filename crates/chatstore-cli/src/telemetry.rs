//! Logs, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Shows what `CHATSTORE_LOG` asks for, `info` when it says nothing.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("CHATSTORE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // A log that nobody reads any more is no reason to stop serving.
        .log_internal_errors(false)
        .init();
}
