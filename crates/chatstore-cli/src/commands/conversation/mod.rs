//! `conversation`: conversations of a user.

mod export;

use chatstore::{
    ArchivedFilter, AsUser, Conversation, ConversationFilter, ConversationId, ConversationList,
    ConversationRole, ErrorKind, Membership, Store,
};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::confirm::Confirmation;
use super::listing::Rows;
use super::table::print_table;
use super::{eprint_message, find_user_id, print, print_json};
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the conversations of a user, the last changed first
    List(List),
    /// Show a conversation without its messages
    Show {
        #[command(flatten)]
        conversation: Named,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a conversation with everything in it
    Delete {
        #[command(flatten)]
        conversation: Named,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Print a conversation with its messages as a line of JSON that `import jsonl` reads
    Export(Named),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The user: an id, a user name, an e-mail address, or anonymous for the built-in user
    #[arg(long)]
    user: String,
    /// Those that the user owns, those of others in which the user is a member, or both
    #[arg(long, value_enum, default_value = "all")]
    membership: Whose,
    /// Those that are archived, those that are not, or both
    #[arg(long, value_enum, default_value = "all")]
    archived: Archived,
    #[command(flatten)]
    rows: Rows,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Whose {
    All,
    Owned,
    Shared,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Archived {
    All,
    Only,
    Exclude,
}

/// A conversation, and its owner.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The conversation's id, as `conversation list` shows it
    id: ConversationId,
    /// The owner or a member: an id, a user name, an e-mail address, or anonymous for the built-in user
    #[arg(long)]
    user: String,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    short_id: String,
    owner_id: String,
    role: &'static str,
    thread_id: Option<String>,
    title: Option<String>,
    default_model: Option<String>,
    message_count: i64,
    last_message_at: Option<String>,
    archived_at: Option<String>,
    revision: i64,
    metadata: chatstore::CanonicalJson,
    created_at: String,
    updated_at: String,
}

impl From<(Conversation, ConversationRole)> for Shown {
    fn from((conversation, role): (Conversation, ConversationRole)) -> Self {
        Self {
            id: conversation.id.to_string(),
            short_id: conversation.id.short(),
            owner_id: conversation.owner_id.to_string(),
            role: role.as_str(),
            thread_id: conversation.thread_id,
            title: conversation.title,
            default_model: conversation.default_model,
            message_count: conversation.message_count,
            last_message_at: conversation.last_message_at.map(|at| at.to_string()),
            archived_at: conversation.archived_at.map(|at| at.to_string()),
            revision: conversation.revision,
            metadata: conversation.metadata,
            created_at: conversation.created_at.to_string(),
            updated_at: conversation.updated_at.to_string(),
        }
    }
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<(), CliError> {
    let store = database::open_existing(config).await?;
    match command {
        Command::List(arguments) => list(&store, &arguments).await?,
        Command::Show { conversation, json } => show(&store, &conversation, json).await?,
        Command::Delete { conversation, confirmation } => {
            delete(&store, &conversation, &confirmation).await?
        }
        Command::Export(conversation) => {
            let chat = conversation.chat(&store).await?;
            export::print_line(&chat, conversation.find(&chat).await?.0).await?;
        }
    }
    store.close().await;
    Ok(())
}

impl Named {
    async fn chat<'s>(&self, store: &'s Store) -> Result<AsUser<'s>, CliError> {
        Ok(store.as_user(find_user_id(store, &self.user).await?))
    }

    async fn find(&self, chat: &AsUser<'_>) -> Result<(Conversation, ConversationRole), CliError> {
        chat.conversations().get(self.id).await.map_err(|error| self.absent(error))
    }

    fn absent(&self, error: chatstore::Error) -> CliError {
        match error.kind() {
            ErrorKind::NotFound => {
                let message = format!("{} has no conversation {}", self.user, self.id);
                CliError::new(code::FAILED, message)
                    .hint("`chatstore conversation list --user USER` shows them")
            }
            _ => error.into(),
        }
    }
}

async fn list(store: &Store, arguments: &List) -> Result<(), CliError> {
    let chat = store.as_user(find_user_id(store, &arguments.user).await?);
    let filter = ConversationFilter {
        membership: match arguments.membership {
            Whose::All => Membership::All,
            Whose::Owned => Membership::Owned,
            Whose::Shared => Membership::Shared,
        },
        archived: match arguments.archived {
            Archived::All => ArchivedFilter::All,
            Archived::Only => ArchivedFilter::Archived,
            Archived::Exclude => ArchivedFilter::Unarchived,
        },
        ..ConversationFilter::EVERYTHING
    };
    let page = async |from, limit| {
        let list = ConversationList { filter: filter.clone(), from, limit, ..ConversationList::default() };
        chat.conversations().page(list).await
    };
    let listed = arguments.rows.read(page).await?;
    listed.tell_of_more();
    let conversations = listed.rows.into_iter().map(Shown::from);
    if arguments.json {
        return print_json(&conversations.collect::<Vec<Shown>>());
    }
    let rows: Vec<[String; 6]> = conversations.map(row).collect();
    print_table(["ID", "ROLE", "TITLE", "THREAD", "MESSAGES", "CHANGED"], &rows);
    Ok(())
}

fn row(conversation: Shown) -> [String; 6] {
    [
        conversation.id,
        conversation.role.to_owned(),
        conversation.title.unwrap_or_default(),
        conversation.thread_id.unwrap_or_default(),
        conversation.message_count.to_string(),
        conversation.updated_at,
    ]
}

async fn show(store: &Store, named: &Named, json: bool) -> Result<(), CliError> {
    let shown = Shown::from(named.find(&named.chat(store).await?).await?);
    if json {
        return print_json(&shown);
    }
    let no_thread = "none".to_owned();
    for (what, value) in [
        ("id", shown.id),
        ("owner", shown.owner_id),
        ("role", shown.role.to_owned()),
        ("title", shown.title.unwrap_or_default()),
        ("thread", shown.thread_id.unwrap_or(no_thread)),
        ("messages", shown.message_count.to_string()),
        ("created", shown.created_at),
        ("changed", shown.updated_at),
        ("archived", shown.archived_at.unwrap_or_else(|| "no".to_owned())),
    ] {
        print(format_args!("{what:<9} {}", crate::escape::visible(&value, |_| false)));
    }
    Ok(())
}

async fn delete(store: &Store, named: &Named, confirmation: &Confirmation) -> Result<(), CliError> {
    let chat = named.chat(store).await?;
    let (conversation, _) = named.find(&chat).await?;
    confirmation.ask(&format!(
        "delete the conversation {} of {} with its {} messages",
        named.id, named.user, conversation.message_count
    ))?;
    chat.conversations().delete(named.id).await.map_err(|error| named.absent(error))?;
    eprint_message(format_args!("the conversation {} of {} is deleted", named.id, named.user));
    Ok(())
}
