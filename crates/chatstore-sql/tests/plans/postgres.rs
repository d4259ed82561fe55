//! Plans of PostgreSQL, for the prepared text and whatever parameters.

use std::collections::BTreeSet;

use chatstore_sql::Sql;
use chatstore_testkit::Backend;
use tokio_postgres::{Client, NoTls};

use crate::data::load;
use crate::hot::{HOT, Hot, MARK};

async fn plan(client: &Client, statement: &Sql) -> Vec<String> {
    let text = statement.postgres();
    let prepared = client.prepare(text).await.unwrap();
    let nulls = vec!["null"; prepared.params().len()].join(", ");
    client.batch_execute(&format!("prepare hot as {text}")).await.unwrap();
    let rows = client.query(&format!("explain (costs off) execute hot ({nulls})"), &[]).await.unwrap();
    client.batch_execute("deallocate hot").await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0)).collect()
}

/// The index that a step reads, if it does.
fn index_of(step: &str) -> Option<&str> {
    if step.contains(" on users gone") {
        return Some(MARK);
    }
    let named = step.split_once(" using ").or_else(|| step.split_once("Bitmap Index Scan on "));
    named.and_then(|(_, rest)| rest.split(' ').next())
}

fn assert_plan(hot: &Hot, steps: &[String]) {
    let shown = format!("{}\n{}", hot.name, steps.join("\n"));
    assert!(!shown.contains("Seq Scan"), "{shown}");
    let used: BTreeSet<&str> =
        steps.iter().filter_map(|step| index_of(step)).map(|index| hot.named(index)).collect();
    assert_eq!(used.into_iter().collect::<Vec<_>>(), hot.indexes, "{shown}");
    let sorts: Vec<&str> =
        steps.iter().filter_map(|step| step.trim_start().strip_prefix("Sort Key: ")).collect();
    assert_eq!(sorts, hot.sorts, "{shown}");
    let filters = steps.iter().any(|step| step.trim_start().starts_with("Filter: ") && !is_of_deletion(step));
    assert!(!hot.is_list() || !filters, "{shown}");
}

/// Whether a filter leaves out only what is being deleted, which is little and soon gone.
fn is_of_deletion(step: &str) -> bool {
    let filter = step.trim_start();
    filter == "Filter: (deleted_at IS NULL)" || filter.starts_with("Filter: ((sender_id IS NULL) OR ")
}

#[tokio::test]
async fn hot_statements_use_their_index_and_sort_nothing_on_postgres() {
    let case = Backend::Postgres.database().await;
    load(&case.database).await;
    let (client, connection) = tokio_postgres::connect(&case.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("analyze; set plan_cache_mode = force_generic_plan").await.unwrap();
    for hot in HOT.iter().filter(|hot| !hot.is_planned_for_values()) {
        assert_plan(hot, &plan(&client, &hot.statement()).await);
    }
}
