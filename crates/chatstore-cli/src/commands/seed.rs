//! `seed`: the first users.

use std::collections::BTreeMap;

use chatstore::auth::Password;
use chatstore::operations::{SEED_USERS, Seeded};
use clap::Args;
use serde::Serialize;

use super::{print, print_json};
use crate::config::{Config, SEED_PASSWORD};
use crate::database;
use crate::error::{CliError, code};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    username: &'static str,
    exists: bool,
    /// Only if it is random.
    password: Option<String>,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<(), CliError> {
    let given = from_environment()?;
    let store = database::open_ready(config).await?;
    let seeded = store.operations().seed(&given).await?;
    store.close().await;
    if arguments.json {
        return print_json(&seeded.into_iter().map(shown).collect::<Vec<Shown>>());
    }
    for (name, outcome) in seeded {
        let told = match &outcome {
            Seeded::Exists => "exists",
            Seeded::Given => "from the environment",
            Seeded::Random(password) => password,
        };
        print(format_args!("{name} {told}"));
    }
    Ok(())
}

fn shown((username, outcome): (&'static str, Seeded)) -> Shown {
    let exists = outcome == Seeded::Exists;
    let password = match outcome {
        Seeded::Random(password) => Some(password),
        Seeded::Exists | Seeded::Given => None,
    };
    Shown { username, exists, password }
}

/// The passwords in the environment, by user.
fn from_environment() -> Result<BTreeMap<&'static str, Password>, CliError> {
    let mut given = BTreeMap::new();
    for (variable, value) in std::env::vars_os() {
        let Some(variable) = variable.to_str() else { continue };
        let Some(name) = variable.strip_prefix(SEED_PASSWORD) else { continue };
        let Some(name) = SEED_USERS.into_iter().find(|user| user.to_uppercase() == name) else {
            let message = format!("{variable} in the environment is for none of {}", SEED_USERS.join(", "));
            return Err(CliError::new(code::CONFIGURATION, message));
        };
        if value.is_empty() {
            continue;
        }
        let password = value.into_string().map(Password::new).map_err(|_| {
            CliError::new(code::BAD_DATA, format!("{variable} in the environment is not UTF-8"))
        })?;
        let checked = password.check(variable, &[name]);
        checked.map_err(|invalid| CliError::new(code::BAD_DATA, invalid.to_string()))?;
        given.insert(name, password);
    }
    Ok(given)
}
