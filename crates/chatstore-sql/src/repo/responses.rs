//! Model responses; written together with their message by `Messages::record_reply`.

use chatstore_model::{MessageId, Response, UserId};

use crate::db::{Row, Sql};
use crate::error::StoreError;
use crate::tx::Tx;

const GET: Sql = Sql::same(
    "responses.get",
    "select message_id, conversation_id, model_used, tokens_prompt, tokens_completion, tokens_total, tokens_cached, \
     completion_time_ms, finish_reason, from_cache, created_at \
     from responses where owner_id = $1 and message_id = $2",
);

pub(super) const STATEMENTS: &[Sql] = &[GET];

/// Model responses.
#[derive(Debug)]
pub struct Responses<'t, 'c, M>(pub(crate) &'t mut Tx<'c, M>);

fn read(row: &Row<'_>) -> Result<Response, StoreError> {
    Ok(Response {
        message_id: row.get(0)?,
        conversation_id: row.get(1)?,
        model_used: row.get(2)?,
        tokens_prompt: row.get(3)?,
        tokens_completion: row.get(4)?,
        tokens_total: row.get(5)?,
        tokens_cached: row.get(6)?,
        completion_time_ms: row.get(7)?,
        finish_reason: row.get(8)?,
        from_cache: row.get(9)?,
        created_at: row.get(10)?,
    })
}

impl<M> Responses<'_, '_, M> {
    /// The response behind a message of this owner.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn get(&mut self, owner: UserId, message: MessageId) -> Result<Option<Response>, StoreError> {
        self.0.executor.query_first(&GET, &[owner.into(), message.into()], read).await
    }
}
