//! Copying a conversation.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::{IntoResponse, Response};
use chatstore::fields::{BRANCHES, THREAD_ID, UP_TO};
use chatstore::{
    ConversationCopy, ConversationId, ConversationRole, CopiedBranches, CopiedConversation, CopiedFrom,
    Keyword, MessageId, Outcome,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::body::IdempotentBody;
use crate::caller::Caller;
use crate::condition::IdempotencyKeyHeader;
use crate::error::Problem;
use crate::openapi::{BodyProblems, ConflictProblem};
use crate::path::{BasePath, ConversationPath, Path};
use crate::query::{FromParameters, Parameters, Query};
use crate::request::ReadFields;
use crate::routes::responses::{ConversationResponse, created_once, with_revision};
use crate::schema::{Word, request_object};

request_object! {
    /// What a copy of a conversation is to have.
    CopyConversation: ConversationCopy = read_copy_conversation, {"up_to": 4, "thread_id": "support/1017-b"}
}

fn read_copy_conversation(fields: &mut impl ReadFields) -> ConversationCopy {
    ConversationCopy {
        up_to: fields.optional(&UP_TO),
        thread_id: fields.optional(&THREAD_ID),
        branches: fields.given_or(&BRANCHES, CopiedBranches::Head),
    }
}

/// What comes with a copy.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CopyQuery {
    /// `ids` for the ids of the messages, each with that of its copy, of a maximum of 10,000 messages; a copy of more is
    /// refused then.
    #[param(value_type = Option<Vec<IncludeWord>>, style = Form, explode = false, min_items = 1, inline)]
    include: Vec<Include>,
}

/// What a copy can be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Include {
    Ids,
}

impl Keyword for Include {
    const NAME: &'static str = "IncludeWithCopy";
    const ABOUT: &'static str = "What a copy can be answered with.";
    const ALL: &'static [Self] = &[Self::Ids];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ids => "ids",
        }
    }
}

type IncludeWord = Word<Include>;

impl FromParameters for CopyQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self { include: parameters.words("include") }
    }
}

/// What a conversation is a copy of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CopiedFrom, example = json!({"id": "0195f1d4-5d20-7c3a-9b1e-2f6d8a4c0e11", "seq": 4}))]
pub(crate) struct CopiedFromResponse {
    #[schema(value_type = String, format = "uuid")]
    id: ConversationId,
    /// The number there of the last message that was copied, 0 for none.
    seq: i64,
}

/// A copy of a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CopiedConversation, example = json!({
    "id": "0195f1d4-7b40-7d11-8e02-4c5a9f31d7b2", "short_id": "1BwtYCh3nQpZ6sVfT8mKxR",
    "owner_id": "0195f1d4-5d1f-7a10-8c33-51b2d7e0a9f4", "thread_id": "support/1017-b", "title": "Trip",
    "default_model": "large-1", "role": "owner", "message_count": 2, "last_seq": 2, "head_seq": null,
    "last_message": "In Seville: 21 °C on most days.", "last_message_at": "2026-03-01T12:00:02.000000Z",
    "revision": 1, "metadata": {"channel": "web"}, "created_at": "2026-03-01T12:05:00.000000Z",
    "updated_at": "2026-03-01T12:05:00.000000Z", "archived_at": null,
    "copied_from": {"id": "0195f1d4-5d20-7c3a-9b1e-2f6d8a4c0e11", "seq": 4}
}))]
pub(crate) struct CopyResponse {
    #[serde(flatten)]
    conversation: ConversationResponse,
    copied_from: CopiedFromResponse,
    /// The ids of the messages, each with that of its copy, when they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<BTreeMap<String, String>>)]
    ids: Option<BTreeMap<MessageId, MessageId>>,
}

/// Copy a conversation
///
/// The messages of a path, or of all branches, into a new conversation of the caller's, with their responses, and with title,
/// default model and metadata. It is copied inside of the database, in short transactions that let other writers pass;
/// no request finds the copy before it is whole. The owner and every member may copy it. Senders stay; members
/// are not copied, and no usage is booked.
#[utoipa::path(
    post,
    path = "/conversations/{id}/copies",
    operation_id = "copy_conversation",
    tag = "conversations",
    params(ConversationPath, CopyQuery, IdempotencyKeyHeader),
    request_body = CopyConversation,
    responses(
        (
            status = 201,
            description = "The copy",
            body = CopyResponse,
            headers(
                ("Location" = String),
                ("ETag" = String),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repeated request"),
            ),
        ),
        BodyProblems,
        ConflictProblem,
    )
)]
pub(crate) async fn copy(
    caller: Caller,
    Path(path): Path<ConversationPath>,
    base_path: BasePath,
    Query(query): Query<CopyQuery>,
    IdempotentBody { input: copy, once }: IdempotentBody<CopyConversation>,
) -> Result<Response, Problem> {
    let chat = caller.store();
    let source = path.conversation().id(chat).await?;
    let with_ids = query.include.contains(&Include::Ids);
    let Outcome { value, is_replayed } = match once {
        None => {
            let value = chat.conversations().copy(source, copy, with_ids).await?;
            Outcome { value, is_replayed: false }
        }
        Some(key) => chat.idempotent(key).copy(source, copy, with_ids).await?,
    };
    let CopiedConversation { conversation, copied_from: CopiedFrom { conversation: from, seq }, ids } = value;
    let location = base_path.path(&format!("/conversations/{}", conversation.id));
    let revision = conversation.revision;
    let body = CopyResponse {
        conversation: ConversationResponse::new(conversation, ConversationRole::Owner),
        copied_from: CopiedFromResponse { id: from, seq },
        ids: with_ids.then(|| ids.into_iter().collect()),
    };
    Ok(created_once(location, with_revision(Json(body).into_response(), revision), is_replayed))
}
