//! What Alembic says of a database that our revisions created and of models written for SQLAlchemy: what
//! `docs/migrations.md` explains, and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub,
    reason = "a case that meets the unexpected fails at once"
)]

mod explained;

use std::collections::BTreeSet;
use std::path::Path;

use chatstore_sql::schema::declared;
use chatstore_sql::{DatabaseKind, Sql};
use chatstore_testkit::{TestDatabase, conformance, python};
use serde_json::Value;

use explained::explained;

conformance!(
    alembic_finds_no_difference_that_is_not_explained,
    alembic_finds_a_column_that_was_dropped,
    drift_finds_what_alembic_does_not_look_at,
);

/// What `compare.py` prints.
struct Compared {
    /// Tables that there are models of.
    models: BTreeSet<String>,
    differences: BTreeSet<String>,
}

async fn alembic_finds_no_difference_that_is_not_explained(case: TestDatabase) {
    let Compared { models, differences } = compare(&case);
    let tables: BTreeSet<String> = declared().tables.into_iter().map(|table| table.name).collect();
    let without: Vec<&String> = tables.difference(&models).collect();
    assert!(without.is_empty(), "add models of {without:?} to tests/alembic/models.py");
    let gone: Vec<&String> = models.difference(&tables).collect();
    assert!(gone.is_empty(), "take the models of {gone:?} out of tests/alembic/models.py");
    assert_same(&differences, &explained(case.database.kind()));
}

async fn alembic_finds_a_column_that_was_dropped(case: TestDatabase) {
    change(&case, "alter table users drop column full_name").await;
    let mut expected = explained(case.database.kind());
    expected.insert("add_column users.full_name".to_owned());
    assert_same(&compare(&case).differences, &expected);
}

async fn drift_finds_what_alembic_does_not_look_at(case: TestDatabase) {
    let predicate: &[&str] =
        &["drop index ix_messages_sender_id", "create index ix_messages_sender_id on messages (sender_id)"];
    let only_postgres: [&[&str]; 4] = [
        &[
            "drop index ix_users_created_at",
            "create index ix_users_created_at on users using brin (created_at, id)",
        ],
        &[
            "alter table users drop constraint ck_users_role",
            "alter table users add constraint ck_users_role check (role <> '')",
        ],
        &["alter table users alter column full_name type text collate \"default\""],
        &["alter table usage_daily drop constraint pk_usage_daily"],
    ];
    let changes = match case.database.kind() {
        DatabaseKind::Sqlite => vec![predicate],
        DatabaseKind::Postgres => [&[predicate], &only_postgres[..]].concat(),
    };
    for sql in changes.concat() {
        change(&case, sql).await;
    }
    assert_same(&compare(&case).differences, &explained(case.database.kind()));
    let drift = case.database.migrations().unwrap().drift().await.unwrap();
    assert_eq!(drift.len(), changes.len(), "{drift:?}");
}

#[track_caller]
fn assert_same(found: &BTreeSet<String>, expected: &BTreeSet<String>) {
    let unexplained: Vec<&String> = found.difference(expected).collect();
    let untrue: Vec<&String> = expected.difference(found).collect();
    assert!(
        unexplained.is_empty() && untrue.is_empty(),
        "correct tests/alembic/models.py, or what docs/migrations.md explains: Alembic also finds {unexplained:#?}, and \
         does not find {untrue:#?}"
    );
}

/// Changes the database past its revisions.
async fn change(case: &TestDatabase, sql: &'static str) {
    let sql = Sql::same("test.change", sql);
    case.database.write("change", async move |tx| tx.execute(&sql, &[]).await).await.unwrap();
}

fn compare(case: &TestDatabase) -> Compared {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alembic/compare.py");
    // SQLAlchemy's third slash does not belong to the path.
    let url = case.url.replacen("sqlite://", "sqlite:///", 1);
    let mut printed: Value = serde_json::from_str(&python(&script, &[&url])).expect("JSON is printed");
    let mut texts = |key: &str| serde_json::from_value(printed[key].take()).expect("a list of texts");
    Compared { models: texts("models"), differences: texts("differences") }
}
