//! Reading a JSON object field by field, so that one answer names everything that is wrong with it.

use std::collections::BTreeMap;
use std::fmt;

use chatstore::fields::HEAD;
use chatstore::{
    CanonicalJson, Change, CountField, CountsField, Duplicates, FieldCode, FieldError, FlagField, FromText,
    IntoValid, Invalid, InvalidJson, JsonField, JsonShape, Keyword, KeywordField, ListField, MessageName,
    MessageNameField, NewHead, TextField, TextsField, Valid, Validate, VerbatimField, VerbatimJson, limits,
};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::error::MAX_ERRORS;
use crate::request::{Field, ReadFields, RequestObject};

/// The body of a request, of which a service is given what is valid.
pub(crate) trait RequestBody {
    /// What the service is given.
    type Input;

    /// Reads the fields and checks what was read.
    fn accept(fields: &mut Fields<'_>) -> Result<Self::Input, Invalid>;
}

impl<T: RequestObject> RequestBody for T
where
    T::Draft: Validate,
{
    type Input = Valid<T::Draft>;

    fn accept(fields: &mut Fields<'_>) -> Result<Self::Input, Invalid> {
        T::read(fields).into_valid()
    }
}

/// The body of a request that is complete without one.
#[derive(Debug)]
pub(crate) struct NoFields;

impl RequestObject for NoFields {
    const NAME: &'static str = "NoFields";
    const ABOUT: &'static str = "";

    type Draft = ();

    fn read(_fields: &mut impl ReadFields) {}
}

impl<T: FromText> Field for TextField<T> {
    type Value = T;

    fn read(&self, value: &RawValue, is_nullable: bool) -> Result<T, (FieldCode, String)> {
        match text(value) {
            Some(text) => T::from_text(text),
            None => Err(wrong_type("must be a text", is_nullable)),
        }
    }
}

impl<T: FromText> Field for TextsField<T> {
    type Value = Vec<T>;

    fn read(&self, value: &RawValue, is_nullable: bool) -> Result<Vec<T>, (FieldCode, String)> {
        let wrong_type = || wrong_type("must be a list of texts", is_nullable);
        let count = serde_json::from_str::<Vec<IgnoredAny>>(value.get()).map_err(|_| wrong_type())?.len();
        if let Some(problem) = self.problem(count) {
            return Err(problem);
        }
        let texts: Vec<String> = serde_json::from_str(value.get()).map_err(|_| wrong_type())?;
        let items = texts.into_iter().enumerate().map(|(index, text)| {
            T::from_text(text).map_err(|(code, message)| (code, format!("item {}: {message}", index + 1)))
        });
        items.collect()
    }
}

impl<K: Keyword> Field for KeywordField<K> {
    type Value = K;

    fn read(&self, value: &RawValue, is_nullable: bool) -> Result<K, (FieldCode, String)> {
        let Some(text) = text(value) else { return Err(wrong_type("must be a text", is_nullable)) };
        K::parse(&text).ok_or_else(|| (FieldCode::NotAllowed, format!("must be one of {}", K::words())))
    }
}

impl Field for FlagField {
    type Value = bool;

    fn read(&self, value: &RawValue, is_nullable: bool) -> Result<bool, (FieldCode, String)> {
        serde_json::from_str(value.get()).map_err(|_| wrong_type("must be true or false", is_nullable))
    }
}

impl Field for CountField {
    type Value = i64;

    fn read(&self, value: &RawValue, is_nullable: bool) -> Result<i64, (FieldCode, String)> {
        let or_null = if is_nullable { ", or null" } else { "" };
        let message = format!("must be a whole number from {} to {}{or_null}", self.min, self.max);
        integer(value).map_err(|code| (code, message))
    }
}

impl Field for CountsField {
    type Value = Vec<i64>;

    fn read(&self, value: &RawValue, is_nullable: bool) -> Result<Vec<i64>, (FieldCode, String)> {
        let wrong_type = || wrong_type("must be a list of whole numbers", is_nullable);
        let count = serde_json::from_str::<Vec<IgnoredAny>>(value.get()).map_err(|_| wrong_type())?.len();
        if let Some(problem) = self.problem(count) {
            return Err(problem);
        }
        let items: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| wrong_type())?;
        let items = items.into_iter().map(|item| match integer(item) {
            Ok(number) if (0..=limits::COUNT).contains(&number) => Ok(number),
            Err(FieldCode::WrongType) => Err(wrong_type()),
            _ => Err((FieldCode::OutOfRange, format!("must be numbers from 0 to {}", limits::COUNT))),
        });
        items.collect()
    }
}

