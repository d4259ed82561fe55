//! Names that must be unique, and the preview of a conversation.

use std::fmt;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;

use crate::FieldCode;

/// A conversation's `last_message` is at most so many characters (Unicode scalar values) of its
/// newest message.
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
    /// Fewer than 3 characters after trimming.
    #[error("must have at least 3 characters")]
    TooShort,
    /// More than 64 characters, or 254 of an e-mail address.
    #[error("is too long")]
    TooLong,
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
            Self::TooLong => FieldCode::TooLong,
            Self::Nul => FieldCode::NulCharacter,
            Self::ForbiddenCharacter | Self::NotAnAddress => FieldCode::InvalidFormat,
        }
    }
}

/// A user name as typed, with the key by which it is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName {
    typed: String,
    key: String,
}

impl UserName {
    /// Checks a new name: 3 to 64 characters, none of them control, bidirectional-control,
    /// zero-width or private-use. The built-in user's, `anonymous`, is always taken.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(typed: impl Into<String>) -> Result<Self, InvalidName> {
        let typed = typed.into();
        let key = Self::key_of(&typed);
        if typed.contains('\0') {
            return Err(InvalidName::Nul);
        }
        let length = python_strip(&typed).chars().count();
        if length < 3 {
            return Err(InvalidName::TooShort);
        }
        if typed.chars().count() > 64 {
            return Err(InvalidName::TooLong);
        }
        if typed.chars().any(is_forbidden) {
            return Err(InvalidName::ForbiddenCharacter);
        }
        Ok(Self { typed, key })
    }

    /// The key a name is looked up by, whether or not the name would be allowed.
    #[must_use]
    pub fn key_of(typed: &str) -> String {
        folded(typed)
    }

    /// As it was typed.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// The key by which it is unique.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// An e-mail address as typed, with the key by which it is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    typed: String,
    key: String,
}

impl Email {
    /// Checks an address: at most 254 characters, one `@`, text on both sides, no blanks.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(typed: impl Into<String>) -> Result<Self, InvalidName> {
        let typed = typed.into();
        if typed.contains('\0') {
            return Err(InvalidName::Nul);
        }
        if typed.chars().count() > 254 {
            return Err(InvalidName::TooLong);
        }
        let sides: Vec<&str> = typed.split('@').collect();
        let is_address =
            matches!(sides.as_slice(), [local, domain] if !local.is_empty() && !domain.is_empty());
        if !is_address || typed.chars().any(char::is_whitespace) {
            return Err(InvalidName::NotAnAddress);
        }
        if typed.chars().any(is_forbidden) {
            return Err(InvalidName::ForbiddenCharacter);
        }
        let key = Self::key_of(&typed);
        Ok(Self { typed, key })
    }

    /// The key an address is looked up by, whether or not it would be allowed.
    #[must_use]
    pub fn key_of(typed: &str) -> String {
        folded(typed)
    }

    /// As it was typed.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// The key by which it is unique.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.typed)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.typed)
    }
}

/// NFKC(casefold(NFKC(strip(name)))), as the systems whose users move here computed it.
fn folded(typed: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfkc();
    let composed = normalizer.normalize(python_strip(typed));
    let folded = CaseMapper::new().fold_string(&composed);
    normalizer.normalize(&folded).into_owned()
}

/// Python's `str.strip`: white space, and the separators U+001C to U+001F which Rust's `trim` keeps.
fn python_strip(text: &str) -> &str {
    text.trim_matches(|character: char| {
        character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
    })
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
        assert_eq!(UserName::new("x".repeat(65)), Err(InvalidName::TooLong));
        assert!(UserName::new("x".repeat(64)).is_ok());
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
