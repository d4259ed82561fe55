//! One conversation: made, read, changed, deleted.

pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod thread;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::{
    AsUser, Change, Conversation, ConversationPatch, ConversationRole, FieldCode, Invalid, Json,
    NewConversation, PageRequest,
};
use utoipa::{IntoParams, ToSchema};

use crate::body::{JsonBody, OnceBody, RequestBody};
use crate::caller::{Caller, Visitor};
use crate::condition::{IdempotencyKey, IfMatch, IfNoneMatch, mark_replayed};
use crate::error::Problem;
use crate::fields::{Fields, value_of};
use crate::openapi::{BodyProblems, ConditionProblem, DeleteProblems, ReadProblems, TakenProblem};
use crate::path::{ConversationPath, Mount, Path};
use crate::query::{FromParameters, NoParameters, Parameters, Query};
use crate::routes::responses::{ConversationResponse, created};
use crate::state::AppState;

/// Messages that come with a conversation.
const INCLUDED: u16 = 50;

/// A conversation to be made.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"title": "Trip", "metadata": {"channel": "web"}}))]
pub(crate) struct CreateConversation {
    /// The application's own id, unique among the caller's conversations; without control characters.
    #[schema(min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    thread_id: Option<String>,
    #[schema(max_length = 512)]
    title: Option<String>,
    /// The model replies come from unless a message says otherwise.
    #[schema(min_length = 1, max_length = 255)]
    default_model: Option<String>,
    /// A preview, for applications that keep their messages elsewhere; the next message replaces it.
    #[schema(max_length = 4000)]
    last_message: Option<String>,
    /// The application's own data, at most 64 KiB as JSON.
    #[schema(value_type = Object, required = false)]
    metadata: Option<Json>,
}

impl RequestBody for CreateConversation {
    type Input = NewConversation;

    fn read(fields: &mut Fields) -> Self {
        Self {
            thread_id: value_of(fields.nullable_text("thread_id")),
            title: value_of(fields.nullable_text("title")),
            default_model: value_of(fields.nullable_text("default_model")),
            last_message: value_of(fields.nullable_text("last_message")),
            metadata: fields.json("metadata"),
        }
    }

    fn into_input(self) -> NewConversation {
        NewConversation {
            thread_id: self.thread_id,
            title: self.title,
            default_model: self.default_model,
            last_message: self.last_message,
            metadata: self.metadata.unwrap_or_else(Json::object),
            ..NewConversation::default()
        }
    }

    fn check(input: &NewConversation) -> Result<(), Invalid> {
        input.validate()
    }
}

/// Make a conversation
#[utoipa::path(
    post,
    path = "/conversations",
    operation_id = "create_conversation",
    tag = "conversations",
    params(IdempotencyKey),
    request_body = CreateConversation,
    responses(
        (
            status = 201,
            description = "The new conversation",
            body = ConversationResponse,
            headers(
                ("Location" = String),
                ("ETag" = String),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repetition"),
            ),
        ),
        BodyProblems,
        TakenProblem,
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    mount: Mount,
    _query: Query<NoParameters>,
    OnceBody { input: new, once }: OnceBody<CreateConversation>,
) -> Result<Response, Problem> {
    if once.is_some() && caller.is_unknown() {
        // Somebody else without credentials could be answered with this conversation.
        let message = "needs credentials: the keys of one caller are not to meet another's";
        return Err(Problem::wrong("Idempotency-Key", FieldCode::NotAllowed, message));
    }
    let chat = caller.store(&state);
    let (conversation, is_replayed) = match once {
        None => (chat.conversations().create(new).await?, false),
        Some(key) => {
            let outcome = chat.once(key).create_conversation(new).await?;
            (outcome.value, outcome.is_replayed)
        }
    };
    let object = ConversationResponse::new(conversation, ConversationRole::Owner);
    let location = mount.path(&format!("/conversations/{}", object.id()));
    Ok(mark_replayed(is_replayed, created(location, object.answer())))
}

