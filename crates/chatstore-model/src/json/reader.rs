//! Reads JSON of any shape as a tree, with the rules of its objects.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

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
    pub(super) fn below(self, key: &str) -> Self {
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
