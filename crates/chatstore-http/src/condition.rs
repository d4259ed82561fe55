//! The headers that make a request conditional or idempotent.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chatstore::{AsUser, FieldCode, KeyRetention, TextField, TextForm};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Type};

use crate::error::Problem;
use crate::header_names::{IDEMPOTENCY_KEY, IDEMPOTENCY_RETENTION};
use crate::schema::{parameter, text_parameter};
use crate::state::AppState;

/// The header that names a request.
const KEY: TextField = TextField::new("Idempotency-Key").at_least(1).at_most(255).formed(TextForm::Visible);

/// Nothing is ever at this revision.
const NO_REVISION: i64 = 0;

/// Makes a change conditional.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfMatch {
    /// The revision of the conversation or document as its `ETag` says it, like `"7"`; the change is applied only
    /// while it is at this revision, else 412. `*` is any revision.
    #[param(rename = "If-Match", value_type = String, required = false, example = "\"7\"")]
    revision: Option<i64>,
    /// Whether the conversation must exist.
    #[param(ignore)]
    pub(crate) is_given: bool,
}

impl IfMatch {
    /// The store as a caller sees it, for changes under this condition.
    pub(crate) fn apply<'s>(self, chat: AsUser<'s>) -> AsUser<'s> {
        self.revision.map_or(chat, |revision| chat.if_revision(revision))
    }
}

impl FromRequestParts<AppState> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        check_tags(&parts.headers, header::IF_MATCH, "If-Match")?;
        let mut values = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(value) = values.next() else {
            return Ok(Self { revision: None, is_given: false });
        };
        if values.next().is_some() {
            return Ok(Self { revision: Some(NO_REVISION), is_given: true });
        }
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self { revision: None, is_given: true });
        }
        Ok(Self { revision: Some(revision(text).unwrap_or(NO_REVISION)), is_given: true })
    }
}

/// Spares an answer that the client already has.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IfNoneMatch {
    /// Entity tags of answers that the client has; when the object is still at one of them the answer is
    /// 304 without a body.
    #[param(rename = "If-None-Match", value_type = String, required = false, example = "\"7\"")]
    tags: Option<String>,
}

impl IfNoneMatch {
    /// The answer, or 304 in its place.
    pub(crate) fn apply(&self, answer: Response) -> Response {
        let tag = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let (Some(tags), Some(tag)) = (&self.tags, tag) else { return answer };
        let is_known = tags.split(',').map(str::trim).any(|known| {
            // A GET compares weakly (RFC 9110, 13.1.2).
            known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
        });
        if !is_known {
            return answer;
        }
        let mut unchanged = StatusCode::NOT_MODIFIED.into_response();
        if let Some(tag) = answer.headers().get(header::ETAG) {
            unchanged.headers_mut().insert(header::ETAG, tag.clone());
        }
        unchanged
    }
}

impl FromRequestParts<AppState> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        check_tags(&parts.headers, header::IF_NONE_MATCH, "If-None-Match")?;
        let values = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        let texts: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        Ok(Self { tags: (!texts.is_empty()).then(|| texts.join(",")) })
    }
}

/// Refuses a condition that is neither `*` nor entity tags, like a revision without quotes: no tag would ever match it.
fn check_tags(headers: &HeaderMap, header: HeaderName, name: &str) -> Result<(), Problem> {
    let are_tags = headers.get_all(header).iter().all(|value| {
        let value = value.as_bytes().trim_ascii();
        value == b"*" || is_list_of_tags(value)
    });
    if are_tags {
        return Ok(());
    }
    let message = "must be * or the revision in quotes, like \"7\"";
    Err(Problem::wrong(name, FieldCode::InvalidFormat, message))
}

/// Whether these are entity tags with commas between them (RFC 9110, 8.8.3).
fn is_list_of_tags(mut list: &[u8]) -> bool {
    loop {
        let tag = list.strip_prefix(b"W/").unwrap_or(list);
        let Some(tag) = tag.strip_prefix(b"\"") else { return false };
        let Some(end) = tag.iter().position(|byte| *byte == b'"') else { return false };
        match tag[end + 1..].trim_ascii_start() {
            [] => return true,
            [b',', rest @ ..] => list = rest.trim_ascii_start(),
            _ => return false,
        }
    }
}

