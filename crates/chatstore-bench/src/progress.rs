//! What a run is doing, on standard error: standard output holds only its figures.

use std::fmt::Display;

/// Prints a line.
#[allow(clippy::print_stderr, reason = "a run of minutes shows what it is doing")]
pub fn print(message: impl Display) {
    eprintln!("{message}");
}
