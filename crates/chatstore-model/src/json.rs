//! JSON as both databases can hold it alike.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// A JSON value in canonical form: keys sorted, integral numbers written as integers, no NUL
/// character and no duplicate key anywhere.
///
/// PostgreSQL's `jsonb` would merge duplicate keys, refuse NUL and rewrite numbers; SQLite keeps
/// text as it is. Canonical values read back equal from either.
#[derive(Clone, PartialEq)]
pub struct CanonicalJson(Value);

/// JSON that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// U+0000 in a key or a text.
    #[error("a text in it holds the NUL character")]
    Nul,
    /// Not JSON, or an object that names a key twice.
    #[error("{0}")]
    Malformed(String),
}

impl CanonicalJson {
    /// `{}`.
    #[must_use]
    pub fn object() -> Self {
        Self(Value::Object(Map::new()))
    }

    /// `[]`.
    #[must_use]
    pub const fn list() -> Self {
        Self(Value::Array(Vec::new()))
    }

    /// The canonical form of `value`.
    ///
    /// # Errors
    /// [`InvalidJson::Nul`] when a text or a key in it holds U+0000.
    pub fn new(value: Value) -> Result<Self, InvalidJson> {
        canonical(value).map(Self)
    }

    /// Reads JSON text.
    ///
    /// # Errors
    /// Both variants of [`InvalidJson`].
    pub fn parse(text: &str) -> Result<Self, InvalidJson> {
        match text {
            "{}" => return Ok(Self::object()),
            "[]" => return Ok(Self::list()),
            _ => {}
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = JsonReader::new(Duplicates::Refused).deserialize(&mut deserializer);
        let value = value.and_then(|value| deserializer.end().map(|()| value));
        Self::new(value.map_err(|error| InvalidJson::Malformed(error.to_string()))?)
    }

    /// The value, for reading.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }

    /// The value, for building another from it.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.0
    }

    /// How many lists and objects lie inside each other.
    #[must_use]
    pub fn depth(&self) -> usize {
        depth(&self.0)
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.is_object()
    }

    /// The elements, when it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        self.0.as_array().map(Vec::as_slice)
    }
}

impl Default for CanonicalJson {
    /// `{}`, what metadata is when it is left out.
    fn default() -> Self {
        Self::object()
    }
}

impl fmt::Display for CanonicalJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for CanonicalJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Serialize for CanonicalJson {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CanonicalJson {
    /// Keeps NUL characters: they are a matter of validation (`nul_character`), not of syntax,
    /// and [`Validator::json`](crate::Validator::json) reports them with their field.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        JsonReader::new(Duplicates::Refused)
            .deserialize(deserializer)
            .map(|value| Self(sorted_numbers(value)))
    }
}

fn canonical(value: Value) -> Result<Value, InvalidJson> {
    if has_nul(&value) {
        return Err(InvalidJson::Nul);
    }
    Ok(sorted_numbers(value))
}

/// Whether a text or a key anywhere in `value` holds U+0000.
pub(crate) fn has_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn sorted_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(canonical_number(number)),
        Value::Array(items) => Value::Array(items.into_iter().map(sorted_numbers).collect()),
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(key, value)| (key, sorted_numbers(value))).collect())
        }
        other => other,
    }
}

/// An integral number that fits an `i64` or a `u64` becomes one: `jsonb` gives `1e16` back as digits.
fn canonical_number(number: Number) -> Number {
    const SIGNED: f64 = 9_223_372_036_854_775_808.0;
    const UNSIGNED: f64 = 18_446_744_073_709_551_616.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 => {
            if (-SIGNED..SIGNED).contains(&float) {
                Number::from(float as i64)
            } else if (SIGNED..UNSIGNED).contains(&float) {
                Number::from(float as u64)
            } else {
                number
            }
        }
        _ => number,
    }
}

/// How a JSON value is read.
#[derive(Debug, Clone, Copy)]
pub struct JsonReader {
    duplicates: Duplicates,
    max_depth: usize,
    depth: usize,
}

