//! What answers hold: an object for each resource, and the pages of lists.

mod api_key;
mod conversation;
mod document;
mod included;
mod log;
mod member;
mod message;
mod user;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chatstore::{Cursor, Page, SeenRevision};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::{self, ListItem};
use crate::header_names::IDEMPOTENCY_REPLAYED;

pub(crate) use api_key::{ApiKeyResponse, NewKeyResponse};
pub(crate) use conversation::ConversationResponse;
pub(crate) use document::DocumentResponse;
pub(crate) use log::LogEventResponse;
pub(crate) use member::MemberResponse;
pub(crate) use message::{
    Included, MessageListResponse, MessageResponse, ModelResponseResponse, ReplyResponse,
};
pub(crate) use user::UserResponse;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Page)]
pub(crate) struct ListResponse<T> {
    data: Vec<T>,
    /// Where the next page begins; null exactly when nothing follows.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What follows the items of a page.
#[derive(Debug, Serialize)]
struct ListEnd {
    next_cursor: Option<String>,
}

impl<T> ListResponse<T> {
    /// A page, whose cursor belongs to the list that `scope` describes.
    pub(crate) fn new<R, P: Cursor>(page: Page<R, P>, scope: &str, object: impl Fn(R) -> T) -> Self {
        Self {
            data: page.items.into_iter().map(object).collect(),
            next_cursor: page.next.map(|position| position.seal(scope)),
        }
    }
}

impl<T: ListItem> IntoResponse for ListResponse<T> {
    fn into_response(self) -> Response {
        answer::list(self.data, ListEnd { next_cursor: self.next_cursor })
    }
}

/// The number of the objects of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    count: i64,
}

impl Count {
    pub(crate) const fn new(count: i64) -> Self {
        Self { count }
    }
}

/// An object's answer, with its revision as an entity tag.
pub(crate) fn with_revision(mut response: Response, revision: i64) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The answer, with the revision of the conversation that was seen as an entity tag.
pub(crate) fn with_seen(answer: impl IntoResponse, seen: &SeenRevision) -> Response {
    let response = answer.into_response();
    match seen.get() {
        Some(revision) => with_revision(response, revision),
        None => response,
    }
}

/// 201 with the location of what was created, or was created by an earlier request with the same idempotency key.
pub(crate) fn created_once(location: String, body: impl IntoResponse, is_replayed: bool) -> Response {
    let mut response = created(location, body);
    if is_replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// 201 with the location of what was created.
pub(crate) fn created(location: String, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
