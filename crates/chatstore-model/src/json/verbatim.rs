//! JSON as the text it was given.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{normal, scan};

/// A JSON value as the text that was given, byte for byte: order of keys, spelling of numbers, white space and escapes
/// stay, those of NUL and of lone surrogates too. Copies share the text.
///
/// Only the grammar is checked. What a text or a number in it means is for those who read it.
#[derive(Clone)]
pub struct VerbatimJson(Arc<RawValue>);

/// Text that is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotJson(String);

impl VerbatimJson {
    /// Checks a text and keeps it, without the white space around it.
    ///
    /// # Errors
    /// [`NotJson`], which says where.
    pub fn parse(text: impl Into<String>) -> Result<Self, NotJson> {
        let raw = RawValue::from_string(text.into()).map_err(|error| NotJson(error.to_string()))?;
        Ok(Self(Arc::from(raw)))
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(Arc::from(RawValue::NULL.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// A text that is the same for two values exactly if they are equal as JSON, whatever their own texts are: numbers of
    /// any size are equal that have the same decimal value, and of a key that is named twice the last value counts.
    #[must_use]
    pub fn normal_form(&self) -> String {
        normal::normal_form(self.as_str())
    }

    /// How many lists and objects lie inside each other.
    #[must_use]
    pub fn depth(&self) -> usize {
        scan::depth(self.as_str())
    }

    /// The first byte of each element, which tells its type, when it is a list.
    pub fn list_items(&self) -> Option<impl Iterator<Item = u8> + '_> {
        scan::items(self.as_str())
    }
}

impl From<&RawValue> for VerbatimJson {
    fn from(raw: &RawValue) -> Self {
        Self(Arc::from(raw.to_owned()))
    }
}

impl PartialEq for VerbatimJson {
    /// Whether the texts are the same.
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for VerbatimJson {}

impl fmt::Display for VerbatimJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for VerbatimJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for VerbatimJson {
    /// Puts the text into JSON as it is. Only for serializers of `serde_json`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for VerbatimJson {
    /// Takes the text as it is. Only for deserializers of `serde_json` that read text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::from(Box::<RawValue>::deserialize(deserializer)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = r#"[ {"zebra":1.0,"alpha":-0.0, "big":12345678901234567890123,"huge":1e400,
        "nul":"a\u0000b","lone":"\ud800 \uDFFF","twice":1,"twice":2,"escaped":"\/\u00e9"} ]"#;

    #[test]
    fn a_text_is_kept_byte_for_byte() {
        let json = VerbatimJson::parse(format!(" {ODD}\n")).unwrap();
        assert_eq!(json.as_str(), ODD);
        assert_eq!(serde_json::to_string(&json).unwrap(), ODD);
        assert_eq!(serde_json::from_str::<VerbatimJson>(ODD).unwrap(), json);
        assert_eq!(json.depth(), 2);
        assert_eq!(json.list_items().unwrap().collect::<Vec<_>>(), b"{");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "[", "[1] [2]", "[01]", "[\"\\x\"]", "[\"a\u{1}b\"]", "[\"\\u12\"]", "[1,]", "nul"] {
            assert!(VerbatimJson::parse(text).is_err(), "{text}");
        }
    }
}
