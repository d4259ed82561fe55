//! Changes users.

use chatstore::{Change, UserName, UserPatch};
use clap::Args;

use super::{Role, Shown};
use crate::commands::{eprint_message, find_user, print_json};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};

/// A user to be changed.
#[derive(Debug, Args)]
pub(crate) struct Changed {
    /// An id, a user name or an e-mail address
    #[arg(value_name = "USER")]
    named: String,
    /// Print the changed user as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeRole {
    #[command(flatten)]
    user: Changed,
    /// The new role
    #[arg(value_enum)]
    role: Role,
}

#[derive(Debug, Args)]
pub(crate) struct Rename {
    #[command(flatten)]
    user: Changed,
    /// The new user name: 3 to 64 characters, unique regardless of case
    #[arg(value_name = "NAME")]
    username: String,
}

pub(super) async fn set_active(config: &Config, user: &Changed, is_active: bool) -> Result<(), CliError> {
    let patch = UserPatch { is_active: Some(is_active), ..UserPatch::default() };
    let told = if is_active {
        "is enabled and can log in"
    } else {
        "is disabled: all sessions have ended, and API keys are refused"
    };
    change(config, user, patch, told).await
}

pub(super) async fn set_role(config: &Config, arguments: &ChangeRole) -> Result<(), CliError> {
    let role = arguments.role.of_users();
    let patch = UserPatch { role: Some(role), ..UserPatch::default() };
    change(config, &arguments.user, patch, &format!("has the role {} now", role.as_str())).await
}

pub(super) async fn rename(config: &Config, arguments: &Rename) -> Result<(), CliError> {
    let username = UserName::new(&arguments.username).map_err(|error| {
        CliError::new(code::BAD_DATA, format!("the user name {:?} {error}", arguments.username))
    })?;
    let patch = UserPatch { username: Change::Set(username), ..UserPatch::default() };
    change(config, &arguments.user, patch, &format!("is called {} now", arguments.username)).await
}

async fn change(config: &Config, user: &Changed, patch: UserPatch, told: &str) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    let found = find_user(&store, &user.named).await?;
    let changed = store.users().update(found.id, patch).await?;
    store.close().await;
    if user.json {
        return print_json(&Shown::from(changed));
    }
    eprint_message(format_args!("{} {told}", user.named));
    Ok(())
}
