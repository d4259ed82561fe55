//! `key`: API keys.

use std::collections::VecDeque;
use std::time::Duration;

use chatstore::auth::{KeyOptions, ROTATION_OVERLAP};
use chatstore::{
    ApiKey, ApiKeyId, ApiKeyScope, ErrorKind, FromText, KeyRights, Limit, Namespace, NewKey, Order,
    RouteGroup, Store, User, UserFilter, UserId, UserPosition, UserRole,
};
use clap::{Args, Subcommand};
use ipnet::IpNet;
use serde::Serialize;

use super::listing::Rows;
use super::table::print_table;
use super::{BUILT_IN, eprint_message, find_user, print, print_json};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};

const LIST_KEYS: &str = "`chatstore key list` shows every key with its id and user";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a key and print it; it is shown only once
    Create(Create),
    /// List the keys that are not revoked
    List(List),
    /// Give a key another secret and print it; the former one stays good for a while
    Rotate(Rotate),
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
    #[command(flatten)]
    rights: Rights,
    /// Print the key with its stored fields as JSON
    #[arg(long)]
    json: bool,
}

/// What the key may do.
#[derive(Debug, Args)]
#[command(next_help_heading = "What the key may do")]
struct Rights {
    /// Let the key only read
    #[arg(long)]
    read_only: bool,
    /// The routes it may use, separated by commas: conversations, documents, users, logs, usage, ai-cache, auth [default: all]
    #[arg(long, value_name = "ROUTE", value_delimiter = ',', value_parser = from_text::<RouteGroup>)]
    routes: Vec<RouteGroup>,
    /// An address or network it may be used from, like 192.0.2.7 or 10.0.0.0/8; may be repeated [default: any]
    #[arg(long, value_name = "ADDRESS", value_parser = from_text::<IpNet>)]
    address: Vec<IpNet>,
    /// A user the service key may act for: an id, a user name or an e-mail address; may be repeated [default: any]
    #[arg(long, value_name = "USER", requires = "service")]
    for_user: Vec<String>,
    /// Let the service key act only for users with an external id in this namespace
    #[arg(long, requires = "service", value_parser = from_text::<Namespace>)]
    namespace: Option<Namespace>,
    /// Let the service key name users of this namespace by `Chatstore-User: ext:ID`, and create those who are unknown
    #[arg(long, value_name = "NAMESPACE", requires = "service", value_parser = from_text::<Namespace>)]
    provision: Option<Namespace>,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The key's id, as `key list` shows it
    id: ApiKeyId,
    /// The owner, to look there alone: an id, a user name, an e-mail address, or anonymous for the built-in user
    #[arg(long)]
    user: Option<String>,
    /// How long the former secret stays good, up to 7d; 0m for not at all [default: 24h]
    #[arg(long, value_parser = overlap)]
    overlap: Option<Duration>,
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
    #[command(flatten)]
    rows: Rows,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The key's id, as `key list` shows it
    id: ApiKeyId,
    /// The owner, to look there alone: an id, a user name, an e-mail address, or anonymous for the built-in user
    #[arg(long)]
    user: Option<String>,
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
    rights: ShownRights,
    previous_expires_at: Option<String>,
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
            rights: ShownRights::from(&key.rights),
            previous_expires_at: key.previous_expires_at.map(|at| at.to_string()),
            key: None,
        }
    }
}

/// What a key may do; null is no limit.
#[derive(Serialize)]
struct ShownRights {
    read_only: bool,
    routes: Option<Vec<&'static str>>,
    users: Option<Vec<UserId>>,
    namespace: Option<String>,
    provision: Option<String>,
    addresses: Option<Vec<String>>,
}

impl From<&KeyRights> for ShownRights {
    fn from(rights: &KeyRights) -> Self {
        let KeyRights { read_only, routes, users, namespace, provision, addresses } = rights;
        Self {
            read_only: *read_only,
            routes: some(routes.iter().map(|group| group.as_str())),
            users: some(users.iter().copied()),
            namespace: namespace.as_ref().map(ToString::to_string),
            provision: provision.as_ref().map(ToString::to_string),
            addresses: some(addresses.iter().map(ToString::to_string)),
        }
    }
}

fn some<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    Some(items.collect::<Vec<T>>()).filter(|items| !items.is_empty())
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    match command {
        Command::Create(arguments) => create(&store, arguments).await?,
        Command::List(arguments) => list(&store, &arguments).await?,
        Command::Rotate(arguments) => rotate(&store, &arguments).await?,
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
    let rights = rights(store, arguments.rights).await?;
    let options = KeyOptions { scope, name: arguments.name, expires_at, rights };
    let new = store.keys().create_with(owner, options).await?;
    print_secret(new, arguments.json)
}

async fn rights(store: &Store, arguments: Rights) -> Result<KeyRights, CliError> {
    let Rights { read_only, routes, address: addresses, for_user, namespace, provision } = arguments;
    let mut users = Vec::with_capacity(for_user.len());
    for named in &for_user {
        users.push(find_user(store, named).await?.id);
    }
    Ok(KeyRights { read_only, routes, users, namespace, provision, addresses })
}

fn print_secret(new: NewKey, is_json: bool) -> Result<(), CliError> {
    if is_json {
        return print_json(&Shown { key: Some(new.text), ..Shown::from(new.key) });
    }
    print(new.text);
    Ok(())
}

async fn rotate(store: &Store, arguments: &Rotate) -> Result<(), CliError> {
    let (owner, name) = owner_of(store, arguments.id, arguments.user.as_deref()).await?;
    let overlap = arguments.overlap.unwrap_or(ROTATION_OVERLAP);
    let rotated = store.keys().rotate(owner, arguments.id, None, overlap).await;
    print_secret(rotated.map_err(|error| absent_key(error, arguments.id, &name))?, arguments.json)
}

