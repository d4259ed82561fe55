//! Logs, on standard error.

use std::io::IsTerminal;

use crate::config::{Config, LogFormat};

/// Starts the log with the level and format of the settings.
pub(crate) fn start(config: &Config) {
    let logs = tracing_subscriber::fmt()
        .with_env_filter(config.log.clone())
        .with_writer(std::io::stderr)
        .with_target(false)
        // A log whose reader is gone is no reason to stop serving.
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}
