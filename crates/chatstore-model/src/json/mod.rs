//! JSON as both databases can hold it alike.

mod canonical;
mod filter;
mod line;
mod merge;
mod normal;
mod number;
mod rules;
mod scan;
mod verbatim;

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, Error as _};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use canonical::CanonicalWriter;
pub use filter::{InvalidFilter, JsonFilter, JsonMatcher};
pub use line::{json_on_one_line, push_json_line};
pub use rules::{Duplicates, JsonRules};
pub use verbatim::{NotJson, VerbatimJson};

/// Characters of a number that an error shows.
const SHOWN: usize = 40;

/// `{}` and `[]`, which most rows hold and which take no memory of their own.
const EMPTY_OBJECT: &str = "{}";
const EMPTY_LIST: &str = "[]";

/// A JSON value in canonical form: keys sorted, integral numbers written as integers, no NUL
/// character and no duplicate key anywhere. It is held as text, as it is stored and sent: as a tree it would
/// take up to a hundred times as much memory.
///
/// PostgreSQL's `jsonb` would merge duplicate keys, refuse NUL and rewrite numbers; SQLite keeps
/// text as it is. Canonical values read back equal from either.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalJson(Cow<'static, str>);

/// JSON that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// U+0000 in a key or a text.
    #[error("a text in it holds the NUL character")]
    Nul,
    /// A number that no 64-bit integer or float holds; the text is the beginning of its spelling.
    #[error("64 bits do not hold the number {0} exactly; send it as a text")]
    Number(String),
    /// Not JSON, or an object that names a key twice.
    #[error("{0}")]
    Malformed(String),
}

impl CanonicalJson {
    /// `{}`.
    #[must_use]
    pub const fn object() -> Self {
        Self(Cow::Borrowed(EMPTY_OBJECT))
    }

    /// `[]`.
    #[must_use]
    pub const fn list() -> Self {
        Self(Cow::Borrowed(EMPTY_LIST))
    }

    /// The canonical form of `value`.
    ///
    /// # Errors
    /// [`InvalidJson::Nul`] when a text or a key in it holds U+0000.
    pub fn new(value: impl Borrow<Value>) -> Result<Self, InvalidJson> {
        written(Duplicates::Refused, 0, value.borrow()).map_err(malformed)?.without_nul()
    }

    /// Reads JSON text.
    ///
    /// # Errors
    /// Every variant of [`InvalidJson`].
    pub fn parse(text: &str) -> Result<Self, InvalidJson> {
        Self::parse_with(text, Duplicates::Refused)
    }

    /// Reads JSON text with a rule for objects that name a key twice.
    ///
    /// # Errors
    /// Every variant of [`InvalidJson`].
    pub fn parse_with(text: &str, duplicates: Duplicates) -> Result<Self, InvalidJson> {
        if let Some(number) = scan::inexact_number(text) {
            return Err(InvalidJson::Number(number.chars().take(SHOWN).collect()));
        }
        Self::parse_stored(text, duplicates)
    }

    /// Reads JSON text as a database spells it, digit by digit where the number is large. A number that other programs
    /// wrote becomes the nearest one of 64 bits.
    ///
    /// # Errors
    /// [`InvalidJson::Nul`] and [`InvalidJson::Malformed`].
    pub fn parse_stored(text: &str, duplicates: Duplicates) -> Result<Self, InvalidJson> {
        match text {
            EMPTY_OBJECT => return Ok(Self::object()),
            EMPTY_LIST => return Ok(Self::list()),
            _ => {}
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let json = written(duplicates, text.len(), &mut deserializer).map_err(malformed)?;
        deserializer.end().map_err(malformed)?;
        json.without_nul()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value as a tree, which is built anew; for looking into small ones.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut deserializer = serde_json::Deserializer::from_str(&self.0);
        deserializer.disable_recursion_limit();
        // The text was written by a serializer, so it can be read.
        Value::deserialize(&mut deserializer).unwrap_or_default()
    }

    /// How many lists and objects lie inside each other.
    #[must_use]
    pub fn depth(&self) -> usize {
        scan::depth(&self.0)
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }

    /// The first byte of each element, which tells its type, when it is a list.
    pub fn list_items(&self) -> Option<impl Iterator<Item = u8> + '_> {
        scan::items(&self.0)
    }

    /// The first number in a JSON text that no 64-bit integer or float holds exactly, as it is spelled.
    #[must_use]
    pub fn inexact_number(text: &str) -> Option<&str> {
        scan::inexact_number(text)
    }

    /// Whether a text or a key anywhere in it holds U+0000.
    pub(crate) fn has_nul(&self) -> bool {
        scan::has_nul(&self.0)
    }

    fn without_nul(self) -> Result<Self, InvalidJson> {
        if self.has_nul() { Err(InvalidJson::Nul) } else { Ok(self) }
    }
}

impl TryFrom<Value> for CanonicalJson {
    type Error = InvalidJson;

    fn try_from(value: Value) -> Result<Self, InvalidJson> {
        Self::new(value)
    }
}

impl FromStr for CanonicalJson {
    type Err = InvalidJson;

    fn from_str(text: &str) -> Result<Self, InvalidJson> {
        Self::parse(text)
    }
}

impl From<CanonicalJson> for Value {
    fn from(json: CanonicalJson) -> Self {
        json.to_value()
    }
}

