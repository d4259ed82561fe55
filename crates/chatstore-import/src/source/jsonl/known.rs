//! Fields of lines and turns beyond the required ones, each taken if its value is one that the field may have. Any other
//! is left among what has no field.

use chatstore_model::{CanonicalJson, IntoValid, MessageRole, NewMessage, Timestamp, limits};
use chatstore_sql::ExternalValue;
use serde_json::{Map, Value};

use crate::source::row::moment;

/// Fields by their names.
pub(super) type Fields = Map<String, Value>;

/// Takes a text of a maximum number of characters, under the first of these names that has one.
pub(super) fn text(fields: &mut Fields, names: &[&str], most: usize) -> Option<String> {
    take(fields, names, |value| {
        let text = value.as_str()?;
        let is_usable = !text.is_empty() && text.chars().count() <= most && !text.contains('\0');
        is_usable.then(|| text.to_owned())
    })
}

/// Takes a count.
pub(super) fn count(fields: &mut Fields, names: &[&str]) -> Option<i64> {
    take(fields, names, |value| value.as_i64().filter(|count| (0..=limits::COUNT).contains(count)))
}

/// Takes a whole number from 0 to a largest one.
pub(super) fn number(fields: &mut Fields, name: &str, most: i64) -> Option<i64> {
    take(fields, &[name], |value| value.as_i64().filter(|number| (0..=most).contains(number)))
}

/// Takes a time: ISO 8601, or seconds, milliseconds or microseconds since 1970.
pub(super) fn time(fields: &mut Fields, names: &[&str]) -> Option<Timestamp> {
    take(fields, names, |value| {
        let value = match value {
            Value::String(text) => ExternalValue::Text(text.clone()),
            Value::Number(number) => match number.as_i64() {
                Some(number) => ExternalValue::Int(number),
                None => ExternalValue::Real(number.as_f64()?),
            },
            _ => return None,
        };
        moment::read_loose(&value).instant()
    })
}

/// Takes what a message drew on.
pub(super) fn used_documents(fields: &mut Fields) -> CanonicalJson {
    let used = take(fields, &["used_documents"], |value| {
        let used_documents = CanonicalJson::new(value).ok()?;
        let new = NewMessage { used_documents, ..NewMessage::user("") };
        (&new).into_valid().is_ok().then_some(new.used_documents)
    });
    used.unwrap_or_else(CanonicalJson::list)
}

/// The metadata of a line or turn, with the fields that have no place of their own as `source`.
pub(super) fn metadata(mut fields: Fields) -> Result<CanonicalJson, String> {
    let mut metadata = Map::new();
    if matches!(fields.get("metadata"), Some(Value::Object(own)) if !own.contains_key("source"))
        && let Some(Value::Object(own)) = fields.remove("metadata")
    {
        metadata = own;
    }
    if !fields.is_empty() {
        metadata.insert("source".to_owned(), Value::Object(fields));
    }
    CanonicalJson::new(Value::Object(metadata)).map_err(|error| error.to_string())
}

/// A role, also under the names that LangChain and OpenAI have had.
pub(super) fn role(text: &str) -> Option<MessageRole> {
    MessageRole::parse(text).or(match text {
        "human" => Some(MessageRole::User),
        "ai" | "bot" | "model" => Some(MessageRole::Assistant),
        "function" => Some(MessageRole::Tool),
        _ => None,
    })
}

fn take<T>(fields: &mut Fields, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    for name in names {
        if let Some(taken) = fields.get(*name).and_then(&read) {
            fields.remove(*name);
            return Some(taken);
        }
    }
    None
}
