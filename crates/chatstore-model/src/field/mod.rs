//! Fields of requests as values: what a field is called, what it may hold and what it is for.

mod text;

use std::marker::PhantomData;

use crate::{CanonicalJson, FieldCode, Keyword, Validator, VerbatimJson, limits};

pub use self::text::{FromText, TextField, TextForm, TextsField};

/// The application's own data.
pub const METADATA: JsonField = JsonField {
    name: "metadata",
    about: "The application's own data, a maximum of 64 KiB as JSON.",
    shape: JsonShape::Object { max_bytes: limits::METADATA_BYTES },
};

/// A field that holds one of a few words.
#[derive(Debug)]
pub struct KeywordField<K> {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    value: PhantomData<fn() -> K>,
}

impl<K: Keyword> KeywordField<K> {
    /// A field for a word of the list `K`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, about: "", value: PhantomData }
    }

    /// The field with what it is for.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }
}

/// A field that is true or false.
#[derive(Debug, Clone, Copy)]
pub struct FlagField {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
}

/// A field that holds a whole number from 0, or from a smallest one, to a largest one.
#[derive(Debug, Clone, Copy)]
pub struct CountField {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The smallest number.
    pub min: i64,
    /// The largest number.
    pub max: i64,
}

impl CountField {
    /// A field for numbers from 0 to [`limits::COUNT`].
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, about: "", min: 0, max: limits::COUNT }
    }

    /// The field with a smallest number.
    #[must_use]
    pub const fn at_least(mut self, min: i64) -> Self {
        self.min = min;
        self
    }

    /// The field with a largest number.
    #[must_use]
    pub const fn at_most(mut self, max: i64) -> Self {
        self.max = max;
        self
    }

    /// The field with what it is for.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Notes a number outside the range.
    pub fn check(&self, validator: &mut Validator, count: Option<i64>) {
        let Self { name, about: _, min, max } = self;
        if count.is_some_and(|count| !(*min..=*max).contains(&count)) {
            validator.wrong(name, FieldCode::OutOfRange, format!("must be from {min} to {max}"));
        }
    }
}

/// A field that holds a list of whole numbers from 0 to [`limits::COUNT`].
#[derive(Debug, Clone, Copy)]
pub struct CountsField {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What one item is.
    pub item: &'static str,
    /// The maximum number of items.
    pub max: usize,
}

impl CountsField {
    /// A field for a list of no items.
    #[must_use]
    pub const fn new(name: &'static str, item: &'static str) -> Self {
        Self { name, about: "", item, max: 0 }
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

/// What is wrong with a list of more items than it may have.
fn too_many(items: usize, max: usize, item: &str) -> Option<(FieldCode, String)> {
    let plural = if item.ends_with('s') { "es" } else { "s" };
    (items > max).then(|| (FieldCode::TooLong, format!("must have at most {max} {item}{plural}")))
}

/// A field that holds JSON of the application's own.
#[derive(Debug, Clone, Copy)]
pub struct JsonField {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What it must hold.
    pub shape: JsonShape,
}

/// What the JSON of a field must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonShape {
    /// Any value.
    Any,
    /// An object of a maximum number of bytes as JSON.
    Object {
        /// The maximum.
        max_bytes: usize,
    },
    /// A list of a maximum number of texts and objects.
    TextsAndObjects {
        /// The maximum.
        max_items: usize,
    },
}

impl JsonField {
    /// The field with what it is for.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Notes every rule that `json` breaks.
    pub fn check(&self, validator: &mut Validator, json: Option<&CanonicalJson>) {
        let Some(json) = json else { return };
        validator.json(self.name, json);
        if let Some((code, message)) = self.shape.problem(json) {
            validator.wrong(self.name, code, message);
        }
    }
}

impl JsonShape {
    fn problem(self, json: &CanonicalJson) -> Option<(FieldCode, String)> {
        let wrong_type = |message: &str| Some((FieldCode::WrongType, message.to_owned()));
        match self {
            Self::Any => None,
            Self::Object { .. } if !json.is_object() => wrong_type("must be an object"),
            Self::Object { max_bytes } if json.as_str().len() > max_bytes => {
                Some((FieldCode::TooLong, format!("must have at most {} bytes as JSON", grouped(max_bytes))))
            }
            Self::Object { .. } => None,
            Self::TextsAndObjects { max_items } => {
                let Some(items) = json.list_items() else { return wrong_type("must be a list") };
                let (mut count, mut is_allowed) = (0, true);
                for first in items {
                    count += 1;
                    is_allowed &= first == b'"' || is_object(first);
                }
                if count > max_items {
                    return Some((FieldCode::TooLong, format!("must have at most {max_items} items")));
                }
                if is_allowed { None } else { wrong_type("must hold only texts and objects") }
            }
        }
    }
}

/// A field that holds a list of objects, whose text is kept as it is.
#[derive(Debug, Clone, Copy)]
pub struct VerbatimField {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// The maximum number of bytes.
    pub max_bytes: usize,
}

impl VerbatimField {
    /// Notes every rule that `json` breaks.
    pub fn check(&self, validator: &mut Validator, json: Option<&VerbatimJson>) {
        let Some(json) = json else { return };
        if !json.list_items().is_some_and(|mut items| items.all(is_object)) {
            validator.wrong(self.name, FieldCode::WrongType, "must be a list of objects");
        }
        validator.depth(self.name, json.depth());
        if json.as_str().len() > self.max_bytes {
            let message = format!("must have at most {} bytes as JSON", grouped(self.max_bytes));
            validator.wrong(self.name, FieldCode::TooLong, message);
        }
    }
}

/// Whether the value that begins with this byte is an object.
const fn is_object(first: u8) -> bool {
    first == b'{'
}

/// A number with its thousands separated, as messages show large ones.
pub(crate) fn grouped(number: usize) -> String {
    match number / 1_000 {
        0 => number.to_string(),
        thousands => format!("{},{:03}", grouped(thousands), number % 1_000),
    }
}

/// A field that holds a list of objects of the API.
#[derive(Debug, Clone, Copy)]
pub struct ListField {
    /// Its name.
    pub name: &'static str,
    /// What one item is.
    pub item: &'static str,
    /// The minimum number of items.
    pub min: usize,
    /// The maximum number of items.
    pub max: usize,
}

impl ListField {
    /// Notes too few or too many items.
    pub fn check(&self, validator: &mut Validator, items: usize) {
        if let Some((code, message)) = self.problem(items) {
            validator.wrong(self.name, code, message);
        }
    }

    /// What is wrong with this number of items.
    #[must_use]
    pub fn problem(&self, items: usize) -> Option<(FieldCode, String)> {
        let Self { name: _, item, min, max } = self;
        let code = match items {
            items if items < *min => FieldCode::TooShort,
            items if items > *max => FieldCode::TooLong,
            _ => return None,
        };
        Some((code, format!("must have {min} to {max} {item}s")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_limit_follows_the_limit() {
        let mut validator = Validator::default();
        TextField::new("title").at_most(2).check(&mut validator, Some("abc"));
        let shape = JsonShape::Object { max_bytes: 1_048_576 };
        JsonField { name: "metadata", about: "", shape }.check(
            &mut validator,
            Some(&CanonicalJson::parse(&format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20))).unwrap()),
        );
        ListField { name: "messages", item: "message", min: 1, max: 2 }.check(&mut validator, 3);
        assert_eq!(
            validator.finish().unwrap_err().to_string(),
            "title: must have at most 2 characters; metadata: must have at most 1,048,576 bytes as JSON; \
             messages: must have 1 to 2 messages"
        );
    }
}
