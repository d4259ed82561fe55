//! One row: names with JSON values.

use chatstore_model::PasswordHash;
use chatstore_sql::ExternalValue;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::source::lenient::MARK;
use crate::source::row::{JSON, LOOSE};

/// A row whose values are JSON texts.
#[derive(Debug, Default)]
pub(in crate::source) struct Record(Vec<(String, Box<RawValue>)>);

/// Without capitals, underscores and hyphens.
pub(super) fn folded(name: &str) -> String {
    name.chars().filter(|character| !matches!(character, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Whether a name is this one, apart from capitals and underscores.
pub(in crate::source) fn is_field(name: &str, folded_name: &str) -> bool {
    folded(name) == folded_name
}

impl Record {
    /// Adds a value; of two with one name the last counts.
    pub(in crate::source) fn push(&mut self, name: String, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes what it lacks from another row about the same.
    pub(super) fn fill(&mut self, other: Self) {
        for (name, value) in other.0 {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) if known.get() == "null" => *known = value,
                Some(_) => {}
                None => self.0.push((name, value)),
            }
        }
    }

    /// Puts the salt of a password hash that has a column of its own before the hash.
    pub(super) fn join_salt(&mut self) {
        let place_of =
            |names: &[&str]| self.0.iter().position(|(name, _)| names.contains(&folded(name).as_str()));
        let Some(salt) = place_of(&["salt", "passwordsalt"]).and_then(|place| self.reference(place)) else {
            return;
        };
        let Some(place) = place_of(&["hashedpassword", "passwordhash", "password"]) else { return };
        let Some(hash) = self.reference(place) else { return };
        let joined = format!("{salt}:{hash}");
        if PasswordHash::known(&hash).is_none()
            && PasswordHash::known(&joined).is_some()
            && let Ok(value) = serde_json::value::to_raw_value(&joined)
        {
            self.0[place].1 = value;
        }
    }

    pub(super) fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The row as a JSON object.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::from("{");
        for (name, value) in &self.0 {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(name.as_str()).to_string());
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        text
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The names with what kind of values they have.
    pub(super) fn declared(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.0.iter().map(|(name, value)| {
            let is_nested = value.get().starts_with(['{', '[']);
            (name.as_str(), if is_nested { JSON } else { LOOSE })
        })
    }

    pub(super) fn values(&self) -> Vec<ExternalValue> {
        self.0.iter().map(|(_, value)| external(value.get())).collect()
    }

    /// The JSON text of a value.
    pub(super) fn raw(&self, place: usize) -> &str {
        self.0.get(place).map_or("null", |(_, value)| value.get())
    }

    /// A value as what it names another row by: a text, or a number as it is written.
    pub(super) fn reference(&self, place: usize) -> Option<String> {
        match external(self.raw(place)) {
            ExternalValue::Text(_) if self.raw(place).starts_with(['{', '[']) => None,
            ExternalValue::Text(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            ExternalValue::Int(number) => Some(number.to_string()),
            ExternalValue::Real(_) => Some(self.raw(place).to_owned()),
            _ => None,
        }
    }

    /// What its values had that JSON does not know, each with its column.
    pub(super) fn marked(&self) -> Vec<(String, &'static str, &'static str)> {
        let mut marked = Vec::new();
        for (name, value) in &self.0 {
            let text = value.get();
            let halves = text.matches(&format!("\u{fffd}{MARK}")).count();
            if halves > 0 {
                marked.push((name.clone(), "it holds half a surrogate pair", "replaced by U+FFFD"));
            }
            if text.matches(MARK).count() > halves {
                marked.push((name.clone(), "it holds NaN or an infinity", "kept as a text"));
            }
        }
        marked
    }
}

/// A JSON text as a value; a number that 64 bits do not hold is the text of its digits.
fn external(json: &str) -> ExternalValue {
    match json.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
            ExternalValue::Text(if text.contains(MARK) { text.replace(MARK, "") } else { text })
        }
        Some(b'{' | b'[') => ExternalValue::Text(json.replace(MARK, "")),
        Some(b't') => ExternalValue::Bool(true),
        Some(b'f') => ExternalValue::Bool(false),
        Some(b'n') | None => ExternalValue::Null,
        Some(_) => {
            if let Ok(number) = json.parse() {
                return ExternalValue::Int(number);
            }
            match json.parse() {
                Ok(number) if json.contains(['.', 'e', 'E']) => ExternalValue::Real(number),
                _ => ExternalValue::Text(json.to_owned()),
            }
        }
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut record = Record::default();
        while let Some((name, value)) = map.next_entry()? {
            record.push(name, value);
        }
        Ok(record)
    }
}
