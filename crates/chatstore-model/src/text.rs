//! Names that must be unique, and the preview of a conversation.

use std::fmt;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;

use crate::{FieldCode, FromText, limits};

/// The maximum number of characters (Unicode scalar values) of its newest message that a conversation's
/// `last_message` holds.
pub const PREVIEW_CHARACTERS: usize = 200;

/// The first [`PREVIEW_CHARACTERS`] characters of a message's content.
#[must_use]
pub fn preview(content: &str) -> &str {
    match content.char_indices().nth(PREVIEW_CHARACTERS) {
        Some((end, _)) => &content[..end],
        None => content,
    }
}

/// A name or an address that breaks a rule; the text says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Fewer characters than [`limits::USERNAME_MIN`].
    #[error("must have at least {} characters", limits::USERNAME_MIN)]
    TooShort,
    /// More characters than [`limits::USERNAME`], or [`limits::EMAIL`] of an e-mail address.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The maximum.
        max: usize,
    },
    /// U+0000.
    #[error("must not contain the NUL character")]
    Nul,
    /// A control, bidirectional-control, zero-width or private-use character.
    #[error("must not contain control, zero-width or private-use characters")]
    ForbiddenCharacter,
    /// Not one `@` with something on both sides and no blanks.
    #[error("must have one @ with text on both sides and no blanks")]
    NotAnAddress,
}

impl InvalidName {
    /// The rule as a code for programs.
    #[must_use]
    pub const fn code(self) -> FieldCode {
        match self {
            Self::TooShort => FieldCode::TooShort,
            Self::TooLong { .. } => FieldCode::TooLong,
            Self::Nul => FieldCode::NulCharacter,
            Self::ForbiddenCharacter | Self::NotAnAddress => FieldCode::InvalidFormat,
        }
    }
}

/// A text as typed, without the white space around it, and the key by which it is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Folded {
    typed: String,
    key: String,
}

impl Folded {
    /// Trims the text, then checks the rules that names and addresses share: no NUL and a maximum of
    /// `max` characters.
    fn new(text: &str, max: usize) -> Result<Self, InvalidName> {
        let typed = python_strip(text);
        if typed.contains('\0') {
            return Err(InvalidName::Nul);
        }
        if typed.chars().count() > max {
            return Err(InvalidName::TooLong { max });
        }
        Ok(Self { typed: typed.to_owned(), key: folded(typed) })
    }

    fn refuse_forbidden(self) -> Result<Self, InvalidName> {
        if self.typed.chars().any(is_forbidden) { Err(InvalidName::ForbiddenCharacter) } else { Ok(self) }
    }
}

/// A user name as typed, with the key by which it is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(Folded);

impl UserName {
    /// Checks a new name after trimming it like Python's `str.strip`: 3 to 64 characters, none of them
    /// control, bidirectional-control, zero-width or private-use. The built-in user's, `anonymous`, is
    /// always taken.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(typed: impl AsRef<str>) -> Result<Self, InvalidName> {
        let name = Folded::new(typed.as_ref(), limits::USERNAME)?;
        if name.typed.chars().count() < limits::USERNAME_MIN {
            return Err(InvalidName::TooShort);
        }
        name.refuse_forbidden().map(Self)
    }

    /// The key a name is looked up by, whether or not the name would be allowed.
    #[must_use]
    pub fn key_of(typed: &str) -> String {
        folded(typed)
    }

    /// As it was typed, without white space around it.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        &self.0.typed
    }

    /// The key by which it is unique.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0.key
    }
}

/// An e-mail address as typed, with the key by which it is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(Folded);

impl Email {
    /// Checks an address after trimming it like Python's `str.strip`: a maximum of 254 characters, one
    /// `@`, text on both sides, no blanks.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(typed: impl AsRef<str>) -> Result<Self, InvalidName> {
        let address = Folded::new(typed.as_ref(), limits::EMAIL)?;
        let sides: Vec<&str> = address.typed.split('@').collect();
        let is_address =
            matches!(sides.as_slice(), [local, domain] if !local.is_empty() && !domain.is_empty());
        if !is_address || address.typed.chars().any(is_python_space) {
            return Err(InvalidName::NotAnAddress);
        }
        address.refuse_forbidden().map(Self)
    }

    /// The key an address is looked up by, whether or not it would be allowed.
    #[must_use]
    pub fn key_of(typed: &str) -> String {
        folded(typed)
    }

    /// As it was typed, without white space around it.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        &self.0.typed
    }

    /// The key by which it is unique.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0.key
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_typed())
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_typed())
    }
}

impl FromText for UserName {
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        Self::new(text).map_err(|error| (error.code(), error.to_string()))
    }
}