impl Field for MessageNameField {
    type Value = MessageName;

    fn read(&self, value: &RawValue, is_nullable: bool) -> Result<MessageName, (FieldCode, String)> {
        if let Some(text) = text(value) {
            return self.parse(&text);
        }
        match integer(value) {
            Ok(seq) if seq >= 0 => Ok(MessageName::Seq(seq)),
            _ => Err(wrong_type(Self::RULE, is_nullable)),
        }
    }
}

/// The field for another head of a conversation: a message, or the one of which the newest below becomes the head.
#[derive(Debug)]
pub(crate) struct HeadField;

/// The only field of the object that names a message from above.
const UNDER: MessageNameField = MessageNameField { name: "under", about: "" };

impl Field for HeadField {
    type Value = NewHead;

    fn read(&self, value: &RawValue, is_nullable: bool) -> Result<NewHead, (FieldCode, String)> {
        let Some(fields) = object(value) else { return HEAD.read(value, is_nullable).map(NewHead::Message) };
        match fields.first_key_value() {
            Some((name, value)) if fields.len() == 1 && name == UNDER.name => {
                UNDER.read(value, false).map(NewHead::Under)
            }
            _ => {
                Err(wrong_type("must name a message, or be an object with nothing but `under`", is_nullable))
            }
        }
    }
}

impl Field for JsonField {
    type Value = CanonicalJson;

    fn read(&self, value: &RawValue, _is_nullable: bool) -> Result<CanonicalJson, (FieldCode, String)> {
        if is_null(value) && self.shape != JsonShape::Any {
            return Err(wrong_type("must not be null", false));
        }
        CanonicalJson::parse_with(value.get(), Duplicates::LastCounts).map_err(|error| match error {
            InvalidJson::Nul => {
                let message = "must not contain the NUL character (U+0000)";
                (FieldCode::NulCharacter, message.to_owned())
            }
            InvalidJson::Number(_) => (FieldCode::OutOfRange, error.to_string()),
            InvalidJson::Malformed(reason) => (FieldCode::InvalidFormat, reason),
        })
    }
}

impl Field for VerbatimField {
    type Value = VerbatimJson;

    fn read(&self, value: &RawValue, _is_nullable: bool) -> Result<VerbatimJson, (FieldCode, String)> {
        if is_null(value) {
            return Err(wrong_type("must not be null", false));
        }
        Ok(VerbatimJson::from(value))
    }
}

/// Fields of an object in a request that are kept; those of this API have fewer, so that one with more is refused
/// whatever the others are.
const MAX_FIELDS: usize = 128;

/// The fields of a value, if it is an object.
pub(crate) fn object(value: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(value.get()).ok().map(|FewFields(fields)| fields)
}

/// The first fields of an object.
struct FewFields<'b>(BTreeMap<String, &'b RawValue>);

impl<'de> Deserialize<'de> for FewFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = FewFields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<FewFields<'de>, A::Error> {
        let mut fields = BTreeMap::new();
        while fields.len() < MAX_FIELDS
            && let Some((name, value)) = entries.next_entry::<String, &RawValue>()?
        {
            fields.insert(name, value);
        }
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(FewFields(fields))
    }
}

/// A value that is a text.
fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

fn wrong_type(rule: &str, is_nullable: bool) -> (FieldCode, String) {
    let or_null = if is_nullable { " or null" } else { "" };
    (FieldCode::WrongType, format!("{rule}{or_null}"))
}

/// A whole number however it is written: `3`, `3.0` and `3e0` are one value.
fn integer(value: &RawValue) -> Result<i64, FieldCode> {
    let number: Number = serde_json::from_str(value.get()).map_err(|_| FieldCode::WrongType)?;
    if let Some(integer) = number.as_i64() {
        return Ok(integer);
    }
    match number.as_f64() {
        Some(float) if float.fract() != 0.0 => Err(FieldCode::WrongType),
        Some(float) if float.abs() <= limits::COUNT as f64 => Ok(float as i64),
        _ => Err(FieldCode::OutOfRange),
    }
}

/// The fields of a JSON object. Each reader takes a field out and notes what is wrong with it; a field that
/// is left over is unknown.
#[derive(Debug, Default)]
pub(crate) struct Fields<'b> {
    /// The path to the object, with its dot.
    prefix: String,
    /// Each as the text it is: as a tree it would take up to a hundred times as much memory.
    values: BTreeMap<String, &'b RawValue>,
    errors: Vec<FieldError>,
}

