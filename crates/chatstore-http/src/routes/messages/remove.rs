//! Removing messages: the newest ones, a range, some, or all.

use axum::Json;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use chatstore::{FieldCode, Limit, MessageId, MessageRange, MessageSelection, Outcome, SeenRevision};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::body::Once;
use crate::caller::Caller;
use crate::condition::{IdempotencyKeyHeader, IfMatch};
use crate::error::Problem;
use crate::header_names::IDEMPOTENCY_REPLAYED;
use crate::openapi::{ConditionProblem, ConflictProblem, DeleteProblems};
use crate::path::{ConversationPath, Path};
use crate::query::{FromParameters, Parameters, Query};
use crate::routes::messages::append::AppendedMessages;
use crate::routes::responses::{MessageResponse, with_seen};

/// Maximum messages that `keep_last` keeps: they are counted while the conversation is locked.
const MAX_KEPT: i64 = 100_000;

/// How many messages are removed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PopQuery {
    /// The maximum number of messages.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 1)]
    count: Limit,
}

impl FromParameters for PopQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let count = parameters.number("count", 1, Limit::MAX.with_lookahead() - 1);
        let count = count.and_then(|count| u16::try_from(count).ok()).and_then(Limit::new);
        Self { count: count.unwrap_or(Limit::ONE) }
    }
}

/// Remove the newest messages, and get them
///
/// In ascending order; none when there are none. Of concurrent requests each gets other messages. An editor may remove
/// only their own messages. A repetition with the same `Idempotency-Key` gets what the first request removed, up to
/// 1 MiB; above that it is 409.
#[utoipa::path(
    delete,
    path = "/conversations/{id}/messages/last",
    operation_id = "pop_messages",
    tag = "messages",
    params(ConversationPath, PopQuery, IfMatch, IdempotencyKeyHeader),
    responses(
        (
            status = 200,
            description = "The messages that were removed",
            body = AppendedMessages,
            headers(
                ("ETag" = String, description = "The revision of the conversation after the change"),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repeated request"),
            ),
        ),
        DeleteProblems,
        ConflictProblem,
        ConditionProblem,
    )
)]
pub(crate) async fn pop(
    caller: Caller,
    Path(path): Path<ConversationPath>,
    Query(PopQuery { count }): Query<PopQuery>,
    condition: IfMatch,
    Once(once): Once,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let chat = condition.apply(caller.store().noting(&seen));
    let id = path.conversation().id(chat).await?;
    let Outcome { value, is_replayed } = match once {
        None => Outcome { value: chat.messages().pop(id, count).await?, is_replayed: false },
        Some(key) => chat.idempotent(key).pop(id, count).await?,
    };
    let data = value.into_iter().map(MessageResponse::from).collect();
    Ok(with_seen(answered(AppendedMessages { data }, is_replayed), &seen))
}

/// Which messages are removed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClearQuery {
    /// Only those from this number on. With `to`, and with nothing else.
    #[param(minimum = 0)]
    from: Option<i64>,
    /// Only those up to this number.
    #[param(minimum = 0)]
    to: Option<i64>,
    /// All but this number of the newest. With nothing else.
    #[param(value_type = Option<u32>, maximum = 100000)]
    keep_last: Option<u32>,
    /// Those with these ids (UUIDs or short ids), a maximum of 200, with commas between them; ids of no message are passed
    /// over. With nothing else.
    #[param(value_type = Option<String>)]
    ids: Option<Vec<MessageId>>,
}

impl FromParameters for ClearQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let query = Self {
            from: parameters.number("from", 0, i64::MAX),
            to: parameters.number("to", 0, i64::MAX),
            keep_last: parameters.number("keep_last", 0, MAX_KEPT).and_then(|kept| u32::try_from(kept).ok()),
            ids: parameters.ids("ids"),
        };
        let is_range = query.from.is_some() || query.to.is_some();
        if query.keep_last.is_some() && (is_range || query.ids.is_some()) {
            parameters.wrong("keep_last", FieldCode::NotAllowed, "must be given alone");
        } else if query.ids.is_some() && is_range {
            parameters.wrong("ids", FieldCode::NotAllowed, "must be given alone");
        }
        query
    }
}

impl From<ClearQuery> for MessageSelection {
    fn from(ClearQuery { from, to, keep_last, ids }: ClearQuery) -> Self {
        if let Some(ids) = ids {
            return Self::Ids(ids);
        }
        if let Some(kept) = keep_last {
            return Self::AllButNewest(kept);
        }
        let MessageRange { after, before } = MessageRange::ALL;
        Self::Range(MessageRange {
            after: from.map_or(after, |from| from.saturating_sub(1)),
            before: to.map_or(before, |to| to.saturating_add(1)),
        })
    }
}

/// How many messages were removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cleared {
    deleted: u64,
}

/// Remove all messages, or some
///
/// Only for the owner. The conversation, its members and its usage stay; numbers are not used again. Up to 1,000 messages
/// of 8 MiB are removed in one transaction, more of them newest first in several short ones, without what is appended
/// meanwhile. When such a request fails, it goes on when it is sent again.
#[utoipa::path(
    delete,
    path = "/conversations/{id}/messages",
    operation_id = "clear_messages",
    tag = "messages",
    params(ConversationPath, ClearQuery, IfMatch, IdempotencyKeyHeader),
    responses(
        (
            status = 200,
            description = "The number of messages that were removed",
            body = Cleared,
            headers(
                ("ETag" = String, description = "The revision of the conversation after the change"),
                ("Idempotency-Replayed" = String, description = "`true` on the answer to a repeated request"),
            ),
        ),
        DeleteProblems,
        ConflictProblem,
        ConditionProblem,
    )
)]
pub(crate) async fn clear(
    caller: Caller,
    Path(path): Path<ConversationPath>,
    Query(query): Query<ClearQuery>,
    condition: IfMatch,
    Once(once): Once,
) -> Result<Response, Problem> {
    let seen = SeenRevision::default();
    let chat = condition.apply(caller.store().noting(&seen));
    let id = path.conversation().id(chat).await?;
    let selection = MessageSelection::from(query);
    let Outcome { value, is_replayed } = match once {
        None => Outcome { value: chat.messages().remove(id, selection).await?, is_replayed: false },
        Some(key) => chat.idempotent(key).remove(id, selection).await?,
    };
    Ok(with_seen(answered(Cleared { deleted: value }, is_replayed), &seen))
}

/// The answer to a request, or to an earlier one with the same idempotency key.
pub(super) fn answered(body: impl Serialize, is_replayed: bool) -> Response {
    let mut response = Json(body).into_response();
    if is_replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
