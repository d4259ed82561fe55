//! `user`: users, their passwords and their identities.

mod change;
mod identities;
mod list;

use chatstore::operations::Deletion;
use chatstore::{Change, Email, NewUser, User, UserName, UserPatch, UserRole};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::confirm::Confirmation;
use super::{eprint_message, find_user, print, print_json};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};
use crate::new_password;
use crate::progress::{Progress, Unit};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a user and print the id
    Create(Create),
    /// List users, the oldest first
    List(list::List),
    /// Show a user and who they are for identity providers
    Show {
        /// An id, a user name or an e-mail address
        #[arg(value_name = "USER")]
        named: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Disable a user: end the sessions and refuse the API keys, without deleting anything
    Disable(change::Changed),
    /// Enable a disabled user
    Enable(change::Changed),
    /// Change a user's role; becoming an administrator revokes the API keys
    Role(change::ChangeRole),
    /// Change a user's name
    Rename(change::Rename),
    /// Let the tokens of a person at an identity provider be those of a user
    Link(identities::Link),
    /// Take a person at an identity provider from a user; their tokens are refused
    Unlink(identities::Link),
    /// Set a user's password, asked for at the terminal, and end the user's sessions
    SetPassword(SetPassword),
    /// Set a user's e-mail address, which you know to be theirs: others may then act for the user by it
    VerifyEmail(VerifyEmail),
    /// Delete a user with everything that is the user's, and wait until the last row is gone
    #[command(visible_alias = "erase")]
    Delete {
        /// An id, a user name or an e-mail address
        #[arg(value_name = "USER")]
        named: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Strengthen the PBKDF2 hashes of imported passwords; the passwords stay the same
    WrapLegacy {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SetPassword {
    /// An id, a user name or an e-mail address
    #[arg(value_name = "USER")]
    named: String,
    /// Require another password at the next login
    #[arg(long)]
    must_change: bool,
    /// Read the password from a line of standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyEmail {
    /// An id, a user name or an e-mail address
    #[arg(value_name = "USER")]
    named: String,
    /// The address, also if it is the one that the user claims
    #[arg(value_name = "ADDRESS")]
    email: String,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The user name: 3 to 64 characters, unique regardless of case; optional with --email
    #[arg(long, required_unless_present = "email")]
    username: Option<String>,
    /// The e-mail address, which you know to be the user's; unique regardless of case
    #[arg(long)]
    email: Option<String>,
    /// The full name
    #[arg(long)]
    full_name: Option<String>,
    /// The role
    #[arg(long, value_enum, default_value = "user")]
    role: Role,
    /// Read a password from a line of standard input; without it the user cannot log in
    #[arg(long)]
    password_stdin: bool,
    /// Require another password at the first login
    #[arg(long, requires = "password_stdin")]
    must_change: bool,
    /// Print the whole user as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    User,
    Admin,
}

impl Role {
    const fn of_users(self) -> UserRole {
        match self {
            Self::User => UserRole::User,
            Self::Admin => UserRole::Admin,
        }
    }
}

#[derive(Serialize)]
struct Shown {
    id: String,
    short_id: String,
    username: Option<String>,
    email: Option<String>,
    email_verified_at: Option<String>,
    full_name: Option<String>,
    role: &'static str,
    is_active: bool,
    must_change_password: bool,
    metadata: chatstore::CanonicalJson,
    created_at: String,
    updated_at: String,
}

impl From<User> for Shown {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            short_id: user.id.short(),
            username: user.username,
            email: user.email,
            email_verified_at: user.email_verified_at.map(|at| at.to_string()),
            full_name: user.full_name,
            role: user.role.as_str(),
            is_active: user.is_active,
            must_change_password: user.must_change_password,
            metadata: user.metadata,
            created_at: user.created_at.to_string(),
            updated_at: user.updated_at.to_string(),
        }
    }
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<(), CliError> {
    match command {
        Command::Create(arguments) => create(config, &arguments).await,
        Command::List(arguments) => list::list(config, &arguments).await,
        Command::Show { named, json } => identities::show(config, &named, json).await,
        Command::Disable(user) => change::set_active(config, &user, false).await,
        Command::Enable(user) => change::set_active(config, &user, true).await,
        Command::Role(arguments) => change::set_role(config, &arguments).await,
        Command::Rename(arguments) => change::rename(config, &arguments).await,
        Command::Link(arguments) => identities::link(config, arguments).await,
        Command::Unlink(arguments) => identities::unlink(config, arguments).await,
        Command::SetPassword(arguments) => set_password(config, &arguments).await,
        Command::VerifyEmail(arguments) => verify_email(config, &arguments).await,
        Command::Delete { named, confirmation } => delete(config, &named, &confirmation).await,
        Command::WrapLegacy { json } => wrap_legacy(config, json).await,
    }
}

async fn create(config: &Config, arguments: &Create) -> Result<(), CliError> {
    let new = new_user(arguments)?;
    let password = match arguments.password_stdin {
        true => Some(new_password::read(true)?),
        false => None,
    };
    let store = database::open_ready(config).await?;
    let user = match password {
        Some(password) => store.users().create_with_password(new, password).await?,
        None => store.users().create(new).await?,
    };
    store.close().await;
    if arguments.json {
        return print_json(&Shown::from(user));
    }
    print(user.id);
    Ok(())
}

async fn set_password(config: &Config, arguments: &SetPassword) -> Result<(), CliError> {
    new_password::check_source(arguments.password_stdin)?;
    let store = database::open_existing(config).await?;
    let user = find_user(&store, &arguments.named).await?;
    let password = new_password::read(arguments.password_stdin)?;
    store.auth().set_password(user.id, password, arguments.must_change).await?;
    store.close().await;
    eprint_message(format_args!(
        "the password of {} is set, and all sessions of the user have ended",
        arguments.named
    ));
    Ok(())
}

async fn verify_email(config: &Config, arguments: &VerifyEmail) -> Result<(), CliError> {
    let email = Email::new(&arguments.email).map_err(|error| {
        CliError::new(code::BAD_DATA, format!("the address {:?} {error}", arguments.email))
    })?;
    let store = database::open_existing(config).await?;
    let user = find_user(&store, &arguments.named).await?;
    let patch =
        UserPatch { email: Change::Set(email), is_email_verified: Some(true), ..UserPatch::default() };
    store.users().update(user.id, patch).await?;
    store.close().await;
    eprint_message(format_args!("{} is the verified address of {}", arguments.email, user.id));
    Ok(())
}

async fn delete(config: &Config, named: &str, confirmation: &Confirmation) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    let user = find_user(&store, named).await?;
    confirmation.ask(&format!("delete the user {named} with everything that is theirs"))?;
    if let Deletion::Marked(marked) = store.users().begin_to_erase(user.id).await? {
        eprint_message(format_args!("{named} no longer exists; deleting the rows"));
        let total = store.operations().messages_left(marked).await?;
        let mut progress = Progress::new("erasing", Unit::Rows, total);
        store.operations().finish_deletion(marked, |rows| progress.set(rows.min(total))).await?;
        progress.finish();
    }
    if let Err(error) = store.operations().empty_log().await {
        eprint_message(format_args!("the log still holds what was erased, until reads end: {error}"));
    }
    store.close().await;
    eprint_message(format_args!("{named} is erased: the last row is gone"));
    Ok(())
}

async fn wrap_legacy(config: &Config, json: bool) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    let total = store.auth().count_legacy().await?;
    let mut progress = Progress::new("wrapping", Unit::Rows, total);
    let wrapped = store.auth().wrap_legacy(|done| progress.set(done)).await?;
    progress.finish();
    store.close().await;
    if json {
        return print_json(&json!({ "wrapped": wrapped }));
    }
    print(format_args!("{wrapped} PBKDF2 hashes are now Argon2id hashes of them"));
    Ok(())
}

fn new_user(arguments: &Create) -> Result<NewUser, CliError> {
    let bad = |what: &str, error: &dyn std::fmt::Display| {
        CliError::new(code::BAD_DATA, format!("--{what} {error}"))
    };
    let username = arguments.username.as_deref().map(UserName::new).transpose();
    let email = arguments.email.as_deref().map(Email::new).transpose();
    Ok(NewUser {
        is_email_verified: arguments.email.is_some(),
        username: username.map_err(|error| bad("username", &error))?,
        email: email.map_err(|error| bad("email", &error))?,
        full_name: arguments.full_name.clone(),
        role: arguments.role.of_users(),
        must_change_password: arguments.must_change,
        ..NewUser::default()
    })
}