impl<'b> Fields<'b> {
    /// The fields of a request's body.
    pub(crate) fn of_body(values: BTreeMap<String, &'b RawValue>) -> Self {
        Self { values, ..Self::default() }
    }

    /// Takes over what a check of the read values found. A field that could not be read is not judged again.
    pub(crate) fn note(&mut self, Invalid(errors): Invalid) {
        let unread: Vec<String> = self.errors.iter().map(|error| error.field.clone()).collect();
        self.add(errors.into_iter().filter(|error| !unread.contains(&error.field)));
    }

    /// Notes errors, up to as many as an answer names.
    fn add(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        let rest = MAX_ERRORS.saturating_sub(self.errors.len());
        self.errors.extend(errors.into_iter().take(rest));
    }

    /// Everything that is wrong, unknown fields last. A field that was given and refused is not reported as
    /// missing as well.
    pub(crate) fn finish(mut self) -> Vec<FieldError> {
        let refused: Vec<String> = self
            .errors
            .iter()
            .filter(|error| error.code != FieldCode::Required)
            .map(|error| error.field.clone())
            .collect();
        self.errors.retain(|error| error.code != FieldCode::Required || !refused.contains(&error.field));
        for name in std::mem::take(&mut self.values).keys().take(MAX_ERRORS) {
            self.wrong(name, FieldCode::UnknownField, "is not a field of this request");
        }
        self.errors
    }

    fn inner<T: RequestObject>(&mut self, name: &str, value: &RawValue) -> Option<T::Draft> {
        let Some(values) = object(value) else {
            self.wrong(name, FieldCode::WrongType, "must be an object");
            return None;
        };
        let mut inner = Fields { prefix: format!("{}{name}.", self.prefix), values, errors: Vec::new() };
        let object = T::read(&mut inner);
        self.add(inner.finish());
        Some(object)
    }

    fn take<F: Field>(&mut self, field: &F, is_nullable: bool) -> Option<F::Value> {
        let read = field.read(self.values.remove(field.name())?, is_nullable);
        read.map_err(|(code, message)| self.wrong(field.name(), code, &message)).ok()
    }
}

impl ReadFields for Fields<'_> {
    fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    fn wrong(&mut self, name: &str, code: FieldCode, message: &str) {
        let field = format!("{}{name}", self.prefix);
        self.add([FieldError { field, code, message: message.to_owned() }]);
    }

    fn required<F: Field>(&mut self, field: &F) -> F::Value
    where
        F::Value: Default,
    {
        if !self.has(field.name()) {
            self.wrong(field.name(), FieldCode::Required, "must be given");
        }
        self.take(field, false).unwrap_or_default()
    }

    fn given<F: Field>(&mut self, field: &F) -> Option<F::Value> {
        self.take(field, false)
    }

    fn given_or<F: Field>(&mut self, field: &F, default: F::Value) -> F::Value
    where
        F::Value: Serialize,
    {
        self.take(field, false).unwrap_or(default)
    }

    fn nullable<F: Field>(&mut self, field: &F) -> Change<F::Value> {
        if self.values.get(field.name()).is_some_and(|value| is_null(value)) {
            self.values.remove(field.name());
            return Change::Clear;
        }
        self.take(field, true).map_or(Change::Keep, Change::Set)
    }

    fn object<T: RequestObject>(&mut self, name: &str) -> Option<T::Draft> {
        let value = self.values.remove(name)?;
        self.inner::<T>(name, value)
    }

    fn given_objects<T: RequestObject>(&mut self, list: &ListField) -> Option<Vec<T::Draft>> {
        self.has(list.name).then(|| self.objects::<T>(list))
    }

    fn objects<T: RequestObject>(&mut self, list: &ListField) -> Vec<T::Draft> {
        let Some(value) = self.values.remove(list.name) else {
            self.wrong(list.name, FieldCode::Required, "must be given");
            return Vec::new();
        };
        let Ok(count) = serde_json::from_str::<Vec<IgnoredAny>>(value.get()) else {
            self.wrong(list.name, FieldCode::WrongType, "must be a list");
            return Vec::new();
        };
        if let Some((code, message)) = list.problem(count.len()) {
            self.wrong(list.name, code, &message);
            return Vec::new();
        }
        let items: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
        let numbered = items.into_iter().enumerate();
        let read = numbered.map(|(index, item)| {
            // What is no object keeps its place, so that later items keep their numbers.
            self.inner::<T>(&format!("{}[{index}]", list.name), item)
                .unwrap_or_else(|| T::read(&mut Self::default()))
        });
        read.collect()
    }
}
