//! How people and programs name a user.

use std::str::FromStr;

use chatstore_model::UserId;

/// How a user is named: `<id>`, `<short id>`, `name:NAME`, `email:ADDRESS`, or `anonymous` for the built-in
/// user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UserReference {
    /// By id.
    Id(UserId),
    /// By name, however it is spelled.
    Username(String),
    /// By e-mail address, however it is spelled.
    Email(String),
    /// The built-in user, to whom anonymous conversations belong.
    Anonymous,
}

/// A text that names no user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a user's id or short id, name:NAME, email:ADDRESS or anonymous")]
pub struct InvalidUserReference;

impl FromStr for UserReference {
    type Err = InvalidUserReference;

    fn from_str(text: &str) -> Result<Self, InvalidUserReference> {
        if text.contains('\0') {
            return Err(InvalidUserReference);
        }
        if text == "anonymous" {
            return Ok(Self::Anonymous);
        }
        match text.split_once(':') {
            Some(("name", name)) if !name.is_empty() => Ok(Self::Username(name.to_owned())),
            Some(("email", email)) if !email.is_empty() => Ok(Self::Email(email.to_owned())),
            Some(_) => Err(InvalidUserReference),
            None => text.parse().map(Self::Id).map_err(|_| InvalidUserReference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_in_five_ways() {
        let id = UserId::from_uuid(uuid::Uuid::from_u128(7));
        assert_eq!(id.to_string().parse(), Ok(UserReference::Id(id)));
        assert_eq!(id.short().parse(), Ok(UserReference::Id(id)));
        assert_eq!("name:Ada: B".parse(), Ok(UserReference::Username("Ada: B".to_owned())));
        assert_eq!("email:a@b.org".parse(), Ok(UserReference::Email("a@b.org".to_owned())));
        assert_eq!("anonymous".parse(), Ok(UserReference::Anonymous));
        for text in ["", "ada", "name:", "email:", "phone:1", "name:a\0b"] {
            assert_eq!(text.parse::<UserReference>(), Err(InvalidUserReference), "{text:?}");
        }
    }
}
