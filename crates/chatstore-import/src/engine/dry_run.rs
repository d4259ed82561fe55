//! What a dry run would have added.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chatstore_model::{ConversationId, MessageId, UserId};

use super::write::Write;

/// What a dry run would have added, which the database therefore does not know. Empty in a run that writes.
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
    pub(super) fn absorb(&mut self, other: Self) {
        self.users.extend(other.users);
        self.usernames.extend(other.usernames);
        self.emails.extend(other.emails);
        self.conversations.extend(other.conversations);
        self.messages.extend(other.messages);
    }

    pub(super) fn record(&mut self, write: Write<'_>) {
        match write {
            Write::User(new) => {
                self.users.extend(new.id);
                self.usernames.extend(new.username.as_ref().map(|name| name.key().to_owned()));
                self.emails.extend(new.email.as_ref().map(|email| email.key().to_owned()));
            }
            Write::Conversation(owner, new, key) => {
                self.conversations.extend(new.id.map(|id| ((owner, id), key.to_owned())));
            }
            Write::Messages(owner, _, new) => {
                self.messages.extend(new.iter().filter_map(|message| Some((owner, message.id?))));
            }
            Write::Responses(..) => {}
        }
    }
}

/// What the decisions of one transaction look at beside the database.
#[derive(Debug, Clone)]
pub(crate) struct BatchState {
    /// Of earlier batches.
    earlier: Arc<DryRunState>,
    /// Of this batch.
    pub(super) now: DryRunState,
    /// Whether two messages of an owner may have the same UUID, which costs a look at each.
    pub(super) may_repeat_uuids: bool,
}

impl BatchState {
    pub(super) fn new(earlier: Arc<DryRunState>, may_repeat_uuids: bool) -> Self {
        Self { earlier, now: DryRunState::default(), may_repeat_uuids }
    }

    pub(super) fn has_user(&self, id: UserId) -> bool {
        self.any(|state| state.users.contains(&id))
    }

    pub(super) fn has_username(&self, key: &str) -> bool {
        self.any(|state| state.usernames.contains(key))
    }

    pub(super) fn has_email(&self, key: &str) -> bool {
        self.any(|state| state.emails.contains(key))
    }

    pub(super) fn has_message(&self, owner: UserId, id: MessageId) -> bool {
        self.any(|state| state.messages.contains(&(owner, id)))
    }

    /// The key in the source of a conversation that would have been added.
    pub(super) fn conversation_key(&self, owner: UserId, id: ConversationId) -> Option<&str> {
        let found = self.now.conversations.get(&(owner, id));
        found.or_else(|| self.earlier.conversations.get(&(owner, id))).map(String::as_str)
    }

    fn any(&self, test: impl Fn(&DryRunState) -> bool) -> bool {
        test(&self.now) || test(&self.earlier)
    }
}
