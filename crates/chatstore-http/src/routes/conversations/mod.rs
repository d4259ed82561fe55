//! One conversation: created, read, changed, deleted.

pub(crate) mod copies;
mod lines;
pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod thread;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chatstore::fields::{
    ARCHIVED, CONVERSATION_ID, DEFAULT_MODEL, LAST_MESSAGE, METADATA, METADATA_PATCH, THREAD_ID, TITLE,
};
use chatstore::{
    AsUser, CanonicalJson, Change, Conversation, ConversationPatch, ConversationRole, FieldCode, Keyword,
    MessageRange, NewConversation, Outcome,
};
use utoipa::IntoParams;

use crate::body::{IdempotentBody, ValidBody};
use crate::caller::{Caller, OptionalUser};
use crate::condition::{IdempotencyKeyHeader, IfMatch, IfNoneMatch};
use crate::error::Problem;
use crate::fields::HeadField;
use crate::openapi::{BodyProblems, ConditionProblem, DeleteProblems, ReadProblems, TakenProblem};
use crate::path::{BasePath, ConversationPath, Path};
use crate::query::{FromParameters, NoParameters, Parameters, Query};
use crate::request::ReadFields;
use crate::routes::REPLACES_METADATA;
use crate::routes::messages::include::WithMessages;
use crate::routes::responses::{ConversationResponse, created_once};
use crate::schema::{Word, request_object};

/// What a field is for that only the owner may change.
const OWNERS: &str = "The owner's to change.";

/// Messages that come with a conversation when nothing else is asked for.
const INCLUDED: u32 = 50;

/// The fields that every new conversation is read with.
pub(crate) fn new_conversation(fields: &mut impl ReadFields) -> NewConversation {
    NewConversation {
        title: fields.optional(&TITLE),
        default_model: fields.optional(&DEFAULT_MODEL),
        last_message: fields.optional(&LAST_MESSAGE),
        metadata: fields.given(&METADATA).unwrap_or_else(CanonicalJson::object),
        ..NewConversation::default()
    }
}

/// The fields that every change of a conversation is read with.
pub(crate) fn conversation_patch(fields: &mut impl ReadFields) -> ConversationPatch {
    ConversationPatch {
        title: fields.nullable(&TITLE),
        default_model: fields.nullable(&DEFAULT_MODEL),
        last_message: fields.nullable(&LAST_MESSAGE.about(OWNERS)),
        metadata: fields.given(&METADATA.about(REPLACES_METADATA)),
        metadata_patch: fields.given(&METADATA_PATCH),
        archived: fields.given(&ARCHIVED),
        head: fields.given(&HeadField),
        thread_id: Change::Keep,
    }
}

request_object! {
    /// A conversation to be created.
    CreateConversation: NewConversation = read_create_conversation, {
        "title": "Trip", "metadata": {"channel": "web"}
    }
}

fn read_create_conversation(fields: &mut impl ReadFields) -> NewConversation {
    let (id, thread_id) = (fields.optional(&CONVERSATION_ID), fields.optional(&THREAD_ID));
    NewConversation { id, thread_id, ..new_conversation(fields) }
}

/// Create a conversation
#[utoipa::path(
    post,
    path = "/conversations",
    operation_id = "create_conversation",
    tag = "conversations",
    params(IdempotencyKeyHeader),
    request_body = CreateConversation,
    responses(
        (
            status = 201,
            description = "The new conversation",
            body = ConversationResponse,
            headers(
                ("Location" = String),
                ("ETag" = String),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repeated request"),
            ),
            links(
                ("get_conversation" = (
                    operation_id = "get_conversation",
                    parameters(("id" = "$response.body#/id"))
                )),
                ("append_messages" = (
                    operation_id = "append_messages",
                    parameters(("id" = "$response.body#/id"))
                )),
                ("create_reply" = (
                    operation_id = "create_reply",
                    parameters(("id" = "$response.body#/short_id"))
                )),
            ),
        ),
        BodyProblems,
        TakenProblem,
    )
)]
pub(crate) async fn create(
    OptionalUser(caller): OptionalUser,
    base_path: BasePath,
    _query: Query<NoParameters>,
    IdempotentBody { input: new, once }: IdempotentBody<CreateConversation>,
) -> Result<Response, Problem> {
    if once.is_some() && caller.is_anonymous() {
        // Another client without credentials could be answered with this conversation.
        let message = "needs credentials: the keys of clients without any could collide";
        return Err(Problem::wrong("Idempotency-Key", FieldCode::NotAllowed, message));
    }
    if new.id.is_some() && !caller.is_service() {
        return Err(Problem::forbidden("only a service key may say the id of a conversation"));
    }
    let chat = caller.store();
    let Outcome { value, is_replayed } = match once {
        None => Outcome { value: chat.conversations().create(new).await?, is_replayed: false },
        Some(key) => chat.idempotent(key).create_conversation(new).await?,
    };
    let location = base_path.path(&format!("/conversations/{}", value.id));
    let conversation = ConversationResponse::new(value, ConversationRole::Owner);
    Ok(created_once(location, conversation, is_replayed))
}

