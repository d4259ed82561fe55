//! From where on an answer has to show the database, for clients that go to several servers over standbys.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use chatstore::{FieldCode, WalPosition};

use crate::error::Problem;
use crate::header_names::POSITION;

/// The position that a request names.
pub(crate) fn least(headers: &HeaderMap) -> Result<Option<WalPosition>, Problem> {
    let mut given = headers.get_all(POSITION).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let rule = "must be the Chatstore-Position of an earlier answer";
    let wrong = || Problem::wrong("Chatstore-Position", FieldCode::InvalidFormat, rule);
    if given.next().is_some() {
        return Err(wrong());
    }
    value.to_str().ok().and_then(|text| text.parse().ok()).map(Some).ok_or_else(wrong)
}

/// The answer with the position of what it wrote.
pub(crate) fn with_position(mut response: Response, written: Option<WalPosition>) -> Response {
    if let Some(value) = written.and_then(|position| HeaderValue::try_from(position.to_string()).ok()) {
        response.headers_mut().insert(POSITION, value);
    }
    response
}
