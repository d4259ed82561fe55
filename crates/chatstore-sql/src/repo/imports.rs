//! What an import adds, written together: conversations with the heads that their messages give them, then the messages.

use std::collections::HashMap;

use chatstore_model::{
    Conversation, ConversationId, HeadRule, IntoValid, MessageName, NewConversation, NewMessage, Parent,
    UserId, preview,
};

use super::messages::{MessageRow, Placement, count_of, number_after};
use crate::error::StoreError;
use crate::tx::ReadWrite;

/// Conversations and messages that are not stored yet. They are lost unless [`Imports::store`] gets them.
#[derive(Debug, Clone, Default)]
pub struct ImportedRows {
    conversations: Vec<Conversation>,
    /// Where they are in the list.
    places: HashMap<(UserId, ConversationId), usize>,
    /// With their numbers.
    messages: Vec<MessageRow>,
    /// Heads of conversations that branched, which are complete.
    heads: Vec<(UserId, ConversationId, i64)>,
}

impl ImportedRows {
    /// A conversation that is not stored yet.
    fn unstored(&mut self, owner: UserId, id: ConversationId) -> Option<&mut Conversation> {
        let place = self.places.get(&(owner, id))?;
        self.conversations.get_mut(*place)
    }
}

repository! {
    /// Rows that an import adds.
    Imports, imports
}

impl Imports<'_, '_, ReadWrite> {
    /// Adds a conversation of an owner who is known to exist.
    ///
    /// # Errors
    /// [`StoreError::Invalid`].
    pub fn conversation<'n>(
        &mut self,
        rows: &mut ImportedRows,
        owner: UserId,
        new: impl IntoValid<&'n NewConversation>,
    ) -> Result<(), StoreError> {
        let row = self.0.conversations().to_row(owner, *new.into_valid()?);
        rows.places.insert((owner, row.id), rows.conversations.len());
        rows.conversations.push(row);
        Ok(())
    }

    /// Adds messages with the next numbers of their conversation, which is stored or among the rows. `senders` as in
    /// [`append_many`](crate::Messages::append_many).
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::NotFound`].
    pub async fn messages(
        &mut self,
        rows: &mut ImportedRows,
        owner: UserId,
        conversation: ConversationId,
        senders: &[Option<UserId>],
        new: impl IntoValid<&[NewMessage]>,
    ) -> Result<(), StoreError> {
        let new = *new.into_valid()?;
        let mut numbered = match rows.unstored(owner, conversation) {
            Some(head) => {
                let mut numbered = self.0.messages().unnumbered(owner, conversation, senders, new)?;
                number_after(&mut numbered, head.last_seq);
                show(head, &numbered)?;
                numbered
            }
            None => {
                let placement = Placement { rule: HeadRule::Follows, at: None };
                self.0.messages().number(owner, conversation, senders, new, placement).await?.0
            }
        };
        rows.messages.append(&mut numbered);
        Ok(())
    }

    /// Adds messages of a conversation that is imported in pieces, after the message with this number. The conversation's
    /// revision is 1 until the last piece and 2 then, as if it had been imported at once. `completes` is the last piece's,
    /// with the head of a conversation that branched. A parent is the number of an earlier message, and is stored as it is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the conversation has other messages than those up to `after`, or was changed;
    /// otherwise as [`messages`](Self::messages).
    pub async fn piece(
        &mut self,
        rows: &mut ImportedRows,
        owner: UserId,
        conversation: ConversationId,
        after: i64,
        new: impl IntoValid<&[NewMessage]>,
        completes: Option<Completion>,
    ) -> Result<(), StoreError> {
        let new = *new.into_valid()?;
        let mut numbered = self.0.messages().unnumbered(owner, conversation, &[], new)?;
        for (row, new) in numbered.iter_mut().zip(new) {
            row.parent_seq = new.parent.as_ref().map(stored_parent).transpose()?;
        }
        let Some(last) = numbered.last() else { return Ok(()) };
        let is_next = match rows.unstored(owner, conversation) {
            Some(head) => {
                let is_next = head.last_seq == after && head.message_count == after && head.revision == 1;
                if is_next {
                    show(head, &numbered)?;
                    head.revision = if completes.is_some() { 2 } else { 1 };
                }
                is_next
            }
            None => {
                let count = count_of(&numbered)?;
                let last = (last.content.as_str(), last.created_at);
                let mut conversations = self.0.conversations();
                let bumped =
                    conversations.bump_by_piece(owner, conversation, after, count, last, completes.is_some());
                bumped.await?.is_some()
            }
        };
        if !is_next {
            return Err(self.0.conflict("the conversation was changed while it was imported"));
        }
        number_after(&mut numbered, after);
        rows.messages.append(&mut numbered);
        if let Some(Completion { head_seq: Some(head) }) = completes {
            rows.heads.push((owner, conversation, head));
        }
        Ok(())
    }

    /// Stores the rows, all or none.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] when an id or a thread id is taken, also by what is being deleted;
    /// [`StoreError::MissingReference`] when an owner was erased meanwhile.
    pub async fn store(&mut self, rows: &ImportedRows) -> Result<(), StoreError> {
        if !rows.conversations.is_empty() {
            self.0.conversations().insert_rows(&rows.conversations).await?;
        }
        if !rows.messages.is_empty() {
            self.0.messages().insert_rows(&rows.messages).await?;
        }
        for (owner, conversation, head) in &rows.heads {
            self.0.conversations().move_head(*owner, *conversation, *head).await?;
        }
        Ok(())
    }
}

/// The end of a conversation that is imported in pieces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Completion {
    /// The number of the head, if the conversation branched.
    pub head_seq: Option<i64>,
}

fn stored_parent(parent: &Parent) -> Result<i64, StoreError> {
    match parent {
        Parent::Root => Ok(0),
        Parent::Message(MessageName::Seq(seq)) => Ok(*seq),
        Parent::Message(_) => Err(StoreError::InvalidState("an imported message names its parent by number")),
    }
}

/// Gives a conversation the head that these messages leave behind, as the statements on a stored one do.
fn show(head: &mut Conversation, messages: &[MessageRow]) -> Result<(), StoreError> {
    let Some(last) = messages.last() else { return Ok(()) };
    let count = count_of(messages)?;
    head.last_seq += count;
    head.message_count += count;
    head.last_message = Some(preview(&last.content).to_owned());
    head.last_message_at = Some(last.created_at);
    head.updated_at = head.updated_at.max(last.created_at);
    head.revision += 1;
    Ok(())
}
