//! The commands, one file each.

pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod config;
mod confirm;
pub(crate) mod conversation;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod import;
pub(crate) mod key;
mod listing;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod openapi;
pub(crate) mod restore;
pub(crate) mod sample;
pub(crate) mod schema;
pub(crate) mod seed;
pub(crate) mod serve;
pub(crate) mod session;
pub(crate) mod stats;
mod table;
pub(crate) mod user;

use std::io::Write as _;

use chatstore::{Store, User, UserId};
use serde::Serialize;

use crate::error::{CliError, code};
use crate::escape;

/// Writes data to standard output. The command ends if that fails: quietly when the
/// reader has closed the pipe, otherwise with an error.
pub(crate) fn print(data: impl std::fmt::Display) {
    let Err(error) = writeln!(std::io::stdout(), "{data}") else { return };
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprint_message(format_args!("error: cannot write to standard output: {error}"));
    std::process::exit(code::DAMAGED.into());
}

/// Writes data to standard output as one JSON document.
pub(crate) fn print_json(data: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(data)
        .map_err(|error| CliError::new(code::FAILED, format!("cannot write JSON: {error}")))?;
    print(escape::json(&text));
    Ok(())
}

/// Writes a message, which is not data, to standard error.
#[allow(clippy::print_stderr, reason = "the one place where commands print messages")]
pub(crate) fn eprint_message(message: impl std::fmt::Display) {
    eprintln!("{}", escape::lines(&message.to_string()));
}

/// The name of the built-in user, who owns service keys without an owner of their own, and what came without an owner.
pub(crate) const BUILT_IN: &str = "anonymous";

/// The id of the user that an argument names, as [`find_user`], or of the built-in one.
pub(crate) async fn find_user_id(store: &Store, named: &str) -> Result<UserId, CliError> {
    if named == BUILT_IN || named.parse() == Ok(UserId::ANONYMOUS) {
        return Ok(UserId::ANONYMOUS);
    }
    Ok(find_user(store, named).await?.id)
}

/// The user that an argument names: an id, a short id, an e-mail address or a name.
pub(crate) async fn find_user(store: &Store, named: &str) -> Result<User, CliError> {
    if let Ok(id) = named.parse::<UserId>() {
        return Ok(store.users().get(id).await?);
    }
    let found = if named.contains('@') {
        store.users().find_by_email(named).await?
    } else {
        store.users().find_by_username(named).await?
    };
    if found.is_none()
        && let Some(claiming) = store.users().find_by_claimed_email(named).await?
    {
        let message = format!("the address {named:?} is claimed by user {}, but not verified", claiming.id);
        return Err(CliError::new(code::FAILED, message).hint("if you mean that user, name the user by id"));
    }
    found.ok_or_else(|| {
        CliError::new(code::FAILED, format!("there is no user {named:?}"))
            .hint("name a user by id, user name or e-mail address; create one with `chatstore user create`")
    })
}
