//! The judge: a restored backup against the ledgers of the writers.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use chatstore_bench::error::Error;
use rusqlite::{Connection, OpenFlags};

use super::writer::{BATCH, Sent};

/// What a backup held, and when it was taken.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) begun: Instant,
    pub(super) ended: Instant,
    /// The number of messages of each batch.
    batches: HashMap<String, usize>,
}

impl Moment {
    /// Reads a restored database.
    pub(super) fn read(database: &Path, begun: Instant, ended: Instant) -> Result<Self, Error> {
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement =
            connection.prepare("select content from messages where content like 'batch %'")?;
        let mut batches = HashMap::new();
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let content: String = row.get(0)?;
            *batches.entry(batch_of(&content).to_owned()).or_default() += 1;
        }
        Ok(Self { begun, ended, batches })
    }

    /// What was acknowledged before the backup began is in it, what was sent after its end is not, and each batch is
    /// there wholly or not at all.
    pub(super) fn judge(&self, ledger: &[Sent]) -> Result<Vec<String>, Error> {
        let mut violations = Vec::new();
        let mut known = 0;
        for sent in ledger {
            let found = self.batches.get(&sent.name).copied().unwrap_or_default();
            known += usize::from(found > 0);
            if found != 0 && found != BATCH {
                violations.push(format!("{}: {found} of {BATCH} messages are in the backup", sent.name));
            }
            if found == 0 && sent.acknowledged.is_some_and(|answered| answered < self.begun) {
                violations.push(format!("{}: acknowledged before the backup, and not in it", sent.name));
            }
            if found != 0 && sent.at > self.ended {
                violations.push(format!("{}: sent after the backup, and in it", sent.name));
            }
        }
        if known != self.batches.len() {
            violations.push(format!("{} batches in the backup were never sent", self.batches.len() - known));
        }
        Ok(violations)
    }
}

/// The name of the batch at the beginning of a message.
fn batch_of(content: &str) -> &str {
    content.split(',').next().unwrap_or(content)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn moment(batches: &[(&str, usize)]) -> (Moment, Instant) {
        let start = Instant::now();
        let (begun, ended) = (start + Duration::from_secs(10), start + Duration::from_secs(20));
        let batches = batches.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        (Moment { begun, ended, batches }, start)
    }

    fn violations(batches: &[(&str, usize)]) -> usize {
        let (moment, start) = moment(batches);
        let sent = |name: &str, [at, answered]: [u64; 2]| Sent {
            name: name.to_owned(),
            at: start + Duration::from_secs(at),
            acknowledged: Some(start + Duration::from_secs(answered)),
        };
        let ledger = [sent("before", [1, 2]), sent("during", [12, 13]), sent("after", [21, 22])];
        moment.judge(&ledger).unwrap().len()
    }

    #[test]
    fn a_state_between_beginning_and_end_is_no_violation() {
        assert_eq!(violations(&[("before", BATCH)]), 0);
        assert_eq!(violations(&[("before", BATCH), ("during", BATCH)]), 0);
    }

    #[test]
    fn what_is_missing_partial_too_late_or_unknown_is_found() {
        assert_eq!(violations(&[]), 1);
        assert_eq!(violations(&[("before", BATCH), ("during", 1)]), 1);
        assert_eq!(violations(&[("before", BATCH), ("after", BATCH)]), 1);
        assert_eq!(violations(&[("before", BATCH), ("other", BATCH)]), 1);
    }
}
