//! Reads a new password: never from an argument, which other users of the machine can see.

use std::io::{BufRead, IsTerminal, Read};

use chatstore::auth::Password;

use crate::error::{CliError, code};

/// Longer than the longest password.
const MAX_BYTES: u64 = 2_048;

/// Fails if there is no terminal to ask at and standard input is not to be read either.
pub(crate) fn check_source(is_standard_input: bool) -> Result<(), CliError> {
    if is_standard_input || std::io::stdin().is_terminal() {
        return Ok(());
    }
    let message = "there is no terminal to ask for the password";
    Err(CliError::new(code::USAGE, message).hint("--password-stdin reads it as a line of standard input"))
}

/// The new password, from standard input or else from the terminal.
pub(crate) fn read(is_standard_input: bool) -> Result<Password, CliError> {
    if is_standard_input { read_line() } else { ask() }
}

fn read_line() -> Result<Password, CliError> {
    let mut line = String::new();
    let read = std::io::stdin().lock().take(MAX_BYTES).read_line(&mut line);
    read.map_err(|error| {
        let message = format!("cannot read the password from standard input: {error}");
        CliError::new(code::BAD_DATA, message)
    })?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(Password::new(line.strip_suffix('\r').unwrap_or(line)))
}

fn ask() -> Result<Password, CliError> {
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(|error| {
            CliError::new(code::DAMAGED, format!("cannot read the password from the terminal: {error}"))
        })
    };
    let password = ask("New password: ")?;
    if ask("Repeat the password: ")? != password {
        return Err(CliError::new(code::BAD_DATA, "the two passwords differ"));
    }
    Ok(Password::new(password))
}