fn absent_key(error: chatstore::Error, id: ApiKeyId, owner: &str) -> CliError {
    match error.kind() {
        ErrorKind::NotFound => {
            CliError::new(code::FAILED, format!("{owner} has no key {id}")).hint(LIST_KEYS)
        }
        _ => error.into(),
    }
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
    let mut keys = Vec::new();
    let mut owners = match &arguments.user {
        Some(named) => Owners::of(owner(store, named).await?),
        None => Owners::all(store),
    };
    // One more than are listed, to know whether there are more.
    while keys.len() <= arguments.rows.maximum() {
        let Some((id, name)) = owners.next().await? else { break };
        let of_owner = store.keys().list(id).await?;
        keys.extend(
            of_owner.into_iter().filter(|key| key.revoked_at.is_none()).map(|key| (key, name.clone())),
        );
    }
    let listed = arguments.rows.listed(keys, false);
    listed.tell_of_more();
    let keys = listed.rows;
    if arguments.json {
        return print_json(&keys.into_iter().map(|(key, _)| Shown::from(key)).collect::<Vec<Shown>>());
    }
    let rows: Vec<[String; 9]> = keys.into_iter().map(|(key, owner)| row(key, owner)).collect();
    print_table(
        ["ID", "PREFIX", "SCOPE", "USER", "NAME", "CREATED", "LAST USED", "EXPIRES", "LIMITS"],
        &rows,
    );
    Ok(())
}

fn row(key: ApiKey, owner: String) -> [String; 9] {
    let limits = limits(&key);
    [
        key.id.to_string(),
        key.prefix,
        key.scope.as_str().to_owned(),
        owner,
        key.name.unwrap_or_default(),
        key.created_at.to_string(),
        key.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        key.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        limits,
    ]
}

/// What a key may do, in a few words.
fn limits(key: &ApiKey) -> String {
    let KeyRights { read_only, routes, users, namespace, provision, addresses } = &key.rights;
    let mut limits = Vec::new();
    if *read_only {
        limits.push("read-only".to_owned());
    }
    let routes: Vec<&str> = routes.iter().map(|group| group.as_str()).collect();
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    for (what, items) in [("routes", routes.join(",")), ("from", addresses.join(","))] {
        if !items.is_empty() {
            limits.push(format!("{what} {items}"));
        }
    }
    if !users.is_empty() {
        limits.push(format!("for {} users", users.len()));
    }
    limits.extend(namespace.as_ref().map(|namespace| format!("for users of {namespace}")));
    limits.extend(provision.as_ref().map(|namespace| format!("creates users of {namespace}")));
    limits.extend(key.previous_expires_at.map(|end| format!("former secret until {end}")));
    limits.join("; ")
}

async fn revoke(store: &Store, arguments: &Revoke) -> Result<(), CliError> {
    let (owner, name) = owner_of(store, arguments.id, arguments.user.as_deref()).await?;
    let revoked = store.keys().revoke(owner, arguments.id).await;
    revoked.map_err(|error| absent_key(error, arguments.id, &name))?;
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

/// The owner of a key, with a name to show: the one that is named, or the one who has it.
async fn owner_of(store: &Store, id: ApiKeyId, named: Option<&str>) -> Result<(UserId, String), CliError> {
    if let Some(named) = named {
        return owner(store, named).await;
    }
    let mut owners = Owners::all(store);
    while let Some((user, name)) = owners.next().await? {
        if store.keys().list(user).await?.iter().any(|key| key.id == id) {
            return Ok((user, name));
        }
    }
    Err(CliError::new(code::FAILED, format!("no user has a key {id}")).hint(LIST_KEYS))
}

/// Those who may own keys, one after the other: the built-in user, then the others, oldest first. They are read page by page.
struct Owners<'s> {
    read: VecDeque<(UserId, String)>,
    /// Where to go on; `None` when there are no more.
    rest: Option<(&'s Store, Option<UserPosition>)>,
}

impl<'s> Owners<'s> {
    fn of(owner: (UserId, String)) -> Self {
        Self { read: VecDeque::from([owner]), rest: None }
    }

    fn all(store: &'s Store) -> Self {
        let built_in = (UserId::ANONYMOUS, BUILT_IN.to_owned());
        Self { read: VecDeque::from([built_in]), rest: Some((store, None)) }
    }

    async fn next(&mut self) -> Result<Option<(UserId, String)>, CliError> {
        if self.read.is_empty()
            && let Some((store, from)) = self.rest.take()
        {
            let (filter, order) = (UserFilter::default(), Order::Ascending);
            let page = store.users().page(filter, order, from, Limit::MAX).await?;
            self.read.extend(page.items.into_iter().map(named_owner));
            self.rest = page.next.map(|next| (store, Some(next)));
        }
        Ok(self.read.pop_front())
    }
}

fn named_owner(user: User) -> (UserId, String) {
    let name = user.username.or(user.email).unwrap_or_else(|| user.id.to_string());
    (user.id, name)
}

fn from_text<T: FromText>(text: &str) -> Result<T, String> {
    T::from_text(text.to_owned()).map_err(|(_, message)| message)
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = overlap(text)?;
    if duration.is_zero() { Err(not_a_duration(text)) } else { Ok(duration) }
}

fn not_a_duration(text: &str) -> String {
    format!("{text:?} is not a duration: write a number and d, h or m, for example 90d")
}

/// A duration, which may be none.
fn overlap(text: &str) -> Result<Duration, String> {
    let wrong = || not_a_duration(text);
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
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
        assert_eq!(overlap("0m"), Ok(Duration::ZERO));
    }
}
