//! Messages of a conversation that are replaced: the newest ones where they are what is expected, or all.

use crate::message::PARTS;
use crate::{
    ConversationPatch, CountsField, ListField, NewMessage, Validate, Validator, VerbatimJson, limits,
};

/// The newest messages as they have to be.
pub const EXPECTED: ListField = ListField { name: "expected", item: "message", min: 0, max: limits::BATCH };

/// The newest messages by their numbers.
pub const EXPECTED_SEQS: CountsField = CountsField::new("expected_seqs", "number")
    .at_most(limits::BATCH)
    .about("The numbers of the newest messages, in ascending order, instead of `expected`.");

/// What comes in their place.
pub const REPLACEMENTS: ListField =
    ListField { name: "messages", item: "message", min: 0, max: limits::BATCH };

/// What the newest messages of a conversation have to be, in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpectedSuffix {
    /// Messages with these parts, compared as JSON values.
    Parts(Vec<VerbatimJson>),
    /// Those with these numbers.
    Seqs(Vec<i64>),
}

impl ExpectedSuffix {
    /// How many messages there have to be.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Parts(parts) => parts.len(),
            Self::Seqs(seqs) => seqs.len(),
        }
    }

    /// Whether nothing is expected, which every conversation fulfills.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Messages that come in the place of the newest ones, and the changes of their conversation that belong to them.
#[derive(Debug, Clone, PartialEq)]
pub struct SuffixReplacement {
    /// What is removed.
    pub expected: ExpectedSuffix,
    /// What is appended instead; may be empty.
    pub messages: Vec<NewMessage>,
    /// What becomes of the conversation.
    pub conversation: ConversationPatch,
}

impl Validate for SuffixReplacement {
    fn check(&self, validator: &mut Validator) {
        match &self.expected {
            ExpectedSuffix::Parts(parts) => {
                EXPECTED.check(validator, parts.len());
                for (index, parts) in parts.iter().enumerate() {
                    validator.check_below(&format!("{}[{index}]", EXPECTED.name), &ExpectedParts(parts));
                }
            }
            ExpectedSuffix::Seqs(seqs) => EXPECTED_SEQS.check(validator, seqs.len()),
        }
        REPLACEMENTS.check(validator, self.messages.len());
        self.messages.as_slice().check(validator);
        validator.check_below("conversation", &self.conversation);
    }
}

/// The messages that a conversation is to have, in order, and the changes of it that belong to them.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageReplacement {
    /// The messages; may be none.
    pub messages: Vec<NewMessage>,
    /// What becomes of the conversation.
    pub conversation: ConversationPatch,
}

impl Validate for MessageReplacement {
    fn check(&self, validator: &mut Validator) {
        REPLACEMENTS.check(validator, self.messages.len());
        self.messages.as_slice().check(validator);
        validator.check_below("conversation", &self.conversation);
    }
}

struct ExpectedParts<'p>(&'p VerbatimJson);

impl Validate for ExpectedParts<'_> {
    fn check(&self, validator: &mut Validator) {
        PARTS.check(validator, Some(self.0));
    }
}
