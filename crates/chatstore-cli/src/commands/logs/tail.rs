//! `logs tail`: the newest events, and those that follow.

use std::collections::BTreeSet;
use std::time::Duration;

use chatstore::fields::LOG_EVENT;
use chatstore::{
    ApiKeyId, CanonicalJson, ConversationId, Limit, LogEvent, LogEventId, LogFilter, LogLevel, LogList,
    LogOwner, Order, Store, Timestamp, UserId,
};
use clap::Args;
use serde::Serialize;

use super::super::{find_user, print};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};
use crate::escape;

/// How often `--follow` looks for events.
const EVERY: Duration = Duration::from_millis(500);

/// Servers store events in batches, some time after they happened: so long `--follow` looks back.
const LOOK_BACK: Duration = Duration::from_secs(30);

/// Maximum events that are printed at once.
const MAX_LINES: u32 = 10_000;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many events, up to 10000
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LINES)))]
    lines: u32,
    /// Go on with the events that happen from now on
    #[arg(long, short = 'f')]
    follow: bool,
    /// Only events of this level: debug, info, warn or error
    #[arg(long, value_parser = level)]
    level: Option<LogLevel>,
    /// Only events of this name, like security.login_failed
    #[arg(long, value_name = "NAME", value_parser = event)]
    event: Option<String>,
    /// Only events about this user: an id, a user name, an e-mail address, or nobody
    #[arg(long)]
    user: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

fn level(text: &str) -> Result<LogLevel, String> {
    LogLevel::parse(text).ok_or_else(|| "must be one of debug, info, warn, error".to_owned())
}

fn event(text: &str) -> Result<String, String> {
    let message = "must be the name of an event: letters, digits, `.`, `_`, `:` and `-`";
    if LOG_EVENT.takes(text) { Ok(text.to_owned()) } else { Err(message.to_owned()) }
}

/// An event, as a line of JSON.
#[derive(Serialize)]
struct Shown<'e> {
    id: LogEventId,
    at: Timestamp,
    level: LogLevel,
    event: &'e str,
    user_id: UserId,
    conversation_id: Option<ConversationId>,
    request_id: Option<&'e str>,
    actor_id: Option<UserId>,
    key_id: Option<ApiKeyId>,
    acting_for_id: Option<UserId>,
    data: &'e CanonicalJson,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    let whose = match arguments.user.as_deref() {
        None => LogOwner::Everyone,
        Some("nobody") => LogOwner::User(UserId::ANONYMOUS),
        Some(named) => LogOwner::User(find_user(&store, named).await?.id),
    };
    let filter = LogFilter { level: arguments.level, event: arguments.event, ..LogFilter::default() };
    let lines = usize::try_from(arguments.lines).unwrap_or(usize::MAX);
    let mut shown = newest(&store, whose, &filter, lines).await?;
    shown.reverse();
    for event in &shown {
        print_event(event, arguments.json)?;
    }
    if arguments.follow {
        return follow(&store, whose, filter, &shown, arguments.json).await;
    }
    store.close().await;
    Ok(())
}

/// Prints what is stored from now on, until the process is ended.
async fn follow(
    store: &Store,
    whose: LogOwner,
    filter: LogFilter,
    shown: &[LogEvent],
    is_json: bool,
) -> Result<(), CliError> {
    let begin = shown.first().map_or_else(|| store.now(), |event| event.at);
    let mut seen: BTreeSet<LogEventId> = shown.iter().map(|event| event.id).collect();
    loop {
        tokio::time::sleep(EVERY).await;
        let from = begin.max(store.now().minus(LOOK_BACK));
        let filter = LogFilter { from: Some(from), ..filter.clone() };
        let mut list = LogList { filter, order: Order::Ascending, from: None, limit: Limit::MAX };
        loop {
            let page = store.event_log().page(whose, list.clone()).await?;
            for event in page.items {
                if seen.insert(event.id) {
                    print_event(&event, is_json)?;
                }
            }
            list.from = page.next;
            if list.from.is_none() {
                break;
            }
        }
        seen = seen.split_off(&LogEventId::first_at(from));
    }
}

/// The newest events of a list, newest first.
async fn newest(
    store: &Store,
    whose: LogOwner,
    filter: &LogFilter,
    most: usize,
) -> Result<Vec<LogEvent>, CliError> {
    let filter = filter.clone();
    let mut list = LogList { filter, order: Order::Descending, from: None, limit: Limit::MAX };
    let mut found = Vec::new();
    loop {
        let page = store.event_log().page(whose, list.clone()).await?;
        found.extend(page.items);
        list.from = page.next;
        if list.from.is_none() || found.len() >= most {
            found.truncate(most);
            return Ok(found);
        }
    }
}

fn print_event(event: &LogEvent, is_json: bool) -> Result<(), CliError> {
    let LogEvent {
        user_id,
        id,
        at,
        level,
        event,
        conversation_id,
        request_id,
        actor_id,
        key_id,
        acting_for_id,
        data,
    } = event;
    if is_json {
        let shown = Shown {
            id: *id,
            at: *at,
            level: *level,
            event,
            user_id: *user_id,
            conversation_id: *conversation_id,
            request_id: request_id.as_deref(),
            actor_id: *actor_id,
            key_id: *key_id,
            acting_for_id: *acting_for_id,
            data,
        };
        let line = serde_json::to_string(&shown)
            .map_err(|error| CliError::new(code::FAILED, format!("cannot write JSON: {error}")))?;
        print(escape::json(&line));
        return Ok(());
    }
    let mut line = format!("{at} {:<5} {event}", level.as_str());
    if *user_id != UserId::ANONYMOUS {
        line.push_str(&format!(" user={user_id}"));
    }
    let others = [
        ("actor", actor_id.map(|id| id.to_string())),
        ("key", key_id.map(|id| id.to_string())),
        ("for", acting_for_id.map(|id| id.to_string())),
        ("conversation", conversation_id.map(|id| id.to_string())),
        ("request", request_id.clone()),
    ];
    for (name, value) in others.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        line.push_str(&format!(" {name}={value}"));
    }
    if *data != CanonicalJson::object() {
        line.push_str(&format!(" {}", data.as_str()));
    }
    print(escape::visible(&line, |_| false));
    Ok(())
}
