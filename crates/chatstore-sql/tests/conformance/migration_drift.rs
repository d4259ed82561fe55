//! Every manual change of a database is found.

use chatstore_sql::migrate::model::{
    Action, Check, Column, ColumnType, Index, IndexPart, Indexed, Method, Schema, SqlText, Table,
};
use chatstore_sql::migrate::{Dialect, Difference, Renames};
use chatstore_sql::schema::declared;
use chatstore_testkit::{TestDatabase, conformance};

use crate::migration_fixtures::run_on_server;

conformance!(every_kind_of_manual_change_is_found, a_replay_of_no_revision_creates_nothing);

/// A change by hand, the renames in it, and what is to be found.
type Manual = (fn(&mut Schema), &'static [&'static str], &'static [&'static str]);

fn table<'s>(schema: &'s mut Schema, name: &str) -> &'s mut Table {
    schema.tables.iter_mut().find(|table| table.name == name).unwrap()
}

fn column<'s>(schema: &'s mut Schema, table_name: &str, name: &str) -> &'s mut Column {
    table(schema, table_name).columns.iter_mut().find(|column| column.name == name).unwrap()
}

fn index<'s>(schema: &'s mut Schema, table_name: &str) -> &'s mut Index {
    &mut table(schema, table_name).indexes[0]
}

fn part(column: &str) -> IndexPart {
    IndexPart { of: Indexed::Column(column.to_owned()), descending: false, operator_class: None }
}

fn text(text: &str) -> Option<SqlText> {
    Some(SqlText::from(text))
}

fn changes_of_columns_and_tables() -> Vec<Manual> {
    vec![
        (
            |it| table(it, "messages").columns.retain(|column| column.name != "model"),
            &[],
            &["the column messages.model is missing"],
        ),
        (
            |it| {
                let note =
                    Column { name: "note".to_owned(), kind: ColumnType::Text, nullable: true, default: None };
                table(it, "messages").columns.push(note);
            },
            &[],
            &["the column messages.note is not expected"],
        ),
        (
            |it| column(it, "messages", "model").name = "used_model".to_owned(),
            &["messages.model:used_model"],
            &["the column messages.model is missing", "the column messages.used_model is not expected"],
        ),
        (
            |it| column(it, "responses", "tokens_total").kind = ColumnType::Float,
            &[],
            &["the column responses.tokens_total is"],
        ),
        (
            |it| column(it, "responses", "finish_reason").default = text("'stop'"),
            &[],
            &["the column responses.finish_reason is"],
        ),
        (
            |it| column(it, "responses", "model_used").nullable = true,
            &[],
            &["the column responses.model_used is"],
        ),
        (|it| it.tables.retain(|table| table.name != "responses"), &[], &["the table responses is missing"]),
        (
            |it| {
                let mut copy = it.table("api_keys").unwrap().clone();
                copy.name = "old_keys".to_owned();
                copy.uniques.clear();
                copy.indexes.clear();
                copy.primary_key.name = "pk_old_keys".to_owned();
                it.tables.push(copy);
            },
            &[],
            &["the table old_keys is not expected"],
        ),
        (
            |it| table(it, "responses").name = "answers".to_owned(),
            &["responses:answers"],
            &["the table answers is not expected", "the table responses is missing"],
        ),
    ]
}

fn changes_of_indexes() -> Vec<Manual> {
    const FOUND: &[&str] = &["the index messages.ix_messages_sender_id is"];
    vec![
        (
            |it| table(it, "messages").indexes.clear(),
            &[],
            &[
                "the index messages.ix_messages_external_id is missing",
                "the index messages.ix_messages_format is missing",
                "the index messages.ix_messages_jump is missing",
                "the index messages.ix_messages_parent_seq is missing",
                "the index messages.ix_messages_sender_id is missing",
            ],
        ),
        (
            |it| {
                let mut added = index(it, "messages").clone();
                added.name = "ix_messages_model".to_owned();
                table(it, "messages").indexes.push(added);
            },
            &[],
            &["the index messages.ix_messages_model is not expected"],
        ),
        (|it| index(it, "messages").parts.push(part("created_at")), &[], FOUND),
        (|it| index(it, "messages").predicate = None, &[], FOUND),
        (|it| index(it, "messages").unique = true, &[], FOUND),
        (|it| index(it, "messages").method = Method::Hash, &[], FOUND),
    ]
}

fn changes_of_constraints() -> Vec<Manual> {
    vec![
        (
            |it| table(it, "messages").checks.retain(|check| check.name != "ck_messages_seq"),
            &[],
            &["the constraint messages.ck_messages_seq is missing"],
        ),
        (
            |it| {
                let condition = SqlText::from("length(content) > 0");
                table(it, "messages")
                    .checks
                    .push(Check { name: "ck_messages_content".to_owned(), condition });
            },
            &[],
            &["the constraint messages.ck_messages_content is not expected"],
        ),
        (
            |it| table(it, "messages").checks[1].condition = SqlText::from("seq > 1"),
            &[],
            &["the constraint messages.ck_messages_seq is"],
        ),
        (
            |it| table(it, "responses").foreign_keys.clear(),
            &[],
            &["the constraint responses.fk_responses_message is missing"],
        ),
        (
            |it| table(it, "responses").foreign_keys[0].on_delete = Action::Restrict,
            &[],
            &["the constraint responses.fk_responses_message is"],
        ),
        (
            |it| table(it, "api_keys").uniques.clear(),
            &[],
            &["the constraint api_keys.uq_api_keys_key_hash is missing"],
        ),
    ]
}

async fn run_by_hand(case: &TestDatabase, sql: &str) {
    if case.url.starts_with("sqlite") {
        let client = rusqlite::Connection::open(case.database.place()).unwrap();
        client.execute_batch(sql).unwrap();
    } else {
        run_on_server(case, sql).await;
    }
}

async fn every_kind_of_manual_change_is_found(case: TestDatabase) {
    let dialect = if case.url.starts_with("sqlite") { Dialect::Sqlite } else { Dialect::Postgres };
    let migrations = case.database.migrations().unwrap();
    let changes = [changes_of_columns_and_tables(), changes_of_indexes(), changes_of_constraints()].concat();
    assert_eq!(changes.len(), 21);
    for (change, renames, expected) in changes {
        let mut changed = declared();
        change(&mut changed);
        let renames = Renames::parse(renames.iter().copied()).unwrap().and_no_others();
        let difference = Difference::between(&declared(), &changed, &renames).unwrap();

        run_by_hand(&case, &difference.up.sql(dialect)).await;
        let found: Vec<String> = migrations.drift().await.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{expected:?}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{expected}: {found}");
        }

        run_by_hand(&case, &difference.down.sql(dialect)).await;
        assert_eq!(migrations.drift().await.unwrap(), [], "{expected:?} undone");
    }
}

async fn a_replay_of_no_revision_creates_nothing(case: TestDatabase) {
    let migrations = case.database.migrations().unwrap();
    let nothing = migrations.replay(Vec::new()).await.unwrap();
    assert!(nothing.is_empty());
    let found = nothing.deviations(&migrations.catalog().await.unwrap());
    assert_eq!(found.len(), declared().tables.len(), "one for each table");
}
