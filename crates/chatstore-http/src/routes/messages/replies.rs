//! Replies of models: the message, its response and its usage, stored as one.

use axum::Json;
use axum::response::Response;
use chatstore::fields::{
    COMPLETION_TIME_MS, FINISH_REASON, FROM_CACHE, MODEL, MODEL_USED, TOKENS_CACHED, TOKENS_COMPLETION,
    TOKENS_PROMPT, TOKENS_TOTAL,
};
use chatstore::{MessageRole, NewModelResponse, NewReply, Outcome, SeenRevision};

use crate::body::IdempotentBody;
use crate::caller::{Caller, OptionalUser};
use crate::condition::{IdempotencyKeyHeader, IfMatch};
use crate::error::Problem;
use crate::openapi::{AppendProblems, ReadProblems};
use crate::path::{BasePath, ConversationPath, MessagePath, Path};
use crate::query::{NoParameters, Query};
use crate::request::ReadFields;
use crate::routes::messages::{location, message_id, new_message};
use crate::routes::responses::{ModelResponseResponse, ReplyResponse, created_once, with_seen};
use crate::schema::request_object;

request_object! {
    /// A reply to be recorded.
    CreateReply: NewReply = read_create_reply, {
        "content": "In Seville: 21 °C on most days.",
        "response": {
            "model_used": "large-1", "tokens_prompt": 12, "tokens_completion": 9, "finish_reason": "stop"
        }
    }
}

fn read_create_reply(fields: &mut impl ReadFields) -> NewReply {
    let model = MODEL.about("The model that answered.");
    NewReply {
        message: new_message(fields, MessageRole::Assistant, &model),
        response: fields.object::<CreateResponse>("response").unwrap_or_default(),
    }
}

request_object! {
    /// What is known about an answer.
    CreateResponse: NewModelResponse = read_create_response
}

fn read_create_response(fields: &mut impl ReadFields) -> NewModelResponse {
    NewModelResponse {
        model_used: fields.given(&MODEL_USED),
        tokens_prompt: fields.optional(&TOKENS_PROMPT),
        tokens_completion: fields.optional(&TOKENS_COMPLETION),
        tokens_total: fields.optional(&TOKENS_TOTAL),
        tokens_cached: fields.optional(&TOKENS_CACHED),
        completion_time_ms: fields.optional(&COMPLETION_TIME_MS),
        finish_reason: fields.optional(&FINISH_REASON),
        from_cache: fields.given_or(&FROM_CACHE, false),
    }
}

/// Record a reply with its response
///
/// The message, the response and the usage, which is charged to the conversation's owner, are stored together or
/// not at all.
#[utoipa::path(
    post,
    path = "/conversations/{id}/replies",
    operation_id = "create_reply",
    tag = "replies",
    params(ConversationPath, IfMatch, IdempotencyKeyHeader),
    request_body = CreateReply,
    responses(
        (
            status = 201,
            description = "The new message with its response",
            body = ReplyResponse,
            headers(
                ("Location" = String, description = "The message"),
                ("ETag" = String, description = "The revision of the conversation after the change"),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repeated request"),
            ),
            links(
                ("get_response" = (
                    operation_id = "get_response",
                    parameters(("id" = "$response.body#/conversation_id"), ("message_id" = "$response.body#/id"))
                )),
            ),
        ),
        AppendProblems,
    )
)]
pub(crate) async fn create(
    caller: Caller,
    base_path: BasePath,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    IdempotentBody { input: new, once }: IdempotentBody<CreateReply>,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let chat = condition.apply(caller.store().noting(&seen));
    let id = path.conversation().id(chat).await?;
    let Outcome { value: reply, is_replayed } = match once {
        None => Outcome { value: chat.messages().reply(id, new).await?, is_replayed: false },
        Some(key) => chat.idempotent(key).reply(id, new).await?,
    };
    let location = location(&base_path, id, reply.message.id);
    Ok(with_seen(created_once(location, Json(ReplyResponse::from(reply)), is_replayed), &seen))
}

/// Get the response behind a model's message
#[utoipa::path(
    get,
    path = "/conversations/{id}/messages/{message_id}/response",
    operation_id = "get_response",
    tag = "replies",
    params(MessagePath),
    responses(
        (
            status = 200,
            description = "The response",
            body = ModelResponseResponse,
            headers(("ETag" = String, description = "The revision of the conversation")),
        ),
        ReadProblems,
    )
)]
pub(crate) async fn get_response(
    OptionalUser(caller): OptionalUser,
    Path(path): Path<MessagePath>,
    _query: Query<NoParameters>,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let chat = caller.store().noting(&seen);
    let conversation = path.conversation().id(chat).await?;
    let id = message_id(chat, conversation, &path).await?;
    let response = chat.messages().response(conversation, id).await?;
    Ok(with_seen(Json(ModelResponseResponse::from(response)), &seen))
}
