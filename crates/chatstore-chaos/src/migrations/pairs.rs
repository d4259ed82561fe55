//! Random pairs of schemas with rows: there and back by generated SQL.

use chatstore_bench::error::Error;
use chatstore_migrate_testkit::pairs::try_pair;
use chatstore_sql::DatabaseKind;
use serde_json::json;

use super::place::Place;
use crate::experiment::Recorder;

/// Tries the pairs that follow from `seed`, each by a number of its own.
pub(super) async fn run(place: &Place, seed: u64, rounds: u32, recorder: &mut Recorder) -> Result<(), Error> {
    let url = (place.kind() == DatabaseKind::Postgres).then(|| place.url());
    let mut violations = Vec::new();
    let (mut changes, mut values) = (0, 0);
    for pair in (seed..).take(usize::try_from(rounds)?) {
        match try_pair(url, pair).await {
            Ok(compared) => {
                changes += compared.changes;
                values += compared.values;
            }
            Err(violation) => violations.push(format!("--seed {pair}: {violation}")),
        }
    }
    let figures = json!({
        "pairs": rounds,
        "seed": seed,
        "changes": changes,
        "kept_values": values,
    });
    recorder.record("migrate_pairs", figures, &violations);
    Ok(())
}
