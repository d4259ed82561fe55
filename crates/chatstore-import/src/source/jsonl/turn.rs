//! One message of a conversation, as its line has it.

use std::fmt;

use chatstore_model::{CanonicalJson, VerbatimJson};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// One message of a conversation.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) role: String,
    pub(super) content: String,
    /// A list of objects, byte for byte.
    pub(super) parts: Option<VerbatimJson>,
    /// What the parts are.
    pub(super) format: Option<String>,
    pub(super) rest: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Turn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TurnVisitor)
    }
}

struct TurnVisitor;

impl<'de> Visitor<'de> for TurnVisitor {
    type Value = Turn;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with role and content")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Turn, A::Error> {
        let (mut role, mut content) = (None::<String>, None::<Box<RawValue>>);
        let mut parts = None::<VerbatimJson>;
        let mut rest = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "role" if role.is_some() => return Err(A::Error::duplicate_field("role")),
                "content" if content.is_some() => return Err(A::Error::duplicate_field("content")),
                "parts" if parts.is_some() => return Err(A::Error::duplicate_field("parts")),
                "role" => role = Some(map.next_value()?),
                "content" => content = Some(map.next_value()?),
                "parts" => {
                    let value: Box<RawValue> = map.next_value()?;
                    let verbatim = VerbatimJson::from(&*value);
                    if is_list_of_objects(&verbatim) {
                        parts = Some(verbatim);
                    } else {
                        rest.insert(key, exact(&value).map_err(A::Error::custom)?);
                    }
                }
                _ => {
                    next_exact(&mut map, key, &mut rest)?;
                }
            }
        }
        let role = role.ok_or_else(|| A::Error::missing_field("role"))?;
        let content = match content.as_deref().map(RawValue::get) {
            None | Some("null") => None,
            Some(list) if list.starts_with('[') && parts.is_none() => {
                let list = content.as_deref().map(VerbatimJson::from).filter(is_list_of_objects);
                parts = list;
                None
            }
            Some(text) => Some(serde_json::from_str(text).map_err(A::Error::custom)?),
        };
        let content = content.or_else(|| parts.as_ref().map(VerbatimJson::text_of_parts));
        let has_calls = ["tool_calls", "function_call"].iter().any(|name| rest.contains_key(*name));
        let content = content.or_else(|| has_calls.then(String::new));
        let content = content.ok_or_else(|| A::Error::missing_field("content"))?;
        let format = match rest.remove("format") {
            Some(Value::String(format)) if parts.is_some() => Some(format),
            Some(other) => {
                rest.insert("format".to_owned(), other);
                None
            }
            None => None,
        };
        Ok(Turn { role, content, parts, format, rest })
    }
}

fn is_list_of_objects(json: &VerbatimJson) -> bool {
    json.list_items().is_some_and(|mut items| items.all(|first| first == b'{'))
}

/// Reads the value of a key that has no field of its own.
pub(super) fn next_exact<'de, A: MapAccess<'de>>(
    map: &mut A,
    key: String,
    rest: &mut Map<String, Value>,
) -> Result<(), A::Error> {
    let value: Box<RawValue> = map.next_value()?;
    let value = exact(&value).map_err(|reason| A::Error::custom(format_args!("{key:.100}: {reason}")))?;
    rest.insert(key, value);
    Ok(())
}

/// A value of which no number is rounded.
fn exact(value: &RawValue) -> Result<Value, String> {
    if let Some(number) = CanonicalJson::inexact_number(value.get()) {
        return Err(format!("64 bits do not hold the number {number:.40} exactly; write it as a text"));
    }
    serde_json::from_str(value.get()).map_err(|error| error.to_string())
}
