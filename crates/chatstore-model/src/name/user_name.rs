//! The name of a user.

use std::fmt;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;

use super::characters::{refuse_forbidden, to_look_up, trimmed};
use super::invalid::InvalidName;
use crate::{FieldCode, FromText, limits};

/// A user name as typed, with the key by which it is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName {
    typed: String,
    key: String,
}

impl UserName {
    /// Checks a new name after trimming it like Python's `str.strip`: 3 to 64 characters, none of them
    /// control, bidirectional-control, zero-width or private-use. A zero-width joiner or non-joiner is
    /// allowed where the script of the letters around it wants one (RFC 5892, CONTEXTJ). The built-in
    /// user's, `anonymous`, is always taken.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(typed: impl AsRef<str>) -> Result<Self, InvalidName> {
        Self::with_minimum(typed.as_ref(), limits::USERNAME_MIN)
    }

    /// Checks a name that its user has in another application: one character is enough, else as
    /// [`new`](Self::new).
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn imported(typed: impl AsRef<str>) -> Result<Self, InvalidName> {
        Self::with_minimum(typed.as_ref(), 1)
    }

    fn with_minimum(typed: &str, min: usize) -> Result<Self, InvalidName> {
        let typed = trimmed(typed, limits::USERNAME)?;
        if typed.chars().take(min).count() < min {
            return Err(InvalidName::TooShort { min });
        }
        refuse_forbidden(typed)?;
        Ok(Self { typed: typed.to_owned(), key: Self::key_of(typed) })
    }

    /// The key a name is looked up by, whether or not the name would be allowed:
    /// NFKC(casefold(NFKC(strip(name)))), as the systems whose users move here computed it. A text too long
    /// for any name gets the empty key, which no user has.
    #[must_use]
    pub fn key_of(typed: &str) -> String {
        let Some(typed) = to_look_up(typed) else { return String::new() };
        let normalizer = ComposingNormalizerBorrowed::new_nfkc();
        let composed = normalizer.normalize(typed);
        let folded = CaseMapper::new().fold_string(&composed);
        normalizer.normalize(&folded).into_owned()
    }

    /// As it was typed, without white space around it.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// The key by which it is unique.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it could be taken for an e-mail address. No key without `@` is one of an address.
    #[must_use]
    pub fn may_be_an_address(&self) -> bool {
        self.key.contains('@')
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_typed())
    }
}

impl FromText for UserName {
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        Self::new(text).map_err(|error| (error.code(), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOO_SHORT: InvalidName = InvalidName::TooShort { min: 3 };

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
            (" ab ", TOO_SHORT),
            (" \t ", TOO_SHORT),
            ("a\0da", InvalidName::Nul),
            ("a\tda", InvalidName::ForbiddenCharacter),
            ("a\u{202e}da", InvalidName::ForbiddenCharacter),
            ("ada\u{200b}", InvalidName::ForbiddenCharacter),
            ("ada\u{fe0f}", InvalidName::ForbiddenCharacter),
            ("a\u{3164}da", InvalidName::ForbiddenCharacter),
            ("ada\u{e0061}", InvalidName::ForbiddenCharacter),
        ] {
            assert_eq!(UserName::new(name), Err(error), "{name:?}");
        }
        assert_eq!(UserName::new("x".repeat(65)), Err(InvalidName::TooLong { max: 64 }));
        assert!(UserName::new("x".repeat(64)).is_ok());
    }

    #[test]
    fn an_imported_name_may_be_short() {
        for name in ["jo", "李娜", "x"] {
            assert_eq!(UserName::imported(name).map(|name| name.typed), Ok(name.to_owned()));
            assert_eq!(UserName::new(name), Err(TOO_SHORT));
        }
        assert_eq!(UserName::imported(" \t"), Err(InvalidName::TooShort { min: 1 }));
        assert_eq!(UserName::imported("j\u{200b}"), Err(InvalidName::ForbiddenCharacter));
    }

    #[test]
    fn a_name_that_may_be_an_address_is_known_in_every_width() {
        for name in ["bob@example.org", "bob＠example.org", "bob﹫example.org", "@bob"] {
            assert!(UserName::new(name).unwrap().may_be_an_address(), "{name}");
        }
        assert!(!UserName::new("bob at example.org").unwrap().may_be_an_address());
    }
}
