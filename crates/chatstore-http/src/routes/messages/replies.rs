//! What a model answered: the message, its response and its usage, stored as one.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::response::Response;
use chatstore::{Invalid, Json, NewMessage, NewReply, NewResponse};
use utoipa::ToSchema;

use crate::body::{OnceBody, RequestBody};
use crate::caller::{Caller, Visitor};
use crate::condition::{IdempotencyKey, IfMatch, mark_replayed};
use crate::error::Problem;
use crate::fields::{Fields, value_of};
use crate::openapi::{BodyProblems, ConditionProblem, ConflictProblem, ReadProblems};
use crate::path::{ConversationPath, MessagePath, Mount, Path};
use crate::query::{NoParameters, Query};
use crate::routes::messages::{location, message_id};
use crate::routes::responses::{ModelResponseResponse, ReplyResponse, UsedDocument, created};
use crate::state::AppState;

/// A reply to be recorded.
#[derive(Debug, ToSchema)]
#[schema(example = json!({
    "content": "In Seville: 21 °C on most days.",
    "response": {"model_used": "large-1", "tokens_prompt": 12, "tokens_completion": 9, "finish_reason": "stop"}
}))]
pub(crate) struct CreateReply {
    /// The text; may be empty.
    content: String,
    /// Structured content, kept untouched.
    #[schema(value_type = Option<Vec<Object>>)]
    parts: Option<Json>,
    /// The model that answered.
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
    /// What is known about the answer.
    #[schema(nullable = false)]
    response: Option<CreateResponse>,
}

/// What is known about an answer.
#[derive(Debug, ToSchema)]
pub(crate) struct CreateResponse {
    /// The model that answered. When left out: the reply's `model`, else that of the newest message of the role
    /// `user` before it, else the conversation's default, else the server's.
    #[schema(nullable = false, min_length = 1, max_length = 255)]
    model_used: Option<String>,
    #[schema(minimum = 0, maximum = 9007199254740991i64)]
    tokens_prompt: Option<i64>,
    #[schema(minimum = 0, maximum = 9007199254740991i64)]
    tokens_completion: Option<i64>,
    /// When left out, prompt and completion together, if both are known; never smaller than that.
    #[schema(minimum = 0, maximum = 9007199254740991i64)]
    tokens_total: Option<i64>,
    /// Tokens read from the provider's cache.
    #[schema(minimum = 0, maximum = 9007199254740991i64)]
    tokens_cached: Option<i64>,
    #[schema(minimum = 0, maximum = 9007199254740991i64)]
    completion_time_ms: Option<i64>,
    /// Why the model stopped.
    #[schema(min_length = 1, max_length = 255)]
    finish_reason: Option<String>,
    /// Whether the answer came from a cache instead of a model.
    #[schema(nullable = false, default = false)]
    from_cache: Option<bool>,
}

impl CreateResponse {
    fn read(fields: &mut Fields) -> Self {
        Self {
            model_used: fields.text("model_used"),
            tokens_prompt: value_of(fields.nullable_count("tokens_prompt")),
            tokens_completion: value_of(fields.nullable_count("tokens_completion")),
            tokens_total: value_of(fields.nullable_count("tokens_total")),
            tokens_cached: value_of(fields.nullable_count("tokens_cached")),
            completion_time_ms: value_of(fields.nullable_count("completion_time_ms")),
            finish_reason: value_of(fields.nullable_text("finish_reason")),
            from_cache: fields.flag("from_cache"),
        }
    }

    fn into_new(self) -> NewResponse {
        NewResponse {
            model_used: self.model_used,
            tokens_prompt: self.tokens_prompt,
            tokens_completion: self.tokens_completion,
            tokens_total: self.tokens_total,
            tokens_cached: self.tokens_cached,
            completion_time_ms: self.completion_time_ms,
            finish_reason: self.finish_reason,
            from_cache: self.from_cache.unwrap_or_default(),
        }
    }
}

impl RequestBody for CreateReply {
    type Input = NewReply;

    fn read(fields: &mut Fields) -> Self {
        Self {
            content: fields.required_text("content"),
            parts: value_of(fields.nullable_json("parts")),
            model: value_of(fields.nullable_text("model")),
            token_count: value_of(fields.nullable_count("token_count")),
            used_documents: fields.json("used_documents"),
            metadata: fields.json("metadata"),
            response: fields.object("response", CreateResponse::read),
        }
    }

    fn into_input(self) -> NewReply {
        let message = NewMessage {
            parts: self.parts,
            model: self.model,
            token_count: self.token_count,
            used_documents: self.used_documents.unwrap_or_else(Json::list),
            metadata: self.metadata.unwrap_or_else(Json::object),
            ..NewMessage::assistant(self.content)
        };
        NewReply { message, response: self.response.map(CreateResponse::into_new).unwrap_or_default() }
    }

    fn check(input: &NewReply) -> Result<(), Invalid> {
        input.validate()
    }
}

/// Record a reply with its response
///
/// The message, the response and the usage, which is booked on the conversation's owner, are stored together or
/// not at all.
#[utoipa::path(
    post,
    path = "/conversations/{id}/replies",
    operation_id = "create_reply",
    tag = "replies",
    params(ConversationPath, IfMatch, IdempotencyKey),
    request_body = CreateReply,
    responses(
        (
            status = 201,
            description = "The new message with its response",
            body = ReplyResponse,
            headers(
                ("Location" = String, description = "The message"),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repetition"),
            ),
        ),
        BodyProblems,
        ConflictProblem,
        ConditionProblem,
    )
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    mount: Mount,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    OnceBody { input: new, once }: OnceBody<CreateReply>,
) -> Result<Response, Problem> {
    let id = path.conversation()?;
    let chat = condition.apply(caller.store(&state));
    let (reply, is_replayed) = match once {
        None => (chat.messages().reply(id, new).await?, false),
        Some(key) => {
            let outcome = chat.once(key).reply(id, new).await?;
            (outcome.value, outcome.is_replayed)
        }
    };
    let location = location(&mount, id, reply.message.id);
    Ok(mark_replayed(is_replayed, created(location, JsonAnswer(ReplyResponse::from(reply)))))
}

/// Read the response behind a model's message
#[utoipa::path(
    get,
    path = "/conversations/{id}/messages/{message_id}/response",
    operation_id = "get_response",
    tag = "replies",
    params(MessagePath),
    responses((status = 200, description = "The response", body = ModelResponseResponse), ReadProblems)
)]
pub(crate) async fn get_response(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    Path(path): Path<MessagePath>,
    _query: Query<NoParameters>,
) -> Result<JsonAnswer<ModelResponseResponse>, Problem> {
    let conversation = path.conversation()?;
    let chat = caller.store(&state);
    let id = message_id(chat, &path).await?;
    let response = chat.messages().response(conversation, id).await?;
    Ok(JsonAnswer(response.into()))
}
