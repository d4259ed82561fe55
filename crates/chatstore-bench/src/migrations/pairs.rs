//! Random pairs of schemas with rows: there and back by generated SQL.

use chatstore_migrate_testkit::pairs::try_pair;
use chatstore_sql::DatabaseKind;
use serde_json::json;

use crate::{Failure, verdict};

use super::place::Place;

/// Tries the pairs that follow from `seed`, each by a number of its own.
pub(super) async fn run(place: &Place, seed: u64, rounds: u32) -> Result<bool, Failure> {
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
    let line = json!({
        "experiment": "migrate_pairs",
        "backend": place.kind().as_str(),
        "pairs": rounds,
        "seed": seed,
        "changes": changes,
        "kept_values": values,
    });
    Ok(verdict::print(line, &violations))
}
