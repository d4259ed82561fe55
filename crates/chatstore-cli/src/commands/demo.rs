//! `demo`: a database with sample conversations, served.

use std::net::SocketAddr;
use std::path::PathBuf;

use chatstore::{ApiKeyScope, ConversationList, Limit, Membership, Store, User};
use clap::Args;

use super::{eprint_message, print, sample, serve};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};
use crate::token_key;

/// The name of the demo's key; a second demo replaces the key.
const KEY_NAME: &str = "demo";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The SQLite file; --database-url names another database instead
    #[arg(long, default_value = "chatstore-demo.db")]
    file: PathBuf,
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    bind: Option<SocketAddr>,
    /// Set everything up, but do not serve
    #[arg(long)]
    no_serve: bool,
}

pub(crate) async fn run(config: &Config, arguments: Arguments) -> Result<(), CliError> {
    let bind = arguments.bind.unwrap_or(config.bind);
    // Before anything is created: another server may have the address.
    let listener = if arguments.no_serve { None } else { Some(serve::listen(bind).await?) };
    let store = if config.database_is_named() {
        database::open_for_server(config, None, None).await?
    } else {
        database::open_file_for_server(config, &arguments.file).await?
    };
    let store = token_key::install_token_keys(config, store)?;
    store.migrate().await?;
    let imported = sample::import(&store).await?;
    let counts = store.operations().counts().await?;
    eprint_message(format_args!(
        "{}: {} conversations with {} messages of {} users ({imported} conversations new)",
        store.place(),
        counts.conversations,
        counts.messages,
        counts.users,
    ));
    let user = sample::first_user(&store).await?;
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok()).unwrap_or(bind);
    print_calls(&store, &user, address).await?;
    match listener {
        Some(listener) => serve::serve(config, store, listener, serve::Background::new()).await,
        None => {
            store.close().await;
            Ok(())
        }
    }
}

/// Prints a key and three calls that work exactly as printed.
async fn print_calls(store: &Store, user: &User, address: SocketAddr) -> Result<(), CliError> {
    for key in store.keys().list(user.id).await? {
        if key.name.as_deref() == Some(KEY_NAME) && key.revoked_at.is_none() {
            store.keys().revoke(user.id, key.id).await?;
        }
    }
    let key = store.keys().create(user.id, ApiKeyScope::User, Some(KEY_NAME.to_owned()), None).await?.text;
    let newest = ConversationList {
        filter: Membership::Owned.into(),
        limit: Limit::new(1).unwrap_or_default(),
        ..ConversationList::default()
    };
    let page = store.as_user(user.id).conversations().page(newest).await?;
    let (conversation, _) = page
        .items
        .into_iter()
        .next()
        .ok_or_else(|| CliError::new(code::FAILED, "the sample has no conversations"))?;
    let base = format!("http://{address}/api/v1/conversations");
    let id = conversation.id.short();
    let bearer = format!("-H 'Authorization: Bearer {key}'");
    print(format_args!("API key of {}: {key}", user.username.as_deref().unwrap_or_default()));
    print("");
    print("# the five newest conversations");
    print(format_args!("curl -s {bearer} '{base}?limit=5'"));
    print("# one of them, from its beginning");
    print(format_args!("curl -s {bearer} '{base}/{id}/messages?order=asc'"));
    print("# a new message in it");
    print(format_args!(
        "curl -s {bearer} -H 'Content-Type: application/json' -d '{{\"content\": \"Thank you!\"}}' '{base}/{id}/messages'"
    ));
    Ok(())
}
