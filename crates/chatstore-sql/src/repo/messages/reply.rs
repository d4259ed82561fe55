//! A model's reply: message, response and usage, stored as one.

use chatstore_model::{
    ConversationId, Day, HeadRule, IntoValid, Message, MessageId, ModelResponse, NewMessage,
    NewModelResponse, NewReply, OTHER_MODELS, Reply, Timestamp, UserId, effective_model, limits, preview,
};
use constcat::concat;

use super::append::INSERT;
use super::row::MessageRow;
use super::tree::Placement;
use super::{Messages, of_one};
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::conversations::{self, BUMP_OWN};
use crate::repo::usage::LARGEST_COUNT;
use crate::repo::{Via, refuse_nul};
use crate::schema::{Columns, MESSAGES, RESPONSES, Text, USAGE_DAILY};
use crate::tx::ReadWrite;

const RESPONSE: Columns = RESPONSES.all_columns();
pub(super) const INSERT_RESPONSE: Sql = Sql::same("responses.insert", RESPONSE.insert(&[]).as_str());

/// The maximum number of models of an owner on one day that usage is kept apart by.
const MODELS: Text = Text::new().push_number(limits::MODELS_A_DAY);

/// A sum to which a number is added; it stays at [`limits::COUNT`], so that no later reply fails.
macro_rules! added {
    ($column:literal) => {
        concat!(
            $column,
            " = case when usage_daily.",
            $column,
            " > ",
            LARGEST_COUNT.as_str(),
            " - excluded.",
            $column,
            " then ",
            LARGEST_COUNT.as_str(),
            " else usage_daily.",
            $column,
            " + excluded.",
            $column,
            " end"
        )
    };
}

pub(super) const BOOKED: &str = concat!(
    " on conflict (owner_id, day, model) do update set ",
    added!("requests"),
    ", ",
    added!("cached_requests"),
    ", ",
    added!("tokens_prompt"),
    ", ",
    added!("tokens_completion"),
    ", ",
    added!("tokens_total"),
    ", ",
    added!("completion_time_ms_sum")
);

/// Under which model usage is booked: the one that was named, or that of all others when the owner has used too many
/// on this day. Replies at the same moment may each find the last one free.
macro_rules! booked_model {
    ($owner:literal, $day:literal, $model:literal) => {
        concat!(
            "case when exists (select 1 from usage_daily u where u.owner_id = ",
            $owner,
            " and u.day = ",
            $day,
            " and u.model = ",
            $model,
            ") then ",
            $model,
            " when (select count(*) from (select 1 from usage_daily u where u.owner_id = ",
            $owner,
            " and u.day = ",
            $day,
            " limit ",
            MODELS.as_str(),
            ") as used) < ",
            MODELS.as_str(),
            " then ",
            $model,
            " else '",
            OTHER_MODELS,
            "' end"
        )
    };
}

/// Nothing has a price yet.
pub(super) const NO_COST: (&str, &str) = ("cost_micros", "0");
pub(super) const USAGE: Columns = USAGE_DAILY.all_columns();

