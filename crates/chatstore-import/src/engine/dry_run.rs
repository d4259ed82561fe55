//! What a dry run would have added.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chatstore_model::{ConversationId, MessageId, NewUser, UserId};

/// What a dry run would have added so far, which the database therefore does not know.
#[derive(Debug, Default, Clone)]
pub(crate) struct DryRunState {
    users: HashSet<UserId>,
    usernames: HashSet<String>,
    emails: HashSet<String>,
    /// With their keys in the source.
    conversations: HashMap<(UserId, ConversationId), String>,
    messages: HashSet<(UserId, MessageId)>,
}

impl DryRunState {
    pub(crate) fn absorb(&mut self, other: Self) {
        self.users.extend(other.users);
        self.usernames.extend(other.usernames);
        self.emails.extend(other.emails);
        self.conversations.extend(other.conversations);
        self.messages.extend(other.messages);
    }

    pub(crate) fn add_user(&mut self, new: &NewUser) {
        self.users.extend(new.id);
        self.usernames.extend(new.username.as_ref().map(|name| name.key().to_owned()));
        self.emails.extend(new.email.as_ref().map(|email| email.key().to_owned()));
    }

    pub(crate) fn add_conversation(&mut self, owner: UserId, id: ConversationId, key: &str) {
        self.conversations.insert((owner, id), key.to_owned());
    }

    pub(crate) fn add_message(&mut self, owner: UserId, id: MessageId) {
        self.messages.insert((owner, id));
    }
}

/// What one transaction knows beside the database.
#[derive(Debug)]
pub(crate) struct BatchState {
    /// Always empty in a run that writes.
    earlier: Arc<DryRunState>,
    /// What this batch adds.
    pub(crate) now: DryRunState,
    /// Whether two messages of an owner may have the same UUID, which costs a look at each.
    pub(crate) may_repeat_uuids: bool,
}

impl BatchState {
    pub(crate) fn new(earlier: Arc<DryRunState>, may_repeat_uuids: bool) -> Self {
        Self { earlier, now: DryRunState::default(), may_repeat_uuids }
    }

    pub(crate) fn has_user(&self, id: UserId) -> bool {
        self.any(|state| state.users.contains(&id))
    }

    pub(crate) fn has_username(&self, key: &str) -> bool {
        self.any(|state| state.usernames.contains(key))
    }

    pub(crate) fn has_email(&self, key: &str) -> bool {
        self.any(|state| state.emails.contains(key))
    }

    pub(crate) fn has_message(&self, owner: UserId, id: MessageId) -> bool {
        self.any(|state| state.messages.contains(&(owner, id)))
    }

    /// The key in the source of a conversation that was added.
    pub(crate) fn conversation_key(&self, owner: UserId, id: ConversationId) -> Option<&str> {
        let found = self.now.conversations.get(&(owner, id));
        found.or_else(|| self.earlier.conversations.get(&(owner, id))).map(String::as_str)
    }

    fn any(&self, test: impl Fn(&DryRunState) -> bool) -> bool {
        test(&self.now) || test(&self.earlier)
    }
}
