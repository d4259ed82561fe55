//! What an import changes.

use chatstore_model::{ConversationId, ModelResponse, NewConversation, NewMessage, NewUser, UserId};

/// A change that an import makes.
pub(crate) enum Write<'w> {
    User(&'w NewUser),
    /// With the key of the row in the source.
    Conversation(UserId, &'w NewConversation, &'w str),
    Messages(UserId, ConversationId, &'w [NewMessage]),
    Responses(UserId, &'w [ModelResponse]),
}