/// What comes with a conversation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GetQuery {
    /// Separated by commas. `messages` for the newest messages in order, and with it `documents`, `response` and
    /// `siblings` for what a list of messages has with them.
    #[param(value_type = Option<Vec<IncludeWord>>, style = Form, explode = false, min_items = 1, inline)]
    include: Vec<Include>,
    /// With `include=messages`: how many messages, 50 when left out. When they are too large together, the answer has
    /// `truncated` and `before` as a list of messages has them.
    #[param(value_type = Option<u32>, maximum = 2147483647)]
    last: Option<u32>,
}

/// What a conversation can be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Include {
    Messages,
    Documents,
    Response,
    Siblings,
}

impl Keyword for Include {
    const NAME: &'static str = "Include";
    const ABOUT: &'static str = "What a conversation can be answered with.";
    const ALL: &'static [Self] = &[Self::Messages, Self::Documents, Self::Response, Self::Siblings];

    fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Documents => "documents",
            Self::Response => "response",
            Self::Siblings => "siblings",
        }
    }
}

type IncludeWord = Word<Include>;

impl FromParameters for GetQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let include: Vec<Include> = parameters.words("include");
        let last = parameters.count("last");
        let has_messages = include.contains(&Include::Messages);
        for (name, is_given) in [("last", last.is_some()), ("include", !include.is_empty())] {
            if is_given && !has_messages {
                parameters.wrong(name, FieldCode::NotAllowed, "must be given together with include=messages");
            }
        }
        Self { include, last }
    }
}

impl GetQuery {
    fn has(&self, include: Include) -> bool {
        self.include.contains(&include)
    }
}

/// The answer that is a conversation, with its messages when they were asked for.
pub(crate) async fn respond(
    chat: AsUser<'_>,
    query: &GetQuery,
    unless: &IfNoneMatch,
    conversation: Conversation,
    role: ConversationRole,
) -> Result<Response, Problem> {
    let id = conversation.id;
    let mut conversation = ConversationResponse::new(conversation, role);
    if query.has(Include::Messages) {
        let newest = chat.messages().newest(id, MessageRange::ALL, query.last.unwrap_or(INCLUDED)).await?;
        let with = WithMessages {
            documents: query.has(Include::Documents),
            response: query.has(Include::Response),
            siblings: query.has(Include::Siblings),
        };
        let included = with.read(chat, &newest.items).await?;
        conversation.include(newest.items, included, newest.next.filter(|_| query.last.is_some()));
    }
    Ok(unless.apply(conversation.into_response()))
}

/// Get a conversation
#[utoipa::path(
    get,
    path = "/conversations/{id}",
    operation_id = "get_conversation",
    tag = "conversations",
    params(ConversationPath, GetQuery, IfNoneMatch),
    responses(
        (status = 200, description = "The conversation", body = ConversationResponse, headers(("ETag" = String))),
        (status = 304, description = "Not modified: the client has the current conversation", headers(("ETag" = String))),
        ReadProblems,
    )
)]
pub(crate) async fn get(
    OptionalUser(caller): OptionalUser,
    Path(path): Path<ConversationPath>,
    Query(query): Query<GetQuery>,
    unless: IfNoneMatch,
) -> Result<Response, Problem> {
    let chat = caller.store();
    let (conversation, role) = chat.conversations().get(path.conversation().id(chat).await?).await?;
    respond(chat, &query, &unless, conversation, role).await
}

request_object! {
    /// Changes of a conversation. What is left out stays, null clears.
    ChangeConversation: ConversationPatch = read_change_conversation, {
        "title": "Trip to Seville", "default_model": null
    }
}

fn read_change_conversation(fields: &mut impl ReadFields) -> ConversationPatch {
    let patch = conversation_patch(fields);
    ConversationPatch { thread_id: fields.nullable(&THREAD_ID.about(OWNERS)), ..patch }
}

/// Change a conversation
#[utoipa::path(
    patch,
    path = "/conversations/{id}",
    operation_id = "change_conversation",
    tag = "conversations",
    params(ConversationPath, IfMatch),
    request_body = ChangeConversation,
    responses(
        (status = 200, description = "The changed conversation", body = ConversationResponse, headers(("ETag" = String))),
        BodyProblems,
        TakenProblem,
        ConditionProblem,
    )
)]
pub(crate) async fn change(
    caller: Caller,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    ValidBody(patch): ValidBody<ChangeConversation>,
) -> Result<Response, Problem> {
    let chat = condition.apply(caller.store());
    let id = path.conversation().id(chat).await?;
    let (conversation, role) = chat.conversations().update(id, patch).await?;
    Ok(ConversationResponse::new(conversation, role).into_response())
}

/// Delete a conversation with its messages
#[utoipa::path(
    delete,
    path = "/conversations/{id}",
    operation_id = "delete_conversation",
    tag = "conversations",
    params(ConversationPath, IfMatch),
    responses(
        (status = 204, description = "The conversation is deleted; its usage stays recorded"),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    caller: Caller,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let chat = condition.apply(caller.store());
    chat.conversations().delete(path.conversation().id(chat).await?).await?;
    Ok(StatusCode::NO_CONTENT)
}
