//! The ids by which another system knows its users.

use std::fmt;

use crate::{FieldCode, FromText, TextField, TextForm, Validator, limits};

const NAMESPACE: TextField =
    TextField::new("namespace").at_least(1).at_most(limits::NAMESPACE).formed(TextForm::Visible);

/// The id of a user in another system.
const EXTERNAL_ID: TextField =
    TextField::new("external_id").at_least(1).at_most(limits::EXTERNAL_USER_ID).formed(TextForm::NoControls);

/// The name of a system that brings ids of its own: 1 to 64 visible ASCII characters, compared exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace(String);

impl Namespace {
    /// The namespace of this name.
    ///
    /// # Errors
    /// The first rule that it breaks, for programs and for people.
    pub fn new(text: impl Into<String>) -> Result<Self, (FieldCode, String)> {
        let text = text.into();
        first_problem(&NAMESPACE, &text)?;
        Ok(Self(text))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromText for Namespace {
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        Self::new(text)
    }
}

/// The id of a user in a system that has a namespace: 1 to 255 characters without control characters. Both are compared
/// exactly, so `Ada` and `ada` are two users.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExternalId {
    namespace: Namespace,
    id: String,
}

impl ExternalId {
    /// The id in a namespace.
    ///
    /// # Errors
    /// The first rule that the id breaks, for programs and for people.
    pub fn new(namespace: Namespace, id: impl Into<String>) -> Result<Self, (FieldCode, String)> {
        let id = id.into();
        first_problem(&EXTERNAL_ID, &id)?;
        Ok(Self { namespace, id })
    }

    /// The namespace.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

fn first_problem(field: &TextField, text: &str) -> Result<(), (FieldCode, String)> {
    let mut validator = Validator::default();
    field.check(&mut validator, Some(text));
    let Err(crate::Invalid(errors)) = validator.finish() else { return Ok(()) };
    errors.into_iter().next().map_or(Ok(()), |error| Err((error.code, error.message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_short_visible_name() {
        assert_eq!(Namespace::new("shop-1.eu").unwrap().as_str(), "shop-1.eu");
        for text in ["", "a b", "é", "a\n", &"x".repeat(65)] {
            assert!(Namespace::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_external_id_is_any_text_without_control_characters() {
        let namespace = || Namespace::new("shop").unwrap();
        for text in ["1", "Zoë / 50 %", " ", "auth0|507f1f77", &"知".repeat(255)] {
            assert_eq!(ExternalId::new(namespace(), text).unwrap().id(), text);
        }
        for text in ["", "a\0", "a\tb", &"知".repeat(256)] {
            assert!(ExternalId::new(namespace(), text).is_err(), "{text:?}");
        }
    }
}
