//! Bodies: from bytes to what a service is given, or to everything that is wrong with them.

mod incoming;

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, Uri, header};
use chatstore::fields::{
    CACHED_VALUE, DOCUMENT_CONTENT, METADATA, METADATA_PATCH, PARTS, REQUEST_PARAMETERS, USED_DOCUMENTS,
};
use chatstore::{Duplicates, FieldCode, IdempotencyKey, Invalid, JsonRules, limits};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

pub(crate) use incoming::{BodyLimit, DATA_BYTES, buffer_body};

use incoming::BufferedBody;

use crate::condition::{IdempotencyKeyHeader, IdempotencyRetentionHeader};
use crate::error::{Problem, ProblemKind};
use crate::fields::{Fields, RequestBody, object};
use crate::request::RequestObject;
use crate::state::AppState;

/// The maximum number of lists and objects inside each other.
const DEPTH: usize = limits::JSON_DEPTH + 1;

/// A key that is named twice is an error in objects of this API, and so below these keys; in what belongs to
/// the application, like metadata, the last one counts.
const JSON: JsonRules = JsonRules::new(Duplicates::RefusedBelow(&[
    "conversation",
    "documents",
    "expected",
    "messages",
    "response",
]))
.with_depth(DEPTH)
.with_verbatim(&[PARTS.name]);

/// The same, where numbers in what belongs to the application may be of any size: fields report them by name.
const JSON_OF_ANY_NUMBERS: JsonRules = JSON.with_verbatim(&[
    PARTS.name,
    METADATA.name,
    METADATA_PATCH.name,
    USED_DOCUMENTS.name,
    DOCUMENT_CONTENT.name,
    CACHED_VALUE.name,
    REQUEST_PARAMETERS.name,
]);

/// How the parser's error begins about a number that no float is near to.
const OUT_OF_RANGE: &str = "number out of range";

/// The last argument of a handler that takes a body as it was read, without limits of its own.
#[derive(Debug)]
pub(crate) struct JsonBody<T: RequestObject>(pub(crate) T::Draft);

impl<T: RequestObject> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &AppState) -> Result<Self, Problem> {
        let bytes = buffered_body(&request)?;
        read(request.headers(), &bytes, |fields| Ok(T::read(fields))).map(Self)
    }
}

/// The last argument of a handler that takes a valid body.
#[derive(Debug)]
pub(crate) struct ValidBody<T: RequestBody>(pub(crate) T::Input);

impl<T: RequestBody> FromRequest<AppState> for ValidBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &AppState) -> Result<Self, Problem> {
        let bytes = buffered_body(&request)?;
        read(request.headers(), &bytes, T::accept).map(Self)
    }
}

/// The last argument of a handler whose effect happens once for each `Idempotency-Key`.
#[derive(Debug)]
pub(crate) struct IdempotentBody<T: RequestBody> {
    pub(crate) input: T::Input,
    /// The request's name, when it has a key.
    pub(crate) once: Option<IdempotencyKey>,
}

impl<T: RequestBody> FromRequest<AppState> for IdempotentBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &AppState) -> Result<Self, Problem> {
        let RetainedBody { input, once } = RetainedBody::<T>::of(&request)?;
        IdempotencyRetentionHeader::refuse(request.headers())?;
        Ok(Self { input, once })
    }
}

/// As [`IdempotentBody`], where the key may be remembered as long as the history of the conversation.
#[derive(Debug)]
pub(crate) struct RetainedBody<T: RequestBody> {
    pub(crate) input: T::Input,
    pub(crate) once: Option<IdempotencyKey>,
}

impl<T: RequestBody> FromRequest<AppState> for RetainedBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &AppState) -> Result<Self, Problem> {
        Self::of(&request)
    }
}

impl<T: RequestBody> RetainedBody<T> {
    fn of(request: &Request) -> Result<Self, Problem> {
        let bytes = buffered_body(request)?;
        let input = read(request.headers(), &bytes, T::accept)?;
        let once = idempotency_key(request.method(), request.uri(), request.headers(), &bytes)?;
        Ok(Self { input, once })
    }
}

/// The name of a request without a body whose effect happens once for each `Idempotency-Key`.
#[derive(Debug)]
pub(crate) struct Once(pub(crate) Option<IdempotencyKey>);

impl FromRequestParts<AppState> for Once {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        IdempotencyRetentionHeader::refuse(&parts.headers)?;
        idempotency_key(&parts.method, &parts.uri, &parts.headers, &[]).map(Self)
    }
}

/// The name of a request, when it has a key: a repetition has the same method, path, query and body.
fn idempotency_key(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Problem> {
    let retention = IdempotencyRetentionHeader::read(headers)?;
    let Some(key) = IdempotencyKeyHeader::read(headers)? else { return Ok(None) };
    let target = uri.path_and_query().map_or_else(|| uri.path(), PathAndQuery::as_str);
    let operation = format!("{method} {target}");
    Ok(Some(IdempotencyKey { key, operation, request_sha256: Sha256::digest(body).into(), retention }))
}

fn buffered_body(request: &Request) -> Result<Bytes, Problem> {
    match request.extensions().get::<BufferedBody>() {
        Some(BufferedBody(read)) => read.clone(),
        None => Ok(Bytes::new()),
    }
}

/// Reads a body and everything that is wrong with it.
fn read<T>(
    headers: &HeaderMap,
    bytes: &[u8],
    accept: impl FnOnce(&mut Fields<'_>) -> Result<T, Invalid>,
) -> Result<T, Problem> {
    let values = match bytes {
        [] => BTreeMap::new(),
        _ if !is_json(headers) => return Err(unsupported()),
        bytes => parse(bytes)?,
    };
    let mut fields = Fields::of_body(values);
    let accepted = accept(&mut fields).map_err(|invalid| fields.note(invalid));
    match (accepted, fields.finish()) {
        (Ok(input), errors) if errors.is_empty() => Ok(input),
        (_, errors) => Err(Problem::validation(errors)),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn unsupported() -> Problem {
    Problem::new(ProblemKind::UnsupportedMediaType, "the body must be of the type application/json")
}

/// Whether nothing is wrong with a body but numbers that the field they stand in reports.
fn is_left_to_fields(bytes: &[u8]) -> impl FnOnce(serde_json::Error) -> Result<(), serde_json::Error> {
    |error| {
        let is_left = error.to_string().starts_with(OUT_OF_RANGE) && JSON_OF_ANY_NUMBERS.check(bytes).is_ok();
        if is_left { Ok(()) } else { Err(error) }
    }
}

/// Takes an object apart into its fields, each as the text it is.
fn parse(bytes: &[u8]) -> Result<BTreeMap<String, &RawValue>, Problem> {
    let malformed = |error| Problem::malformed(format!("the body is not JSON that can be read: {error}"));
    JSON.check(bytes).or_else(is_left_to_fields(bytes)).map_err(malformed)?;
    let text: &RawValue = serde_json::from_slice(bytes).map_err(malformed)?;
    object(text).ok_or_else(|| Problem::wrong("body", FieldCode::WrongType, "must be an object"))
}
