//! A database as chat_app leaves it, its tables as SQLAlchemy creates them.

use chatstore_bench::arguments::Databases;
use chatstore_bench::data::dialect::{numbers, truth};
use chatstore_bench::data::{content, load};
use chatstore_bench::databases::TemporaryDatabase;
use chatstore_bench::error::Error;
use chatstore_sql::DatabaseKind;

/// Messages of an ordinary conversation.
const EACH: u64 = 20;

/// Conversations of a user.
const CONVERSATIONS_EACH: u64 = 20;

/// One of this many messages is in the first conversation, which becomes a large one.
const LARGE_EVERY: u64 = 20;

/// A filled database of the other application.
#[derive(Debug)]
pub(super) struct Source {
    url: String,
    messages: u64,
    database: TemporaryDatabase,
}

impl Source {
    pub(super) async fn create(
        kind: DatabaseKind,
        messages: u64,
        databases: &Databases,
    ) -> Result<Self, Error> {
        let database = TemporaryDatabase::create(kind, databases, "source").await?;
        let statements = statements(kind, messages);
        let url = match kind {
            DatabaseKind::Sqlite => {
                let file = database.file().to_owned();
                tokio::task::spawn_blocking(move || load::fill_sqlite(&file, &statements)).await??;
                format!("sqlite:///{}", database.file().display())
            }
            DatabaseKind::Postgres => {
                load::fill_postgres(database.url(), &statements).await?;
                database.url().to_owned()
            }
        };
        Ok(Self { url, messages, database })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Rows of all tables.
    pub(super) fn rows(&self) -> u64 {
        let conversations = conversations(self.messages);
        users(conversations) + conversations + self.messages + responses(self.messages)
    }

    pub(super) async fn remove(self) -> Result<(), Error> {
        self.database.remove().await
    }
}

pub(super) fn conversations(messages: u64) -> u64 {
    (messages / EACH).max(1)
}

pub(super) fn users(conversations: u64) -> u64 {
    (conversations / CONVERSATIONS_EACH).max(1)
}

/// Every other message is a model's.
const fn responses(messages: u64) -> u64 {
    messages / 2
}

fn statements(kind: DatabaseKind, messages: u64) -> Vec<String> {
    let conversations = conversations(messages);
    let users = users(conversations);
    let moment = match kind {
        DatabaseKind::Sqlite => "datetime",
        DatabaseKind::Postgres => "timestamp without time zone",
    };
    let tables = format!(
        "create table users (id integer not null primary key, username varchar(50) not null unique, \
         email varchar(100) not null unique, hashed_password varchar(255) not null, full_name varchar(100), \
         is_active boolean not null, created_at {moment} not null, updated_at {moment} not null); \
         create table conversations (id integer not null primary key, uuid varchar(36) not null unique, \
         title varchar(255), default_model varchar(100) not null, user_id integer references users (id), \
         created_at {moment} not null, updated_at {moment} not null); \
         create table messages (id integer not null primary key, uuid varchar(36) not null unique, \
         conversation_id integer not null references conversations (id), role varchar(20) not null, \
         content text not null, model varchar(100), created_at {moment} not null); \
         create table responses (id integer not null primary key, \
         message_id integer not null unique references messages (id), model_used varchar(100) not null, \
         tokens_prompt integer, tokens_completion integer, tokens_total integer, \
         completion_time_ms integer, created_at {moment} not null)"
    );
    let at = |seconds: &str| match kind {
        DatabaseKind::Sqlite => {
            format!("strftime('%Y-%m-%d %H:%M:%f', 1704067200 + {seconds}, 'unixepoch') || '000'")
        }
        DatabaseKind::Postgres => format!("to_timestamp(1704067200 + {seconds}) at time zone 'UTC'"),
    };
    // Random, as `uuid4()` generates them.
    let uuid = match kind {
        DatabaseKind::Sqlite => {
            "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || \
             '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
        }
        DatabaseKind::Postgres => "gen_random_uuid()::text",
    };
    let (yes, early, now) = (truth(kind, true), at("0"), at("n"));
    vec![
        tables,
        format!(
            "insert into users select n + 1, 'user ' || n, 'user' || n || '@example.org', '$2b$12$x', null, \
             {yes}, {early}, {early} from {}",
            numbers(kind, users)
        ),
        format!(
            "insert into conversations select n + 1, {}, 'Conversation ' || n, 'small-1', n % {users} + 1, \
             {early}, {early} from {}",
            uuid,
            numbers(kind, conversations)
        ),
        format!(
            "insert into messages select n + 1, {}, \
             case when n % {LARGE_EVERY} = 0 then 1 else (n * 7919) % {conversations} + 1 end, \
             case when n % 2 = 0 then 'user' else 'assistant' end, '{}' || n, null, {now} from {}",
            uuid,
            content(),
            numbers(kind, messages)
        ),
        format!(
            "insert into responses select n + 1, n * 2 + 2, 'small-1', 200, 80, 280, 900, {} from {}",
            at("n * 2 + 1"),
            numbers(kind, responses(messages))
        ),
    ]
}
