//! `config`: the settings in force.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Serialize;

use super::table::print_table;
use super::{print, print_json};
use crate::config::{Config, DEFAULT_FILE, Flags, default_env_file};
use crate::error::CliError;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show every setting in force and where its value came from; secrets are masked
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the default chatstore.toml, which explains every setting
    Default {
        /// As a file for .env
        #[arg(long)]
        env: bool,
    },
}

#[derive(Serialize)]
struct Shown {
    value: String,
    source: String,
}

pub(crate) fn run(flags: &Flags, command: Command) -> Result<(), CliError> {
    match command {
        Command::Show { json } => return show(&Config::load(flags)?, json),
        Command::Default { env: true } => print(default_env_file().trim_end()),
        Command::Default { env: false } => print(DEFAULT_FILE.trim_end()),
    }
    Ok(())
}

fn show(config: &Config, json: bool) -> Result<(), CliError> {
    let settings = config.settings.iter();
    if json {
        let shown: BTreeMap<&str, Shown> = settings
            .map(|found| {
                let shown = Shown { value: found.shown(), source: found.source.to_string() };
                (found.setting.variable, shown)
            })
            .collect();
        return print_json(&shown);
    }
    let rows: Vec<[String; 3]> = settings
        .map(|found| [found.setting.variable.to_owned(), found.shown(), found.source.to_string()])
        .collect();
    print_table(["SETTING", "VALUE", "SOURCE"], &rows);
    Ok(())
}
