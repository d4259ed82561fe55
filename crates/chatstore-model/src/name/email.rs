//! The e-mail address of a user.

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::characters::{is_python_space, refuse_forbidden, to_look_up, trimmed};
use super::invalid::InvalidName;
use super::user_name::UserName;
use crate::{FieldCode, FromText, limits};

/// An e-mail address as typed, with the key by which it is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    typed: String,
    key: String,
}

impl Email {
    /// Checks an address after trimming it like Python's `str.strip`: a maximum of 254 characters, one
    /// `@`, text on both sides, no blanks.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(typed: impl AsRef<str>) -> Result<Self, InvalidName> {
        let typed = trimmed(typed.as_ref(), limits::EMAIL)?;
        let sides: Vec<&str> = typed.split('@').collect();
        let is_address =
            matches!(sides.as_slice(), [local, domain] if !local.is_empty() && !domain.is_empty());
        if !is_address || typed.chars().any(is_python_space) {
            return Err(InvalidName::NotAnAddress);
        }
        refuse_forbidden(typed)?;
        Ok(Self { typed: typed.to_owned(), key: Self::key_of(typed) })
    }

    /// The key an address is looked up by, whether or not it would be allowed: NFC and lower case, and the
    /// domain in the ASCII form of IDNA 2008 (UTS 46, not transitional), so that `ß` is not `ss`. Nothing
    /// else is folded: two letters that a mail server tells apart may belong to two people. A domain that is none
    /// by these rules is treated like the text before it. A text too long for any address gets the empty key, which
    /// no user has.
    #[must_use]
    pub fn key_of(typed: &str) -> String {
        let Some(trimmed) = to_look_up(typed) else { return String::new() };
        let Some((local, domain)) = trimmed.rsplit_once('@') else { return lowered(trimmed) };
        let ascii =
            Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Ignore);
        match ascii {
            Ok(domain) => format!("{}@{domain}", lowered(local)),
            Err(_) => format!("{}@{}", lowered(local), lowered(domain)),
        }
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

    /// Whether a user name is this address, in any spelling of it.
    #[must_use]
    pub fn is_named_by(&self, name: &UserName) -> bool {
        Self::key_of(name.as_typed()) == self.key
    }
}

/// NFC, lower-cased.
fn lowered(text: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfc();
    normalizer.normalize(&normalizer.normalize(text).to_lowercase()).into_owned()
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_typed())
    }
}

impl FromText for Email {
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        Self::new(text).map_err(|error| (error.code(), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_is_too_long_for_a_name_is_nobodys() {
        let decomposed = "\u{1112}\u{1161}\u{11ab}".repeat(64);
        assert_eq!(UserName::key_of(&decomposed), UserName::new("\u{d55c}".repeat(64)).unwrap().key());
        let blanks = " ".repeat(10_000);
        assert_eq!(UserName::key_of(&format!("{blanks}ada{blanks}")), "ada");
        for long in ["x".repeat(1_025), format!("ada{blanks}x"), "\u{fdfa}".repeat(342)] {
            assert_eq!((UserName::key_of(&long), Email::key_of(&long)), (String::new(), String::new()));
        }
    }

    #[test]
    fn an_address_has_one_at_sign_between_two_texts() {
        assert!(Email::new("ada@example.org").is_ok());
        for bad in ["ada", "@example.org", "ada@", "a@b@c", "a da@example.org", "ada@\u{1f}example.org"] {
            assert_eq!(Email::new(bad), Err(InvalidName::NotAnAddress), "{bad}");
        }
        assert_eq!(Email::new("a\u{200c}da@example.org"), Err(InvalidName::ForbiddenCharacter));
    }

    #[test]
    fn spellings_of_one_address_share_a_key() {
        for (one, other) in [
            ("Ada@Example.org", " ada@EXAMPLE.ORG\u{1f}"),
            ("Zoë@example.org", "ZOE\u{308}@example.org"),
            ("x@straße.example", "x@xn--strae-oqa.example"),
            ("x@BÜCHER.example", "X@bu\u{308}cher.example"),
            ("x@ｅｘａｍｐｌｅ。org", "x@example.org"),
        ] {
            assert_eq!(Email::key_of(one), Email::key_of(other), "{one} {other}");
        }
        assert_eq!(Email::key_of("X@Straße.example"), "x@xn--strae-oqa.example");
    }

    #[test]
    fn addresses_of_two_people_have_two_keys() {
        for (one, other) in [
            ("x@straße.example", "x@strasse.example"),
            ("straße@example.org", "strasse@example.org"),
            ("ａｄａ@example.org", "ada@example.org"),
            ("ﬁn@example.org", "fin@example.org"),
            ("ada\u{2460}@example.org", "ada1@example.org"),
            ("x@βόλος.example", "x@βόλοσ.example"),
        ] {
            assert_ne!(Email::key_of(one), Email::key_of(other), "{one} {other}");
        }
    }

    #[test]
    fn a_domain_that_idna_does_not_allow_keeps_its_letters() {
        assert_eq!(Email::key_of("Ada@xn--0.Example"), "ada@xn--0.example");
        assert_eq!(Email::key_of("Ada@host_1"), "ada@host_1");
        assert_eq!(Email::key_of("Ada@[192.0.2.1]"), "ada@[192.0.2.1]");
        assert_eq!(Email::key_of("Ada@bü_1"), "ada@bü_1");
        assert_eq!(Email::key_of("Ada@a.org＠b.org"), "ada@a.org＠b.org");
        assert_eq!(Email::key_of("No Address"), "no address");
    }

    #[test]
    fn a_name_is_an_address_in_any_spelling_of_it() {
        let email = Email::new("Bob@Straße.example").unwrap();
        for (name, is_address) in [
            ("bob@straße.example", true),
            ("BOB@xn--strae-oqa.example", true),
            ("bob@strasse.example", false),
            ("bob", false),
        ] {
            assert_eq!(email.is_named_by(&UserName::new(name).unwrap()), is_address, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key(
            address in prop_oneof![
                any::<String>(),
                "[\\p{Greek}\\p{M}ıİſßŉǰΣς]{1,8}@[\\p{Latin}\\p{Greek}\\p{Arabic}ß.。-]{1,12}",
            ],
        ) {
            let key = Email::key_of(&address);
            prop_assert_eq!(Email::key_of(&key), key);
        }
    }
}
