//! A model's reply: message, response and usage, stored as one.

use chatstore_model::{
    ConversationId, Day, IntoValid, Message, MessageId, ModelResponse, NewModelResponse, NewReply, Reply,
    Timestamp, UserId, effective_model, preview,
};
use constcat::concat;

use super::Messages;
use super::append::INSERT;
use super::row::MessageRow;
use crate::db::{Sql, Value};
use crate::error::StoreError;
use crate::repo::conversations::{self, BUMP_OWN};
use crate::repo::{Via, refuse_nul};
use crate::schema::{Columns, MESSAGES, RESPONSES, USAGE_DAILY};
use crate::tx::ReadWrite;

const RESPONSE: Columns = RESPONSES.all_columns();
pub(super) const INSERT_RESPONSE: Sql = Sql::same("responses.insert", RESPONSE.insert(&[]).as_str());

/// Sums stay at 2^53 - 1, so that no later reply fails.
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

/// Nothing has a price yet.
pub(super) const NO_COST: (&str, &str) = ("cost_micros", "0");
pub(super) const USAGE: Columns = USAGE_DAILY.all_columns();

const BOOK_USAGE: Sql =
    Sql::same("usage.book", concat!(USAGE.insert(&[("requests", "1"), NO_COST]).as_str(), BOOKED));

/// An answer has no sender.
const ANSWER: Columns = MESSAGES.inserted_columns_without(&["sender_id"]);

/// A whole reply of the owner, its model known, as one statement.
const RECORD: Sql = Sql::only_postgres(
    "replies.record",
    concat!(
        "with bumped as (",
        BUMP_OWN,
        "), message as (",
        ANSWER.insert_into().as_str(),
        " select ",
        ANSWER.values(5, ANSWER_GIVEN).as_str(),
        " from bumped returning seq), response as (",
        RESPONSE.insert_into().as_str(),
        " select ",
        RESPONSE.values(14, RESPONSE_GIVEN).as_str(),
        " from message), booked as (",
        USAGE.insert_into().as_str(),
        " select ",
        USAGE.values(23, USAGE_GIVEN).as_str(),
        " from message",
        BOOKED,
        ") select seq from message"
    ),
);

const ANSWER_GIVEN: &[(&str, &str)] = &[
    ("owner_id", "$3"),
    ("conversation_id", "$4"),
    ("seq", "last_seq"),
    ("role", "'assistant'"),
    ("created_at", "$2"),
];

const RESPONSE_GIVEN: &[(&str, &str)] =
    &[("owner_id", "$3"), ("message_id", "$5"), ("conversation_id", "$4"), ("created_at", "$2")];

const USAGE_GIVEN: &[(&str, &str)] = &[
    ("owner_id", "$3"),
    ("day", "$22"),
    ("model", "$14"),
    ("requests", "1"),
    ("cached_requests", "case when $21 then 1 else 0 end"),
    ("tokens_prompt", "coalesce($15, 0)"),
    ("tokens_completion", "coalesce($16, 0)"),
    ("tokens_total", "coalesce($17, 0)"),
    ("completion_time_ms_sum", "coalesce($19, 0)"),
    NO_COST,
];

pub(super) const STATEMENTS: &[Sql] = &[INSERT_RESPONSE, BOOK_USAGE, RECORD];

impl Messages<'_, '_, ReadWrite> {
    /// Appends a model's message with its response and books its usage on the owner, all or
    /// nothing. The model that answered is the one that the response names, else the message, else that of
    /// [`effective_model`]; the message gets it too, unless it names one.
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
        let by = Via::Owner(owner);
        let mut row = self.to_row(by, conversation, &new.message);
        let known_model = new.response.model_used.as_deref().or(new.message.model.as_deref());
        if let (true, Some(model)) = (self.0.executor.supports_writable_ctes(), known_model) {
            row.model.get_or_insert_with(|| model.to_owned());
            let response = response_of(row.id, conversation, row.created_at, &new.response, model);
            let message = self.record_combined(row, &response).await?;
            return Ok(Reply { message, response });
        }
        let bumped = self.0.conversations().bump(by, conversation, &row.content, row.created_at).await?;
        row.seq = bumped.last_seq;
        let model = match known_model {
            Some(model) => model.to_owned(),
            None => self.model_of_answer(&row, bumped.default_model.as_deref()).await?,
        };
        row.model.get_or_insert_with(|| model.clone());
        self.0.executor.execute(&INSERT, &row.insert_values()).await?;
        let message = self.with_known_model(row, None, None);
        let response = response_of(message.id, conversation, message.created_at, &new.response, &model);
        self.0.executor.execute(&INSERT_RESPONSE, &response_values(owner, &response)).await?;
        self.0.executor.execute(&BOOK_USAGE, &usage_values(owner, &response)).await?;
        Ok(Reply { message, response })
    }

    /// The model that counts for an answer whose model nothing names.
    async fn model_of_answer(
        &mut self,
        row: &MessageRow,
        conversation_default: Option<&str>,
    ) -> Result<String, StoreError> {
        let store_default = self.0.default_model();
        refuse_nul("default_model", store_default)?;
        let asked = self.newest_user_model(row).await?;
        Ok(effective_model(None, asked.as_deref(), conversation_default, store_default).to_owned())
    }

    /// Stores everything at once.
    async fn record_combined(
        &mut self,
        mut row: MessageRow,
        response: &ModelResponse,
    ) -> Result<Message, StoreError> {
        let values = [
            preview(&row.content).into(),
            row.created_at.into(),
            row.owner_id.into(),
            row.conversation_id.into(),
            row.id.into(),
            (&row.content).into(),
            row.parts.as_ref().into(),
            row.model.as_ref().into(),
            row.token_count.into(),
            (&row.used_documents).into(),
            (&row.metadata).into(),
            row.format.as_ref().into(),
            row.external_id.as_ref().into(),
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
        let recorded = self.0.executor.query_changed(&RECORD, &values, |row| row.next()).await?;
        row.seq = recorded.ok_or(conversations::NOT_FOUND)?;
        Ok(self.with_known_model(row, None, None))
    }
}

fn response_of(
    message: MessageId,
    conversation: ConversationId,
    created_at: Timestamp,
    new: &NewModelResponse,
    model: &str,
) -> ModelResponse {
    ModelResponse {
        message_id: message,
        conversation_id: conversation,
        model_used: model.to_owned(),
        tokens_prompt: new.tokens_prompt,
        tokens_completion: new.tokens_completion,
        tokens_total: new.total(),
        tokens_cached: new.tokens_cached,
        completion_time_ms: new.completion_time_ms,
        finish_reason: new.finish_reason.clone(),
        from_cache: new.from_cache,
        created_at,
    }
}

pub(super) fn response_values(owner: UserId, response: &ModelResponse) -> [Value<'_>; RESPONSE.count()] {
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

fn usage_values(owner: UserId, response: &ModelResponse) -> [Value<'_>; USAGE.count() - 2] {
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
