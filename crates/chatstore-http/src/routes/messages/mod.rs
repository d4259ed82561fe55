//! One message of a conversation.

pub(crate) mod append;
pub(crate) mod include;
mod lines;
pub(crate) mod list;
pub(crate) mod own;
pub(crate) mod remove;
pub(crate) mod replace;
pub(crate) mod replace_suffix;
pub(crate) mod replies;

use std::slice;

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::fields::{
    CONTENT, EXTERNAL_ID, FORMAT, MESSAGE_ID, METADATA, MODEL, PARENT, PARTS, TOKEN_COUNT, USED_DOCUMENTS,
};
use chatstore::{
    AsUser, CanonicalJson, Change, ConversationId, FieldCode, MessageId, MessageName, MessagePatch,
    MessageRole, NewMessage, Parent, SeenRevision, TextField, VerbatimJson,
};
use utoipa::IntoParams;

use crate::body::ValidBody;
use crate::caller::{Caller, OptionalUser};
use crate::condition::IfMatch;
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConditionProblem, DeleteProblems, ReadProblems};
use crate::path::{BasePath, MessagePath, Path};
use crate::query::{FromParameters, NoParameters, Parameters, Query};
use crate::request::ReadFields;
use crate::routes::REPLACES_METADATA;
use crate::routes::messages::include::IncludeQuery;
use crate::routes::responses::{MessageResponse, with_seen};
use crate::schema::request_object;

/// The fields that every new message is read with.
pub(crate) fn new_message(fields: &mut impl ReadFields, role: MessageRole, model: &TextField) -> NewMessage {
    let content = fields.nullable(&CONTENT);
    let parts = fields.optional(&PARTS);
    if parts.is_none() && content.is_keep() {
        fields.wrong(CONTENT.name, FieldCode::Required, "must be given");
    }
    NewMessage {
        id: fields.optional(&MESSAGE_ID),
        external_id: fields.optional(&EXTERNAL_ID),
        content: content_beside(fields, content, parts.as_ref()).unwrap_or_default(),
        parts,
        format: fields.optional(&FORMAT),
        model: fields.optional(model),
        token_count: fields.optional(&TOKEN_COUNT),
        used_documents: fields.given(&USED_DOCUMENTS).unwrap_or_else(CanonicalJson::list),
        metadata: fields.given(&METADATA).unwrap_or_else(CanonicalJson::object),
        parent: parent(fields),
        ..NewMessage::new(role, "")
    }
}

/// What a new message follows, if it says so.
fn parent(fields: &mut impl ReadFields) -> Option<Parent> {
    match fields.nullable(&PARENT) {
        Change::Keep => None,
        Change::Clear => Some(Parent::Root),
        Change::Set(name) => Some(Parent::Message(name)),
    }
}

/// The text that is given, or that of the parts when null or nothing is.
fn content_beside(
    fields: &mut impl ReadFields,
    content: Change<String>,
    parts: Option<&VerbatimJson>,
) -> Option<String> {
    match content {
        Change::Set(content) => Some(content),
        Change::Clear if parts.is_none() => {
            fields.wrong(CONTENT.name, FieldCode::WrongType, "must be a text, or null beside parts");
            None
        }
        Change::Keep | Change::Clear => parts.map(VerbatimJson::text_of_parts),
    }
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
    params(MessagePath, IncludeQuery),
    responses(
        (status = 200, description = "The message", body = MessageResponse, headers(("ETag" = String, description = "The revision of the conversation"))),
        ReadProblems,
    )
)]
pub(crate) async fn get(
    OptionalUser(caller): OptionalUser,
    Path(path): Path<MessagePath>,
    Query(query): Query<IncludeQuery>,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let chat = caller.store().noting(&seen);
    let (conversation, messages) = (path.conversation().id(chat).await?, chat.messages());
    let message = match path.message.id()? {
        MessageName::Id(id) => messages.get(conversation, id).await?,
        MessageName::Seq(seq) => messages.get_by_seq(conversation, seq).await?,
        MessageName::External(name) => messages.get_by_external_id(conversation, &name).await?,
    };
    let included = query.read(chat, slice::from_ref(&message)).await?;
    let mut response = MessageResponse::from(message);
    included.add_to(slice::from_mut(&mut response));
    Ok(with_seen(Json(response), &seen))
}

/// The id of the message in the path.
pub(crate) async fn message_id(
    chat: AsUser<'_>,
    conversation: ConversationId,
    path: &MessagePath,
) -> Result<MessageId, Problem> {
    match path.message.id()? {
        MessageName::Id(id) => Ok(id),
        MessageName::Seq(seq) => Ok(chat.messages().get_by_seq(conversation, seq).await?.id),
        MessageName::External(name) => Ok(chat.messages().get_by_external_id(conversation, &name).await?.id),
    }
}

request_object! {
    /// Changes of a message. What is left out stays, null clears.
    ChangeMessage: MessagePatch = read_change_message, {"content": "Where is it warm in April?"}
}

fn read_change_message(fields: &mut impl ReadFields) -> MessagePatch {
    let content = fields.nullable(&CONTENT.about(
        "Another text. Null beside `parts`, it is the texts of the parts; so it is when it is left out beside other\n\
         `parts` and was that of the old ones.",
    ));
    let parts = fields.nullable(&PARTS);
    MessagePatch {
        // What is left out may have to follow the parts, which only the stored message tells.
        content: match content {
            Change::Keep => None,
            given => content_beside(fields, given, parts.value()),
        },
        parts,
        format: fields.nullable(&FORMAT),
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
        (
            status = 200,
            description = "The changed message",
            body = MessageResponse,
            headers(("ETag" = String, description = "The revision of the conversation after the change")),
        ),
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
    let seen = SeenRevision::default();
    let chat = condition.apply(caller.store().noting(&seen));
    let conversation = path.conversation().id(chat).await?;
    let id = message_id(chat, conversation, &path).await?;
    let message = chat.messages().edit(conversation, id, patch).await?;
    Ok(with_seen(Json(MessageResponse::from(message)), &seen))
}

/// What is deleted with a message.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// Whether everything below the message is deleted too. Only for the owner.
    #[param(value_type = Option<bool>)]
    subtree: bool,
}

impl FromParameters for DeleteQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self { subtree: parameters.flag("subtree").unwrap_or_default() }
    }
}

/// Delete a message
///
/// What follows it follows what it followed, unless `subtree` says that it is deleted too.
#[utoipa::path(
    delete,
    path = "/conversations/{id}/messages/{message_id}",
    operation_id = "delete_message",
    tag = "messages",
    params(MessagePath, DeleteQuery, IfMatch),
    responses(
        (
            status = 204,
            description = "The message and its response are deleted; its number is not reused",
            headers(("ETag" = String, description = "The revision of the conversation after the change")),
        ),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    caller: Caller,
    Path(path): Path<MessagePath>,
    Query(DeleteQuery { subtree }): Query<DeleteQuery>,
    condition: IfMatch,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let chat = condition.apply(caller.store().noting(&seen));
    let conversation = path.conversation().id(chat).await?;
    let id = message_id(chat, conversation, &path).await?;
    if subtree {
        chat.messages().delete_subtree(conversation, id).await?;
        return Ok(with_seen(StatusCode::NO_CONTENT, &seen));
    }
    chat.messages().delete(conversation, id).await?;
    Ok(with_seen(StatusCode::NO_CONTENT, &seen))
}
