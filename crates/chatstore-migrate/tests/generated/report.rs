//! Every kind of change and random pairs of schemas, with a line of JSON for each on what came of them.
//!
//! `CHATSTORE_TEST_PAIRS` and `CHATSTORE_TEST_POSTGRES_PAIRS` say how many pairs are tried on SQLite and PostgreSQL,
//! `CHATSTORE_TEST_SEED` which is the first.

#![allow(clippy::print_stdout, reason = "a report goes to standard output")]
#![allow(clippy::disallowed_methods, reason = "a test is told how much to do by the environment")]

use chatstore_sql::DatabaseKind;
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::changes::{self, Promise, try_change};
use crate::pairs::try_pair;

conformance!(
    each_kind_of_change_is_detected_and_applied_without_losing_a_row,
    random_schemas_become_each_other_and_lose_no_row_in_columns_that_stay,
);

const DOCUMENT: &str = include_str!("../../../../docs/migrations.md");

async fn each_kind_of_change_is_detected_and_applied_without_losing_a_row(case: TestDatabase) {
    let all = changes::all();
    assert_eq!(all.len(), 24);
    let mut violations = Vec::new();
    let mut table = vec!["| change | detected | right schema | rows kept | undone |".to_owned()];
    let mut totals = [0; Promise::ALL.len()];
    for change in &all {
        let row = format!("| {} |", change.name);
        assert!(
            DOCUMENT.contains(&format!("\n{row} yes |")),
            "docs/migrations.md has a row for: {}",
            change.name
        );
        let outcome = try_change(url(&case), change).await;
        let words = outcome.each_ref().map(|held| if held.is_ok() { "yes" } else { "no" });
        table.push(format!("{row} {} |", words.join(" | ")));
        for ((promise, held), total) in Promise::ALL.into_iter().zip(outcome).zip(&mut totals) {
            match held {
                Ok(()) => *total += 1,
                Err(violation) => violations.push(format!("{}: {promise:?}: {violation}", change.name)),
            }
        }
    }
    table.push(format!("| all | {} |", totals.map(|held| format!("{held} of {}", all.len())).join(" | ")));
    println!("{}:\n{}", case.database.kind().as_str(), table.join("\n"));
    let [detected, right_schema, rows_kept, undone] = totals;
    let figures = json!({
        "changes": all.len(),
        "detected": detected,
        "right_schema": right_schema,
        "rows_kept": rows_kept,
        "undone": undone,
    });
    record("migrate_changes", &case, figures, &violations);
}

async fn random_schemas_become_each_other_and_lose_no_row_in_columns_that_stay(case: TestDatabase) {
    let seed = number("CHATSTORE_TEST_SEED", 0);
    let pairs = match case.database.kind() {
        DatabaseKind::Sqlite => number("CHATSTORE_TEST_PAIRS", 60),
        DatabaseKind::Postgres => number("CHATSTORE_TEST_POSTGRES_PAIRS", 10),
    };
    let mut violations = Vec::new();
    let (mut changes, mut values) = (0, 0);
    for pair in seed..seed + pairs {
        match try_pair(url(&case), pair).await {
            Ok(compared) => {
                changes += compared.changes;
                values += compared.values;
            }
            Err(violation) => violations.push(format!("pair {pair}: {violation}")),
        }
    }
    let figures = json!({ "pairs": pairs, "seed": seed, "changes": changes, "kept_values": values });
    record("migrate_pairs", &case, figures, &violations);
    assert!(values > 100 || pairs < 10, "{values} values are not enough to show anything");
}

/// Where the generated SQL runs; SQLite has a database in memory for each attempt.
fn url(case: &TestDatabase) -> Option<&str> {
    (case.database.kind() == DatabaseKind::Postgres).then_some(case.url.as_str())
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// Prints the figures; fails when there are violations.
fn record(experiment: &str, case: &TestDatabase, mut figures: Value, violations: &[String]) {
    figures["experiment"] = experiment.into();
    figures["backend"] = case.database.kind().as_str().into();
    figures["violations"] = violations.len().into();
    println!("{figures}");
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}
