//! What a run that writes nothing would have added.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chatstore_model::{ConversationId, MessageId, NewUser, UserId};

/// What a run that writes nothing would have added so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Added {
    pub(super) users: HashSet<UserId>,
    pub(super) names: HashSet<String>,
    pub(super) addresses: HashSet<String>,
    pub(super) conversations: HashMap<(UserId, ConversationId), String>,
    pub(super) messages: HashSet<(UserId, MessageId)>,
}

impl Added {
    pub(super) fn absorb(&mut self, other: Self) {
        self.users.extend(other.users);
        self.names.extend(other.names);
        self.addresses.extend(other.addresses);
        self.conversations.extend(other.conversations);
        self.messages.extend(other.messages);
    }

    pub(super) fn user(&mut self, new: &NewUser) {
        self.users.extend(new.id);
        self.names.extend(new.username.as_ref().map(|name| name.key().to_owned()));
        self.addresses.extend(new.email.as_ref().map(|email| email.key().to_owned()));
    }
}

/// What was added earlier in a run that writes nothing, and in this batch of it. In a run that
/// writes, the database knows.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    pub(super) earlier: Arc<Added>,
    pub(super) now: Added,
}

impl Unwritten {
    pub(super) fn has(&self, test: impl Fn(&Added) -> bool) -> bool {
        test(&self.earlier) || test(&self.now)
    }

    pub(super) fn conversation(&self, owner: UserId, id: ConversationId) -> Option<&String> {
        let key = (owner, id);
        self.now.conversations.get(&key).or_else(|| self.earlier.conversations.get(&key))
    }
}

pub(super) fn unwritten(earlier: &Arc<Added>) -> Unwritten {
    Unwritten { earlier: Arc::clone(earlier), now: Added::default() }
}
