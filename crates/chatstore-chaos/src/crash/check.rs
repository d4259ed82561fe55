//! The judge: what is stored against what the ledgers say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chatstore_bench::client::{Answer, Stored};
use chatstore_bench::samples::Latencies;

/// What a writer sent and how it was answered, in times since the round began.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) conversation: String,
    pub(crate) content: String,
    pub(crate) sent_at: Duration,
    pub(crate) answer: Answer,
    pub(crate) answered_at: Duration,
}

/// How long each of the operations took to be answered.
pub(crate) fn waits<'l>(ledger: impl IntoIterator<Item = &'l Operation>) -> Latencies {
    ledger.into_iter().map(|operation| operation.answered_at - operation.sent_at).collect()
}

/// A conversation as it was read back.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) id: String,
    pub(crate) messages: Vec<Stored>,
    pub(crate) message_count: i64,
}

/// How many operations ended how, and which promises were broken.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
    /// How often what was not acknowledged was not for which reason.
    pub(crate) reasons: BTreeMap<String, usize>,
    pub(crate) violations: Vec<String>,
}

impl Tally {
    fn note(&mut self, reason: &str) {
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Holds what is stored against the operations, whose contents are all different.
pub(crate) fn check(operations: &[Operation], conversations: &[Conversation]) -> Tally {
    let mut tally = Tally::default();
    let mut found: HashMap<(&str, &str), Vec<i64>> = HashMap::new();
    for conversation in conversations {
        for message in &conversation.messages {
            found.entry((&conversation.id, &message.content)).or_default().push(message.seq);
        }
    }
    for operation in operations {
        let key = (operation.conversation.as_str(), operation.content.as_str());
        let numbers = found.get(&key).map_or(&[][..], Vec::as_slice);
        tally.judge(operation, numbers);
    }
    let sent: HashSet<&str> = operations.iter().map(|operation| operation.content.as_str()).collect();
    let of_conversation = by_conversation(operations);
    for conversation in conversations {
        tally.judge_numbers(conversation);
        for message in conversation.messages.iter().filter(|message| !sent.contains(message.content.as_str()))
        {
            tally.violations.push(format!("{:?} was never sent", message.content));
        }
        let operations = of_conversation.get(conversation.id.as_str()).map_or(&[][..], Vec::as_slice);
        tally.judge_order(conversation, operations);
    }
    tally
}

fn by_conversation(operations: &[Operation]) -> HashMap<&str, Vec<&Operation>> {
    let mut sorted: HashMap<&str, Vec<&Operation>> = HashMap::new();
    for operation in operations {
        sorted.entry(&operation.conversation).or_default().push(operation);
    }
    sorted
}

impl Tally {
    /// Acknowledged: there once, under its number. Refused: not there. Unknown: there once or not at all.
    fn judge(&mut self, operation: &Operation, numbers: &[i64]) {
        let content = &operation.content;
        match &operation.answer {
            Answer::Stored(seq) => {
                self.acknowledged += 1;
                if numbers != [*seq] {
                    self.violations
                        .push(format!("{content:?} was acknowledged as {seq}, found as {numbers:?}"));
                }
            }
            Answer::Refused(reason) => {
                self.refused += 1;
                self.note(reason);
                if !numbers.is_empty() {
                    self.violations.push(format!("{content:?} was refused ({reason}), found as {numbers:?}"));
                }
            }
            Answer::Unknown(reason) => {
                self.unknown += 1;
                self.note(reason);
                if numbers.len() > 1 {
                    self.violations.push(format!("{content:?} was sent once, found as {numbers:?}"));
                }
            }
        }
    }

    /// 1, 2, 3 … without gap or duplicate, and as many as the conversation says.
    fn judge_numbers(&mut self, conversation: &Conversation) {
        let id = &conversation.id;
        for (expected, message) in (1..).zip(&conversation.messages) {
            if message.seq != expected {
                self.violations.push(format!("{id}: {} where {expected} should be", message.seq));
                break;
            }
        }
        if usize::try_from(conversation.message_count) != Ok(conversation.messages.len()) {
            let (count, found) = (conversation.message_count, conversation.messages.len());
            self.violations.push(format!("{id}: message_count is {count}, found are {found}"));
        }
    }

    /// What was sent after something else had been acknowledged comes after it.
    fn judge_order(&mut self, conversation: &Conversation, operations: &[&Operation]) {
        let by_content: HashMap<&str, &Operation> =
            operations.iter().map(|operation| (operation.content.as_str(), *operation)).collect();
        let mut earliest_answer = Duration::MAX;
        for message in conversation.messages.iter().rev() {
            let Some(operation) = by_content.get(message.content.as_str()) else { continue };
            if operation.sent_at > earliest_answer {
                let (id, seq) = (&conversation.id, message.seq);
                self.violations.push(format!("{id}: {seq} was sent after a later one was acknowledged"));
            }
            if matches!(operation.answer, Answer::Stored(_)) {
                earliest_answer = earliest_answer.min(operation.answered_at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(content: &str, times: [u64; 2], answer: Answer) -> Operation {
        let [sent_at, answered_at] = times.map(Duration::from_micros);
        Operation { conversation: "c".to_owned(), content: content.to_owned(), sent_at, answer, answered_at }
    }

    fn conversation(messages: &[(i64, &str)]) -> Conversation {
        let stored = |(seq, content): &(i64, &str)| Stored { seq: *seq, content: (*content).to_owned() };
        Conversation {
            id: "c".to_owned(),
            messages: messages.iter().map(stored).collect(),
            message_count: i64::try_from(messages.len()).unwrap(),
        }
    }

    fn operations() -> Vec<Operation> {
        vec![
            operation("a", [0, 10], Answer::Stored(1)),
            operation("b", [20, 30], Answer::Stored(2)),
            operation("refused", [40, 50], Answer::Refused("503".to_owned())),
            operation("unknown", [60, u64::MAX], Answer::Unknown("reset".to_owned())),
        ]
    }

    fn violations(messages: &[(i64, &str)]) -> Vec<String> {
        check(&operations(), &[conversation(messages)]).violations
    }

    #[test]
    fn what_the_ledgers_allow_is_no_violation() {
        assert_eq!(violations(&[(1, "a"), (2, "b")]), [""; 0]);
        assert_eq!(violations(&[(1, "a"), (2, "b"), (3, "unknown")]), [""; 0]);
    }

    #[test]
    fn a_lost_or_doubled_or_renumbered_message_is_found() {
        assert_eq!(violations(&[(1, "a")]).len(), 1);
        assert_eq!(violations(&[(1, "a"), (2, "b"), (3, "b")]).len(), 1);
        assert!(violations(&[(1, "b"), (2, "a")]).len() >= 2);
        assert_eq!(violations(&[(1, "a"), (2, "b"), (3, "unknown"), (4, "unknown")]).len(), 1);
    }

    #[test]
    fn a_refused_or_an_unsent_message_is_found() {
        assert_eq!(violations(&[(1, "a"), (2, "b"), (3, "refused")]).len(), 1);
        assert_eq!(violations(&[(1, "a"), (2, "b"), (3, "other")]).len(), 1);
    }

    #[test]
    fn a_gap_and_a_wrong_count_are_found() {
        assert_eq!(violations(&[(1, "a"), (2, "b"), (4, "unknown")]).len(), 1);
        let mut miscounted = conversation(&[(1, "a"), (2, "b")]);
        miscounted.message_count = 3;
        assert_eq!(check(&operations(), &[miscounted]).violations.len(), 1);
    }

    #[test]
    fn a_message_before_one_that_was_acknowledged_earlier_is_found() {
        let operations =
            [operation("a", [0, 10], Answer::Stored(2)), operation("b", [20, 30], Answer::Stored(1))];
        let found = check(&operations, &[conversation(&[(1, "b"), (2, "a")])]).violations;
        assert_eq!(found.len(), 1);
    }
}
