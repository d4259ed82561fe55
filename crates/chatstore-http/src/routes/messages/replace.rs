//! Replacing the messages of a conversation by a list.

use axum::response::Response;
use chatstore::fields::REPLACEMENTS;
use chatstore::{Destination, Error, ErrorKind, MessageReplacement, Outcome, ReplacedMessages, Unnamed};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::RetainedBody;
use crate::caller::Caller;
use crate::condition::{IdempotencyKeyHeader, IdempotencyRetentionHeader, IfMatch};
use crate::error::{Problem, ProblemKind};
use crate::openapi::AppendProblems;
use crate::path::{ConversationName, ConversationPath, Path};
use crate::query::{NoParameters, Query};
use crate::request::ReadFields;
use crate::routes::messages::append::{BatchMessage, read_conversation};
use crate::routes::messages::remove::answered;
use crate::routes::responses::with_revision;
use crate::schema::request_object;

request_object! {
    /// The messages that a conversation is to have, in order.
    ReplaceMessages: MessageReplacement = read_replace_messages, {
        "messages": [
            {"external_id": "m1", "content": "Hello"},
            {"external_id": "m2", "role": "assistant", "content": "Good day"}
        ]
    }
}

fn read_replace_messages(fields: &mut impl ReadFields) -> MessageReplacement {
    let messages = fields.objects::<BatchMessage>(&REPLACEMENTS);
    MessageReplacement { messages, conversation: read_conversation(fields) }
}

/// What became of the messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replaced {
    /// Messages that stayed as they were.
    kept: u64,
    /// Messages that were edited.
    edited: u64,
    /// New messages.
    added: u64,
    /// Messages that were removed.
    removed: u64,
    /// Messages that stay on another branch.
    branched: u64,
    /// The revision of the conversation after the change.
    revision: i64,
}

/// Replace the messages by a list
///
/// Only for the owner. A message is found by its `external_id` or `id`, in order, or where it brings none by all that it says:
/// one that is equal stays as it is, one that differs is edited, new ones are appended. Without `If-Match` nothing is removed:
/// from the first message on that the list does not name, the others stay as another branch, so that two clients lose nothing
/// of each other's; a message of that branch that the list names later is 409. With `If-Match` they are removed, and new
/// messages may come before stored ones, which are then appended again under new numbers. A thread that does not exist is
/// created, unless `If-Match` is given.
#[utoipa::path(
    put,
    path = "/conversations/{id}/messages",
    operation_id = "replace_messages",
    tag = "messages",
    params(ConversationPath, IfMatch, IdempotencyKeyHeader, IdempotencyRetentionHeader),
    request_body = ReplaceMessages,
    responses(
        (
            status = 200,
            description = "How many messages were kept, edited, added, removed and left on another branch",
            body = Replaced,
            headers(
                ("ETag" = String, description = "The revision of the conversation after the change"),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repeated request"),
            ),
        ),
        AppendProblems,
    )
)]
pub(crate) async fn replace(
    caller: Caller,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    RetainedBody { input: list, once }: RetainedBody<ReplaceMessages>,
) -> Result<Response, Problem> {
    let (to, unnamed) = match (path.conversation(), condition.is_given) {
        (ConversationName::Id(id), false) => (Destination::Conversation(id.id()?), Unnamed::Stay),
        (ConversationName::Id(id), true) => (Destination::Conversation(id.id()?), Unnamed::Removed),
        (ConversationName::Thread(name), false) => (Destination::Thread(name.to_owned()), Unnamed::Stay),
        (ConversationName::Thread(name), true) => {
            (Destination::ExistingThread(name.to_owned()), Unnamed::Removed)
        }
    };
    let is_conditional_thread = matches!(to, Destination::ExistingThread(_));
    let chat = condition.apply(caller.store());
    let replaced = match once {
        Some(key) => chat.idempotent(key).replace(to, list, unnamed).await,
        None => {
            let replaced = chat.messages().replace(to, list, unnamed).await;
            replaced.map(|value| Outcome { value, is_replayed: false })
        }
    };
    let Outcome { value, is_replayed } = replaced.map_err(|error| refusal(error, is_conditional_thread))?;
    let ReplacedMessages { kept, edited, added, removed, branched, revision } = value;
    let body = Replaced { kept, edited, added, removed, branched, revision };
    Ok(with_revision(answered(body, is_replayed), revision))
}

/// Why nothing was replaced. A condition on a thread that does not exist is not met.
fn refusal(error: Error, is_conditional_thread: bool) -> Problem {
    if is_conditional_thread && error.kind() == ErrorKind::NotFound {
        let detail = "the conversation does not exist, and a request with If-Match creates none";
        return Problem::new(ProblemKind::PreconditionFailed, detail);
    }
    Problem::from(error)
}