/// What becomes of an object that names a key twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// It is refused.
    Refused,
    /// It is refused, and so are those below these of its keys; elsewhere the last of two values counts.
    RefusedBelow(&'static [&'static str]),
    /// The last of two values counts.
    LastCounts,
}

impl JsonReader {
    /// A reader for values of any depth.
    #[must_use]
    pub const fn new(duplicates: Duplicates) -> Self {
        Self { duplicates, max_depth: usize::MAX, depth: 0 }
    }

    /// The reader with a maximum number of lists and objects inside each other.
    #[must_use]
    pub const fn with_depth(self, max_depth: usize) -> Self {
        Self { max_depth, ..self }
    }

    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == self.max_depth {
            let max = self.max_depth;
            return Err(E::custom(format_args!("more than {max} lists and objects inside each other")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl Duplicates {
    /// What becomes of the objects below a key.
    fn below(self, key: &str) -> Self {
        match self {
            Self::RefusedBelow(keys) if !keys.contains(&key) => Self::LastCounts,
            same => same,
        }
    }
}

impl<'de> DeserializeSeed<'de> for JsonReader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonReader {
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
        let item = self.below()?;
        let mut items = Vec::new();
        while let Some(value) = sequence.next_element_seed(item)? {
            items.push(value);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let field = self.below()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Self { duplicates: self.duplicates.below(&key), ..field })?;
            if self.duplicates != Duplicates::LastCounts && map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_and_integral_numbers_are_integers() {
        let json = CanonicalJson::parse(r#"{"b": 1.0, "a": [1e16, -0.0, 1.5, 1e100]}"#).unwrap();
        assert_eq!(json.to_string(), r#"{"a":[10000000000000000,0,1.5,1e+100],"b":1}"#);
    }

    #[test]
    fn a_number_beyond_the_signed_integers_is_the_same_read_from_digits() {
        for (float, digits) in
            [("1e19", "10000000000000000000"), ("9.223372036854775808e18", "9223372036854775808")]
        {
            assert_eq!(CanonicalJson::parse(float).unwrap(), CanonicalJson::parse(digits).unwrap());
        }
    }

    #[test]
    fn a_duplicate_key_is_refused_at_any_depth() {
        let error = CanonicalJson::parse(r#"[{"a": {"b": 1, "b": 2}}]"#).unwrap_err();
        assert!(matches!(error, InvalidJson::Malformed(text) if text.contains("duplicate key \"b\"")));
    }

    #[test]
    fn duplicates_can_be_refused_below_some_keys_alone() {
        let read = |text: &str| {
            let reader = JsonReader::new(Duplicates::RefusedBelow(&["own"]));
            reader.deserialize(&mut serde_json::Deserializer::from_str(text))
        };
        assert!(read(r#"{"a": 1, "a": 2}"#).is_err());
        assert!(read(r#"{"own": [{"a": 1, "a": 2}]}"#).is_err());
        assert_eq!(
            read(r#"{"other": {"own": {"a": 1, "a": 2}}}"#).unwrap(),
            json!({"other": {"own": {"a": 2}}})
        );
    }

    #[test]
    fn the_depth_of_a_value_can_be_bounded() {
        let read = |text: &str| {
            let reader = JsonReader::new(Duplicates::LastCounts).with_depth(2);
            reader.deserialize(&mut serde_json::Deserializer::from_str(text))
        };
        assert!(read(r#"[{"a": 1}]"#).is_ok());
        assert!(read(r#"[{"a": []}]"#).is_err());
    }

    #[test]
    fn a_nul_character_is_refused_in_keys_and_texts() {
        assert_eq!(CanonicalJson::parse(r#"{"a": ["\u0000"]}"#), Err(InvalidJson::Nul));
        assert_eq!(CanonicalJson::parse(r#"{"a\u0000": 1}"#), Err(InvalidJson::Nul));
    }
}
