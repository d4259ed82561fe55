//! From where on an answer has to show the database, for clients that go to several servers over standbys.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use chatstore::{InvalidWalPosition, WalPosition};

use crate::header_names::POSITION;

/// The header, as problems name it.
pub(crate) const NAME: &str = "Chatstore-Position";

/// The position that a request names.
///
/// # Errors
/// When it is not one that an answer had, or is not the only one.
pub(crate) fn least(headers: &HeaderMap) -> Result<Option<WalPosition>, InvalidWalPosition> {
    let mut given = headers.get_all(POSITION).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map_err(|_| InvalidWalPosition)?.parse().map(Some),
        (Some(_), Some(_)) => Err(InvalidWalPosition),
    }
}

/// The answer with the position of what it wrote.
pub(crate) fn with_position(mut response: Response, written: Option<WalPosition>) -> Response {
    if let Some(value) = written.and_then(|position| HeaderValue::try_from(position.to_string()).ok()) {
        response.headers_mut().insert(POSITION, value);
    }
    response
}
