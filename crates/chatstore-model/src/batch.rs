//! Messages that are appended together.

use crate::keyword::keywords;
use crate::{ConversationPatch, NewMessage, Validate, Validator};

keywords! {
    /// What becomes of a message whose id the conversation has already.
    #[derive(Default)]
    pub enum OnConflict {
        /// Nothing is stored, and the request fails.
        #[default]
        Error = "error",
        /// The stored message stays as it is.
        Ignore = "ignore",
        /// The stored message is edited and keeps its number.
        Replace = "replace",
    }
}

/// Messages that are appended together, and the changes of their conversation that belong to them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MessageBatch {
    /// The messages, in order.
    pub messages: Vec<NewMessage>,
    /// What becomes of the conversation.
    pub conversation: ConversationPatch,
    /// What becomes of messages whose ids the conversation has already.
    pub on_conflict: OnConflict,
}

impl From<Vec<NewMessage>> for MessageBatch {
    fn from(messages: Vec<NewMessage>) -> Self {
        Self { messages, ..Self::default() }
    }
}

impl Validate for MessageBatch {
    fn check(&self, validator: &mut Validator) {
        self.messages.check(validator);
        validator.check_below("conversation", &self.conversation);
    }
}
