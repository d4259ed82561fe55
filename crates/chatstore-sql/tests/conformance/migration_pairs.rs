//! Random pairs of schemas with rows. `cargo xtask migrations-report` tries many more.

use chatstore_migrate_testkit::pairs::try_pair;
use chatstore_sql::DatabaseKind;
use chatstore_testkit::{TestDatabase, conformance};

conformance!(random_schemas_become_each_other_and_lose_no_row_in_columns_that_stay);

async fn random_schemas_become_each_other_and_lose_no_row_in_columns_that_stay(case: TestDatabase) {
    let (url, pairs) = match case.database.kind() {
        DatabaseKind::Sqlite => (None, 0..60),
        DatabaseKind::Postgres => (Some(case.url.as_str()), 0..10),
    };
    let mut compared = 0;
    for pair in pairs {
        match try_pair(url, pair).await {
            Ok(found) => compared += found.values,
            Err(violation) => panic!("pair {pair}: {violation}"),
        }
    }
    assert!(compared > 100, "{compared} values are not enough to show anything");
}
