//! Appending one message, or several, to a conversation or a thread.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use chatstore::fields::{
    CREATED_AT, DEFAULT_MODEL, EXTERNAL_ID, MESSAGE_ROLE, MESSAGES, METADATA, METADATA_PATCH, MODEL, TITLE,
};
use chatstore::{
    AppendedBatch, ConversationPatch, Destination, Error, ErrorKind, FieldCode, FieldError, Invalid,
    MessageBatch, MessageName, MessageRole, NewMessage, OnConflict, Outcome, SeenRevision, Valid,
};
use serde::Serialize;
use utoipa::openapi::{OneOfBuilder, Ref, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::body::{JsonBody, RetainedBody};
use crate::caller::Caller;
use crate::condition::{IdempotencyKeyHeader, IdempotencyRetentionHeader, IfMatch};
use crate::error::{Problem, ProblemKind};
use crate::fields::{Fields, RequestBody};
use crate::openapi::AppendProblems;
use crate::path::{BasePath, ConversationName, ConversationPath, MessagePath, Path};
use crate::query::{FromParameters, NoParameters, Parameters, Query};
use crate::request::{NamedSchema, ReadFields, RequestObject};
use crate::routes::messages::{location, new_message};
use crate::routes::responses::{MessageResponse, created, created_once, with_seen};
use crate::schema::{Word, request_object};

/// The name of what becomes of the conversation.
const CONVERSATION: &str = "conversation";

request_object! {
    /// A message to be appended.
    AppendMessage: MessageBatch = read_append_message, {"content": "Where is it warm in March?"}
}

fn read_append_message(fields: &mut impl ReadFields) -> MessageBatch {
    let messages = vec![read_batch_message(fields)];
    MessageBatch { messages, conversation: read_conversation(fields), ..MessageBatch::default() }
}

request_object! {
    /// A message of a batch.
    BatchMessage: NewMessage = read_batch_message
}

fn read_batch_message(fields: &mut impl ReadFields) -> NewMessage {
    let role = fields.given_or(&MESSAGE_ROLE, MessageRole::User);
    let created_at = fields.optional(&CREATED_AT);
    NewMessage { created_at, ..new_message(fields, role, &MODEL) }
}

request_object! {
    /// Messages to be appended together, all or none.
    AppendMessages: MessageBatch = read_append_messages, {
        "messages": [{"content": "Hello"}, {"role": "assistant", "content": "Good day"}]
    }
}

fn read_append_messages(fields: &mut impl ReadFields) -> MessageBatch {
    let messages = fields.objects::<BatchMessage>(&MESSAGES);
    MessageBatch { messages, conversation: read_conversation(fields), ..MessageBatch::default() }
}

request_object! {
    /// What becomes of the conversation together with the messages, as by a change of it. What is left out stays.
    ChangeWithMessages: ConversationPatch = read_change_with_messages, {"metadata_patch": {"step": 3}}
}

fn read_change_with_messages(fields: &mut impl ReadFields) -> ConversationPatch {
    ConversationPatch {
        title: fields.nullable(&TITLE),
        default_model: fields.nullable(&DEFAULT_MODEL),
        metadata: fields.given(&METADATA),
        metadata_patch: fields.given(&METADATA_PATCH),
        ..ConversationPatch::default()
    }
}

pub(super) fn read_conversation(fields: &mut impl ReadFields) -> ConversationPatch {
    fields.object::<ChangeWithMessages>(CONVERSATION).unwrap_or_default()
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
        for (name, schema) in
            [(AppendMessage::NAME, AppendMessage::schema()), (AppendMessages::NAME, AppendMessages::schema())]
        {
            schemas.push((name.to_owned(), schema));
        }
        AppendMessage::schemas(schemas);
        AppendMessages::schemas(schemas);
    }
}

/// What is to be appended.
#[derive(Debug)]
pub(crate) struct Appended {
    batch: Valid<MessageBatch>,
    /// Whether it is one message, which is not called a batch in questions and answers.
    is_one: bool,
}

