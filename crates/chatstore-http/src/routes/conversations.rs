//! One conversation: made, read, changed, deleted.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chatstore::{Change, ConversationPatch, ConversationRole, Invalid, Json, NewConversation};
use utoipa::ToSchema;

use crate::body::{JsonBody, RequestBody};
use crate::error::Problem;
use crate::extract::{Caller, ConversationPath, Mount};
use crate::fields::{Fields, value_of};
use crate::openapi::{BodyProblems, ChangeProblems, DeleteProblems, ReadProblems, TakenProblem};
use crate::query::{NoParameters, Query};
use crate::routes::objects::{ConversationObject, created};
use crate::state::AppState;

/// A conversation to be made.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"title": "Trip", "metadata": {"channel": "web"}}))]
pub(crate) struct CreateConversation {
    /// The application's own id, unique among the caller's conversations; without control characters.
    #[schema(min_length = 1, max_length = 255)]
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
    request_body = CreateConversation,
    responses(
        (
            status = 201,
            description = "The new conversation",
            body = ConversationObject,
            headers(("Location" = String), ("ETag" = String)),
        ),
        BodyProblems,
        TakenProblem,
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    mount: Mount,
    _query: Query<NoParameters>,
    JsonBody(new): JsonBody<CreateConversation>,
) -> Result<Response, Problem> {
    let conversation = state.as_caller(caller).conversations().create(new).await?;
    let object = ConversationObject::new(conversation, ConversationRole::Owner);
    let location = mount.path(&format!("/conversations/{}", object.id()));
    Ok(created(location, object.answer()))
}

/// Read a conversation
#[utoipa::path(
    get,
    path = "/conversations/{id}",
    operation_id = "get_conversation",
    tag = "conversations",
    params(ConversationPath),
    responses(
        (status = 200, description = "The conversation", body = ConversationObject, headers(("ETag" = String))),
        ReadProblems,
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    caller: Caller,
    path: ConversationPath,
    _query: Query<NoParameters>,
) -> Result<Response, Problem> {
    let (conversation, role) = state.as_caller(caller).conversations().get(path.conversation()?).await?;
    Ok(ConversationObject::new(conversation, role).answer())
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
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
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
    params(ConversationPath),
    request_body = ChangeConversation,
    responses(
        (status = 200, description = "The changed conversation", body = ConversationObject, headers(("ETag" = String))),
        ChangeProblems,
        TakenProblem,
    )
)]
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Caller,
    path: ConversationPath,
    _query: Query<NoParameters>,
    JsonBody(patch): JsonBody<ChangeConversation>,
) -> Result<Response, Problem> {
    let id = path.conversation()?;
    let (conversation, role) = state.as_caller(caller).conversations().update(id, patch).await?;
    Ok(ConversationObject::new(conversation, role).answer())
}

/// Delete a conversation with its messages
#[utoipa::path(
    delete,
    path = "/conversations/{id}",
    operation_id = "delete_conversation",
    tag = "conversations",
    params(ConversationPath),
    responses((status = 204, description = "It is gone; what it used stays recorded"), DeleteProblems)
)]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    path: ConversationPath,
    _query: Query<NoParameters>,
) -> Result<StatusCode, Problem> {
    state.as_caller(caller).conversations().delete(path.conversation()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
