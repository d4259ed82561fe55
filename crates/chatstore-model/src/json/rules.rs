//! The rules of JSON that is sent to the API: checked in one pass that keeps nothing of it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What JSON must be, beside being JSON.
#[derive(Debug, Clone, Copy)]
pub struct JsonRules {
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

impl JsonRules {
    /// Rules for values of any depth.
    #[must_use]
    pub const fn new(duplicates: Duplicates) -> Self {
        Self { duplicates, max_depth: usize::MAX, depth: 0 }
    }

    /// The rules with a maximum number of lists and objects inside each other.
    #[must_use]
    pub const fn with_depth(self, max_depth: usize) -> Self {
        Self { max_depth, ..self }
    }

    /// Reads the whole text.
    ///
    /// # Errors
    /// That it is not JSON, or which rule it breaks, and where.
    pub fn check(self, text: &[u8]) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        // The parser's own limit may be lower than ours, which is counted here.
        deserializer.disable_recursion_limit();
        self.deserialize(&mut deserializer)?;
        deserializer.end()
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

impl<'de> DeserializeSeed<'de> for JsonRules {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonRules {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _value: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _value: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _value: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _value: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _value: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let item = self.below()?;
        while sequence.next_element_seed(item)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let field = self.below()?;
        if self.duplicates == Duplicates::LastCounts {
            while entries.next_key::<IgnoredAny>()?.is_some() {
                entries.next_value_seed(field)?;
            }
            return Ok(());
        }
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            entries.next_value_seed(Self { duplicates: self.duplicates.below(&key), ..field })?;
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
            }
            keys.insert(key);
        }
        Ok(())
    }
}
