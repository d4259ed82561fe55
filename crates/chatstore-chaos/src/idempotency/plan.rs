//! Which requests there are: what each key asks for, and by what it is found again.

use chatstore_bench::random::Random;
use serde_json::{Value, json};

/// Messages of a batch.
pub(super) const BATCH: usize = 3;

/// One of this many keys is used for another body as well.
const MISMATCH_EVERY: usize = 10;

/// Everything that is sent in a round.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) entries: Vec<Entry>,
    /// Those that messages are written to.
    pub(super) conversations: Vec<String>,
}

/// What one key asks for.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) kind: Kind,
    pub(super) path: String,
    pub(super) body: String,
    /// Another body under the same key, which must be refused.
    pub(super) other_body: Option<String>,
    pub(super) copies: usize,
    /// The texts of what it creates, different for every key and item.
    pub(super) texts: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Conversation,
    Message,
    Batch,
    Reply,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Conversation, Self::Message, Self::Batch, Self::Reply];
}

impl Plan {
    pub(super) fn new(
        round: usize,
        keys: usize,
        copies: usize,
        conversations: Vec<String>,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed);
        let entry = |number: usize| {
            let conversation = &conversations[random.below(conversations.len())];
            let copies = 1 + random.below(copies.max(1));
            Entry::new(round, number, conversation, copies)
        };
        let entries = (0..keys).map(entry).collect();
        Self { entries, conversations }
    }
}

impl Entry {
    fn new(round: usize, number: usize, conversation: &str, copies: usize) -> Self {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let key = format!("round-{round}-key-{number}");
        let texts: Vec<String> = match kind {
            Kind::Batch => (1..=BATCH).map(|item| format!("{key}, item {item}")).collect(),
            _ => vec![key.clone()],
        };
        let below = |name: &str| format!("/api/v1/conversations/{conversation}/{name}");
        let path = match kind {
            Kind::Conversation => "/api/v1/conversations".to_owned(),
            Kind::Message | Kind::Batch => below("messages"),
            Kind::Reply => below("replies"),
        };
        let body = body(kind, &texts).to_string();
        let with_mismatch = (number / Kind::ALL.len()).is_multiple_of(MISMATCH_EVERY);
        let others: Vec<String> = texts.iter().map(|text| format!("{text}, another body")).collect();
        let other_body = with_mismatch.then(|| self::body(kind, &others).to_string());
        Self { key, kind, path, body, other_body, copies, texts }
    }
}

fn body(kind: Kind, texts: &[String]) -> Value {
    match kind {
        Kind::Conversation => json!({ "title": texts[0] }),
        Kind::Message => json!({ "content": texts[0] }),
        Kind::Batch => {
            let messages: Vec<Value> = texts.iter().map(|text| json!({ "content": text })).collect();
            json!({ "messages": messages })
        }
        Kind::Reply => json!({
            "content": texts[0],
            "response": { "model_used": "model-large", "tokens_prompt": 3, "tokens_completion": 2 },
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_is_sent_with_texts_of_its_own() {
        let plan = Plan::new(1, 80, 5, vec!["c".to_owned(), "d".to_owned()], 1);

        let texts: HashSet<&String> = plan.entries.iter().flat_map(|entry| &entry.texts).collect();
        assert_eq!(texts.len(), 80 + 20 * (BATCH - 1));
        for kind in Kind::ALL {
            let of_kind: Vec<&Entry> = plan.entries.iter().filter(|entry| entry.kind == kind).collect();
            assert_eq!(of_kind.len(), 20);
            assert!(of_kind.iter().any(|entry| entry.other_body.is_some()));
            assert!(of_kind.iter().any(|entry| entry.copies > 1));
        }
    }
}