impl RequestBody for AppendRequest {
    type Input = Appended;

    fn accept(fields: &mut Fields<'_>) -> Result<Appended, Invalid> {
        if fields.has(MESSAGES.name) {
            return Ok(Appended { batch: AppendMessages::accept(fields)?, is_one: false });
        }
        match AppendMessage::accept(fields) {
            Ok(batch) => Ok(Appended { batch, is_one: true }),
            Err(Invalid(errors)) => Err(Invalid(errors.into_iter().map(of_one).collect())),
        }
    }
}

/// What is wrong with the only message.
fn of_one(mut error: FieldError) -> FieldError {
    if let Some(field) = error.field.strip_prefix("messages[0].") {
        error.field = field.to_owned();
    }
    error
}

/// Whether a thread is created.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AppendQuery {
    /// For threads: whether the conversation is created when there is none, as it is unless this is `false`; then it is
    /// 404. `If-Match` creates none either; then it is 412.
    #[param(value_type = Option<bool>)]
    create: Option<bool>,
    /// What becomes of a message whose `id` or `external_id` the conversation has already: `error`, the default, for 409,
    /// with the place of the message; `ignore` answers the stored message; `replace` edits it, by the rights of an edit.
    #[param(value_type = Option<OnConflictWord>, inline)]
    on_conflict: OnConflict,
}

type OnConflictWord = Word<OnConflict>;

impl FromParameters for AppendQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let on_conflict = parameters.word("on_conflict").unwrap_or_default();
        Self { create: parameters.flag("create"), on_conflict }
    }
}

impl AppendQuery {
    /// Where the path leads under a condition.
    fn destination(&self, name: ConversationName<'_>, condition: &IfMatch) -> Result<Destination, Problem> {
        let may_create = self.create.unwrap_or(true) && !condition.is_given;
        match name {
            ConversationName::Thread(thread_id) if may_create => {
                Ok(Destination::Thread(thread_id.to_owned()))
            }
            ConversationName::Thread(thread_id) => Ok(Destination::ExistingThread(thread_id.to_owned())),
            ConversationName::Id(_) if self.create.is_some() => {
                Err(Problem::wrong("create", FieldCode::NotAllowed, "is for threads alone"))
            }
            ConversationName::Id(id) => Ok(Destination::Conversation(id.id()?)),
        }
    }
}

/// The messages of a request, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppendedMessages {
    pub(super) data: Vec<MessageResponse>,
}

/// What was appended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AppendAnswer {
    One(Box<MessageResponse>),
    Many(AppendedMessages),
}

