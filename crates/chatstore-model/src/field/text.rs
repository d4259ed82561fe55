//! Fields that hold texts.

use std::marker::PhantomData;

use super::too_many;
use crate::{FieldCode, Id, Timestamp, Validator};

/// A field that holds a text from which a `T` is read.
#[derive(Debug)]
pub struct TextField<T = String> {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The minimum number of characters.
    pub min: usize,
    /// The maximum number of characters; `None` when only the request's size bounds it.
    pub max: Option<usize>,
    /// What its text must look like.
    pub form: TextForm,
    value: PhantomData<fn() -> T>,
}

/// What the text of a field must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    /// Any text.
    Any,
    /// A text without control characters.
    NoControls,
    /// Visible ASCII characters alone.
    Visible,
    /// Letters and digits of ASCII, and `.`, `_`, `:` and `-`.
    Label,
    /// An e-mail address, with or without white space around it.
    Address,
    /// A password.
    Password,
    /// An instant in RFC 3339.
    Time,
}

impl TextForm {
    /// The form as a regular expression of JSON Schema, when it has one.
    #[must_use]
    pub const fn pattern(self) -> Option<&'static str> {
        match self {
            Self::NoControls => Some(r"^[^\x00-\x1f\x7f-\x9f]+$"),
            Self::Visible => Some("^[!-~]+$"),
            Self::Label => Some("^[A-Za-z0-9._:-]+$"),
            Self::Address => Some(r"^\s*[^@\s]+@[^@\s]+\s*$"),
            Self::Any | Self::Password | Self::Time => None,
        }
    }

    /// What is wrong with a text. NUL is reported as such, and what is read from the text of the other
    /// forms knows their rules.
    fn problem(self, text: &str) -> Option<&'static str> {
        let is_control = |character: char| character.is_control() && character != '\0';
        match self {
            Self::NoControls if text.chars().any(is_control) => Some("must not contain control characters"),
            Self::Visible if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Some("must contain visible ASCII characters only")
            }
            Self::Label if !text.bytes().all(is_of_label) => {
                Some("must contain letters and digits of ASCII, `.`, `_`, `:` and `-` only")
            }
            _ => None,
        }
    }

    /// The form as a format of JSON Schema, when it has one.
    #[must_use]
    pub const fn format(self) -> Option<&'static str> {
        match self {
            Self::Password => Some("password"),
            Self::Time => Some("date-time"),
            Self::Any | Self::NoControls | Self::Visible | Self::Label | Self::Address => None,
        }
    }
}

impl<T> TextField<T> {
    /// A field for any text, bounded only by the request's size.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, about: "", min: 0, max: None, form: TextForm::Any, value: PhantomData }
    }

    /// The field by another name.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The field with a minimum number of characters.
    #[must_use]
    pub const fn at_least(mut self, min: usize) -> Self {
        self.min = min;
        self
    }

    /// The field with a maximum number of characters.
    #[must_use]
    pub const fn at_most(mut self, max: usize) -> Self {
        self.max = Some(max);
        self
    }

    /// The field for text of this form.
    #[must_use]
    pub const fn formed(mut self, form: TextForm) -> Self {
        self.form = form;
        self
    }

    /// The field with what it is for.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }
}

impl TextField {
    /// Notes every rule that `text` breaks.
    pub fn check(&self, validator: &mut Validator, text: Option<&str>) {
        let Some(text) = text else { return };
        if text.chars().take(self.min).count() < self.min {
            validator.wrong(self.name, FieldCode::TooShort, too_short(self.min));
        }
        validator.no_nul(self.name, text);
        if let Some(max) = self.max
            && text.len() > max
            && text.chars().count() > max
        {
            validator.wrong(self.name, FieldCode::TooLong, format!("must have at most {max} characters"));
        }
        if let Some(message) = self.form.problem(text) {
            validator.wrong(self.name, FieldCode::InvalidFormat, message);
        }
    }

    /// Whether `text` breaks no rule.
    #[must_use]
    pub fn takes(&self, text: &str) -> bool {
        let mut validator = Validator::default();
        self.check(&mut validator, Some(text));
        validator.finish().is_ok()
    }
}

const fn is_of_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-')
}

fn too_short(min: usize) -> String {
    if min == 1 { "must not be empty".to_owned() } else { format!("must have at least {min} characters") }
}

/// A field that holds a list of texts, from each of which a `T` is read.
#[derive(Debug)]
pub struct TextsField<T = String> {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What one item is.
    pub item: &'static str,
    /// The maximum number of items.
    pub max: usize,
    value: PhantomData<fn() -> T>,
}

impl<T> TextsField<T> {
    /// A field for a list of no items.
    #[must_use]
    pub const fn new(name: &'static str, item: &'static str) -> Self {
        Self { name, about: "", item, max: 0, value: PhantomData }
    }

    /// The field with a maximum number of items.
    #[must_use]
    pub const fn at_most(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// The field with what it is for.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Notes too many items.
    pub fn check(&self, validator: &mut Validator, items: usize) {
        if let Some((code, message)) = self.problem(items) {
            validator.wrong(self.name, code, message);
        }
    }

    /// What is wrong with this number of items.
    #[must_use]
    pub fn problem(&self, items: usize) -> Option<(FieldCode, String)> {
        too_many(items, self.max, self.item)
    }
}

/// What can be read from the text of a field.
pub trait FromText: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with the text, for programs and for people.
    fn from_text(text: String) -> Result<Self, (FieldCode, String)>;
}

impl FromText for String {
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        Ok(text)
    }
}

impl<K> FromText for Id<K> {
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        text.parse().map_err(|_| (FieldCode::InvalidFormat, "must be a UUID or a short id".to_owned()))
    }
}

impl FromText for Timestamp {
    fn from_text(text: String) -> Result<Self, (FieldCode, String)> {
        let message = "must be a time like 2026-03-01T12:00:00Z (RFC 3339)";
        text.parse().map_err(|_| (FieldCode::InvalidFormat, message.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Invalid;

    fn codes(field: &TextField, text: &str) -> Vec<FieldCode> {
        let mut validator = Validator::default();
        field.check(&mut validator, Some(text));
        match validator.finish() {
            Ok(()) => Vec::new(),
            Err(Invalid(errors)) => errors.into_iter().map(|error| error.code).collect(),
        }
    }

    #[test]
    fn the_length_of_a_text_is_counted_in_characters() {
        let field = TextField::new("title").at_least(2).at_most(3);
        assert_eq!(codes(&field, "知"), [FieldCode::TooShort]);
        assert_eq!(codes(&field, "知知"), []);
        assert_eq!(codes(&field, "知知知"), []);
        assert_eq!(codes(&field, "知知知知"), [FieldCode::TooLong]);
        assert_eq!(codes(&field, "a"), [FieldCode::TooShort]);
        assert_eq!(codes(&field, "abcd"), [FieldCode::TooLong]);
    }

    #[test]
    fn a_text_breaks_several_rules_at_once() {
        let field = TextField::new("thread_id").at_most(3).formed(TextForm::NoControls);
        assert_eq!(
            codes(&field, "a\0\tbc"),
            [FieldCode::NulCharacter, FieldCode::TooLong, FieldCode::InvalidFormat]
        );
    }
}
