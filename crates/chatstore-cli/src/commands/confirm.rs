//! Asks before something is done that cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _};

use clap::Args;

use super::eprint_message;
use crate::error::{CliError, code};

#[derive(Debug, Args)]
pub(crate) struct Confirmation {
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
}

impl Confirmation {
    /// Asks at the terminal, unless it is said already.
    ///
    /// # Errors
    /// When the answer is not yes, and without a terminal.
    pub(super) fn ask(&self, what: &str) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        let input = io::stdin();
        if !input.is_terminal() {
            let message = format!("this cannot be undone and was not confirmed: {what}");
            return Err(CliError::new(code::USAGE, message).hint("repeat the command with --yes"));
        }
        eprint_message(format_args!("This cannot be undone: {what}. Type yes to go on:"));
        let mut answer = String::new();
        input
            .lock()
            .read_line(&mut answer)
            .map_err(|error| CliError::new(code::FAILED, format!("cannot read the answer: {error}")))?;
        if answer.trim().eq_ignore_ascii_case("yes") {
            return Ok(());
        }
        Err(CliError::new(code::FAILED, "not confirmed: nothing was changed"))
    }
}
