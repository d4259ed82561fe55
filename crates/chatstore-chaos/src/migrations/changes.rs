//! Each kind of change of a table with rows: found, applied and undone by generated SQL.

use chatstore_bench::table::{self, Column};
use chatstore_migrate_testkit::changes::{Change, Promise, all, try_change};
use chatstore_sql::DatabaseKind;
use serde_json::json;

use super::place::Place;
use crate::experiment::Recorder;

/// What came of the changes on one database.
pub(crate) struct Tried {
    kind: DatabaseKind,
    /// For each change, which promises held.
    held: Vec<[bool; Promise::ALL.len()]>,
}

/// Tries every change.
pub(super) async fn run(place: &Place, recorder: &mut Recorder) -> Tried {
    let url = (place.kind() == DatabaseKind::Postgres).then(|| place.url());
    let mut violations = Vec::new();
    let mut tried = Tried { kind: place.kind(), held: Vec::new() };
    for change in all() {
        let outcome = try_change(url, &change).await;
        tried.held.push(outcome.each_ref().map(Result::is_ok));
        violations.extend(
            outcome.into_iter().filter_map(Result::err).map(|text| format!("{}: {text}", change.name)),
        );
    }
    let [detected, right_schema, rows_kept, undone] = tried.totals();
    let figures = json!({
        "changes": tried.held.len(),
        "detected": detected,
        "right_schema": right_schema,
        "rows_kept": rows_kept,
        "undone": undone,
    });
    recorder.record("migrate_changes", figures, &violations);
    tried
}

impl Tried {
    fn totals(&self) -> [usize; Promise::ALL.len()] {
        std::array::from_fn(|promise| self.held.iter().filter(|held| held[promise]).count())
    }

    fn columns(&self) -> [Column; Promise::ALL.len()] {
        let first = match self.kind {
            DatabaseKind::Sqlite => "SQLite: detected",
            DatabaseKind::Postgres => "PostgreSQL: detected",
        };
        [first, "right schema", "rows kept", "undone"].map(Column::Words)
    }
}

/// Prints a row for each change, and how many held.
pub(super) fn print(tried: &[Tried]) {
    let mut columns = vec![Column::Words("change")];
    columns.extend(tried.iter().flat_map(Tried::columns));
    let mut rows: Vec<Vec<String>> =
        all().iter().map(|Change { name, .. }| vec![(*name).to_owned()]).collect();
    let mut totals = vec!["all".to_owned()];
    for on_one in tried {
        for (row, held) in rows.iter_mut().zip(&on_one.held) {
            row.extend(held.map(|held| if held { "yes" } else { "no" }.to_owned()));
        }
        totals.extend(on_one.totals().map(|held| format!("{held} of {}", on_one.held.len())));
    }
    rows.push(totals);
    table::print(&columns, &rows);
}
