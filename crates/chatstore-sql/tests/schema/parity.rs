//! The declared schema, SQLite's and PostgreSQL's are one.

use std::collections::BTreeSet;

use chatstore_sql::schema::{ColumnType, TABLES};
use chatstore_testkit::Backend;

use crate::catalog::{Catalog, lines};
use crate::{postgres, sqlite};

/// Keys, indexes and foreign keys of the data model, in alphabetical order.
const EXPECTED: &[&str] = &[
    "api_keys: foreign key fk_api_keys_user_id (user_id) to users (id) delete cascade update no action",
    "api_keys: primary key pk_api_keys (user_id, id)",
    "api_keys: unique uq_api_keys_key_hash (user_id, key_hash)",
    "conversation_members: foreign key fk_conversation_members_conversation (owner_id, conversation_id) \
     to conversations (owner_id, id) delete cascade update no action",
    "conversation_members: foreign key fk_conversation_members_user_id (user_id) to users (id) delete cascade \
     update no action",
    "conversation_members: index ix_conversation_members_user_id (user_id, conversation_id)",
    "conversation_members: primary key pk_conversation_members (owner_id, conversation_id, user_id)",
    "conversations: foreign key fk_conversations_owner_id (owner_id) to users (id) delete cascade update no action",
    "conversations: index ix_conversations_archived_created_at (owner_id, created_at desc, id desc) \
     where archived_at is not null",
    "conversations: index ix_conversations_archived_updated_at (owner_id, updated_at desc, id desc) \
     where archived_at is not null",
    "conversations: index ix_conversations_created_at (owner_id, created_at desc, id desc) where archived_at is null",
    "conversations: index ix_conversations_updated_at (owner_id, updated_at desc, id desc) where archived_at is null",
    "conversations: primary key pk_conversations (owner_id, id)",
    "conversations: unique uq_conversations_thread_id (owner_id, thread_id)",
    "idempotency_keys: foreign key fk_idempotency_keys_caller_id (caller_id) to users (id) delete cascade \
     update no action",
    "idempotency_keys: foreign key fk_idempotency_keys_owner_id (owner_id) to users (id) delete cascade \
     update no action",
    "idempotency_keys: index ix_idempotency_keys_caller_id (caller_id, key)",
    "idempotency_keys: index ix_idempotency_keys_expires_at (expires_at)",
    "idempotency_keys: primary key pk_idempotency_keys (owner_id, caller_id, key)",
    "messages: foreign key fk_messages_conversation (owner_id, conversation_id) to conversations (owner_id, id) \
     delete cascade update no action",
    "messages: foreign key fk_messages_sender_id (sender_id) to users (id) delete no action update no action",
    "messages: index ix_messages_sender_id (sender_id) where sender_id is not null",
    "messages: primary key pk_messages (owner_id, conversation_id, seq)",
    "messages: unique uq_messages_id (owner_id, id)",
    "refresh_tokens: foreign key fk_refresh_tokens_session (user_id, session_id) to sessions (user_id, id) delete \
     cascade update no action",
    "refresh_tokens: index ix_refresh_tokens_expires_at (expires_at)",
    "refresh_tokens: primary key pk_refresh_tokens (user_id, id)",
    "refresh_tokens: unique uq_refresh_tokens_counter (user_id, session_id, counter)",
    "refresh_tokens: unique uq_refresh_tokens_token_hash (user_id, token_hash)",
    "responses: foreign key fk_responses_message (owner_id, message_id) to messages (owner_id, id) delete cascade \
     update no action",
    "responses: primary key pk_responses (owner_id, message_id)",
    "sessions: foreign key fk_sessions_user_id (user_id) to users (id) delete cascade update no action",
    "sessions: index ix_sessions_expires_at (expires_at)",
    "sessions: index ix_sessions_last_activity (user_id, last_activity desc, id desc)",
    "sessions: primary key pk_sessions (user_id, id)",
    "sessions: unique uq_sessions_access_jti (user_id, access_jti)",
    "usage_daily: foreign key fk_usage_daily_owner_id (owner_id) to users (id) delete cascade update no action",
    "usage_daily: primary key pk_usage_daily (owner_id, day, model)",
    "users: index ix_users_created_at (created_at, id)",
    "users: primary key pk_users (id)",
    "users: unique uq_users_email_key (email_key)",
    "users: unique uq_users_username_key (username_key)",
];

struct Both {
    sqlite: Catalog,
    postgres: Catalog,
    loose_in_sqlite: Vec<String>,
}

async fn both() -> Both {
    let (on_sqlite, on_postgres) = (Backend::Sqlite.database().await, Backend::Postgres.database().await);
    let connection = rusqlite::Connection::open(on_sqlite.database.place()).unwrap();
    let client = postgres::connect(&on_postgres.url).await;
    Both {
        sqlite: sqlite::catalog(&connection),
        postgres: postgres::catalog(&client).await,
        loose_in_sqlite: sqlite::loose_tables(&connection),
    }
}

