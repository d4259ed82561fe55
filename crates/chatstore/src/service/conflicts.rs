//! What becomes of the messages of a batch whose ids the conversation may have already.

use chatstore_model::{
    Change, ConversationId, ConversationRole, FieldCode, Invalid, Message, MessageBatch, MessageId,
    MessagePatch, NewMessage, OnConflict, UserId, Valid,
};
use chatstore_sql::WriteTx;

use super::messages::{OWN_ONLY, head_rule};
use crate::error::{Error, Result};

/// What becomes of a batch.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The messages that are appended.
    pub(super) appended: Vec<NewMessage>,
    /// Messages that are there, and what is changed of them.
    pub(super) stored: Vec<(Message, MessagePatch)>,
    /// For each message of the batch which of those it is.
    pub(super) places: Vec<Fate>,
}

/// Where a message of a batch is found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Among those that are appended.
    Appended(usize),
    /// Among those that are there.
    Stored(usize),
}

impl Plan {
    /// What becomes of a batch in this conversation, by a user. Ids are looked for there and nowhere else; one that the
    /// owner has elsewhere is taken.
    pub(super) async fn new(
        tx: &mut WriteTx<'_>,
        (owner, conversation): (UserId, ConversationId),
        (role, user): (ConversationRole, UserId),
        batch: &Valid<MessageBatch>,
    ) -> Result<Self> {
        let messages = &batch.messages;
        let ids: Vec<MessageId> = messages.iter().filter_map(|new| new.id).collect();
        let external_ids: Vec<&str> = messages.iter().filter_map(|new| new.external_id.as_deref()).collect();
        let mut plan = Self::default();
        if !batch.has_ids() {
            plan.places = (0..messages.len()).map(Fate::Appended).collect();
            plan.appended.clone_from(messages);
            return Ok(plan);
        }
        // Others that bring the same ids wait until this transaction ends.
        tx.conversations().lock(owner, conversation).await?;
        let present = tx.messages().find_present(owner, &ids).await?;
        let elsewhere = present.iter().filter(|found| found.conversation_id != conversation);
        let elsewhere: Vec<MessageId> = elsewhere.map(|found| found.id).collect();
        let stored = tx.messages().named(owner, conversation, &ids, &external_ids).await?;
        plan.stored = stored.into_iter().map(|message| (message, MessagePatch::default())).collect();
        for (index, new) in messages.iter().enumerate() {
            if new.id.is_some_and(|id| elsewhere.contains(&id)) {
                return Err(Error::taken_message("id", index));
            }
            let fate = plan.fate(index, new)?;
            plan.decide(index, new, fate, batch.on_conflict, (role, user))?;
        }
        Ok(plan)
    }

    /// Gives ids to the messages that bring none, of `ids` for the whole batch. The ids of all messages.
    pub(super) fn complete_ids(&mut self, ids: &[MessageId]) -> Vec<MessageId> {
        for (fate, id) in self.places.iter().zip(ids) {
            if let Fate::Appended(place) = *fate
                && let Some(new) = self.appended.get_mut(place)
            {
                new.id.get_or_insert(*id);
            }
        }
        self.places.iter().filter_map(|fate| self.id(*fate)).collect()
    }

    fn id(&self, fate: Fate) -> Option<MessageId> {
        match fate {
            Fate::Appended(place) => self.appended.get(place)?.id,
            Fate::Stored(place) => self.stored.get(place).map(|(message, _)| message.id),
        }
    }

    /// Appends and edits; the messages of the batch in its order, and how many of them are new.
    pub(super) async fn apply(
        self,
        tx: &mut WriteTx<'_>,
        (owner, conversation): (UserId, ConversationId),
        (role, user): (ConversationRole, UserId),
    ) -> Result<(Vec<Message>, usize)> {
        let senders = vec![Some(user); self.appended.len()];
        let appended =
            tx.messages().append_now(owner, conversation, &senders, &self.appended, head_rule(role)).await?;
        let mut stored = Vec::with_capacity(self.stored.len());
        for (message, patch) in self.stored {
            stored.push(match patch.is_empty() {
                true => message,
                false => tx.messages().edit(owner, conversation, message.id, &patch).await?,
            });
        }
        let found = |fate: &Fate| match *fate {
            Fate::Appended(place) => appended.get(place).cloned(),
            Fate::Stored(place) => stored.get(place).cloned(),
        };
        let messages = self.places.iter().filter_map(found).collect();
        Ok((messages, appended.len()))
    }

