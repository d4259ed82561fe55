//! Progress of long work: a bar on a terminal, otherwise a line for each tenth.

use std::io::IsTerminal;
use std::time::Instant;

use chatstore::operations::BackupProgress;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

pub(crate) enum Progress {
    Bar(ProgressBar),
    Lines { what: &'static str, unit: Unit, total: u64, tenth: u64, begun: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unit {
    Bytes,
    Rows,
}

/// Shows how far a backup is, until it is dropped.
pub(crate) fn observe_backup(what: &'static str) -> impl FnMut(BackupProgress) + Send + 'static {
    let mut shown: Option<Progress> = None;
    move |BackupProgress { done_bytes, total_bytes }| {
        shown.get_or_insert_with(|| Progress::new(what, Unit::Bytes, total_bytes)).set(done_bytes);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Progress {
    /// Progress through `total` units.
    pub(crate) fn new(what: &'static str, unit: Unit, total: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { what, unit, total, tenth: 0, begun: Instant::now() };
        }
        let bar = ProgressBar::new(total).with_message(what);
        let style = match unit {
            Unit::Bytes => "{msg} {wide_bar} {percent} % {bytes_per_sec}, {eta} left",
            Unit::Rows => "{msg} {wide_bar} {percent} % of {len} rows, {per_sec}, {eta} left",
        };
        Self::Bar(match ProgressStyle::with_template(style) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    #[allow(clippy::print_stderr, reason = "progress goes where messages go")]
    pub(crate) fn set(&mut self, done: u64) {
        match self {
            Self::Bar(bar) => bar.set_position(done),
            Self::Lines { what, unit, total, tenth, begun } => {
                let reached = (done * 10).checked_div(*total).unwrap_or(10);
                if reached <= *tenth {
                    return;
                }
                *tenth = reached;
                let spent = begun.elapsed();
                if *unit == Unit::Bytes || reached >= 10 || spent.is_zero() {
                    eprintln!("{what}: {} %", reached * 10);
                    return;
                }
                let a_second = u128::from(done) * 1_000 / spent.as_millis().max(1);
                let left = HumanDuration(
                    spent * u32::try_from(10 - reached).unwrap_or(0) / u32::try_from(reached).unwrap_or(1),
                );
                eprintln!("{what}: {} % of {total} rows, {a_second}/s, {left} left", reached * 10);
            }
        }
    }

    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
