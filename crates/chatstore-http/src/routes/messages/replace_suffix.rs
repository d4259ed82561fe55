//! Replacing the newest messages of a conversation where they are what the client expects.

use axum::response::Response;
use chatstore::fields::{EXPECTED, EXPECTED_SEQS, PARTS, REPLACEMENTS};
use chatstore::{
    ExpectedSuffix, FieldCode, Outcome, ReplacedSuffix, SeenRevision, SuffixReplacement, VerbatimJson,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::RetainedBody;
use crate::caller::Caller;
use crate::condition::{IdempotencyKeyHeader, IdempotencyRetentionHeader, IfMatch};
use crate::error::Problem;
use crate::openapi::AppendProblems;
use crate::path::{ConversationPath, Path};
use crate::query::{NoParameters, Query};
use crate::request::ReadFields;
use crate::routes::messages::append::{BatchMessage, read_conversation};
use crate::routes::messages::remove::answered;
use crate::routes::responses::{MessageResponse, with_seen};
use crate::schema::request_object;

request_object! {
    /// A message as it has to be.
    ExpectedMessage: VerbatimJson = read_expected_message
}

fn read_expected_message(fields: &mut impl ReadFields) -> VerbatimJson {
    let parts = fields.given(&PARTS);
    if parts.is_none() {
        fields.wrong(PARTS.name, FieldCode::Required, "must be given");
    }
    parts.unwrap_or_else(VerbatimJson::null)
}

request_object! {
    /// Messages in the place of the newest ones, which are named by `expected` or `expected_seqs`.
    ReplaceSuffix: SuffixReplacement = read_replace_suffix, {
        "expected": [{"parts": [{"type": "text", "text": "Let me look"}]}],
        "messages": [{"role": "assistant", "parts": [{"type": "text", "text": "In Seville."}]}]
    }
}

fn read_replace_suffix(fields: &mut impl ReadFields) -> SuffixReplacement {
    let has_seqs = fields.has(EXPECTED_SEQS.name);
    let parts = fields.given_objects::<ExpectedMessage>(&EXPECTED);
    let seqs = fields.given(&EXPECTED_SEQS);
    let expected = match (parts, seqs) {
        (Some(_), Some(_)) => {
            let message = format!("must not be given together with {}", EXPECTED.name);
            fields.wrong(EXPECTED_SEQS.name, FieldCode::NotAllowed, &message);
            None
        }
        (Some(parts), None) => Some(ExpectedSuffix::Parts(parts)),
        (None, Some(seqs)) => Some(ExpectedSuffix::Seqs(seqs)),
        // What is wrong with the numbers is noted already.
        (None, None) if has_seqs => None,
        (None, None) => {
            let message = format!("must be given, or {}", EXPECTED_SEQS.name);
            fields.wrong(EXPECTED.name, FieldCode::Required, &message);
            None
        }
    };
    SuffixReplacement {
        expected: expected.unwrap_or(ExpectedSuffix::Seqs(Vec::new())),
        messages: fields.objects::<BatchMessage>(&REPLACEMENTS),
        conversation: read_conversation(fields),
    }
}

/// What became of the newest messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplacedMessages {
    /// How many were removed.
    removed: u64,
    /// The messages that came in their place.
    data: Vec<MessageResponse>,
}

/// Replace the newest messages, if they are the expected ones
///
/// Their `parts` are compared as JSON values, in ascending order, or their numbers are; if others are the newest ones, or there
/// are fewer, the answer is 412 and nothing changes. Of any number of requests that expect the same messages one replaces
/// them. With an empty list of expected messages it appends, with an empty list of new ones it removes. An editor may
/// replace only their own messages. A repetition with the same `Idempotency-Key` changes nothing and gets those of the new
/// messages that still exist.
#[utoipa::path(
    post,
    path = "/conversations/{id}/messages/replace-suffix",
    operation_id = "replace_suffix",
    tag = "messages",
    params(ConversationPath, IfMatch, IdempotencyKeyHeader, IdempotencyRetentionHeader),
    request_body = ReplaceSuffix,
    responses(
        (
            status = 200,
            description = "How many messages were removed, and those that came in their place",
            body = ReplacedMessages,
            headers(
                ("ETag" = String, description = "The revision of the conversation after the change"),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repeated request"),
            ),
        ),
        AppendProblems,
    )
)]
pub(crate) async fn replace_suffix(
    caller: Caller,
    Path(path): Path<ConversationPath>,
    _query: Query<NoParameters>,
    condition: IfMatch,
    RetainedBody { input: replacement, once }: RetainedBody<ReplaceSuffix>,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let chat = condition.apply(caller.store().noting(&seen));
    let id = path.conversation().id(chat).await?;
    let Outcome { value, is_replayed } = match once {
        None => {
            let value = chat.messages().replace_suffix(id, replacement).await?;
            Outcome { value, is_replayed: false }
        }
        Some(key) => chat.idempotent(key).replace_suffix(id, replacement).await?,
    };
    let ReplacedSuffix { removed, messages } = value;
    let data = messages.into_iter().map(MessageResponse::from).collect();
    Ok(with_seen(answered(ReplacedMessages { removed, data }, is_replayed), &seen))
}
