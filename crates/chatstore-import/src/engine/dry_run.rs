//! What a dry run would have added.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chatstore_model::{ConversationId, DocumentId, MessageId, UserId};
use chatstore_sql::{ImportedRows, Marked};

use super::found::Found;
use crate::report::RowsReport;

/// What a dry run would have added, which the database therefore does not know. Empty in a run that writes.
#[derive(Debug, Default, Clone)]
pub(crate) struct DryRunState {
    pub(super) users: HashSet<UserId>,
    pub(super) usernames: HashSet<String>,
    /// Keys of addresses with whether they are verified.
    pub(super) emails: HashMap<(String, bool), UserId>,
    /// With their keys in the source.
    pub(super) conversations: HashMap<(UserId, ConversationId), String>,
    pub(super) messages: HashSet<(UserId, MessageId)>,
    pub(super) documents: HashSet<(UserId, DocumentId)>,
}

impl DryRunState {
    pub(super) fn absorb(&mut self, other: Self) {
        self.users.extend(other.users);
        self.usernames.extend(other.usernames);
        self.emails.extend(other.emails);
        self.conversations.extend(other.conversations);
        self.messages.extend(other.messages);
        self.documents.extend(other.documents);
    }
}

/// What the decisions of one transaction look at beside the database, and what came of them.
#[derive(Debug, Clone)]
pub(crate) struct BatchState {
    /// Of earlier batches.
    pub(super) earlier: Arc<DryRunState>,
    /// Of this batch.
    pub(super) now: DryRunState,
    /// Whether two messages of an owner may have the same UUID, which costs a look at each.
    pub(super) may_repeat_uuids: bool,
    /// Whether the batch was tried before. Each conversation is created by itself then, which names what is in its way.
    pub(super) is_repeated: bool,
    /// Whether what was deleted in the store is imported again.
    pub(crate) restores: bool,
    /// What is being deleted, as far as it was met.
    pub(super) deleted: Arc<HashSet<Marked>>,
    /// What was looked up for the whole batch.
    pub(crate) found: Found,
    /// What is written at the end of the batch, or before something is read that it may be part of.
    pub(super) rows: ImportedRows,
    /// What became of the rows.
    pub(crate) report: RowsReport,
}

impl BatchState {
    /// The key in the source of a conversation that would have been added.
    pub(super) fn conversation_key(&self, owner: UserId, id: ConversationId) -> Option<&str> {
        let found = self.now.conversations.get(&(owner, id));
        found.or_else(|| self.earlier.conversations.get(&(owner, id))).map(String::as_str)
    }

    /// Whether this is being deleted, and stays so.
    pub(crate) fn is_deleted(&self, marked: Marked) -> bool {
        self.deleted.contains(&marked)
    }

    /// Whether a document would have been added.
    pub(crate) fn has_document(&self, owner: UserId, id: DocumentId) -> bool {
        self.has(|added| added.documents.contains(&(owner, id)))
    }

    /// The user with the key of this address, verified or claimed, who would have been added.
    pub(super) fn addressed(&self, key: &str, is_verified: bool) -> Option<UserId> {
        let key = (key.to_owned(), is_verified);
        self.now.emails.get(&key).or_else(|| self.earlier.emails.get(&key)).copied()
    }

    /// Whether this batch or an earlier one would have added it.
    pub(super) fn has(&self, is_in: impl Fn(&DryRunState) -> bool) -> bool {
        is_in(&self.now) || is_in(&self.earlier)
    }
}