impl FromText for Email {
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        Self::new(text).map_err(|error| (error.code(), error.to_string()))
    }
}

/// NFKC(casefold(NFKC(strip(name)))), as the systems whose users move here computed it.
fn folded(typed: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfkc();
    let composed = normalizer.normalize(python_strip(typed));
    let folded = CaseMapper::new().fold_string(&composed);
    normalizer.normalize(&folded).into_owned()
}

/// Python's `str.strip`.
fn python_strip(text: &str) -> &str {
    text.trim_matches(is_python_space)
}

/// Python's `str.isspace`: white space, and the separators U+001C to U+001F, which are none to Rust.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{e0000}'..='\u{e0fff}'
                | '\u{f0000}'..='\u{ffffd}'
                | '\u{100000}'..='\u{10fffd}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_width_and_composition_twins_share_a_key() {
        for (one, other) in [
            ("Straße", "STRASSE"),
            ("Ａｄａ", "ada"),
            ("Zoë", "Zoe\u{308}"),
            (" ada\u{1f}", "ADA"),
            ("ΣΑΣ", "σας"),
        ] {
            assert_eq!(UserName::key_of(one), UserName::key_of(other), "{one} {other}");
        }
    }

    #[test]
    fn each_rule_of_a_name_is_named() {
        for (name, error) in [
            (" ab ", InvalidName::TooShort),
            ("a\0da", InvalidName::Nul),
            ("a\u{202e}da", InvalidName::ForbiddenCharacter),
            ("ada\u{fe0f}", InvalidName::ForbiddenCharacter),
            ("a\u{3164}da", InvalidName::ForbiddenCharacter),
            ("ada\u{e0061}", InvalidName::ForbiddenCharacter),
        ] {
            assert_eq!(UserName::new(name), Err(error), "{name:?}");
        }
        assert_eq!(UserName::new("x".repeat(65)), Err(InvalidName::TooLong { max: 64 }));
        assert!(UserName::new("x".repeat(64)).is_ok());
    }

    /// Every character for which Python's `str.isspace` is true.
    const PYTHON_SPACES: [char; 29] = [
        '\u{9}', '\u{a}', '\u{b}', '\u{c}', '\u{d}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{1f}', '\u{20}',
        '\u{85}', '\u{a0}', '\u{1680}', '\u{2000}', '\u{2001}', '\u{2002}', '\u{2003}', '\u{2004}',
        '\u{2005}', '\u{2006}', '\u{2007}', '\u{2008}', '\u{2009}', '\u{200a}', '\u{2028}', '\u{2029}',
        '\u{202f}', '\u{205f}', '\u{3000}',
    ];

    #[test]
    fn white_space_is_what_python_calls_so() {
        let spaces: Vec<char> = ('\0'..=char::MAX).filter(|character| is_python_space(*character)).collect();
        assert_eq!(spaces, PYTHON_SPACES);
    }

    #[test]
    fn names_and_addresses_are_trimmed_before_they_are_judged() {
        for space in PYTHON_SPACES {
            let name = UserName::new(format!("{space}Ada L {space}")).unwrap();
            assert_eq!((name.as_typed(), name.key()), ("Ada L", "ada l"), "{space:?}");
            let address = Email::new(format!("{space}Ada@Example.org{space}{space}")).unwrap();
            assert_eq!(
                (address.as_typed(), address.key()),
                ("Ada@Example.org", "ada@example.org"),
                "{space:?}"
            );
        }
        assert_eq!(UserName::new(format!(" {} ", "x".repeat(64))).unwrap().as_typed().len(), 64);
        assert_eq!(UserName::new(" \t "), Err(InvalidName::TooShort));
        assert_eq!(UserName::new("a\tda"), Err(InvalidName::ForbiddenCharacter));
        assert_eq!(UserName::new("ada\u{200b}"), Err(InvalidName::ForbiddenCharacter));
        assert_eq!(Email::new("ada@\u{1f}example.org"), Err(InvalidName::NotAnAddress));
    }

    #[test]
    fn an_address_has_one_at_sign_between_two_texts() {
        assert!(Email::new("ada@example.org").is_ok());
        for bad in ["ada", "@example.org", "ada@", "a@b@c", "a da@example.org"] {
            assert_eq!(Email::new(bad), Err(InvalidName::NotAnAddress), "{bad}");
        }
    }

    #[test]
    fn a_preview_counts_characters_and_not_bytes() {
        let long = "知".repeat(300);
        assert_eq!(preview(&long).chars().count(), 200);
        assert_eq!(preview("short"), "short");
    }
}
