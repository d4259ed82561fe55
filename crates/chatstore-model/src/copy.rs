//! Copies of conversations.

use crate::conversation::THREAD_ID;
use crate::keyword::keywords;
use crate::{FieldCode, KeywordField, MessageName, MessageNameField, Validate, Validator};

/// The message with which a copy ends.
pub const UP_TO: MessageNameField = MessageNameField {
    name: "up_to",
    about: "The last message of the copy, which has the path to it: its UUID, its short id, its number, or the \
            application's own id after `ext:`. The head when it is left out; not together with `branches` `all`.",
};

/// Which messages a copy has.
pub const BRANCHES: KeywordField<CopiedBranches> = KeywordField::new("branches").about(
    "`head` copies the path to the head or to `up_to`, numbered 1, 2, 3 …; `all` copies every message with its \
     number, what it follows, and the head.",
);

keywords! {
    /// Which messages of a conversation are copied.
    #[derive(Default)]
    pub enum CopiedBranches {
        /// Those of one path, as a list that never branched.
        #[default]
        Head = "head",
        /// All of them, as the tree that they are.
        All = "all",
    }
}

/// What a copy of a conversation is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationCopy {
    /// The last message of its path; the head when it is left out.
    pub up_to: Option<MessageName>,
    /// The application's own id of the copy.
    pub thread_id: Option<String>,
    /// Which messages it has.
    pub branches: CopiedBranches,
}

impl Validate for ConversationCopy {
    fn check(&self, validator: &mut Validator) {
        UP_TO.check(validator, self.up_to.as_ref());
        THREAD_ID.check(validator, self.thread_id.as_deref());
        if self.up_to.is_some() && self.branches == CopiedBranches::All {
            let message = format!("must not be given together with {} {}", BRANCHES.name, self.branches);
            validator.wrong(UP_TO.name, FieldCode::NotAllowed, &message);
        }
    }
}