/// The revision in a strong entity tag.
fn revision(tag: &str) -> Option<i64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let is_canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    is_canonical.then(|| digits.parse().ok())?
}

/// Makes a request take effect once.
#[derive(Debug)]
pub(crate) struct IdempotencyKeyHeader;

impl IntoParams for IdempotencyKeyHeader {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "1 to 255 visible ASCII characters, unique for a day among the requests of one user. A \
                     repetition with\nthe same body gets the first answer, with `Idempotency-Replayed: true`; with \
                     another body 422.";
        vec![text_parameter(&KEY, ParameterIn::Header, about, None)]
    }
}

impl IdempotencyKeyHeader {
    /// The key of a request with these headers.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<String>, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            let message = "must not be given more than once";
            return Err(Problem::wrong("Idempotency-Key", FieldCode::NotAllowed, message));
        }
        match std::str::from_utf8(value.as_bytes()) {
            Ok(key) if KEY.takes(key) => Ok(Some(key.to_owned())),
            _ => {
                let message = "must have 1 to 255 visible ASCII characters";
                Err(Problem::wrong(KEY.name, FieldCode::InvalidFormat, message))
            }
        }
    }
}

/// How long a key is remembered.
const RETENTION: &str = "Idempotency-Retention";

/// Makes a request with a key take effect once for as long as its conversation has a history.
#[derive(Debug)]
pub(crate) struct IdempotencyRetentionHeader;

impl IntoParams for IdempotencyRetentionHeader {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "`conversation` for a key that is remembered as long as the history of the conversation, instead of a \
                     day: until all\nof its messages are removed at once, or the conversation is deleted. Only beside \
                     `Idempotency-Key`.";
        let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["conversation"]));
        vec![parameter(RETENTION, ParameterIn::Header, about, word).build()]
    }
}

impl IdempotencyRetentionHeader {
    /// How long the key of a request with these headers is remembered.
    pub(crate) fn read(headers: &HeaderMap) -> Result<KeyRetention, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_RETENTION).iter();
        let wrong = |code, message| Problem::wrong(RETENTION, code, message);
        match (values.next().map(HeaderValue::as_bytes), values.next()) {
            (None, _) => Ok(KeyRetention::Day),
            (Some(_), _) if !headers.contains_key(IDEMPOTENCY_KEY) => {
                Err(wrong(FieldCode::NotAllowed, "must be given together with Idempotency-Key"))
            }
            (Some(b"conversation"), None) => Ok(KeyRetention::Conversation),
            _ => Err(wrong(FieldCode::NotAllowed, "must be conversation")),
        }
    }

    /// Refuses the header where a key is remembered for a day.
    pub(crate) fn refuse(headers: &HeaderMap) -> Result<(), Problem> {
        match headers.contains_key(IDEMPOTENCY_RETENTION) {
            false => Ok(()),
            true => {
                let message = "is for requests that append or replace messages";
                Err(Problem::wrong(RETENTION, FieldCode::NotAllowed, message))
            }
        }
    }
}

/// Whether a request has an idempotency key, right or wrong.
pub(crate) fn has_idempotency_key(headers: &HeaderMap) -> bool {
    headers.contains_key(IDEMPOTENCY_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_in_quotes() {
        for list in ["\"7\"", "W/\"7\"", "\"\"", "\"7\",\"8\"", "\"a,b\" , W/\"\"", "\"é\""] {
            assert!(is_list_of_tags(list.as_bytes()), "{list}");
        }
        for list in ["", "7", "\"7", "7\"", "\"7\" 8", "\"7\",", "*", "w/\"7\"", "'7'"] {
            assert!(!is_list_of_tags(list.as_bytes()), "{list}");
        }
    }

    #[test]
    fn only_a_strong_tag_of_ours_names_a_revision() {
        assert_eq!(revision("\"17\""), Some(17));
        for tag in ["17", "W/\"17\"", "\"017\"", "\"\"", "\"x\"", "\"1\", \"2\"", "\"99999999999999999999\""]
        {
            assert_eq!(revision(tag), None, "{tag}");
        }
    }
}
