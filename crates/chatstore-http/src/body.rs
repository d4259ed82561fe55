//! Bodies: from bytes to what a service is given, or to everything that is wrong with them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, Uri, header};
use bytes::BytesMut;
use chatstore::fields::{DOCUMENT_CONTENT, METADATA, METADATA_PATCH, PARTS, USED_DOCUMENTS};
use chatstore::{Duplicates, FieldCode, IdempotencyKey, Invalid, JsonRules, limits};
use futures_util::StreamExt as _;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::admission::Admission;
use crate::condition::IdempotencyKeyHeader;
use crate::error::{Problem, ProblemKind};
use crate::fields::{Fields, RequestBody, object};
use crate::request::RequestObject;
use crate::state::AppState;

/// Maximum size of a body, in bytes, unless its route has another one.
pub(crate) const BODY_BYTES: usize = 1024 * 1024;

/// Bytes of a larger body that are read and thrown away.
const DRAINED_BYTES: usize = 8 * BODY_BYTES;

/// Maximum size of a body that needs no permit of its own, in bytes.
const SMALL_BYTES: usize = 16 * 1024;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The maximum number of lists and objects inside each other.
const DEPTH: usize = limits::JSON_DEPTH + 1;

/// A key that is named twice is an error in objects of this API, and so below these keys; in what belongs to
/// the application, like metadata, the last one counts.
const JSON: JsonRules =
    JsonRules::new(Duplicates::RefusedBelow(&["conversation", "documents", "messages", "response"]))
        .with_depth(DEPTH)
        .with_verbatim(&[PARTS.name]);

/// The same, where numbers in what belongs to the application may be of any size: fields report them by name.
const JSON_OF_ANY_NUMBERS: JsonRules = JSON.with_verbatim(&[
    PARTS.name,
    METADATA.name,
    METADATA_PATCH.name,
    USED_DOCUMENTS.name,
    DOCUMENT_CONTENT.name,
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
        let bytes = buffered_body(&request)?;
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
    let Some(key) = IdempotencyKeyHeader::read(headers)? else { return Ok(None) };
    let target = uri.path_and_query().map_or_else(|| uri.path(), PathAndQuery::as_str);
    let operation = format!("{method} {target}");
    Ok(Some(IdempotencyKey { key, operation, request_sha256: Sha256::digest(body).into() }))
}

/// The body of a request, or why it could not be read. `middleware::admission` buffers it before the request
/// gets its permit; it is refused only where the handler extracts it, after a caller who may not send it.
#[derive(Debug, Clone)]
struct BufferedBody {
    read: Result<Bytes, Problem>,
    /// The permit of a large body, for as long as the request lasts.
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

/// Reads the whole body of a request, of a maximum number of bytes.
///
/// # Errors
/// When it does not arrive in time, or there are too many large ones; the connection has to be closed then.
pub(crate) async fn buffer_body(
    admission: &Admission,
    limit: usize,
    request: Request,
) -> Result<Request, Problem> {
    let (mut head, body) = request.into_parts();
    if !matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        return Ok(Request::from_parts(head, body));
    }
    let mut incoming = Incoming { admission, limit, permit: None };
    let Ok(read) = timeout(BODY_TIME, incoming.read(&head.headers, body)).await else {
        return Err(Problem::malformed("the body did not arrive within 30 seconds"));
    };
    if read.as_ref().is_err_and(Problem::is_overload) {
        return Err(Problem::overloaded());
    }
    head.extensions.insert(BufferedBody { read, _permit: incoming.permit.map(Arc::new) });
    Ok(Request::from_parts(head, Body::empty()))
}

fn buffered_body(request: &Request) -> Result<Bytes, Problem> {
    match request.extensions().get::<BufferedBody>() {
        Some(buffered) => buffered.read.clone(),
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

fn too_large(limit: usize) -> Problem {
    Problem::new(ProblemKind::TooLarge, format!("the body must have at most {limit} bytes"))
}

/// A body that is being read.
struct Incoming<'a> {
    admission: &'a Admission,
    limit: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Incoming<'_> {
    async fn read(&mut self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let announced: usize = announced.and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut stream = body.into_data_stream();
        if announced > self.limit {
            return Err(drain(stream, self.limit).await);
        }
        self.take_permit(announced)?;
        let Some(first) = stream.next().await else { return Ok(Bytes::new()) };
        let first = first.map_err(|_| cut_off())?;
        let Some(second) = stream.next().await else {
            return if first.len() > self.limit { Err(too_large(self.limit)) } else { Ok(first) };
        };
        let mut bytes = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            let chunk = chunk.map_err(|_| cut_off())?;
            if bytes.len() + chunk.len() > self.limit {
                return Err(drain(stream, self.limit).await);
            }
            self.take_permit(bytes.len() + chunk.len())?;
            bytes.extend_from_slice(&chunk);
            next = stream.next().await;
        }
        Ok(bytes.freeze())
    }

    /// A body that is not small needs a permit, so that the memory of all together is bounded.
    fn take_permit(&mut self, bytes: usize) -> Result<(), Problem> {
        if bytes <= SMALL_BYTES {
            return Ok(());
        }
        let needed = bytes.div_ceil(BODY_BYTES);
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Ok(missing @ 1..) = u32::try_from(needed.saturating_sub(held)) else { return Ok(()) };
        let more = self.admission.acquire_large_body(missing)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

/// Reads on for a while: a client that is still sending when the connection is closed may never see why.
async fn drain(mut stream: BodyDataStream, limit: usize) -> Problem {
    let mut rest = 0;
    while let Some(Ok(chunk)) = stream.next().await {
        rest += chunk.len();
        if rest > DRAINED_BYTES {
            break;
        }
    }
    too_large(limit)
}

fn cut_off() -> Problem {
    Problem::malformed("the body was cut off")
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
