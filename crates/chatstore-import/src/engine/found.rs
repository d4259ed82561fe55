//! What the store has of the rows of a batch, looked up for all of them together.

use std::collections::HashMap;

use chatstore_model::{Conversation, ConversationId, MessageId, UserId};
use chatstore_sql::{MarkedCounts, PresentMessage, StoreError, Tx};

/// What was looked up. What the batch changes is forgotten, and asked for again when it is needed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Whether there is such a user.
    users: HashMap<UserId, bool>,
    /// Users who have other ids than they were planned with.
    stored_as: HashMap<UserId, UserId>,
    conversations: HashMap<(UserId, ConversationId), Option<Conversation>>,
    threads: HashMap<(UserId, String), Option<Conversation>>,
    messages: HashMap<(UserId, MessageId), Option<PresentMessage>>,
    /// Whether anything is being deleted.
    has_deletions: Option<bool>,
}

/// A conversation to look up.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'p> {
    pub(crate) owner: UserId,
    pub(crate) id: ConversationId,
    pub(crate) thread_id: Option<&'p str>,
}

impl Found {
    /// Looks users up by their ids.
    pub(crate) async fn look_up_users<M>(
        &mut self,
        tx: &mut Tx<'_, M>,
        mut ids: Vec<UserId>,
    ) -> Result<(), StoreError> {
        ids.retain(|id| *id != UserId::ANONYMOUS);
        ids.sort_unstable();
        ids.dedup();
        let existing = tx.users().existing(&ids).await?;
        self.users.extend(ids.into_iter().map(|id| (id, false)));
        self.users.extend(existing.into_iter().map(|id| (id, true)));
        Ok(())
    }

    /// Looks conversations up by their ids, and by their threads where they have one.
    pub(crate) async fn look_up_conversations<M>(
        &mut self,
        tx: &mut Tx<'_, M>,
        wanted: &[Wanted<'_>],
    ) -> Result<(), StoreError> {
        let places: Vec<_> = wanted.iter().map(|wanted| (wanted.owner, wanted.id)).collect();
        let stored = tx.conversations().find_many(&places).await?;
        self.conversations.extend(places.into_iter().map(|place| (place, None)));
        self.conversations.extend(stored.into_iter().map(|row| ((row.owner_id, row.id), Some(row))));
        let is_stored = |wanted: &&Wanted<'_>| {
            matches!(self.conversations.get(&(wanted.owner, wanted.id)), Some(Some(_)))
        };
        // No database looks for a text with NUL; that is said where the row is decided about.
        let threads = wanted.iter().filter(|wanted| !is_stored(wanted)).filter_map(|wanted| {
            let thread_id = wanted.thread_id.filter(|thread_id| !thread_id.contains('\0'))?;
            Some((wanted.owner, thread_id.to_owned()))
        });
        let threads: Vec<_> = threads.collect();
        let stored = tx.conversations().find_threads(&threads).await?;
        self.threads.extend(threads.into_iter().map(|thread| (thread, None)));
        for row in stored {
            if let Some(thread_id) = row.thread_id.clone() {
                self.conversations.insert((row.owner_id, row.id), Some(row.clone()));
                self.threads.insert((row.owner_id, thread_id), Some(row));
            }
        }
        Ok(())
    }

    /// Looks messages up by their ids.
    pub(crate) async fn look_up_messages<M>(
        &mut self,
        tx: &mut Tx<'_, M>,
        wanted: &[(UserId, MessageId)],
    ) -> Result<(), StoreError> {
        let stored = tx.messages().find_present_of_owners(wanted).await?;
        self.messages.extend(wanted.iter().map(|place| (*place, None)));
        self.messages.extend(stored.into_iter().map(|(owner, row)| ((owner, row.id), Some(row))));
        Ok(())
    }

    /// Whether anything is being deleted; looked up once.
    pub(super) async fn has_deletions<M>(&mut self, tx: &mut Tx<'_, M>) -> Result<bool, StoreError> {
        if let Some(has_deletions) = self.has_deletions {
            return Ok(has_deletions);
        }
        let has_deletions = tx.deletions().count().await? != MarkedCounts::default();
        self.has_deletions = Some(has_deletions);
        Ok(has_deletions)
    }

    /// Whether there is a user, if that is known. The built-in one always exists.
    pub(crate) fn user(&self, id: UserId) -> Option<bool> {
        if id == UserId::ANONYMOUS { Some(true) } else { self.users.get(&id).copied() }
    }

    /// The id that the store has for a user who was planned with another, if that is known.
    pub(super) fn stored_as(&self, planned: UserId) -> Option<UserId> {
        self.stored_as.get(&planned).copied()
    }

    /// A conversation with this id, if it is known whether there is one.
    pub(super) fn conversation(&self, owner: UserId, id: ConversationId) -> Option<&Option<Conversation>> {
        self.conversations.get(&(owner, id))
    }

    /// A conversation with this id of the application, if it is known whether there is one.
    pub(super) fn thread(&self, owner: UserId, thread_id: &str) -> Option<&Option<Conversation>> {
        self.threads.get(&(owner, thread_id.to_owned()))
    }

    /// A message, if it is known whether there is one.
    pub(super) fn message(&self, owner: UserId, id: MessageId) -> Option<&Option<PresentMessage>> {
        self.messages.get(&(owner, id))
    }

    /// Notes that a user was created.
    pub(super) fn note_user(&mut self, id: UserId) {
        self.users.insert(id, true);
    }

    /// Notes the id that the store has for a user.
    pub(super) fn note_stored_as(&mut self, planned: UserId, stored: UserId) {
        self.note_user(stored);
        self.stored_as.insert(planned, stored);
    }

    /// Forgets a conversation, which is created or changed.
    pub(super) fn forget(&mut self, owner: UserId, id: ConversationId, thread_id: Option<&str>) {
        if let Some(thread_id) = thread_id {
            self.threads.remove(&(owner, thread_id.to_owned()));
        }
        let known = self.conversations.remove(&(owner, id)).flatten();
        if let Some(thread_id) = known.and_then(|row| row.thread_id) {
            self.threads.remove(&(owner, thread_id));
        }
    }
}
