//! Messages that are appended together.

use crate::{ConversationPatch, NewMessage, Validate, Validator};

/// Messages that are appended together, and the changes of their conversation that belong to them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MessageBatch {
    /// The messages, in order.
    pub messages: Vec<NewMessage>,
    /// What becomes of the conversation.
    pub conversation: ConversationPatch,
}

impl From<Vec<NewMessage>> for MessageBatch {
    fn from(messages: Vec<NewMessage>) -> Self {
        Self { messages, conversation: ConversationPatch::default() }
    }
}

impl Validate for MessageBatch {
    fn check(&self, validator: &mut Validator) {
        self.messages.check(validator);
        validator.check_below("conversation", &self.conversation);
    }
}