    /// The message that has one of the ids of a new one: all that it brings have to be that message's.
    fn fate(&self, index: usize, new: &NewMessage) -> Result<Option<Fate>> {
        let stored =
            self.stored.iter().map(|(message, _)| (Some(message.id), message.external_id.as_deref()));
        let stored = stored.enumerate().map(|(place, names)| (Fate::Stored(place), names));
        let appended = self.appended.iter().map(|new| (new.id, new.external_id.as_deref()));
        let appended = appended.enumerate().map(|(place, names)| (Fate::Appended(place), names));
        let mut found = None;
        for (fate, (id, external_id)) in stored.chain(appended) {
            let has_id = new.id.is_some() && new.id == id;
            let has_external_id = new.external_id.is_some() && new.external_id.as_deref() == external_id;
            if (has_id && new.external_id.is_some() && !has_external_id) || (has_id && found.is_some()) {
                return Err(Error::taken_message("id", index));
            }
            if (has_external_id && new.id.is_some() && !has_id) || (has_external_id && found.is_some()) {
                return Err(Error::taken_message("external_id", index));
            }
            if has_id || has_external_id {
                found = Some(fate);
            }
        }
        Ok(found)
    }

    fn decide(
        &mut self,
        index: usize,
        new: &NewMessage,
        fate: Option<Fate>,
        on_conflict: OnConflict,
        (role, user): (ConversationRole, UserId),
    ) -> Result<()> {
        let Some(fate) = fate else {
            self.places.push(Fate::Appended(self.appended.len()));
            self.appended.push(new.clone());
            return Ok(());
        };
        self.places.push(fate);
        match on_conflict {
            OnConflict::Error if new.external_id.is_some() => Err(Error::taken_message("external_id", index)),
            OnConflict::Error => Err(Error::taken_message("id", index)),
            OnConflict::Ignore => Ok(()),
            OnConflict::Replace => self.replace(index, new, fate, (role, user)),
        }
    }

    fn replace(
        &mut self,
        index: usize,
        new: &NewMessage,
        fate: Fate,
        (role, user): (ConversationRole, UserId),
    ) -> Result<()> {
        match fate {
            Fate::Appended(place) => {
                if let Some(earlier) = self.appended.get_mut(place) {
                    *earlier = NewMessage { id: earlier.id, ..new.clone() };
                }
            }
            Fate::Stored(place) => {
                let Some((message, patch)) = self.stored.get_mut(place) else { return Ok(()) };
                if role != ConversationRole::Owner && message.sender_id != Some(user) {
                    return Err(Error::forbidden(OWN_ONLY));
                }
                refuse_role(index, message, new)?;
                *patch = difference(message, new);
            }
        }
        Ok(())
    }
}

/// Fails when a message that replaces a stored one has another role.
pub(super) fn refuse_role(index: usize, message: &Message, new: &NewMessage) -> Result<()> {
    if message.role == new.role {
        return Ok(());
    }
    let field = format!("messages[{index}].role");
    let reason = "must be the role of the stored message, which stays";
    Err(Invalid::field(field, FieldCode::NotAllowed, reason).into())
}

/// What has to be changed of a message so that it says what a new one does; nothing when it does already.
pub(super) fn difference(message: &Message, new: &NewMessage) -> MessagePatch {
    fn change<T: Clone + PartialEq>(before: &Option<T>, after: &Option<T>) -> Change<T> {
        match after {
            after if after == before => Change::Keep,
            None => Change::Clear,
            Some(value) => Change::Set(value.clone()),
        }
    }
    fn given<T: Clone + PartialEq>(before: &T, after: &T) -> Option<T> {
        (before != after).then(|| after.clone())
    }
    let parts = change(&message.parts, &new.parts);
    MessagePatch {
        // With other parts the text is given too: it would follow the parts otherwise.
        content: given(&message.content, &new.content)
            .or_else(|| (!parts.is_keep()).then(|| new.content.clone())),
        parts,
        model: change(&message.model, &new.model),
        token_count: change(&message.token_count, &new.token_count),
        used_documents: given(&message.used_documents, &new.used_documents),
        metadata: given(&message.metadata, &new.metadata),
        format: change(&message.format, &new.format),
    }
}
