//! One message, or a batch of new ones.

pub(crate) mod list;
pub(crate) mod replies;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chatstore::{
    AsUser, Change, ConversationId, FieldCode, FieldError, Invalid, Json, MessageId, MessagePatch,
    MessageRole, NewMessage, limits,
};
use serde::Serialize;
use utoipa::openapi::{OneOfBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::body::{JsonBody, OnceBody, RequestBody};
use crate::caller::{Caller, Visitor};
use crate::condition::{IdempotencyKey, IfMatch, mark_replayed};
use crate::error::Problem;
use crate::fields::{Fields, value_of};
use crate::openapi::{BodyProblems, ConditionProblem, ConflictProblem, DeleteProblems, ReadProblems};
use crate::path::{ConversationPath, MessageName, MessagePath, Mount, Path};
use crate::query::{NoParameters, Query};
use crate::routes::responses::{
    MESSAGE_ROLES, MessageResponse, MessageRoleWord, UsedDocument, created, message_role,
};
use crate::state::AppState;

/// A message to be appended.
#[derive(Debug, Default, ToSchema)]
#[schema(example = json!({"content": "Where is it warm in March?"}))]
pub(crate) struct AppendMessage {
    /// Who speaks. An editor may post `user` only.
    #[schema(value_type = Option<MessageRoleWord>, nullable = false, default = "user")]
    role: Option<MessageRole>,
    /// The text; may be empty.
    content: String,
    /// Structured content, kept untouched.
    #[schema(value_type = Option<Vec<Object>>)]
    parts: Option<Json>,
    /// The model asked for, or the one that answered.
    #[schema(min_length = 1, max_length = 255)]
    model: Option<String>,
    /// Tokens of the content.
    #[schema(minimum = 0, maximum = 9007199254740991i64)]
    token_count: Option<i64>,
    /// Documents the message drew on: texts or objects.
    #[schema(value_type = Vec<UsedDocument>, required = false, max_items = 256)]
    used_documents: Option<Json>,
    /// The application's own data, at most 64 KiB as JSON.
    #[schema(value_type = Object, required = false)]
    metadata: Option<Json>,
}

impl RequestBody for AppendMessage {
    type Input = NewMessage;

    fn read(fields: &mut Fields) -> Self {
        Self {
            role: fields.word("role", MESSAGE_ROLES, message_role),
            content: fields.required_text("content"),
            parts: value_of(fields.nullable_json("parts")),
            model: value_of(fields.nullable_text("model")),
            token_count: value_of(fields.nullable_count("token_count")),
            used_documents: fields.json("used_documents"),
            metadata: fields.json("metadata"),
        }
    }

    fn into_input(self) -> NewMessage {
        NewMessage {
            parts: self.parts,
            model: self.model,
            token_count: self.token_count,
            used_documents: self.used_documents.unwrap_or_else(Json::list),
            metadata: self.metadata.unwrap_or_else(Json::object),
            ..NewMessage::new(self.role.unwrap_or(MessageRole::User), self.content)
        }
    }

    fn check(input: &NewMessage) -> Result<(), Invalid> {
        input.validate()
    }
}

/// Messages to be appended together, all or none.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"messages": [{"content": "Hello"}, {"role": "assistant", "content": "Good day"}]}))]
pub(crate) struct AppendMessages {
    #[schema(min_items = 1, max_items = 200)]
    messages: Vec<AppendMessage>,
}

/// One message, or several.
#[derive(Debug)]
pub(crate) enum AppendRequest {
    One(AppendMessage),
    Many(AppendMessages),
}

// Written out because the derive would tag the two.
impl PartialSchema for AppendRequest {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(AppendMessage::name());
        let many = Ref::from_schema_name(AppendMessages::name());
        OneOfBuilder::new().item(one).item(many).description(Some("One message, or several.")).into()
    }
}

