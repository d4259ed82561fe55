//! What the ledgers and the files say.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use chatstore_bench::client::Answer;
use chatstore_bench::error::Error;
use rusqlite::{Connection, ErrorCode};

use super::writer::Sent;

/// Violations of one kind that are spelled out.
const SHOWN: usize = 3;

/// What was acknowledged although it was sent after the fault.
pub(super) fn late(sent: &[Sent], visible_at: Instant) -> Vec<String> {
    let late = sent.iter().filter(|sent| sent.sent_at > visible_at && sent.is_stored());
    late.take(SHOWN).map(|sent| format!("{:.40} was acknowledged after the fault", sent.content)).collect()
}

/// Every acknowledged message is in the file, once; no refused one; the file is sound.
pub(super) fn holds_everything(file: &Path, sent: &[Sent]) -> Result<Vec<String>, Error> {
    let connection = Connection::open(file)?;
    let mut violations = soundness(&connection)?;
    if !violations.is_empty() {
        return Ok(violations);
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut statement = connection.prepare("select content from messages")?;
    for content in statement.query_map((), |row| row.get::<_, String>(0))? {
        *counts.entry(content?).or_default() += 1;
    }
    for sent in sent {
        let found = counts.get(&sent.content).copied().unwrap_or(0);
        let is_wrong = match &sent.answer {
            Answer::Stored(_) => found != 1,
            // The client reads `outcome-unknown` as a refusal, because it is a 503.
            Answer::Refused(_) | Answer::Unknown(_) => found > 1,
        };
        if is_wrong && violations.len() < SHOWN {
            violations
                .push(format!("{:.40}, answered {:?}, is there {found} times", sent.content, sent.answer));
        }
    }
    Ok(violations)
}

/// The file is what was put there, and still is when it is opened with whatever lies beside it.
pub(super) fn is_untouched(file: &Path, put: &[u8], is_database: bool) -> Result<Vec<String>, Error> {
    if std::fs::read(file)? != put {
        return Ok(vec![format!("{} is not what was put there", file.display())]);
    }
    if !is_database {
        return Ok(Vec::new());
    }
    let connection = Connection::open(file)?;
    let mut violations = soundness(&connection)?;
    if violations.is_empty() {
        let count: i64 = connection.query_row("select count(*) from messages", (), |row| row.get(0))?;
        if count != 0 {
            violations.push(format!("{count} messages came into a backup that had none"));
        }
    }
    Ok(violations)
}

fn soundness(connection: &Connection) -> Result<Vec<String>, Error> {
    let verdict = connection.query_row("pragma integrity_check(1)", (), |row| row.get::<_, String>(0));
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(Vec::new()),
        Ok(verdict) => Ok(vec![format!("integrity check: {verdict}")]),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Ok(vec![format!("integrity check: {error}")])
        }
        Err(error) => Err(error.into()),
    }
}
