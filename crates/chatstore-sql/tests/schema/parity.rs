//! The declared schema, SQLite's and PostgreSQL's are one.

use std::collections::BTreeSet;

use chatstore_sql::migrate::model::Action;
use chatstore_sql::schema::{ColumnType, IndexPurpose, TABLES};
use chatstore_testkit::Backend;

use crate::catalog::{Catalog, lines};
use crate::{postgres, sqlite};

/// Keys, indexes and foreign keys as they are declared for a database, spelled as [`lines`] does.
fn declared_lines(backend: Backend) -> Vec<String> {
    let mut lines = Vec::new();
    for table in TABLES {
        let name = table.name;
        lines.push(format!("{name}: primary key pk_{name} ({})", table.primary_key.join(", ")));
        lines.extend(
            table
                .uniques
                .iter()
                .map(|key| format!("{name}: unique {} ({})", key.name, key.columns.join(", "))),
        );
        for index in table.indexes {
            let predicate = index.predicate.map(|text| format!(" where {text}")).unwrap_or_default();
            let columns = index.columns.join(", ");
            let unique = if index.unique_field.is_some() { "unique " } else { "" };
            match (index.purpose, backend) {
                (IndexPurpose::Order, _) => {
                    lines.push(format!("{name}: {unique}index {} ({columns}){predicate}", index.name));
                }
                (IndexPurpose::Containment, Backend::Postgres) => {
                    lines.push(format!("{name}: index {} using gin ({columns} jsonb_path_ops)", index.name));
                }
                (IndexPurpose::Containment, Backend::Sqlite) => {}
            }
        }
        for key in table.foreign_keys {
            let (columns, parent_columns) = (key.columns.join(", "), key.parent_columns.join(", "));
            let on_delete = if key.on_delete == Action::Cascade { "cascade" } else { "no action" };
            lines.push(format!(
                "{name}: foreign key {} ({columns}) to {} ({parent_columns}) delete {on_delete} update no action",
                key.name, key.parent
            ));
        }
    }
    lines.sort_unstable();
    lines
}

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
async fn keys_indexes_and_foreign_keys_are_the_declared_ones_on_both_databases() {
    let both = both().await;
    assert_eq!(lines(&both.sqlite), declared_lines(Backend::Sqlite));
    assert_eq!(lines(&both.postgres), declared_lines(Backend::Postgres));
}

#[tokio::test]
async fn every_key_outside_users_contains_the_owner() {
    let both = both().await;
    for (name, table) in both.sqlite.iter().chain(&both.postgres).filter(|(name, _)| *name != "users") {
        let unique_indexes = table.indexes.iter().filter(|index| index.is_unique);
        let keys = table.uniques.iter().chain([&table.primary_key]).map(|key| (&key.name, &key.columns));
        for (key, columns) in keys.chain(unique_indexes.map(|index| (&index.name, &index.columns))) {
            let has_owner = columns.iter().any(|column| column == "owner_id" || column == "user_id");
            // A user is found by an identity as by a name, which is unique among all users.
            assert!(has_owner || key == "uq_identities_subject", "{name}: {key}");
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
