//! Bodies: from bytes to what a service is given, or to everything that is wrong with them.

use std::fmt;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use chatstore::Invalid;
use futures_util::StreamExt as _;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Problem, ProblemKind};
use crate::fields::Fields;
use crate::state::AppState;

/// Bytes of a body at most.
const BODY_BYTES: usize = 1024 * 1024;

/// Objects and lists inside each other at most.
const DEPTH: usize = 128;

/// Fields whose values are objects of this API, so that a key named twice in them is an error; in what
/// belongs to the application, like metadata, the last one counts.
const OWN_OBJECTS: [&str; 2] = ["messages", "response"];

/// A request's body.
pub(crate) trait RequestBody: Sized {
    /// What the service is given.
    type Input;

    /// Takes the fields out, noting those of a wrong type.
    fn read(fields: &mut Fields) -> Self;

    /// What the service is given.
    fn into_input(self) -> Self::Input;

    /// Checks the limits.
    fn check(input: &Self::Input) -> Result<(), Invalid>;
}

/// The last argument of a handler that takes a body.
#[derive(Debug)]
pub(crate) struct JsonBody<T: RequestBody>(pub(crate) T::Input);

impl<T: RequestBody> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &AppState) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = read_bytes(request).await?;
        let value = match bytes.as_slice() {
            [] => Value::Object(Map::new()),
            _ if !is_json => return Err(unsupported()),
            bytes => parse(bytes)?,
        };
        let mut fields = Fields::of_body(value);
        if fields.are_broken() {
            return Err(Problem::validation(fields.finish()));
        }
        let input = T::read(&mut fields).into_input();
        fields.note(T::check(&input));
        match fields.finish() {
            errors if errors.is_empty() => Ok(Self(input)),
            errors => Err(Problem::validation(errors)),
        }
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

fn too_large() -> Problem {
    Problem::new(ProblemKind::TooLarge, "the body must have at most 1048576 bytes")
}

async fn read_bytes(request: Request) -> Result<Vec<u8>, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: usize = announced.and_then(|length| length.parse().ok()).unwrap_or(0);
    if announced > BODY_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(announced);
    let mut stream = request.into_body().into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::malformed("the body ended before its end"))?;
        if bytes.len() + chunk.len() > BODY_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads JSON text, and refuses a key of ours that is named twice.
fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    // The parser's own limit is one lower than ours; `Level` counts instead.
    deserializer.disable_recursion_limit();
    let value = Level { depth: 0, is_own: true }.deserialize(&mut deserializer);
    let parsed = value.and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| Problem::malformed(format!("the body is not JSON that can be read: {error}")))
}

/// A value at some depth of the body.
#[derive(Clone, Copy)]
struct Level {
    depth: usize,
    is_own: bool,
}

impl Level {
    fn inner<E: serde::de::Error>(self, is_own: bool) -> Result<Self, E> {
        if self.depth == DEPTH {
            return Err(E::custom(format_args!("more than {DEPTH} lists and objects inside each other")));
        }
        Ok(Self { depth: self.depth + 1, is_own })
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let item = self.inner(self.is_own)?;
        let mut items = Vec::new();
        while let Some(value) = sequence.next_element_seed(item)? {
            items.push(value);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let field = self.inner(false)?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let is_own = self.is_own && OWN_OBJECTS.contains(&key.as_str());
            let value = entries.next_value_seed(Self { is_own, ..field })?;
            if map.insert(key, value).is_some() && self.is_own {
                return Err(A::Error::custom("a key is named twice"));
            }
        }
        Ok(Value::Object(map))
    }
}
