//! A model's reply: message, response and usage, stored as one.

use chatstore_model::{
    ConversationId, Day, IntoValid, Message, NewReply, NewResponse, Reply, Response, UserId, preview,
};
use constcat::concat;

use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::messages::{INSERT, Messages, NO_CONVERSATION, insert_values};
use crate::repo::{By, refuse_nul};
use crate::tx::ReadWrite;

const RESPONSE_COLUMNS: &str = "owner_id, message_id, conversation_id, model_used, tokens_prompt, tokens_completion, \
    tokens_total, tokens_cached, completion_time_ms, finish_reason, from_cache, created_at";

pub(super) const INSERT_RESPONSE: Sql = Sql::same(
    "responses.insert",
    concat!(
        "insert into responses (",
        RESPONSE_COLUMNS,
        ") \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    ),
);

/// Sums stay at 2^53 - 1 rather than make a later reply fail.
pub(super) const BOOKED: &str = " on conflict (owner_id, day, model) do update set \
    requests = usage_daily.requests + excluded.requests, \
    cached_requests = usage_daily.cached_requests + excluded.cached_requests, \
    tokens_prompt = case when usage_daily.tokens_prompt > 9007199254740991 - excluded.tokens_prompt \
    then 9007199254740991 else usage_daily.tokens_prompt + excluded.tokens_prompt end, \
    tokens_completion = case when usage_daily.tokens_completion > 9007199254740991 - excluded.tokens_completion \
    then 9007199254740991 else usage_daily.tokens_completion + excluded.tokens_completion end, \
    tokens_total = case when usage_daily.tokens_total > 9007199254740991 - excluded.tokens_total \
    then 9007199254740991 else usage_daily.tokens_total + excluded.tokens_total end, \
    completion_time_ms_sum = case when usage_daily.completion_time_ms_sum > 9007199254740991 - excluded.completion_time_ms_sum \
    then 9007199254740991 else usage_daily.completion_time_ms_sum + excluded.completion_time_ms_sum end";

pub(super) const USAGE_COLUMNS: &str = "owner_id, day, model, requests, cached_requests, tokens_prompt, tokens_completion, \
    tokens_total, completion_time_ms_sum, cost_micros";

const BOOK_USAGE: Sql = Sql::same(
    "usage.book",
    concat!(
        "insert into usage_daily (",
        USAGE_COLUMNS,
        ") values ($1, $2, $3, 1, $4, $5, $6, $7, $8, 0)",
        BOOKED
    ),
);

/// A whole reply of the owner, its model known, as one statement.
const RECORD: Sql = Sql::only_postgres(
    "replies.record",
    concat!(
        "with head as (update conversations set last_seq = last_seq + 1, message_count = message_count + 1, \
         last_message = $1, last_message_at = $2, revision = revision + 1, \
         updated_at = case when updated_at > $2 then updated_at else $2 end \
         where owner_id = $3 and id = $4 returning last_seq, default_model), \
         message as (insert into messages (owner_id, conversation_id, seq, id, role, content, parts, model, \
         token_count, used_documents, metadata, created_at) \
         select $3, $4, last_seq, $5, 'assistant', $6, $7, $8, $9, $10, $11, $2 from head returning seq), \
         response as (insert into responses (",
        RESPONSE_COLUMNS,
        ") \
         select $3, $5, $4, $12, $13, $14, $15, $16, $17, $18, $19, $2 from message), \
         booked as (insert into usage_daily (",
        USAGE_COLUMNS,
        ") \
         select $3, $20, $12, 1, case when $19 then 1 else 0 end, coalesce($13, 0), coalesce($14, 0), \
         coalesce($15, 0), coalesce($17, 0), 0 from message",
        BOOKED,
        ") \
         select seq, (select default_model from head), \
         case when $8 is null then (select asked.model from messages asked \
         where asked.owner_id = $3 and asked.conversation_id = $4 and asked.role = 'user' \
         order by asked.seq desc limit 1) end from message"
    ),
);

pub(super) const STATEMENTS: &[Sql] = &[INSERT_RESPONSE, BOOK_USAGE, RECORD];

impl Messages<'_, '_, ReadWrite> {
    /// Appends a model's message with its response and books its usage on the owner, all or
    /// nothing. Whose model answered is decided by
    /// [`effective_model`](chatstore_model::effective_model).
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`].
    pub async fn record_reply(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        new: impl IntoValid<&NewReply>,
    ) -> Result<Reply, StoreError> {
        let new = *new.into_valid()?;
        let by = By::Owner(owner);
        let mut message = self.arrange(by, conversation, &new.message);
        let known_model = new.response.model_used.as_deref().or(new.message.model.as_deref());
        if let (true, Some(model)) = (self.0.executor.combines_changes(), known_model) {
            let response = response_of(&message, &new.response, model);
            self.record_combined(&mut message, &response).await?;
            return Ok(Reply { message, response });
        }
        refuse_nul("default_model", self.0.default_model())?;
        let (_, seq, default_model) = self.raise_head(by, &message).await?;
        message.seq = seq;
        self.0.executor.execute(&INSERT, &insert_values(&message, None)).await?;
        self.find_models(std::slice::from_mut(&mut message), default_model.as_deref()).await?;
        let model = known_model.unwrap_or(&message.effective_model);
        let response = response_of(&message, &new.response, model);
        self.0.executor.execute(&INSERT_RESPONSE, &response_values(owner, &response)).await?;
        self.0.executor.execute(&BOOK_USAGE, &usage_values(owner, &response)).await?;
        Ok(Reply { message, response })
    }

    /// Stores everything at once and sets the message's number and effective model.
    async fn record_combined(
        &mut self,
        message: &mut Message,
        response: &Response,
    ) -> Result<(), StoreError> {
        let values = [
            preview(&message.content).into(),
            message.created_at.into(),
            message.owner_id.into(),
            message.conversation_id.into(),
            message.id.into(),
            (&message.content).into(),
            message.parts.as_ref().into(),
            message.model.as_ref().into(),
            message.token_count.into(),
            (&message.used_documents).into(),
            (&message.metadata).into(),
            (&response.model_used).into(),
            response.tokens_prompt.into(),
            response.tokens_completion.into(),
            response.tokens_total.into(),
            response.tokens_cached.into(),
            response.completion_time_ms.into(),
            response.finish_reason.as_ref().into(),
            response.from_cache.into(),
            Day::of(response.created_at).start().into(),
        ];
        let read_head = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let recorded = self.0.executor.query_changed(&RECORD, &values, read_head).await?;
        let (default_model, asked): (Option<String>, Option<String>);
        (message.seq, default_model, asked) = recorded.ok_or(NO_CONVERSATION)?;
        self.set_model(message, asked.as_deref(), default_model.as_deref());
        Ok(())
    }
}

fn response_of(message: &Message, new: &NewResponse, model: &str) -> Response {
    Response {
        message_id: message.id,
        conversation_id: message.conversation_id,
        model_used: model.to_owned(),
        tokens_prompt: new.tokens_prompt,
        tokens_completion: new.tokens_completion,
        tokens_total: new.total(),
        tokens_cached: new.tokens_cached,
        completion_time_ms: new.completion_time_ms,
        finish_reason: new.finish_reason.clone(),
        from_cache: new.from_cache,
        created_at: message.created_at,
    }
}

pub(super) fn response_values(owner: UserId, response: &Response) -> [Value<'_>; 12] {
    [
        owner.into(),
        response.message_id.into(),
        response.conversation_id.into(),
        (&response.model_used).into(),
        response.tokens_prompt.into(),
        response.tokens_completion.into(),
        response.tokens_total.into(),
        response.tokens_cached.into(),
        response.completion_time_ms.into(),
        response.finish_reason.as_ref().into(),
        response.from_cache.into(),
        response.created_at.into(),
    ]
}

fn usage_values(owner: UserId, response: &Response) -> [Value<'_>; 8] {
    [
        owner.into(),
        Day::of(response.created_at).start().into(),
        (&response.model_used).into(),
        i64::from(response.from_cache).into(),
        response.tokens_prompt.unwrap_or(0).into(),
        response.tokens_completion.unwrap_or(0).into(),
        response.tokens_total.unwrap_or(0).into(),
        response.completion_time_ms.unwrap_or(0).into(),
    ]
}
