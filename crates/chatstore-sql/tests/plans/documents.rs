//! How PostgreSQL finds the documents that contain something.
//!
//! `CHATSTORE_TEST_DOCUMENTS` is how many documents there are, 60,000 by default; 10,000 of them are one owner's.

use chatstore_model::UserId;
use chatstore_sql::{Sql, statements};
use chatstore_testkit::Backend;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

const DOCUMENTS: &str = "CHATSTORE_TEST_DOCUMENTS";

/// Documents of the one owner.
const MANY: i64 = 10_000;

fn statement(name: &str) -> Sql {
    statements().into_iter().find(|statement| statement.name() == name).expect(name)
}

async fn load(client: &Client, owner: Uuid, documents: i64) {
    let others = (documents - MANY) / 100;
    let text = format!(
        "insert into users (id, username, username_key, role, is_active, must_change_password, metadata, created_at, \
         updated_at) select case when n = 0 then '{owner}' else gen_random_uuid() end, n::text, n::text, 'user', true, \
         false, '{{}}', now(), now() from generate_series(0, {others}) as n; \
         insert into documents (owner_id, id, metadata, revision, created_at, updated_at, content) \
         select '{owner}', gen_random_uuid(), jsonb_build_object('source', n % 7), 1, \
         timestamptz '2026-01-01' + n * interval '1 s', now(), \
         jsonb_build_object('kind', n % 3, 'number', n, 'text', repeat(md5(n::text), 8)) \
         from generate_series(1, {MANY}) as n; \
         insert into documents (owner_id, id, metadata, revision, created_at, updated_at, content) \
         select u.id, gen_random_uuid(), jsonb_build_object('source', n % 7), 1, \
         timestamptz '2026-01-01' + n * interval '1 s', now(), \
         jsonb_build_object('kind', n % 3, 'number', n, 'text', repeat(md5(n::text), 8)) \
         from users u cross join generate_series(1, 100) as n where u.username is not null and u.id <> '{owner}'; \
         analyze"
    );
    client.batch_execute(&text).await.unwrap();
}

/// The plan for these values, as the statement is planned each time.
async fn plan(client: &Client, name: &str, values: &str) -> String {
    let text = statement(name).postgres();
    client.batch_execute(&format!("prepare filtered as {text}")).await.unwrap();
    let rows = client.query(&format!("explain (costs off) execute filtered ({values})"), &[]).await.unwrap();
    client.batch_execute("deallocate filtered").await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_few_documents_contain_is_found_by_the_index_of_contents() {
    let case = Backend::Postgres.database().await;
    let (client, connection) = tokio_postgres::connect(&case.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    #[expect(clippy::disallowed_methods, reason = "a longer run is asked for by environment")]
    let documents = std::env::var(DOCUMENTS).map_or(60_000, |number| number.parse().expect("a number"));
    let owner = Uuid::from_u128(7);
    assert_ne!(owner, UserId::ANONYMOUS.uuid());
    load(&client, owner, documents).await;
    client.batch_execute("set plan_cache_mode = force_custom_plan").await.unwrap();
    let start = "'infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff'";
    let page = format!("'{owner}', {start}, '{{\"number\": 5000}}', null, 51, 2097152");
    let shown = plan(&client, "documents.containing_descending", &page).await;
    assert!(shown.contains("Bitmap Index Scan on ix_documents_content"), "{shown}");
    let count = format!("'{owner}', '{{\"number\": 5000}}', null");
    let shown = plan(&client, "documents.count_containing", &count).await;
    assert!(shown.contains("Bitmap Index Scan on ix_documents_content"), "{shown}");
    let both = format!("'{owner}', {start}, '{{\"number\": 5000}}', '{{\"source\": 2}}', 51, 2097152");
    let shown = plan(&client, "documents.containing_descending", &both).await;
    assert!(shown.contains("Bitmap Index Scan on ix_documents_content"), "{shown}");

    // What many contain fills a page soonest in the order of the list.
    let common = format!("'{owner}', {start}, '{{\"kind\": 1}}', null, 51, 2097152");
    let shown = plan(&client, "documents.containing_descending", &common).await;
    assert!(shown.contains("Index Scan using ix_documents_created_at"), "{shown}");
}
