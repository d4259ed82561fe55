//! One message, or a batch of new ones.

pub(crate) mod list;
pub(crate) mod replies;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chatstore::fields::{
    CONTENT, MESSAGE_ROLE, MESSAGES, METADATA, MODEL, PARTS, TOKEN_COUNT, USED_DOCUMENTS,
};
use chatstore::{
    AsUser, CanonicalJson, ConversationId, Invalid, MessageId, MessagePatch, MessageRole, NewMessage,
    TextField, Valid,
};
use serde::Serialize;
use utoipa::openapi::{OneOfBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::body::{IdempotentBody, ValidBody};
use crate::caller::{Caller, OptionalUser};
use crate::condition::{IdempotencyKeyHeader, IfMatch};
use crate::error::Problem;
use crate::fields::{Fields, RequestBody};
use crate::openapi::{AppendProblems, BodyProblems, ConditionProblem, DeleteProblems, ReadProblems};
use crate::path::{BasePath, ConversationPath, MessageName, MessagePath, Path};
use crate::query::{NoParameters, Query};
use crate::request::{NamedSchema, ReadFields, RequestObject};
use crate::routes::REPLACES_METADATA;
use crate::routes::responses::{MessageResponse, created_once};
use crate::schema::request_object;

/// The fields that every new message is read with.
pub(crate) fn new_message(fields: &mut impl ReadFields, role: MessageRole, model: &TextField) -> NewMessage {
    NewMessage {
        content: fields.required(&CONTENT),
        parts: fields.optional(&PARTS),
        model: fields.optional(model),
        token_count: fields.optional(&TOKEN_COUNT),
        used_documents: fields.given(&USED_DOCUMENTS).unwrap_or_else(CanonicalJson::list),
        metadata: fields.given(&METADATA).unwrap_or_else(CanonicalJson::object),
        ..NewMessage::new(role, "")
    }
}

request_object! {
    /// A message to be appended.
    AppendMessage: NewMessage = read_append_message, {"content": "Where is it warm in March?"}
}

fn read_append_message(fields: &mut impl ReadFields) -> NewMessage {
    let role = fields.given_or(&MESSAGE_ROLE, MessageRole::User);
    new_message(fields, role, &MODEL)
}

request_object! {
    /// Messages to be appended together, all or none.
    AppendMessages: Vec<NewMessage> = read_append_messages, {
        "messages": [{"content": "Hello"}, {"role": "assistant", "content": "Good day"}]
    }
}

fn read_append_messages(fields: &mut impl ReadFields) -> Vec<NewMessage> {
    fields.objects::<AppendMessage>(&MESSAGES)
}

/// One message, or several.
#[derive(Debug)]
pub(crate) struct AppendRequest;

impl PartialSchema for AppendRequest {
    fn schema() -> RefOr<Schema> {
        let one = Ref::from_schema_name(AppendMessage::NAME);
        let many = Ref::from_schema_name(AppendMessages::NAME);
        OneOfBuilder::new().item(one).item(many).description(Some("One message, or several.")).into()
    }
}

impl ToSchema for AppendRequest {
    fn schemas(schemas: &mut Vec<NamedSchema>) {
        schemas.push((AppendMessages::NAME.to_owned(), AppendMessages::schema()));
        AppendMessages::schemas(schemas);
    }
}

/// What is to be appended.
#[derive(Debug)]
pub(crate) enum Appended {
    One(Valid<NewMessage>),
    Many(Valid<Vec<NewMessage>>),
}

impl RequestBody for AppendRequest {
    type Input = Appended;

    fn accept(fields: &mut Fields<'_>) -> Result<Appended, Invalid> {
        if fields.has(MESSAGES.name) {
            AppendMessages::accept(fields).map(Appended::Many)
        } else {
            AppendMessage::accept(fields).map(Appended::One)
        }
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
    params(ConversationPath, IfMatch, IdempotencyKeyHeader),
    request_body = AppendRequest,
    responses(
        (
            status = 201,
            description = "The new message, or the new messages with consecutive numbers",
            body = AppendAnswer,
            headers(
                ("Location" = String, description = "The first message"),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repeated request"),
            ),
            links(
                ("get_message" = (
                    operation_id = "get_message",
                    parameters(("id" = "$response.body#/conversation_id"), ("message_id" = "$response.body#/seq"))
                )),
            ),
        ),
        AppendProblems,
    )
)]
pub(crate) async fn append(
    caller: Caller,
    base_path: BasePath,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    IdempotentBody { input: new, once }: IdempotentBody<AppendRequest>,
) -> Result<Response, Problem> {
    let id = path.conversation.id()?;
    let chat = condition.apply(caller.store());
    let (is_one, appended, is_replayed) = match (new, once) {
        (Appended::One(new), None) => (true, vec![chat.messages().append(id, new).await?], false),
        (Appended::Many(new), None) => (false, chat.messages().append_many(id, new).await?, false),
        (new, Some(key)) => {
            let (is_one, new) = match new {
                Appended::One(new) => (true, new.alone()),
                Appended::Many(new) => (false, new),
            };
            let outcome = chat.idempotent(key).append(id, new).await?;
            (is_one, outcome.value, outcome.is_replayed)
        }
    };
    let place = appended.first().map(|message| location(&base_path, id, message.id)).unwrap_or_default();
    let mut data: Vec<MessageResponse> = appended.into_iter().map(MessageResponse::from).collect();
    let answer = match data.pop() {
        Some(message) if is_one => AppendAnswer::One(Box::new(message)),
        last => {
            data.extend(last);
            AppendAnswer::Many(AppendedMessages { data })
        }
    };
    Ok(created_once(place, Json(answer), is_replayed))
}

/// Where a message is found.
pub(crate) fn location(base_path: &BasePath, conversation: ConversationId, message: MessageId) -> String {
    base_path.path(&format!("/conversations/{conversation}/messages/{message}"))
}

/// Get a message
#[utoipa::path(
    get,
    path = "/conversations/{id}/messages/{message_id}",
    operation_id = "get_message",
    tag = "messages",
    params(MessagePath),
    responses((status = 200, description = "The message", body = MessageResponse), ReadProblems)
)]
pub(crate) async fn get(
    OptionalUser(caller): OptionalUser,
    Path(path): Path<MessagePath>,
    _query: Query<NoParameters>,
) -> Result<Response, Problem> {
    let conversation = path.conversation.id()?;
    let messages = caller.store().messages();
    let message = match path.message.id()? {
        MessageName::Id(id) => messages.get(conversation, id).await?,
        MessageName::Seq(seq) => messages.get_by_seq(conversation, seq).await?,
    };
    Ok(Json(MessageResponse::from(message)).into_response())
}

