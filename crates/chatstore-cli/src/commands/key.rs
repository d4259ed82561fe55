//! `key`: API keys.

use std::process::ExitCode;
use std::time::Duration;

use chatstore::{ApiKeyScope, NewKey};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{find_user, print, print_json};
use crate::config::Config;
use crate::database;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key and print it; it is shown this once
    Create(Create),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Whose key: an id, a user name or an e-mail address
    #[arg(long)]
    user: String,
    /// What to call it
    #[arg(long)]
    name: Option<String>,
    /// When it ends, like 90d, 12h or 30m [default: never]
    #[arg(long, value_parser = duration)]
    expires_in: Option<Duration>,
    /// Print the key with what is stored about it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    user_id: String,
    scope: &'static str,
    name: Option<String>,
    prefix: String,
    created_at: String,
    last_used_at: Option<String>,
    expires_at: Option<String>,
    key: String,
}

impl From<NewKey> for Shown {
    fn from(new: NewKey) -> Self {
        Self {
            id: new.key.id.to_string(),
            user_id: new.key.user_id.to_string(),
            scope: new.key.scope.as_str(),
            name: new.key.name,
            prefix: new.key.prefix,
            created_at: new.key.created_at.to_string(),
            last_used_at: new.key.last_used_at.map(|at| at.to_string()),
            expires_at: new.key.expires_at.map(|at| at.to_string()),
            key: new.text,
        }
    }
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<ExitCode, Failure> {
    let Command::Create(arguments) = command;
    let store = database::open_existing(config).await?;
    let user = find_user(&store, &arguments.user).await?;
    let expires_at = arguments.expires_in.map(|duration| store.now().plus(duration));
    let key = store.keys().create(user.id, ApiKeyScope::User, arguments.name, expires_at).await?;
    if arguments.json {
        print_json(&Shown::from(key))?;
    } else {
        print(key.text);
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write a number and d, h or m, like 90d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    if number == 0 {
        return Err(wrong());
    }
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("90d"), Ok(Duration::from_secs(7_776_000)));
        assert_eq!(duration("12h"), Ok(Duration::from_secs(43_200)));
        for wrong in ["", "d", "0d", "-1d", "1é", "1w"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
