//! `completions`: shell completions.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::print;
use crate::error::{CliError, code};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "chatstore", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| CliError::new(code::FAILED, "the completions of this build are damaged"))?;
    print(script.trim_end());
    Ok(())
}