/// The id of the message in the path.
pub(crate) async fn message_id(chat: AsUser<'_>, path: &MessagePath) -> Result<MessageId, Problem> {
    match path.message.id()? {
        MessageName::Id(id) => Ok(id),
        MessageName::Seq(seq) => Ok(chat.messages().get_by_seq(path.conversation.id()?, seq).await?.id),
    }
}

request_object! {
    /// Changes of a message. What is left out stays, null clears.
    ChangeMessage: MessagePatch = read_change_message, {"content": "Where is it warm in April?"}
}

fn read_change_message(fields: &mut impl ReadFields) -> MessagePatch {
    MessagePatch {
        content: fields.given(&CONTENT),
        parts: fields.nullable(&PARTS),
        model: fields.nullable(&MODEL),
        token_count: fields.nullable(&TOKEN_COUNT),
        used_documents: fields.given(&USED_DOCUMENTS.about("Replaces the list whole.")),
        metadata: fields.given(&METADATA.about(REPLACES_METADATA)),
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
    caller: Caller,
    Path(path): Path<MessagePath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    ValidBody(patch): ValidBody<ChangeMessage>,
) -> Result<Response, Problem> {
    let conversation = path.conversation.id()?;
    let chat = condition.apply(caller.store());
    let id = message_id(chat, &path).await?;
    let message = chat.messages().edit(conversation, id, patch).await?;
    Ok(Json(MessageResponse::from(message)).into_response())
}

/// Delete a message
#[utoipa::path(
    delete,
    path = "/conversations/{id}/messages/{message_id}",
    operation_id = "delete_message",
    tag = "messages",
    params(MessagePath, IfMatch),
    responses(
        (status = 204, description = "The message and its response are deleted; its number is not reused"),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    caller: Caller,
    Path(path): Path<MessagePath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let conversation = path.conversation.id()?;
    let chat = condition.apply(caller.store());
    let id = message_id(chat, &path).await?;
    chat.messages().delete(conversation, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