impl ToSchema for AppendRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for (name, schema) in [
            (AppendMessage::name(), AppendMessage::schema()),
            (AppendMessages::name(), AppendMessages::schema()),
        ] {
            schemas.push((name.into_owned(), schema));
        }
        AppendMessage::schemas(schemas);
    }
}

/// What is to be appended.
#[derive(Debug)]
pub(crate) enum Appended {
    One(NewMessage),
    Many(Vec<NewMessage>),
}

impl RequestBody for AppendRequest {
    type Input = Appended;

    fn read(fields: &mut Fields) -> Self {
        if !fields.has("messages") {
            return Self::One(AppendMessage::read(fields));
        }
        let messages = fields.objects("messages", AppendMessage::read);
        if messages.as_ref().is_some_and(Vec::is_empty) {
            fields.wrong("messages", FieldCode::TooShort, "must have at least one message");
        }
        let messages = messages.unwrap_or_default();
        if messages.len() > limits::BATCH {
            fields.wrong("messages", FieldCode::TooLong, "must have at most 200 messages");
        }
        Self::Many(AppendMessages { messages })
    }

    fn into_input(self) -> Appended {
        match self {
            Self::One(message) => Appended::One(message.into_input()),
            Self::Many(batch) => {
                Appended::Many(batch.messages.into_iter().map(AppendMessage::into_input).collect())
            }
        }
    }

    fn check(input: &Appended) -> Result<(), Invalid> {
        let messages = match input {
            Appended::One(message) => return message.validate(),
            Appended::Many(messages) => messages,
        };
        let mut all = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            let Err(Invalid(errors)) = message.validate() else { continue };
            let in_batch = |error: FieldError| FieldError {
                field: format!("messages[{index}].{}", error.field),
                ..error
            };
            all.extend(errors.into_iter().map(in_batch));
        }
        if all.is_empty() { Ok(()) } else { Err(Invalid(all)) }
    }
}

/// The messages that were appended together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppendedMessages {
    data: Vec<MessageResponse>,
}

/// What was appended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AppendAnswer {
    One(Box<MessageResponse>),
    Many(AppendedMessages),
}

/// Append one message, or several, all or none
#[utoipa::path(
    post,
    path = "/conversations/{id}/messages",
    operation_id = "append_messages",
    tag = "messages",
    params(ConversationPath, IfMatch, IdempotencyKey),
    request_body = AppendRequest,
    responses(
        (
            status = 201,
            description = "The new message, or the new messages with consecutive numbers",
            body = AppendAnswer,
            headers(
                ("Location" = String, description = "The first of them"),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repetition"),
            ),
        ),
        BodyProblems,
        ConflictProblem,
        ConditionProblem,
    )
)]
pub(crate) async fn append(
    State(state): State<AppState>,
    caller: Caller,
    mount: Mount,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    OnceBody { input: new, once }: OnceBody<AppendRequest>,
) -> Result<Response, Problem> {
    let id = path.conversation()?;
    let chat = condition.apply(caller.store(&state));
    let (is_one, appended, is_replayed) = match (new, once) {
        (Appended::One(new), None) => (true, vec![chat.messages().append(id, new).await?], false),
        (Appended::Many(new), None) => (false, chat.messages().append_many(id, new).await?, false),
        (new, Some(key)) => {
            let (is_one, new) = match new {
                Appended::One(new) => (true, vec![new]),
                Appended::Many(new) => (false, new),
            };
            let outcome = chat.once(key).append(id, new).await?;
            (is_one, outcome.value, outcome.is_replayed)
        }
    };
    let place = appended.first().map(|message| location(&mount, id, message.id)).unwrap_or_default();
    let mut data: Vec<MessageResponse> = appended.into_iter().map(MessageResponse::from).collect();
    let answer = match data.pop() {
        Some(message) if is_one => AppendAnswer::One(Box::new(message)),
        last => {
            data.extend(last);
            AppendAnswer::Many(AppendedMessages { data })
        }
    };
    Ok(mark_replayed(is_replayed, created(place, JsonAnswer(answer))))
}

