//! How people and programs name a user.

use std::borrow::Cow;
use std::str::FromStr;

use chatstore_model::{ExternalId, Namespace, UserId};
use percent_encoding::percent_decode_str;

/// How a user is named: `<id>`, `<short id>`, `name:NAME`, `email:ADDRESS`, `ext:ID` where a namespace is known, or
/// `anonymous` for the built-in user. What follows `name:`, `email:` and `ext:` is percent-encoded UTF-8, in which every
/// other character stands for itself; a `%` is written `%25`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UserReference {
    /// By id.
    Id(UserId),
    /// By name, however it is spelled.
    Username(String),
    /// By e-mail address, however it is spelled.
    Email(String),
    /// By the id in another system.
    External(ExternalId),
    /// The built-in user, to whom anonymous conversations belong.
    Anonymous,
}

/// A text that names no user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUserReference {
    /// It has none of the forms.
    #[error("must be a user's id or short id, name:NAME, email:ADDRESS, ext:ID or anonymous")]
    Form,
    /// It has a `%` that begins no escape, or escapes that are not UTF-8.
    #[error("must be UTF-8, percent-encoded where needed; a % itself is written %25")]
    Encoding,
    /// It names a user by `ext:`, and no namespace says whose id that is.
    #[error("must not use ext:, because this key has no namespace; create one with `key create --provision`")]
    NoNamespace,
    /// The id after `ext:` breaks a rule.
    #[error("the id after ext: {0}")]
    ExternalId(String),
}

impl UserReference {
    /// Reads a reference; ids after `ext:` are those of this namespace.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str, namespace: Option<&Namespace>) -> Result<Self, InvalidUserReference> {
        if text == "anonymous" {
            return Ok(Self::Anonymous);
        }
        let Some((kind, encoded)) = text.split_once(':') else {
            return text.parse().map(Self::Id).map_err(|_| InvalidUserReference::Form);
        };
        if !matches!(kind, "name" | "email" | "ext") || encoded.is_empty() {
            return Err(InvalidUserReference::Form);
        }
        let decoded = decode(encoded)?.into_owned();
        match kind {
            "name" => Ok(Self::Username(decoded)),
            "email" => Ok(Self::Email(decoded)),
            _ => {
                let namespace = namespace.ok_or(InvalidUserReference::NoNamespace)?;
                let id = ExternalId::new(namespace.clone(), decoded);
                id.map(Self::External).map_err(|(_, message)| InvalidUserReference::ExternalId(message))
            }
        }
    }
}

impl FromStr for UserReference {
    type Err = InvalidUserReference;

    fn from_str(text: &str) -> Result<Self, InvalidUserReference> {
        Self::parse(text, None)
    }
}

/// Percent-encoded text. Nothing is guessed: a `%` that begins no escape is an error, so that one text never names two
/// users.
fn decode(encoded: &str) -> Result<Cow<'_, str>, InvalidUserReference> {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !encoded.split('%').skip(1).all(is_escape) {
        return Err(InvalidUserReference::Encoding);
    }
    let decoded = percent_decode_str(encoded).decode_utf8().map_err(|_| InvalidUserReference::Encoding)?;
    if decoded.contains('\0') { Err(InvalidUserReference::Encoding) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shop() -> Namespace {
        Namespace::new("shop").unwrap()
    }

    #[test]
    fn a_user_is_named_in_six_ways() {
        let id = UserId::from_uuid(uuid::Uuid::from_u128(7));
        assert_eq!(id.to_string().parse(), Ok(UserReference::Id(id)));
        assert_eq!(id.short().parse(), Ok(UserReference::Id(id)));
        assert_eq!("name:Ada: B".parse(), Ok(UserReference::Username("Ada: B".to_owned())));
        assert_eq!("email:a@b.org".parse(), Ok(UserReference::Email("a@b.org".to_owned())));
        assert_eq!("anonymous".parse(), Ok(UserReference::Anonymous));
        let external = ExternalId::new(shop(), "auth0|7").unwrap();
        assert_eq!(UserReference::parse("ext:auth0|7", Some(&shop())), Ok(UserReference::External(external)));
        for text in ["", "ada", "name:", "email:", "ext:", "phone:1", "Name:ada"] {
            assert_eq!(
                UserReference::parse(text, Some(&shop())),
                Err(InvalidUserReference::Form),
                "{text:?}"
            );
        }
        assert_eq!("ext:7".parse::<UserReference>(), Err(InvalidUserReference::NoNamespace));
    }

    #[test]
    fn percent_encoding_is_decoded_once_and_never_guessed() {
        for (text, name) in [
            ("name:zo%C3%AB", "zoë"),
            ("name:zoë", "zoë"),
            ("name:%61da", "ada"),
            ("name:50%25", "50%"),
            ("name:50%2525", "50%25"),
            ("name:a+b", "a+b"),
            ("name:a%3Ab", "a:b"),
        ] {
            assert_eq!(text.parse(), Ok(UserReference::Username(name.to_owned())), "{text}");
        }
        assert_eq!("email:ada%40example.org".parse(), Ok(UserReference::Email("ada@example.org".to_owned())));
        for text in
            ["name:50%", "name:50%2", "name:50%zz", "name:%C3", "name:%FF", "email:%E4da", "name:a%00b"]
        {
            assert_eq!(text.parse::<UserReference>(), Err(InvalidUserReference::Encoding), "{text}");
        }
    }

    #[test]
    fn an_external_id_keeps_its_rules_behind_its_encoding() {
        for text in ["ext:a%0Ab".to_owned(), format!("ext:{}", "a".repeat(256))] {
            let refused = UserReference::parse(&text, Some(&shop()));
            assert!(matches!(refused, Err(InvalidUserReference::ExternalId(_))), "{text}: {refused:?}");
        }
    }

    proptest! {
        #[test]
        fn an_encoded_name_is_read_back(name in "[^\0]{1,40}") {
            let encoded = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
            prop_assert_eq!(format!("name:{encoded}").parse(), Ok(UserReference::Username(name)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(name|email|ext|\\PC{0,3})?:?(%[0-9A-Fa-f]?|\\PC){0,20}") {
            let _ = UserReference::parse(&text, Some(&shop()));
        }
    }
}
