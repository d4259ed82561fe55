//! What a writer sent and how it was answered, as lines of JSON in a file of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use chatstore_bench::client::Answer;
use chatstore_bench::error::Error;
use serde_json::{Value, json};

/// A ledger being written.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    operations: u64,
}

/// One operation of a ledger. Times are microseconds since the round began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) conversation: String,
    pub(super) content: String,
    pub(super) sent_at: u64,
    pub(super) answer: Answer,
    pub(super) answered_at: u64,
}

impl Ledger {
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        Ok(Self { file: File::create_new(path)?, operations: 0 })
    }

    /// How many operations were sent so far.
    pub(super) const fn operations(&self) -> u64 {
        self.operations
    }

    /// To be called before an operation is sent.
    pub(super) fn sending(
        &mut self,
        conversation: &str,
        content: &str,
        since: Duration,
    ) -> Result<(), Error> {
        self.operations += 1;
        self.line(&json!({
            "operation": self.operations,
            "conversation": conversation,
            "content": content,
            "sent_at": microseconds(since),
        }))
    }

    /// To be called when the last operation sent was answered, or never will be.
    pub(super) fn answered(&mut self, answer: &Answer, since: Duration) -> Result<(), Error> {
        let (key, value) = match answer {
            Answer::Stored(seq) => ("seq", Value::from(*seq)),
            Answer::Refused(reason) => ("refused", Value::from(reason.as_str())),
            Answer::Unknown(reason) => ("unknown", Value::from(reason.as_str())),
        };
        self.line(&json!({ "operation": self.operations, "answered_at": microseconds(since), key: value }))
    }

    /// Writes it to disk. Once is enough: it is the server that gets killed.
    pub(super) fn close(self) -> Result<(), Error> {
        Ok(self.file.sync_all()?)
    }

    fn line(&mut self, line: &Value) -> Result<(), Error> {
        Ok(self.file.write_all(format!("{line}\n").as_bytes())?)
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Reads a ledger. An operation without an answer is one whose fate is unknown.
pub(super) fn read(path: &Path) -> Result<Vec<Operation>, Error> {
    let mut operations: BTreeMap<u64, Operation> = BTreeMap::new();
    for line in fs::read_to_string(path)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        let number = line["operation"].as_u64().ok_or("a line without its operation")?;
        if let (Some(conversation), Some(content)) = (line["conversation"].as_str(), line["content"].as_str())
        {
            operations.insert(
                number,
                Operation {
                    conversation: conversation.to_owned(),
                    content: content.to_owned(),
                    sent_at: line["sent_at"].as_u64().unwrap_or(0),
                    answer: Answer::Unknown("no answer".to_owned()),
                    answered_at: u64::MAX,
                },
            );
        } else {
            let operation = operations.get_mut(&number).ok_or("an answer to nothing")?;
            operation.answered_at = line["answered_at"].as_u64().unwrap_or(u64::MAX);
            operation.answer = answer(&line)?;
        }
    }
    Ok(operations.into_values().collect())
}

fn answer(line: &Value) -> Result<Answer, Error> {
    if let Some(seq) = line["seq"].as_i64() {
        return Ok(Answer::Stored(seq));
    }
    if let Some(reason) = line["refused"].as_str() {
        return Ok(Answer::Refused(reason.to_owned()));
    }
    let reason = line["unknown"].as_str().ok_or("a line that says nothing")?;
    Ok(Answer::Unknown(reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let mut ledger = Ledger::create(&path).unwrap();
        let answers =
            [Answer::Stored(1), Answer::Refused("503".to_owned()), Answer::Unknown("reset".to_owned())];
        for (number, answer) in answers.iter().enumerate() {
            ledger.sending("c", &format!("message {number}"), Duration::from_micros(1)).unwrap();
            ledger.answered(answer, Duration::from_micros(2)).unwrap();
        }
        ledger.sending("c", "never answered", Duration::from_micros(3)).unwrap();
        ledger.close().unwrap();

        let operations = read(&path).unwrap();

        let read_answers: Vec<&Answer> =
            operations.iter().take(3).map(|operation| &operation.answer).collect();
        assert_eq!(read_answers, answers.iter().collect::<Vec<_>>());
        assert_eq!(operations[0].sent_at, 1);
        assert_eq!(operations[0].answered_at, 2);
        assert!(matches!(&operations[3].answer, Answer::Unknown(_)));
        assert_eq!(operations[3].content, "never answered");
    }
}
