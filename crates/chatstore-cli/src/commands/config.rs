//! `config`: the settings in force.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde::Serialize;

use super::table::print_table;
use super::{print, print_json};
use crate::config::{Config, DEFAULT_FILE, Flags, NoFlags, default_env_file};
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
        #[command(flatten)]
        _flags: NoFlags,
    },
}

#[derive(Serialize)]
struct Shown {
    /// None for a setting that is not set and has no default.
    value: Option<String>,
    source: String,
}

impl Shown {
    fn of(found: Option<(String, String)>) -> Self {
        match found {
            Some((value, source)) => Self { value: Some(value), source },
            None => Self { value: None, source: "not set".to_owned() },
        }
    }
}

pub(crate) fn run(flags: &Flags, command: Command) -> Result<(), CliError> {
    match command {
        Command::Show { json } => return show(&Config::load(flags)?, json),
        Command::Default { env: true, .. } => print(default_env_file().trim_end()),
        Command::Default { env: false, .. } => print(DEFAULT_FILE.trim_end()),
    }
    Ok(())
}

fn show(config: &Config, json: bool) -> Result<(), CliError> {
    let settings = config.every_setting();
    if json {
        let shown: BTreeMap<&str, Shown> =
            settings.into_iter().map(|(setting, found)| (setting.variable, Shown::of(found))).collect();
        return print_json(&shown);
    }
    let rows: Vec<[String; 3]> = settings
        .into_iter()
        .map(|(setting, found)| {
            let Shown { value, source } = Shown::of(found);
            [setting.variable.to_owned(), value.unwrap_or_default(), source]
        })
        .collect();
    print_table(["SETTING", "VALUE", "SOURCE"], &rows);
    Ok(())
}