/// With what a conversation is answered.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GetQuery {
    /// `messages` for the newest 50 messages in order.
    #[param(value_type = Option<IncludeWord>, inline)]
    include: Option<Include>,
}

/// What a conversation can be answered with.
#[derive(Debug, Clone, Copy)]
enum Include {
    Messages,
}

/// What a conversation can be answered with.
#[derive(Debug, ToSchema)]
#[schema(as = Include, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words of the parameter")]
pub(crate) enum IncludeWord {
    Messages,
}

impl FromParameters for GetQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self { include: parameters.word("include", &[("messages", Include::Messages)]) }
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
    let mut object = ConversationResponse::new(conversation, role);
    if query.include.is_some() {
        let page = chat.messages().page(id, PageRequest::newest(INCLUDED)).await?;
        object.include(page.items.into_iter().rev());
    }
    Ok(unless.apply(object.answer()))
}

/// Read a conversation
#[utoipa::path(
    get,
    path = "/conversations/{id}",
    operation_id = "get_conversation",
    tag = "conversations",
    params(ConversationPath, GetQuery, IfNoneMatch),
    responses(
        (status = 200, description = "The conversation", body = ConversationResponse, headers(("ETag" = String))),
        (status = 304, description = "It is still what the client has", headers(("ETag" = String))),
        ReadProblems,
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Path(path): Path<ConversationPath>,
    Query(query): Query<GetQuery>,
    unless: IfNoneMatch,
) -> Result<Response, Problem> {
    let chat = caller.store(&state);
    let (conversation, role) = chat.conversations().get(path.conversation()?).await?;
    respond(chat, &query, &unless, conversation, role).await
}

/// Changes of a conversation. What is left out stays, null clears.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"title": "Trip to Seville", "default_model": null}))]
pub(crate) struct ChangeConversation {
    #[schema(value_type = Option<String>, max_length = 512)]
    title: Change<String>,
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    default_model: Change<String>,
    /// The owner's to change.
    #[schema(value_type = Option<String>, max_length = 4000)]
    last_message: Change<String>,
    /// Replaces the metadata whole.
    #[schema(value_type = Object, required = false)]
    metadata: Option<Json>,
    /// The owner's to change.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    thread_id: Change<String>,
}

impl RequestBody for ChangeConversation {
    type Input = ConversationPatch;

    fn read(fields: &mut Fields) -> Self {
        Self {
            title: fields.nullable_text("title"),
            default_model: fields.nullable_text("default_model"),
            last_message: fields.nullable_text("last_message"),
            metadata: fields.json("metadata"),
            thread_id: fields.nullable_text("thread_id"),
        }
    }

    fn into_input(self) -> ConversationPatch {
        ConversationPatch {
            thread_id: self.thread_id,
            title: self.title,
            default_model: self.default_model,
            last_message: self.last_message,
            metadata: self.metadata,
        }
    }

    fn check(input: &ConversationPatch) -> Result<(), Invalid> {
        input.validate()
    }
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
    State(state): State<AppState>,
    caller: Caller,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    JsonBody(patch): JsonBody<ChangeConversation>,
) -> Result<Response, Problem> {
    let id = path.conversation()?;
    let chat = condition.apply(caller.store(&state));
    let (conversation, role) = chat.conversations().update(id, patch).await?;
    Ok(ConversationResponse::new(conversation, role).answer())
}

/// Delete a conversation with its messages
#[utoipa::path(
    delete,
    path = "/conversations/{id}",
    operation_id = "delete_conversation",
    tag = "conversations",
    params(ConversationPath, IfMatch),
    responses(
        (status = 204, description = "It is gone; what it used stays recorded"),
        DeleteProblems,
        ConditionProblem,
    )
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    condition.apply(caller.store(&state)).conversations().delete(path.conversation()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
