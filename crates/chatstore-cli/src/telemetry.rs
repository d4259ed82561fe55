//! Logs, on standard error.

use std::io::{self, IsTerminal, Write};

use crate::config::{Config, LogFormat};
use crate::escape;

/// How an event begins as JSON: the library has no fields that belong to all of them.
const VERSION_FIRST: &str = concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\",");

/// Starts the log with the level and format of the settings.
pub(crate) fn start(config: &Config) {
    let format = config.log_format;
    let has_colors = format == LogFormat::Text && io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(config.log.clone())
        .with_writer(move || Escaped { output: io::stderr(), format, has_colors })
        .with_target(format == LogFormat::Json)
        // A log whose reader is gone is no reason to stop serving.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => logs.with_ansi(has_colors).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}

/// Writes the lines of a log, each at once, so that no text in them can look like another line or steer a terminal.
struct Escaped<W> {
    output: W,
    format: LogFormat,
    /// Whether colors are written, which begin with a control character; the text of an event has none then.
    has_colors: bool,
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        match self.format {
            LogFormat::Json => {
                let line = text.replacen('{', VERSION_FIRST, 1);
                self.output.write_all(escape::json(&line).as_bytes())?;
            }
            LogFormat::Text => {
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let is_color = |character| self.has_colors && character == '\u{1b}';
                let line = escape::visible(line, is_color);
                self.output.write_all(format!("{line}\n").as_bytes())?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: LogFormat, line: &str) -> String {
        let mut output = Vec::new();
        let mut log = Escaped { output: &mut output, format, has_colors: false };
        log.write_all(line.as_bytes()).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_text_in_the_log_cannot_look_like_another_line() {
        let line = "INFO failed cause=no\nINFO all is well \u{202e}\u{1b}[2K\n";
        let expected = "INFO failed cause=no\\nINFO all is well \\u{202e}\\u{1b}[2K\n";
        assert_eq!(written(LogFormat::Text, line), expected);
        let line = "{\"message\":\"a{\u{202e}b\u{9b}\"}\n";
        let expected = format!("{VERSION_FIRST}\"message\":\"a{{\\u202eb\\u009b\"}}\n");
        assert_eq!(written(LogFormat::Json, line), expected);
    }
}
