//! What answers hold: an object for each resource, and the pages of lists.

mod api_key;
mod conversation;
mod member;
mod message;
mod user;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chatstore::{Cursor, Page};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use api_key::{ApiKeyResponse, NewKeyResponse};
pub(crate) use conversation::ConversationResponse;
pub(crate) use member::MemberResponse;
pub(crate) use message::{MessageResponse, ModelResponseResponse, ReplyResponse};
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

impl<T> ListResponse<T> {
    /// A page, whose cursor belongs to the list that `scope` describes.
    pub(crate) fn new<R, P: Cursor>(page: Page<R, P>, scope: &str, object: impl Fn(R) -> T) -> Self {
        Self {
            data: page.items.into_iter().map(object).collect(),
            next_cursor: page.next.map(|position| position.seal(scope)),
        }
    }
}

/// 201 with the place of what was made.
pub(crate) fn created(location: String, object: impl IntoResponse) -> Response {
    let mut response = object.into_response();
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
