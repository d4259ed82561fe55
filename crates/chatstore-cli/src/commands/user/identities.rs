//! Who users are for identity providers.

use chatstore::{Identity, IdentityName};
use clap::Args;
use serde::Serialize;

use super::Shown;
use crate::commands::table::print_table;
use crate::commands::{eprint_message, find_user, print_json};
use crate::config::Config;
use crate::database;
use crate::error::CliError;

/// A user, and a person at an identity provider.
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// An id, a user name or an e-mail address
    #[arg(value_name = "USER")]
    named: String,
    /// The URL of the identity provider, exactly as in its tokens (`iss`)
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The id that the identity provider has for the person (`sub`)
    #[arg(long)]
    subject: String,
}

#[derive(Serialize)]
struct ShownWithIdentities {
    #[serde(flatten)]
    user: Shown,
    identities: Vec<ShownIdentity>,
}

#[derive(Serialize)]
struct ShownIdentity {
    issuer: String,
    subject: String,
    created_at: String,
    token_issued_at: Option<String>,
    revoked_before: Option<String>,
}

impl From<Identity> for ShownIdentity {
    fn from(identity: Identity) -> Self {
        Self {
            issuer: identity.issuer,
            subject: identity.subject,
            created_at: identity.created_at.to_string(),
            token_issued_at: identity.token_issued_at.map(|at| at.to_string()),
            revoked_before: identity.revoked_before.map(|at| at.to_string()),
        }
    }
}

pub(super) async fn show(config: &Config, named: &str, json: bool) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    let user = find_user(&store, named).await?;
    let identities = store.users().identities(user.id).await?;
    store.close().await;
    let shown = ShownWithIdentities {
        user: Shown::from(user),
        identities: identities.into_iter().map(ShownIdentity::from).collect(),
    };
    if json {
        return print_json(&shown);
    }
    print_table(["FIELD", "VALUE"], &rows(shown));
    Ok(())
}

fn rows(shown: ShownWithIdentities) -> Vec<[String; 2]> {
    let user = shown.user;
    let row = |field: &str, value: String| [field.to_owned(), value];
    let mut rows = vec![
        row("id", user.id),
        row("short id", user.short_id),
        row("name", user.username.unwrap_or_default()),
        row("e-mail", user.email.unwrap_or_default()),
        row("full name", user.full_name.unwrap_or_default()),
        row("role", user.role.to_owned()),
        row("active", if user.is_active { "yes" } else { "no" }.to_owned()),
        row("created", user.created_at),
    ];
    for identity in shown.identities {
        rows.push(row("identity", format!("{} at {}", identity.subject, identity.issuer)));
        rows.extend(identity.token_issued_at.map(|at| row("newest token", at)));
    }
    rows
}

pub(super) async fn link(config: &Config, arguments: Link) -> Result<(), CliError> {
    let Link { named, issuer, subject } = arguments;
    let store = database::open_existing(config).await?;
    let user = find_user(&store, &named).await?;
    let about = format!("{subject} at {issuer}");
    store.users().link(user.id, IdentityName { issuer, subject }).await?;
    store.close().await;
    eprint_message(format_args!("{about} is {named} now"));
    Ok(())
}

pub(super) async fn unlink(config: &Config, arguments: Link) -> Result<(), CliError> {
    let Link { named, issuer, subject } = arguments;
    let store = database::open_existing(config).await?;
    let user = find_user(&store, &named).await?;
    let about = format!("{subject} at {issuer}");
    store.users().unlink(user.id, IdentityName { issuer, subject }).await?;
    store.close().await;
    eprint_message(format_args!(
        "{about} is not {named} any more; running servers refuse the tokens within 5 seconds"
    ));
    Ok(())
}
