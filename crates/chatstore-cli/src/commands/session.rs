//! `session`: sessions of users who logged in.

use chatstore::auth::OwnKeys;
use chatstore::{ErrorKind, Session, SessionId, Store};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::listing::Rows;
use super::table::print_table;
use super::{eprint_message, find_user, print_json};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the sessions of a user that have not ended, the last used first
    List(List),
    /// End a session of a user, or all of them: running servers refuse their tokens within 5 seconds
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The user: an id, a user name or an e-mail address
    #[arg(long)]
    user: String,
    #[command(flatten)]
    rows: Rows,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The session's id, as `session list` shows it
    #[arg(required_unless_present = "all")]
    id: Option<SessionId>,
    /// The user: an id, a user name or an e-mail address
    #[arg(long)]
    user: String,
    /// End every session of the user; API keys stay valid
    #[arg(long, conflicts_with = "id")]
    all: bool,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    created_at: String,
    last_activity: String,
    expires_at: String,
    ip: Option<String>,
    user_agent: Option<String>,
}

impl From<Session> for Shown {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.to_string(),
            created_at: session.created_at.to_string(),
            last_activity: session.last_activity.to_string(),
            expires_at: session.expires_at.to_string(),
            ip: session.ip,
            user_agent: session.user_agent,
        }
    }
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    match command {
        Command::List(arguments) => list(&store, &arguments).await?,
        Command::Revoke(arguments) => revoke(&store, &arguments).await?,
    }
    store.close().await;
    Ok(())
}

async fn list(store: &Store, arguments: &List) -> Result<(), CliError> {
    let user = find_user(store, &arguments.user).await?.id;
    let page = async |from, limit| store.auth().page(user, from, limit).await;
    let listed = arguments.rows.read(page).await?;
    listed.tell_of_more();
    let sessions = listed.rows.into_iter().map(Shown::from);
    if arguments.json {
        return print_json(&sessions.collect::<Vec<Shown>>());
    }
    let rows: Vec<[String; 6]> = sessions.map(row).collect();
    print_table(["ID", "BEGAN", "LAST USED", "EXPIRES", "ADDRESS", "CLIENT"], &rows);
    Ok(())
}

fn row(session: Shown) -> [String; 6] {
    let Shown { id, created_at, last_activity, expires_at, ip, user_agent } = session;
    [id, created_at, last_activity, expires_at, ip.unwrap_or_default(), user_agent.unwrap_or_default()]
}

async fn revoke(store: &Store, arguments: &Revoke) -> Result<(), CliError> {
    let user = find_user(store, &arguments.user).await?.id;
    let Some(id) = arguments.id else {
        store.auth().logout_all(user, OwnKeys::Keep).await?;
        eprint_message(format_args!("all sessions of {} have ended", arguments.user));
        return Ok(());
    };
    store.auth().revoke(user, id).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let message = format!("{} has no session {id} that has not ended", arguments.user);
            CliError::new(code::FAILED, message).hint("`chatstore session list --user USER` shows them")
        }
        _ => error.into(),
    })?;
    eprint_message(format_args!("the session {id} of {} has ended", arguments.user));
    Ok(())
}
