//! What hangs below a message.

use chatstore_model::{ConversationId, NewHead, UserId};
use constcat::concat;

use super::Messages;
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::tx::ReadWrite;

/// The message `$3` and everything below it. When it does not say what it follows, neither do those that follow it by
/// number.
const BELOW: &str = "with recursive below(seq) as ( \
       select top.seq from messages top where top.owner_id = $1 and top.conversation_id = $2 and top.seq = $3 \
       union \
       select line.seq from messages line where line.owner_id = $1 and line.conversation_id = $2 and line.seq > $3 \
       and line.parent_seq is null and exists (select 1 from messages top where top.owner_id = $1 \
       and top.conversation_id = $2 and top.seq = $3 and top.parent_seq is null) \
       union \
       select child.seq from below cross join messages child where child.owner_id = $1 and child.conversation_id = $2 \
       and child.parent_seq is not null and child.parent_seq = below.seq) ";

const SUBTREE: Sql = Sql::same("messages.subtree", concat!(BELOW, "select seq from below order by seq desc"));
const NEWEST_BELOW: Sql = Sql::same("messages.newest_below", concat!(BELOW, "select max(seq) from below"));

pub(super) const STATEMENTS: &[Sql] = &[SUBTREE, NEWEST_BELOW];

impl Messages<'_, '_, ReadWrite> {
    /// The numbers of a message and of everything below it, highest first, so that each comes before what it follows.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn subtree(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        seq: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let values: [Value<'_>; 3] = [owner.into(), conversation.into(), seq.into()];
        self.0.executor.query(&SUBTREE, &values, |row: &Row<'_>| row.next()).await
    }

    /// The number of the message that becomes the head; `None` when there is none of this name.
    pub(in crate::repo) async fn new_head(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        head: &NewHead,
    ) -> Result<Option<i64>, StoreError> {
        let Some(seq) = self.seq_of(owner, conversation, head.name()).await? else { return Ok(None) };
        match head {
            NewHead::Message(_) => Ok(Some(seq)),
            NewHead::Under(_) => {
                let values: [Value<'_>; 3] = [owner.into(), conversation.into(), seq.into()];
                self.0.executor.query_one(&NEWEST_BELOW, &values, |row| row.next()).await
            }
        }
    }
}
