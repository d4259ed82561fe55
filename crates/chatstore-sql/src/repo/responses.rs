//! Model responses; written together with their message by `Messages::record_reply`.

use chatstore_model::{ConversationId, MessageId, ModelResponse, UserId};
use constcat::concat;

use crate::db::{Sql, reader};
use crate::error::StoreError;
use crate::repo::list_of;
use crate::repo::live::{live_conversation, live_sender};
use crate::schema::RESPONSES;

const COLUMNS: &str = RESPONSES.columns_without(&["owner_id"]).with_prefix("r.").as_str();

const GET: Sql = Sql::same(
    "responses.get",
    concat!(
        "select ",
        COLUMNS,
        " from responses r where r.owner_id = $1 and r.message_id = $2 and ",
        live_conversation!("$1", "r.conversation_id")
    ),
);

const OF_RANGE: Sql = Sql::same(
    "responses.of_range",
    concat!(
        "select ",
        COLUMNS,
        " from messages m join responses r on r.owner_id = m.owner_id and r.message_id = m.id \
         where m.owner_id = $1 and m.conversation_id = $2 and m.seq >= $3 and m.seq <= $4 and ",
        live_conversation!("$1", "$2"),
        " and ",
        live_sender!("m.sender_id"),
        " order by m.seq"
    ),
);

const OF_OWNER: &str = concat!(
    "select ",
    COLUMNS,
    " from responses r where r.owner_id = $1 and ",
    live_conversation!("$1", "r.conversation_id"),
    " and r.message_id in "
);

const OF_MESSAGES: Sql = Sql::pair(
    "responses.of_messages",
    concat!(OF_OWNER, "(select unhex(value) from json_each($2))"),
    concat!(OF_OWNER, "(select value::uuid from jsonb_array_elements_text($2))"),
);

pub(super) const STATEMENTS: &[Sql] = &[GET, OF_RANGE, OF_MESSAGES];

repository! {
    /// Model responses.
    Responses, responses
}

reader! {
    fn read -> ModelResponse {
        message_id, conversation_id, model_used, tokens_prompt, tokens_completion, tokens_total,
        tokens_cached, completion_time_ms, finish_reason, from_cache, created_at,
    }
}

impl<M> Responses<'_, '_, M> {
    /// The response behind a message of this owner.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn get(
        &mut self,
        owner: UserId,
        message: MessageId,
    ) -> Result<Option<ModelResponse>, StoreError> {
        self.0.executor.query_first(&GET, &[owner.into(), message.into()], read).await
    }

    /// The responses behind these messages of the owner, in no order.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn of_messages(
        &mut self,
        owner: UserId,
        messages: impl Iterator<Item = MessageId>,
    ) -> Result<Vec<ModelResponse>, StoreError> {
        let ids = list_of(messages.map(MessageId::uuid))?;
        self.0.executor.query(&OF_MESSAGES, &[owner.into(), (&ids).into()], read).await
    }

    /// The responses behind the messages from one number to another, both included, in their order.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn of_range(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        first_seq: i64,
        last_seq: i64,
    ) -> Result<Vec<ModelResponse>, StoreError> {
        let values = [owner.into(), conversation.into(), first_seq.into(), last_seq.into()];
        self.0.executor.query(&OF_RANGE, &values, read).await
    }
}