fn spelled_by_sqlite(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Uuid | ColumnType::Bytes => "blob",
        ColumnType::Text | ColumnType::Json => "text",
        ColumnType::Bool | ColumnType::Int | ColumnType::Time => "integer",
        ColumnType::Float => "real",
    }
}

fn spelled_by_postgres(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Uuid => "uuid",
        ColumnType::Text => "text",
        ColumnType::Bool => "boolean",
        ColumnType::Int => "bigint",
        ColumnType::Float => "double precision",
        ColumnType::Bytes => "bytea",
        ColumnType::Json => "jsonb",
        ColumnType::Time => "timestamp with time zone",
    }
}

#[tokio::test]
async fn both_databases_have_the_declared_tables_and_columns() {
    let both = both().await;
    let declared: BTreeSet<&str> = TABLES.iter().map(|table| table.name).collect();
    for (catalog, spelled) in
        [(&both.sqlite, spelled_by_sqlite as fn(_) -> _), (&both.postgres, spelled_by_postgres)]
    {
        assert_eq!(catalog.keys().map(String::as_str).collect::<BTreeSet<_>>(), declared);
        for table in TABLES {
            let stored = &catalog[table.name];
            let columns: Vec<(&str, &str, bool)> = stored
                .columns
                .iter()
                .map(|column| (column.name.as_str(), column.kind.as_str(), column.nullable))
                .collect();
            let expected: Vec<(&str, &str, bool)> = table
                .columns
                .iter()
                .map(|column| (column.name, spelled(column.kind), column.nullable))
                .collect();
            assert_eq!(columns, expected, "{}", table.name);
            assert_eq!(stored.primary_key.columns, table.primary_key, "{}", table.name);
        }
    }
}

#[tokio::test]
async fn keys_indexes_and_foreign_keys_are_those_of_the_data_model_on_both_databases() {
    let both = both().await;
    assert_eq!(lines(&both.sqlite), EXPECTED);
    assert_eq!(lines(&both.postgres), EXPECTED);
}

#[tokio::test]
async fn every_key_outside_users_contains_the_owner() {
    let both = both().await;
    for (name, table) in both.sqlite.iter().chain(&both.postgres).filter(|(name, _)| *name != "users") {
        for key in table.uniques.iter().chain([&table.primary_key]) {
            let has_owner = key.columns.iter().any(|column| column == "owner_id" || column == "user_id");
            assert!(has_owner, "{name}: {key:?}");
        }
    }
}

#[tokio::test]
async fn no_foreign_key_crosses_owners_but_to_users() {
    let both = both().await;
    for (name, table) in both.sqlite.iter().chain(&both.postgres) {
        for key in table.foreign_keys.iter().filter(|key| key.parent != "users") {
            let mut pairs = key.columns.iter().zip(&key.parent_columns);
            let is_owner = |column: &str| column == "owner_id" || column == "user_id";
            assert!(pairs.any(|(from, to)| from == to && is_owner(from)), "{name}: {key:?}");
        }
    }
}

#[tokio::test]
async fn every_constraint_and_index_is_named_by_the_rule() {
    let both = both().await;
    for (table, stored) in both.sqlite.iter().chain(&both.postgres) {
        let named = |prefix: &str, name: &str| {
            assert!(name.starts_with(&format!("{prefix}_{table}")), "{table}: {name}");
        };
        named("pk", &stored.primary_key.name);
        stored.uniques.iter().for_each(|key| named("uq", &key.name));
        stored.indexes.iter().for_each(|index| named("ix", &index.name));
        stored.foreign_keys.iter().for_each(|key| named("fk", &key.name));
        stored.checks.keys().for_each(|name| named("ck", name));
    }
}

#[tokio::test]
async fn both_databases_check_the_same_and_sqlite_the_types_it_lacks_as_well() {
    let both = both().await;
    for table in TABLES {
        let (on_sqlite, on_postgres) = (&both.sqlite[table.name].checks, &both.postgres[table.name].checks);
        let mut expected: BTreeSet<String> = on_postgres.keys().cloned().collect();
        for column in table.columns {
            let name = format!("ck_{}_{}", table.name, column.name);
            match column.kind {
                ColumnType::Bool => {
                    assert!(on_sqlite[&name].starts_with(&format!("check ({} in (0, 1))", column.name)));
                }
                ColumnType::Json => {
                    assert!(on_sqlite[&name].starts_with(&format!("check (json_valid({}))", column.name)));
                }
                _ => continue,
            }
            expected.insert(name);
        }
        assert_eq!(on_sqlite.keys().cloned().collect::<BTreeSet<_>>(), expected, "{}", table.name);
    }
}

#[tokio::test]
async fn every_table_is_strict_and_clustered_by_its_key_on_sqlite() {
    assert_eq!(both().await.loose_in_sqlite, [] as [&str; 0]);
}

#[tokio::test]
async fn every_text_is_compared_by_its_bytes_on_postgres() {
    for (name, table) in both().await.postgres {
        for column in table.columns.iter().filter(|column| column.kind == "text") {
            assert_eq!(column.collation.as_deref(), Some("C"), "{name}.{}", column.name);
        }
    }
}
