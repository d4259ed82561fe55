//! The rules of JSON that is sent to the API: checked in one pass that keeps nothing of it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::scan;

/// Names in one object that may not name a key twice: they are held until its end.
const MAX_NAMES: usize = 16 * 1024;

/// What JSON must be, beside being JSON.
#[derive(Debug, Clone, Copy)]
pub struct JsonRules {
    duplicates: Duplicates,
    /// Keys of objects that may not name a key twice, below which only the grammar and the depth count.
    verbatim: &'static [&'static str],
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
        Self { duplicates, verbatim: &[], max_depth: usize::MAX, depth: 0 }
    }

    /// The rules where below these keys only the grammar and the depth count: numbers may have any size, and escapes
    /// may stand for lone surrogates. They are the keys of objects that may not name a key twice.
    #[must_use]
    pub const fn with_verbatim(self, verbatim: &'static [&'static str]) -> Self {
        Self { verbatim, ..self }
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
        self.check_depth(1)?;
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Refuses what is this much deeper than the maximum.
    fn check_depth<E: serde::de::Error>(self, more: usize) -> Result<(), E> {
        let max = self.max_depth;
        if more > max - self.depth {
            return Err(E::custom(format_args!("more than {max} lists and objects inside each other")));
        }
        Ok(())
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
            if self.verbatim.contains(&key.as_str()) {
                let value: &RawValue = entries.next_value()?;
                field.check_depth(scan::depth(value.get()))?;
            } else {
                entries.next_value_seed(Self { duplicates: self.duplicates.below(&key), ..field })?;
            }
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
            }
            if keys.len() == MAX_NAMES {
                return Err(A::Error::custom(format_args!("more than {MAX_NAMES} names in one object")));
            }
            keys.insert(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(rules: JsonRules, text: &str) -> bool {
        rules.check(text.as_bytes()).is_ok()
    }

    #[test]
    fn below_a_verbatim_key_only_grammar_and_depth_count() {
        let strict = JsonRules::new(Duplicates::RefusedBelow(&["items"])).with_depth(4);
        let rules = strict.with_verbatim(&["parts"]);
        for parts in [r#"["\ud800"]"#, r#"[{"a":1,"a":2}]"#, "[1e400]", r#"["a\u0000"]"#] {
            assert!(is_taken(rules, &format!(r#"{{"parts": {parts}}}"#)), "{parts}");
            assert!(
                is_taken(rules, &format!(r#"{{"items": [{{"parts": {parts}}}]}}"#)) || parts.contains('{')
            );
            assert!(
                !is_taken(rules, &format!(r#"{{"other": {{"parts": {parts}}}}}"#))
                    || !parts.contains("ud800")
            );
        }
        assert!(!is_taken(strict, r#"{"parts": ["\ud800"]}"#));
        assert!(!is_taken(rules, r#"{"parts": [1,]}"#));
        assert!(is_taken(rules, r#"{"parts": [[[1]]]}"#) && !is_taken(rules, r#"{"parts": [[[[1]]]]}"#));
        assert!(!is_taken(rules, r#"{"parts": [], "parts": []}"#));
    }

    #[test]
    fn the_names_of_an_object_that_are_held_are_bounded() {
        let object = |count: usize| {
            let entries: Vec<String> = (0..count).map(|number| format!("\"{number}\":0")).collect();
            format!("{{{}}}", entries.join(","))
        };
        let rules = JsonRules::new(Duplicates::Refused);
        assert!(is_taken(rules, &object(MAX_NAMES)) && !is_taken(rules, &object(MAX_NAMES + 1)));
    }
}
