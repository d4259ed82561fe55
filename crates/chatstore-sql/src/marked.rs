//! What is being deleted in pieces, and how far that is.

use chatstore_model::{ConversationId, UserId};

use crate::schema::{CONVERSATIONS, USERS};

/// Something that is being deleted in pieces. It does not exist for any statement but those that delete it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Marked {
    /// A conversation.
    Conversation {
        /// Its owner.
        owner: UserId,
        /// Its id.
        id: ConversationId,
    },
    /// A user, with everything that is the user's.
    User(UserId),
}

impl Marked {
    /// The kind of thing.
    #[must_use]
    pub const fn entity(self) -> &'static str {
        match self {
            Self::Conversation { .. } => CONVERSATIONS.entity,
            Self::User(_) => USERS.entity,
        }
    }
}

/// How far a deletion got in its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Every row is gone.
    Done,
    /// It no longer exists for any reader; its rows are left to be deleted piece by piece.
    Marked(Marked),
}