/// Append one message, or several, all or none
///
/// What `conversation` says becomes of the conversation in the same transaction. A thread that does not exist is created:
/// of any number of concurrent requests one creates it, and each appends its messages. The body has a maximum of 16 MiB,
/// unless the server is set to another limit.
#[utoipa::path(
    post,
    path = "/conversations/{id}/messages",
    operation_id = "append_messages",
    tag = "messages",
    params(ConversationPath, AppendQuery, IfMatch, IdempotencyKeyHeader, IdempotencyRetentionHeader),
    request_body = AppendRequest,
    responses(
        (
            status = 201,
            description = "The new message, or the new messages with consecutive numbers",
            body = AppendAnswer,
            headers(
                ("Location" = String, description = "The first message"),
                ("ETag" = String, description = "The revision of the conversation after the change"),
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
    Query(query): Query<AppendQuery>,
    condition: IfMatch,
    RetainedBody { input: new, once }: RetainedBody<AppendRequest>,
) -> Result<Response, Problem> {
    let to = query.destination(path.conversation(), &condition)?;
    let is_conditional_thread =
        matches!(to, Destination::ExistingThread(_)) && condition.is_given && query.create != Some(false);
    let Appended { batch, is_one } = new;
    let batch = batch.on_conflict(query.on_conflict);
    let seen = SeenRevision::default();
    let chat = condition.apply(caller.store().noting(&seen));
    let appended = match once {
        Some(key) => chat.idempotent(key).append_batch(to, batch).await,
        None => {
            let appended = chat.messages().append_batch(to, batch).await;
            appended.map(|value| Outcome { value, is_replayed: false })
        }
    };
    let Outcome { value: AppendedBatch { conversation, messages, .. }, is_replayed } =
        appended.map_err(|error| refusal(error, is_one, is_conditional_thread))?;
    let place =
        messages.first().map(|message| location(&base_path, conversation, message.id)).unwrap_or_default();
    let mut data: Vec<MessageResponse> = messages.into_iter().map(MessageResponse::from).collect();
    let answer = match data.pop() {
        Some(message) if is_one => AppendAnswer::One(Box::new(message)),
        None if is_one => {
            let detail = "the message that the first request with this idempotency key appended was removed";
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        last => {
            data.extend(last);
            AppendAnswer::Many(AppendedMessages { data })
        }
    };
    Ok(with_seen(created_once(place, Json(answer), is_replayed), &seen))
}

/// Why nothing was appended. A condition on a thread that does not exist is not met.
fn refusal(error: Error, is_one: bool, is_conditional_thread: bool) -> Problem {
    if is_conditional_thread && error.kind() == ErrorKind::NotFound {
        let detail = "the conversation does not exist, and a request with If-Match creates none";
        return Problem::new(ProblemKind::PreconditionFailed, detail);
    }
    let problem = Problem::from(error);
    if is_one { problem.of_one_message() } else { problem }
}

request_object! {
    /// A message to be stored under the application's own id.
    PutMessage: NewMessage = read_batch_message, {"role": "assistant", "content": "In Seville."}
}

/// Store a message under the application's own id
///
/// A message that has the id already is edited, by the rights of an edit, and keeps its number; otherwise the message is
/// appended. Only for paths that end with `ext:` and the id.
#[utoipa::path(
    put,
    path = "/conversations/{id}/messages/{message_id}",
    operation_id = "put_message",
    tag = "messages",
    params(MessagePath, IfMatch),
    request_body = PutMessage,
    responses(
        (
            status = 200,
            description = "The message that was there, as it is now",
            body = MessageResponse,
            headers(("ETag" = String, description = "The revision of the conversation after the change")),
        ),
        (
            status = 201,
            description = "The new message",
            body = MessageResponse,
            headers(
                ("Location" = String),
                ("ETag" = String, description = "The revision of the conversation after the change"),
            ),
        ),
        AppendProblems,
    )
)]
pub(crate) async fn put(
    caller: Caller,
    base_path: BasePath,
    Path(path): Path<MessagePath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    JsonBody(new): JsonBody<PutMessage>,
) -> Result<Response, Problem> {
    let MessageName::External(name) = path.message.id()? else { return Err(Problem::not_found()) };
    if new.external_id.as_ref().is_some_and(|given| *given != name) {
        return Err(Problem::wrong(EXTERNAL_ID.name, FieldCode::NotAllowed, "must be that of the path"));
    }
    let new = NewMessage { external_id: Some(name), ..new };
    let batch = MessageBatch { on_conflict: OnConflict::Replace, ..MessageBatch::from(vec![new]) };
    let seen = SeenRevision::default();
    let chat = condition.apply(caller.store().noting(&seen));
    let id = path.conversation().id(chat).await?;
    let stored = chat.messages().append_batch(id, batch).await;
    let AppendedBatch { mut messages, appended, .. } = stored.map_err(|error| refusal(error, true, false))?;
    let message = messages.pop().ok_or_else(Problem::not_found)?;
    let location = location(&base_path, id, message.id);
    let answer = Json(MessageResponse::from(message));
    let is_new = appended > 0;
    Ok(with_seen(if is_new { created(location, answer) } else { answer.into_response() }, &seen))
}
