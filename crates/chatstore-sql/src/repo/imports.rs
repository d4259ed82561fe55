//! What an import adds, written together: conversations with the heads that their messages give them, then the messages.

use std::collections::HashMap;

use chatstore_model::{
    Conversation, ConversationId, IntoValid, NewConversation, NewMessage, UserId, preview,
};

use super::messages::{MessageRow, count_of, number_after};
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
                let numbered = self.0.messages().number(owner, conversation, senders, new, None).await?;
                numbered.map_or_else(Vec::new, |(numbered, _)| numbered)
            }
        };
        rows.messages.append(&mut numbered);
        Ok(())
    }

    /// Adds messages of a conversation that is imported in pieces, after the message with this number. The conversation's
    /// revision is 1 until the last piece and 2 then, as if it had been imported at once.
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
        completes: bool,
    ) -> Result<(), StoreError> {
        let mut numbered = self.0.messages().unnumbered(owner, conversation, &[], *new.into_valid()?)?;
        let Some(last) = numbered.last() else { return Ok(()) };
        let is_next = match rows.unstored(owner, conversation) {
            Some(head) => {
                let is_next = head.last_seq == after && head.message_count == after && head.revision == 1;
                if is_next {
                    show(head, &numbered)?;
                    head.revision = if completes { 2 } else { 1 };
                }
                is_next
            }
            None => {
                let count = count_of(&numbered)?;
                let last = (last.content.as_str(), last.created_at);
                let mut conversations = self.0.conversations();
                let bumped = conversations.bump_by_piece(owner, conversation, after, count, last, completes);
                bumped.await?.is_some()
            }
        };
        if !is_next {
            return Err(self.0.conflict("the conversation was changed while it was imported"));
        }
        number_after(&mut numbered, after);
        rows.messages.append(&mut numbered);
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
        Ok(())
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
