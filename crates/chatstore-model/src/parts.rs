//! What the parts of a message say: their text, for programs that know no parts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::VerbatimJson;

/// The types of parts that are text. A part without a type is text when it has one.
const TEXT_TYPES: [&str; 3] = ["text", "input_text", "output_text"];

/// What stands for a character that content cannot hold: NUL, and half of a surrogate pair.
const REPLACEMENT: char = '\u{fffd}';

impl VerbatimJson {
    /// The texts of the parts of a message, one after the other: the `text` of each object of the type `text`,
    /// `input_text` or `output_text`, or of none. NUL and lone surrogates become U+FFFD.
    ///
    /// ```
    /// use chatstore_model::VerbatimJson;
    ///
    /// let parts = r#"[{"type": "text", "text": "See "}, {"type": "image", "url": "…"}, {"text": "this\u0000"}]"#;
    /// assert_eq!(VerbatimJson::parse(parts).unwrap().text_of_parts(), "See this\u{fffd}");
    /// ```
    #[must_use]
    pub fn text_of_parts(&self) -> String {
        let mut text = String::new();
        let mut deserializer = serde_json::Deserializer::from_str(self.as_str());
        // What is no list of objects has no text.
        if (&mut deserializer).deserialize_seq(Parts { text: &mut text }).is_err() {
            text.clear();
        }
        text
    }
}

/// Reads a list of parts, and appends their texts.
struct Parts<'t> {
    text: &'t mut String,
}

impl<'de> Visitor<'de> for Parts<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        while parts.next_element_seed(Part { text: self.text })?.is_some() {}
        Ok(())
    }
}

/// Reads one part, and appends its text.
struct Part<'t> {
    text: &'t mut String,
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (mut kind, mut text): (Option<&RawValue>, Option<&RawValue>) = (None, None);
        while let Some(Bytes(key)) = entries.next_key_seed(BytesSeed)? {
            match key.as_slice() {
                b"type" => kind = Some(entries.next_value()?),
                b"text" => text = Some(entries.next_value()?),
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        let is_text = kind.is_none_or(|kind| {
            string(kind).is_some_and(|kind| TEXT_TYPES.iter().any(|known| known.as_bytes() == kind))
        });
        if let (true, Some(text)) = (is_text, text.and_then(string)) {
            push_replacing(self.text, &text);
        }
        Ok(())
    }
}

/// The characters of a JSON string, with lone surrogates in the bytes that UTF-8 would give them.
fn string(value: &RawValue) -> Option<Vec<u8>> {
    let mut deserializer = serde_json::Deserializer::from_str(value.get());
    BytesSeed.deserialize(&mut deserializer).ok().map(|Bytes(bytes)| bytes)
}

/// Appends text of which neither NUL nor lone surrogates can be stored.
fn push_replacing(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.extend(chunk.valid().chars().map(|found| if found == '\0' { REPLACEMENT } else { found }));
        // A surrogate has three bytes, each of which is a chunk of its own; the first is always this one.
        if chunk.invalid().first() == Some(&0xed) {
            text.push(REPLACEMENT);
        }
    }
}

/// A JSON string that may hold lone surrogates.
struct Bytes(Vec<u8>);

struct BytesSeed;

impl<'de> DeserializeSeed<'de> for BytesSeed {
    type Value = Bytes;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Bytes, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for BytesSeed {
    type Value = Bytes;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &str) -> String {
        VerbatimJson::parse(parts).unwrap().text_of_parts()
    }

    #[test]
    fn the_text_of_parts_is_that_of_their_texts() {
        for (parts, expected) in [
            ("[]", ""),
            (r#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#, "ab"),
            (r#"[{"text":"a","type":"input_text"},{"type":"output_text","text":"b"},{"text":"c"}]"#, "abc"),
            (r#"[{"type":"reasoning","text":"hidden"},{"type":"image","text":7},{"text":null}]"#, ""),
            (r#"[{"type":null,"text":"a"},{"type":"text","text":{"value":"b"}}]"#, ""),
            (r#"[{"t\u0065xt":"\u0061\n\ud83d\ude00"}]"#, "a\n😀"),
            ("{}", ""),
            ("[1]", ""),
        ] {
            assert_eq!(text(parts), expected, "{parts}");
        }
    }

    #[test]
    fn what_content_cannot_hold_is_replaced_character_by_character() {
        assert_eq!(text(r#"[{"text":"a\u0000b"}]"#), "a\u{fffd}b");
        assert_eq!(text(r#"[{"text":"\ud800\ud801x\udc00"}]"#), "\u{fffd}\u{fffd}x\u{fffd}");
        assert_eq!(text(r#"[{"\ud800":1e400,"text":"a"}]"#), "a");
        assert_eq!(text(r#"[{"text":"\ufffd\u00ed"}]"#), "\u{fffd}í");
    }
}
