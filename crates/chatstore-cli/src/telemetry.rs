//! Logs, on standard error.

use std::io::IsTerminal;

use crate::config::{Config, LogFormat};

/// Shows what the settings ask for.
pub(crate) fn start(config: &Config) {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(config.log.clone())
        .with_writer(std::io::stderr)
        .with_target(false)
        // A log that nobody reads any more is no reason to stop serving.
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}