impl From<&CanonicalJson> for Value {
    fn from(json: &CanonicalJson) -> Self {
        json.to_value()
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
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for CanonicalJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for CanonicalJson {
    /// Puts the text into JSON as it is. Only for serializers of `serde_json`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_str() {
            EMPTY_OBJECT => serializer.serialize_map(Some(0))?.end(),
            EMPTY_LIST => serializer.serialize_seq(Some(0))?.end(),
            text => {
                let raw: &RawValue = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
                raw.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for CanonicalJson {
    /// Keeps NUL characters: they are a matter of validation (`nul_character`), not of syntax,
    /// and [`Validator::json`](crate::Validator::json) reports them with their field.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written(Duplicates::Refused, 0, deserializer)
    }
}

/// What a deserializer holds, in canonical form, which has about this number of bytes.
fn written<'de, D: Deserializer<'de>>(
    duplicates: Duplicates,
    expected_bytes: usize,
    deserializer: D,
) -> Result<CanonicalJson, D::Error> {
    let mut text = Vec::with_capacity(expected_bytes);
    CanonicalWriter { text: &mut text, duplicates }.deserialize(deserializer)?;
    text.shrink_to_fit();
    // What the serializer writes is UTF-8.
    let text = String::from_utf8(text).map_err(D::Error::custom)?;
    Ok(match text.as_str() {
        EMPTY_OBJECT => CanonicalJson::object(),
        EMPTY_LIST => CanonicalJson::list(),
        _ => CanonicalJson(Cow::Owned(text)),
    })
}

fn malformed(error: serde_json::Error) -> InvalidJson {
    InvalidJson::Malformed(error.to_string())
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
    fn keys_are_sorted_at_every_depth_and_empty_ones_come_first() {
        let json = CanonicalJson::parse(r#"{"z": {"b": [{"y": 1, "x": 2}], "a": null}, "": "é\n"}"#).unwrap();
        assert_eq!(json.as_str(), r#"{"":"é\n","z":{"a":null,"b":[{"x":2,"y":1}]}}"#);
        assert_eq!(CanonicalJson::parse(json.as_str()).unwrap(), json);
        assert_eq!(CanonicalJson::new(json.to_value()).unwrap(), json);
    }

    #[test]
    fn of_duplicate_keys_the_last_counts_where_that_is_the_rule() {
        let json =
            CanonicalJson::parse_with(r#"{"b": 1, "a": 2, "b": [3]}"#, Duplicates::LastCounts).unwrap();
        assert_eq!(json.as_str(), r#"{"a":2,"b":[3]}"#);
    }

    #[test]
    fn it_is_put_into_an_answer_as_it_is() {
        #[derive(Serialize)]
        struct Answer {
            a: CanonicalJson,
            b: CanonicalJson,
        }
        let answer = Answer {
            a: CanonicalJson::parse(r#"{"b": 1e100, "a": ["é"]}"#).unwrap(),
            b: CanonicalJson::list(),
        };
        assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"a":{"a":["é"],"b":1e+100},"b":[]}"#);
        assert_eq!(
            serde_json::to_value(&answer).unwrap(),
            json!({ "a": { "a": ["é"], "b": 1e100 }, "b": [] })
        );
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
    fn a_number_is_never_rounded() {
        let number = "12345678901234567890123";
        assert_eq!(
            CanonicalJson::parse(&format!("[{{\"n\": {number}}}]")),
            Err(InvalidJson::Number(number.to_owned()))
        );
        assert!(matches!(CanonicalJson::parse("[1e400]"), Err(InvalidJson::Number(_))));
        assert_eq!(
            CanonicalJson::parse_stored(&format!("[{number}]"), Duplicates::Refused).unwrap().as_str(),
            "[1.2345678901234568e+22]"
        );
        let stored = CanonicalJson::parse("[1e20, 1.5e300, -0.0]").unwrap();
        assert_eq!(CanonicalJson::parse(stored.as_str()).unwrap(), stored);
    }

    #[test]
    fn a_duplicate_key_is_refused_at_any_depth() {
        let error = CanonicalJson::parse(r#"[{"a": {"b": 1, "b": 2}}]"#).unwrap_err();
        assert!(matches!(error, InvalidJson::Malformed(text) if text.contains("duplicate key \"b\"")));
    }

    #[test]
    fn duplicates_can_be_refused_below_some_keys_alone() {
        let is_taken =
            |text: &str| JsonRules::new(Duplicates::RefusedBelow(&["own"])).check(text.as_bytes()).is_ok();
        assert!(!is_taken(r#"{"a": 1, "a": 2}"#));
        assert!(!is_taken(r#"{"own": [{"a": 1, "a": 2}]}"#));
        assert!(is_taken(r#"{"other": {"own": {"a": 1, "a": 2}}}"#));
    }

    #[test]
    fn the_depth_of_a_value_can_be_bounded() {
        let is_taken =
            |text: &str| JsonRules::new(Duplicates::LastCounts).with_depth(2).check(text.as_bytes()).is_ok();
        assert!(is_taken(r#"[{"a": 1}]"#));
        assert!(!is_taken(r#"[{"a": []}]"#));
        assert!(!is_taken("[] []"));
    }

    #[test]
    fn a_nul_character_is_refused_in_keys_and_texts() {
        assert_eq!(CanonicalJson::parse(r#"{"a": ["\u0000"]}"#), Err(InvalidJson::Nul));
        assert_eq!(CanonicalJson::parse(r#"{"a\u0000": 1}"#), Err(InvalidJson::Nul));
    }
}
