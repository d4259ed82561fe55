//! The one way to delete a user.

use chatstore_model::{ConversationId, UserId};

use super::{NOT_FOUND, Users};
use crate::db::Sql;
use crate::error::StoreError;
use crate::marked::Deletion;
use crate::tx::ReadWrite;

const SENT_ELSEWHERE: Sql = Sql::same(
    "users.sent_elsewhere",
    "select owner_id, conversation_id, count(*), max(seq) from messages where sender_id = $1 \
     group by owner_id, conversation_id order by owner_id, conversation_id",
);

const DELETE_SENT: Sql = Sql::same(
    "users.delete_sent",
    "delete from messages where sender_id = $1 and owner_id = $2 and conversation_id = $3 returning seq, parent_seq",
);

const DELETE: Sql = Sql::same("users.delete", "delete from users where id = $1 and deleted_at is null");

pub(super) const STATEMENTS: &[Sql] = &[SENT_ELSEWHERE, DELETE_SENT, DELETE];

impl Users<'_, '_, ReadWrite> {
    /// Deletes a user with everything that is the user's: conversations, memberships, keys, usage,
    /// and the messages sent into others' conversations, whose counts and previews are repaired. Events that name the user
    /// belong to no user from then on, and empty. One with much is
    /// marked: then the user no longer exists for any reader, nor does anything that is the user's, and the rows are left
    /// to be deleted in pieces. So are counts and previews where the user sent many messages.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::InvalidState`] for the built-in user and for the last active
    /// administrator.
    pub async fn erase(&mut self, id: UserId) -> Result<Deletion, StoreError> {
        if id == UserId::ANONYMOUS {
            return Err(StoreError::InvalidState("the built-in user cannot be erased"));
        }
        let user = self.get(id).await?.ok_or(NOT_FOUND)?;
        self.keep_an_admin(&user).await?;
        let sent_few = self.0.deletions().sent_few_elsewhere(id).await?;
        if sent_few {
            self.delete_sent(id).await?;
        }
        if !sent_few || !self.0.deletions().is_small_user(id).await? {
            return self.0.deletions().mark_user(id).await;
        }
        self.0.deletions().release_events(id).await?;
        match self.0.executor.execute(&DELETE, &[id.into()]).await {
            Ok(0) => Err(NOT_FOUND),
            Ok(_) => Ok(Deletion::Done),
            // A message sent meanwhile still refers to the user; the next attempt finds it.
            Err(StoreError::MissingReference { .. }) => {
                Err(self.0.conflict("the user wrote a message meanwhile"))
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes what a user sent into others' conversations.
    async fn delete_sent(&mut self, id: UserId) -> Result<(), StoreError> {
        let now = self.0.now();
        let places: Vec<(UserId, ConversationId, i64, i64)> = self
            .0
            .executor
            .query(&SENT_ELSEWHERE, &[id.into()], |row| {
                Ok((row.next()?, row.next()?, row.next()?, row.next()?))
            })
            .await?;
        for (owner, conversation, count, newest) in places {
            let mut conversations = self.0.conversations();
            let changed = conversations.bump_for_change(owner, conversation, count, now).await?;
            if changed.is_none() {
                self.0.copies().give_up(owner, conversation).await?;
            }
            let values = [id.into(), owner.into(), conversation.into()];
            let deleted_messages = self.0.messages().delete_returning(&DELETE_SENT, &values).await?;
            if i64::try_from(deleted_messages.len()) != Ok(count) {
                return Err(self.0.conflict("the user wrote a message meanwhile"));
            }
            let head = changed.and_then(|changed| changed.head_seq);
            self.0.messages().repair(owner, conversation, head, newest, &deleted_messages).await?;
        }
        Ok(())
    }
}
