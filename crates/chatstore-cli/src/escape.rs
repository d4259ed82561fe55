//! Texts of users as they may be shown: no character of theirs can steer a terminal, or make a line look like another.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character controls how others are shown: a control character, a separator of lines, or one of those that
/// reverse the direction of what follows.
pub(crate) fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// The text with such characters as `\u{…}`, but for those that `is_kept` keeps.
pub(crate) fn visible(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    escaped(text, is_kept, |character, shown| shown.extend(character.escape_default()))
}

/// The same with its lines kept.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    visible(text, |character| character == '\n')
}

/// JSON with such characters inside its strings as escapes. What is written for programs or indented has line ends and
/// tabs between its strings.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let is_kept = |character| matches!(character, '\n' | '\r' | '\t');
    escaped(text, is_kept, |character, shown| {
        // All of them are below U+10000. Writing to a text does not fail.
        let _ = write!(shown, "\\u{:04x}", u32::from(character));
    })
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let is_escaped = |character| is_control(character) && !is_kept(character);
    if !text.chars().any(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_escaped(character) {
            escape(character, &mut shown);
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_can_neither_steer_the_terminal_nor_reverse_itself() {
        let text = "a\u{1b}[2J\n\u{202e}txt.exe\u{9b}\u{2066}\u{200f}ü";
        assert_eq!(visible(text, |_| false), "a\\u{1b}[2J\\n\\u{202e}txt.exe\\u{9b}\\u{2066}\\u{200f}ü");
        assert_eq!(visible("a\nb", |character| character == '\n'), "a\nb");
        assert!(matches!(visible("Zoë 李娜", |_| false), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_says_the_same() {
        let value = serde_json::json!({ "a": "\u{202e}\u{7f}\u{9b}\n\u{2028}ü" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let escaped = json(&text);
        assert!(escaped.chars().all(|character| character == '\n' || !is_control(character)), "{escaped}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }
}
