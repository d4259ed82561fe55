//! JSON as lines.

use std::borrow::Cow;

use serde::Serialize;

/// Appends a value to a text as one line of JSON, with its line feed, whatever the JSON looks like that it holds as it was
/// given: as [`json_on_one_line`] writes it.
///
/// # Errors
/// What the value reports; the text then ends with a part of the line.
pub fn push_json_line(text: &mut Vec<u8>, value: &impl Serialize) -> Result<(), serde_json::Error> {
    let start = text.len();
    serde_json::to_writer(&mut *text, value)?;
    if let Some(line) = unbroken(&text[start..]) {
        text.truncate(start);
        text.extend_from_slice(&line);
    }
    text.push(b'\n');
    Ok(())
}

/// The same JSON without a break of lines: those between its values become spaces, and characters inside of its texts at
/// which some readers end a line (U+0085, U+2028 and U+2029) are escaped. JSON without any stays as it is.
#[must_use]
pub fn json_on_one_line(json: &str) -> Cow<'_, str> {
    match unbroken(json.as_bytes()) {
        Some(line) => Cow::Owned(String::from_utf8_lossy(&line).into_owned()),
        None => Cow::Borrowed(json),
    }
}

/// The bytes of JSON without a break of lines; `None` when they have none.
fn unbroken(json: &[u8]) -> Option<Vec<u8>> {
    let may_begin = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0xC2 | 0xE2);
    let mut candidates = json.iter().enumerate().filter(|(_, byte)| may_begin(byte)).map(|(place, _)| place);
    let first = candidates.find(|place| Break::at(&json[*place..]).is_some())?;
    let mut line = Vec::with_capacity(json.len() + 16);
    line.extend_from_slice(&json[..first]);
    let mut rest = &json[first..];
    while let Some(byte) = rest.first() {
        let length = match Break::at(rest) {
            Some(Break { length, instead }) => {
                line.extend_from_slice(instead);
                length
            }
            None => {
                line.push(*byte);
                1
            }
        };
        rest = &rest[length..];
    }
    Some(line)
}

/// What ends a line for some reader, and what has the same meaning in its place.
struct Break {
    length: usize,
    instead: &'static [u8],
}

impl Break {
    /// The one that these bytes of JSON begin with. Line feeds and carriage returns are escaped inside of texts.
    fn at(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'\n' | b'\r', ..] => Some(Self { length: 1, instead: b" " }),
            [0xC2, 0x85, ..] => Some(Self { length: 2, instead: b"\\u0085" }),
            [0xE2, 0x80, 0xA8, ..] => Some(Self { length: 3, instead: b"\\u2028" }),
            [0xE2, 0x80, 0xA9, ..] => Some(Self { length: 3, instead: b"\\u2029" }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::VerbatimJson;

    #[test]
    fn a_value_with_breaks_of_lines_becomes_one_line_of_the_same_meaning() {
        let broken = "[\r\n {\"a\" :\n\"x\\ny\u{2028}z\u{85}\u{2029}é\",\"b\u{2028}\":1.0\n}\n]";
        let parts = VerbatimJson::parse(broken).unwrap();
        let mut text = b"{}\n".to_vec();
        push_json_line(&mut text, &json!({ "n": 1 })).unwrap();
        push_json_line(&mut text, &[Some(&parts), None]).unwrap();
        let text = String::from_utf8(text).unwrap();
        let expected = r#"[[   {"a" : "x\ny\u2028z\u0085\u2029é","b\u2028":1.0 } ],null]"#;
        assert_eq!(text.split('\n').collect::<Vec<_>>(), ["{}", "{\"n\":1}", expected, ""]);
        let read: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(read[0], serde_json::from_str::<Value>(broken).unwrap());
    }

    #[test]
    fn json_without_breaks_of_lines_stays_as_it_is() {
        let json = "[ {\"a\\n\":\"é€…\",\"n\":1e400} ]";
        assert!(matches!(json_on_one_line(json), Cow::Borrowed(same) if same == json));
    }
}
