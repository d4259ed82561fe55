//! `key`: API keys.

use std::time::Duration;

use chatstore::{ApiKey, ApiKeyId, ApiKeyScope, ErrorKind, Store, User, UserId, UserRole};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::table::print_table;
use super::user::all_users;
use super::{eprint_message, find_user, print, print_json};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};

/// The name of the built-in user, who owns service keys without an owner of their own.
const BUILT_IN: &str = "anonymous";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a key and print it; it is shown only once
    Create(Create),
    /// List the keys that are not revoked
    List(List),
    /// Revoke a key: running servers refuse it within 5 seconds
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The owner: an id, a user name or an e-mail address
    #[arg(long, required_unless_present = "service")]
    user: Option<String>,
    /// Create a service key, with which an application's backend acts for all its users. It belongs to the
    /// built-in user, or to the administrator that --user names
    #[arg(long)]
    service: bool,
    /// A name for the key
    #[arg(long)]
    name: Option<String>,
    /// When it expires, for example 90d, 12h or 30m [default: never]
    #[arg(long, value_parser = duration)]
    expires_in: Option<Duration>,
    /// Print the key with its stored fields as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The owner: an id, a user name, an e-mail address, or anonymous for the built-in user [default: all
    /// users]
    #[arg(long)]
    user: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The key's id, as `key list` shows it
    id: ApiKeyId,
    /// The owner: an id, a user name, an e-mail address, or anonymous for the built-in user
    #[arg(long)]
    user: String,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl From<ApiKey> for Shown {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            user_id: key.user_id.to_string(),
            scope: key.scope.as_str(),
            name: key.name,
            prefix: key.prefix,
            created_at: key.created_at.to_string(),
            last_used_at: key.last_used_at.map(|at| at.to_string()),
            expires_at: key.expires_at.map(|at| at.to_string()),
            key: None,
        }
    }
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    match command {
        Command::Create(arguments) => create(&store, arguments).await?,
        Command::List(arguments) => list(&store, &arguments).await?,
        Command::Revoke(arguments) => revoke(&store, &arguments).await?,
    }
    store.close().await;
    Ok(())
}

async fn create(store: &Store, arguments: Create) -> Result<(), CliError> {
    let scope = if arguments.service { ApiKeyScope::Service } else { ApiKeyScope::User };
    let owner = match &arguments.user {
        None => UserId::ANONYMOUS,
        Some(named) if arguments.service => administrator(store, named).await?,
        Some(named) => find_user(store, named).await?.id,
    };
    let expires_at = arguments.expires_in.map(|duration| store.now().plus(duration));
    let new = store.keys().create(owner, scope, arguments.name, expires_at).await?;
    if arguments.json {
        return print_json(&Shown { key: Some(new.text), ..Shown::from(new.key) });
    }
    print(new.text);
    Ok(())
}

async fn administrator(store: &Store, named: &str) -> Result<UserId, CliError> {
    let user = find_user(store, named).await?;
    if user.role == UserRole::Admin {
        return Ok(user.id);
    }
    let message = format!("{named} is not an administrator, and only administrators can own a service key");
    Err(CliError::new(code::FAILED, message).hint("omit --user: the key then belongs to the built-in user"))
}

async fn list(store: &Store, arguments: &List) -> Result<(), CliError> {
    let owners = match &arguments.user {
        Some(named) => vec![owner(store, named).await?],
        None => all_owners(store).await?,
    };
    let mut keys = Vec::new();
    for (id, name) in owners {
        let of_owner = store.keys().list(id).await?;
        keys.extend(
            of_owner.into_iter().filter(|key| key.revoked_at.is_none()).map(|key| (key, name.clone())),
        );
    }
    if arguments.json {
        return print_json(&keys.into_iter().map(|(key, _)| Shown::from(key)).collect::<Vec<Shown>>());
    }
    let rows: Vec<[String; 8]> = keys.into_iter().map(|(key, owner)| row(key, owner)).collect();
    print_table(["ID", "PREFIX", "SCOPE", "USER", "NAME", "CREATED", "LAST USED", "EXPIRES"], &rows);
    Ok(())
}

fn row(key: ApiKey, owner: String) -> [String; 8] {
    [
        key.id.to_string(),
        key.prefix,
        key.scope.as_str().to_owned(),
        owner,
        key.name.unwrap_or_default(),
        key.created_at.to_string(),
        key.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        key.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
    ]
}

async fn revoke(store: &Store, arguments: &Revoke) -> Result<(), CliError> {
    let (owner, name) = owner(store, &arguments.user).await?;
    store.keys().revoke(owner, arguments.id).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => CliError::new(code::FAILED, format!("{name} has no key {}", arguments.id))
            .hint("`chatstore key list` shows every key with its id and user"),
        _ => error.into(),
    })?;
    eprint_message(format_args!("revoked: {} of {name}", arguments.id));
    Ok(())
}

/// The owner of keys that an argument names, with a name to show.
async fn owner(store: &Store, named: &str) -> Result<(UserId, String), CliError> {
    if named == BUILT_IN || named.parse() == Ok(UserId::ANONYMOUS) {
        return Ok((UserId::ANONYMOUS, BUILT_IN.to_owned()));
    }
    Ok(named_owner(find_user(store, named).await?))
}

async fn all_owners(store: &Store) -> Result<Vec<(UserId, String)>, CliError> {
    let mut owners = vec![(UserId::ANONYMOUS, BUILT_IN.to_owned())];
    owners.extend(all_users(store).await?.into_iter().map(named_owner));
    Ok(owners)
}

fn named_owner(user: User) -> (UserId, String) {
    let name = user.username.or(user.email).unwrap_or_else(|| user.id.to_string());
    (user.id, name)
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration: write a number and d, h or m, for example 90d");
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
