//! How far long work has come: a bar on a terminal, a line for each tenth otherwise.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) enum Progress {
    Bar(ProgressBar),
    Lines { what: &'static str, total: u64, tenth: u64 },
}

impl Progress {
    /// Progress through so many bytes.
    pub(crate) fn of_bytes(what: &'static str, total: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { what, total, tenth: 0 };
        }
        let bar = ProgressBar::new(total).with_message(what);
        let style = "{msg} {wide_bar} {percent} % {bytes_per_sec}, {eta} left";
        Self::Bar(match ProgressStyle::with_template(style) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    #[allow(clippy::print_stderr, reason = "progress is told where messages go")]
    pub(crate) fn set(&mut self, done: u64) {
        match self {
            Self::Bar(bar) => bar.set_position(done),
            Self::Lines { what, total, tenth } => {
                let reached = (done * 10).checked_div(*total).unwrap_or(10);
                if reached > *tenth {
                    *tenth = reached;
                    eprintln!("{what}: {} %", reached * 10);
                }
            }
        }
    }

    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