const BOOK_USAGE_ROW: Text = USAGE.insert(&[
    ("owner_id", "$1"),
    ("day", "$2"),
    ("model", booked_model!("$1", "$2", "$3")),
    ("requests", "1"),
    ("cached_requests", "$4"),
    ("tokens_prompt", "$5"),
    ("tokens_completion", "$6"),
    ("tokens_total", "$7"),
    ("completion_time_ms_sum", "$8"),
    NO_COST,
]);
const BOOK_USAGE: Sql = Sql::same("usage.book", concat!(BOOK_USAGE_ROW.as_str(), BOOKED));

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
        ") select seq, (select revision from bumped) from message"
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
    ("model", booked_model!("$3", "$22", "$14")),
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
    /// Beyond [`limits::MODELS_A_DAY`] models of an owner on one day, usage is booked under [`OTHER_MODELS`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`].
    pub async fn record_reply(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        new: impl IntoValid<&NewReply>,
    ) -> Result<Reply, StoreError> {
        self.record_reply_by(owner, conversation, new, Some(HeadRule::Follows)).await
    }

    /// Like [`record_reply`](Self::record_reply); the rule says what becomes of the head when the message has a parent.
    /// Without one, it is recorded only in a conversation that never branched, on PostgreSQL in one statement if the model
    /// is known.
    ///
    /// # Errors
    /// As that; [`StoreError::NotFound`] without a rule, also of a conversation that branched.
    pub async fn record_reply_by(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        new: impl IntoValid<&NewReply>,
        rule: Option<HeadRule>,
    ) -> Result<Reply, StoreError> {
        let new = *new.into_valid()?;
        let known_model = new.response.model_used.as_deref().or(new.message.model.as_deref());
        let is_combined = self.0.executor.supports_writable_ctes() && new.message.parent.is_none();
        if let (true, Some(model)) = (is_combined, known_model) {
            let mut row = self.to_row(Via::Owner(owner), conversation, &new.message);
            row.model.get_or_insert_with(|| model.to_owned());
            let response = response_of(row.id, conversation, row.created_at, &new.response, model);
            if let Some(message) = self.record_combined(row, &response).await? {
                return Ok(Reply { message, response });
            }
            if rule.is_none() {
                return Err(conversations::NOT_FOUND);
            }
        }
        let may_be_linear = !(is_combined && known_model.is_some());
        let reply = self.record_in_steps(owner, conversation, new, rule, may_be_linear).await?;
        self.0.executor.execute(&BOOK_USAGE, &usage_values(owner, &reply.response)).await?;
        Ok(reply)
    }

    /// Like [`record_reply_by`](Self::record_reply_by), but books nothing: for what is said about the answer by a user who
    /// is not the owner.
    ///
    /// # Errors
    /// As that.
    pub async fn record_unbooked_reply(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        new: impl IntoValid<&NewReply>,
        rule: Option<HeadRule>,
    ) -> Result<Reply, StoreError> {
        self.record_in_steps(owner, conversation, *new.into_valid()?, rule, true).await
    }

    async fn record_in_steps(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        new: &NewReply,
        rule: Option<HeadRule>,
        may_be_linear: bool,
    ) -> Result<Reply, StoreError> {
        let known_model = new.response.model_used.as_deref().or(new.message.model.as_deref());
        let (mut row, default_model) =
            self.number_reply(owner, conversation, &new.message, rule, may_be_linear).await?;
        let model = match known_model {
            Some(model) => model.to_owned(),
            None => self.model_of_answer(&row, default_model.as_deref()).await?,
        };
        row.model.get_or_insert_with(|| model.clone());
        match row.is_placed() {
            true => self.insert_placed(std::slice::from_ref(&row)).await?,
            false => {
                self.0.executor.execute(&INSERT, &row.insert_values()).await?;
            }
        }
        let message = self.with_known_model(row, None, None);
        let response = response_of(message.id, conversation, message.created_at, &new.response, &model);
        self.0.executor.execute(&INSERT_RESPONSE, &response_values(owner, &response)).await?;
        Ok(Reply { message, response })
    }

    /// Takes the number of an answer, which is not stored yet; also the conversation's default model.
    async fn number_reply(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        new: &NewMessage,
        rule: Option<HeadRule>,
        may_be_linear: bool,
    ) -> Result<(MessageRow, Option<String>), StoreError> {
        let by = Via::Owner(owner);
        if may_be_linear && new.parent.is_none() {
            let mut row = self.to_row(by, conversation, new);
            let mut conversations = self.0.conversations();
            let bumped = conversations.bump(by, conversation, &row.content, row.created_at).await?;
            if let Some(bumped) = bumped {
                row.seq = bumped.last_seq;
                return Ok((row, bumped.default_model));
            }
        }
        let rule = rule.ok_or(conversations::NOT_FOUND)?;
        let placement = Placement { rule, at: None };
        let placed =
            self.number_in_tree(owner, conversation, &[], std::slice::from_ref(new), placement).await;
        let (rows, default_model) = placed.map_err(of_one)?;
        let row = rows.into_iter().next().ok_or(StoreError::InvalidState("no answer was appended"))?;
        Ok((row, default_model))
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

    /// Stores everything at once; `None` when there is no such conversation, or it branched.
    async fn record_combined(
        &mut self,
        mut row: MessageRow,
        response: &ModelResponse,
    ) -> Result<Option<Message>, StoreError> {
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
        let read = |row: &Row<'_>| Ok((row.next()?, row.next()?));
        let recorded = self.0.executor.query_changed(&RECORD, &values, read).await?;
        let Some((seq, revision)) = recorded else { return Ok(None) };
        row.seq = seq;
        self.0.note_revision(revision);
        Ok(Some(self.with_known_model(row, None, None)))
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