/// Where a message is found.
pub(crate) fn location(mount: &Mount, conversation: ConversationId, message: MessageId) -> String {
    mount.path(&format!("/conversations/{conversation}/messages/{message}"))
}

/// Read a message
#[utoipa::path(
    get,
    path = "/conversations/{id}/messages/{message_id}",
    operation_id = "get_message",
    tag = "messages",
    params(MessagePath),
    responses((status = 200, description = "The message", body = MessageResponse), ReadProblems)
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Path(path): Path<MessagePath>,
    _query: Query<NoParameters>,
) -> Result<Response, Problem> {
    let conversation = path.conversation()?;
    let messages = caller.store(&state).messages();
    let message = match path.message()? {
        MessageName::Id(id) => messages.get(conversation, id).await?,
        MessageName::Seq(seq) => messages.get_by_seq(conversation, seq).await?,
    };
    Ok(JsonAnswer(MessageResponse::from(message)).into_response())
}

/// The id of the message in the path.
pub(crate) async fn message_id(chat: AsUser<'_>, path: &MessagePath) -> Result<MessageId, Problem> {
    match path.message()? {
        MessageName::Id(id) => Ok(id),
        MessageName::Seq(seq) => Ok(chat.messages().get_by_seq(path.conversation()?, seq).await?.id),
    }
}

/// Changes of a message. What is left out stays, null clears.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"content": "Where is it warm in April?"}))]
pub(crate) struct ChangeMessage {
    #[schema(nullable = false)]
    content: Option<String>,
    #[schema(value_type = Option<Vec<Object>>)]
    parts: Change<Json>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    model: Change<String>,
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 9007199254740991i64)]
    token_count: Change<i64>,
    /// Replaces the list whole.
    #[schema(value_type = Vec<UsedDocument>, required = false, max_items = 256)]
    used_documents: Option<Json>,
    /// Replaces the metadata whole.
    #[schema(value_type = Object, required = false)]
    metadata: Option<Json>,
}

impl RequestBody for ChangeMessage {
    type Input = MessagePatch;

    fn read(fields: &mut Fields) -> Self {
        Self {
            content: fields.text("content"),
            parts: fields.nullable_json("parts"),
            model: fields.nullable_text("model"),
            token_count: fields.nullable_count("token_count"),
            used_documents: fields.json("used_documents"),
            metadata: fields.json("metadata"),
        }
    }

    fn into_input(self) -> MessagePatch {
        MessagePatch {
            content: self.content,
            parts: self.parts,
            model: self.model,
            token_count: self.token_count,
            used_documents: self.used_documents,
            metadata: self.metadata,
        }
    }

    fn check(input: &MessagePatch) -> Result<(), Invalid> {
        input.validate()
    }
}

/// Change a message
#[utoipa::path(
    patch,
    path = "/conversations/{id}/messages/{message_id}",
    operation_id = "change_message",
    tag = "messages",
    params(MessagePath, IfMatch),
    request_body = ChangeMessage,
    responses(
        (status = 200, description = "The changed message", body = MessageResponse),
        BodyProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    Path(path): Path<MessagePath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    JsonBody(patch): JsonBody<ChangeMessage>,
) -> Result<Response, Problem> {
    let conversation = path.conversation()?;
    let chat = condition.apply(caller.store(&state));
    let id = message_id(chat, &path).await?;
    let message = chat.messages().edit(conversation, id, patch).await?;
    Ok(JsonAnswer(MessageResponse::from(message)).into_response())
}

/// Delete a message
#[utoipa::path(
    delete,
    path = "/conversations/{id}/messages/{message_id}",
    operation_id = "delete_message",
    tag = "messages",
    params(MessagePath, IfMatch),
    responses(
        (status = 204, description = "It is gone with its response; its number is not used again"),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(path): Path<MessagePath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let conversation = path.conversation()?;
    let chat = condition.apply(caller.store(&state));
    let id = message_id(chat, &path).await?;
    chat.messages().delete(conversation, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
