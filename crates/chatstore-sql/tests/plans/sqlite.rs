//! Plans of SQLite, for a file that was never analysed, as usual, and for one that was.

use std::collections::BTreeSet;

use chatstore_sql::Sql;
use chatstore_testkit::Backend;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params_from_iter, types::Null};

use crate::data::load;
use crate::hot::{HOT, Hot, MARK};

fn plan(connection: &Connection, statement: &Sql) -> Vec<String> {
    let mut explained = connection.prepare(&format!("explain query plan {}", statement.sqlite())).unwrap();
    let nulls = vec![Null; explained.parameter_count()];
    let steps = explained.query_map(params_from_iter(nulls), |row| row.get("detail")).unwrap();
    steps.map(Result::unwrap).collect()
}

/// SQLite numbers the indexes of unique constraints instead of naming them.
fn index_of(step: &str) -> String {
    let table = step.split(' ').nth(1).unwrap_or_default();
    let (_, used) = step.split_once(" USING ").unwrap_or_default();
    let used = used.trim_start_matches("COVERING ").trim_start_matches("INDEX ");
    let used = used.split(" (").next().unwrap_or_default();
    if table == "gone" {
        return MARK.to_owned();
    }
    let full_name = match table {
        "c" | "own" | "live" => "conversations",
        "k" => "api_keys",
        "i" => "identities",
        "r" => "responses",
        "s" => "sessions",
        "u" => "users",
        name => name,
    };
    match used {
        "PRIMARY KEY" => format!("pk_{full_name}"),
        "sqlite_autoindex_identities_2" => "uq_identities_subject".to_owned(),
        "sqlite_autoindex_messages_2" => "uq_messages_id".to_owned(),
        "sqlite_autoindex_conversations_2" => "uq_conversations_thread_id".to_owned(),
        "sqlite_autoindex_api_keys_2" => "uq_api_keys_key_hash".to_owned(),
        "sqlite_autoindex_refresh_tokens_2" => "uq_refresh_tokens_token_hash".to_owned(),
        "sqlite_autoindex_refresh_tokens_3" => "uq_refresh_tokens_counter".to_owned(),
        "sqlite_autoindex_sessions_2" => "uq_sessions_access_jti".to_owned(),
        "sqlite_autoindex_users_2" => "uq_users_username_key".to_owned(),
        "sqlite_autoindex_users_3" => "uq_users_external_id".to_owned(),
        named => named.to_owned(),
    }
}

/// What a subquery gives: one row, or those of one piece.
const SMALL: [&str; 3] = ["SCAN first", "SCAN newest", "SCAN piece"];

fn assert_plan(hot: &Hot, steps: &[String]) {
    let shown = format!("{}\n  {}", hot.name, steps.join("\n  "));
    let scans = steps.iter().filter(|step| step.starts_with("SCAN ") && !SMALL.contains(&step.as_str()));
    assert_eq!(scans.count(), 0, "{shown}");
    let used: BTreeSet<String> =
        steps.iter().filter(|step| step.starts_with("SEARCH ")).map(|step| index_of(step)).collect();
    assert_eq!(used.iter().map(String::as_str).collect::<Vec<_>>(), hot.indexes, "{shown}");
    let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
    assert!(hot.sorts_on_sqlite || !sorts, "{shown}");
}

#[tokio::test]
async fn hot_statements_use_their_index_and_sort_nothing_on_sqlite() {
    let case = Backend::Sqlite.database().await;
    load(&case.database).await;
    let connection = Connection::open(case.database.place()).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).unwrap();
    let mut explained = 0;
    for preparation in ["", "analyze"] {
        connection.execute_batch(preparation).unwrap();
        for hot in HOT.iter().filter(|hot| !hot.statement().sqlite().is_empty()) {
            assert_plan(hot, &plan(&connection, &hot.statement()));
            explained += 1;
        }
    }
    assert_eq!(explained, 2 * (HOT.len() - 3), "three statements are PostgreSQL's alone");
}
