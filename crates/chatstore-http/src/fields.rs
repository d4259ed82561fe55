//! Reading a JSON object field by field, so that one answer names everything that is wrong with it.

use chatstore::{Change, FieldCode, FieldError, Invalid, Json};
use serde_json::{Map, Value};

/// The fields of a JSON object. Each reader takes a field out by its name and notes what is wrong with
/// it; what nobody took is unknown.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// The path to the object, with its dot.
    prefix: String,
    values: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of a request's body.
    pub(crate) fn of_body(body: Value) -> Self {
        match body {
            Value::Object(values) => Self { values, ..Self::default() },
            _ => {
                let mut fields = Self::default();
                fields.wrong("body", FieldCode::WrongType, "must be an object");
                fields
            }
        }
    }

    /// Whether there is such a field.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether the object itself could not be read.
    pub(crate) fn are_broken(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Notes a wrong field.
    pub(crate) fn wrong(&mut self, name: &str, code: FieldCode, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: format!("{}{name}", self.prefix),
            code,
            message: message.into(),
        });
    }

    /// Takes over what a check of the read values found.
    pub(crate) fn note(&mut self, checked: Result<(), Invalid>) {
        if let Err(Invalid(errors)) = checked {
            for error in errors {
                self.wrong(&error.field, error.code, error.message);
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> String {
        if !self.has(name) {
            self.wrong(name, FieldCode::Required, "must be given");
        }
        self.text(name).unwrap_or_default()
    }

    /// A text that may be left out but not be null.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name, "must be a text", as_text)
    }

    /// A text that may be null.
    pub(crate) fn nullable_text(&mut self, name: &str) -> Change<String> {
        self.take_nullable(name, "must be a text or null", as_text)
    }

    /// A text of a form of its own, or null.
    pub(crate) fn nullable_parsed<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(String) -> Result<T, (FieldCode, String)>,
    ) -> Change<T> {
        match self.nullable_text(name) {
            Change::Keep => Change::Keep,
            Change::Clear => Change::Clear,
            Change::Set(text) => match read(text) {
                Ok(value) => Change::Set(value),
                Err((code, message)) => {
                    self.wrong(name, code, message);
                    Change::Keep
                }
            },
        }
    }

    /// A text that is one of a few words.
    pub(crate) fn word<T>(&mut self, name: &str, words: &str, read: fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name)?;
        let word = read(&text);
        if word.is_none() {
            self.wrong(name, FieldCode::NotAllowed, format!("must be one of {words}"));
        }
        word
    }

    /// True or false.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.take(name, "must be true or false", |value| value.as_bool().ok_or(FieldCode::WrongType))
    }

    /// A whole number that may be null.
    pub(crate) fn nullable_count(&mut self, name: &str) -> Change<i64> {
        self.take_nullable(name, "must be a whole number from 0 to 9007199254740991, or null", as_integer)
    }

    /// Any JSON but null.
    pub(crate) fn json(&mut self, name: &str) -> Option<Json> {
        match self.nullable_json(name) {
            Change::Set(json) => Some(json),
            Change::Keep => None,
            Change::Clear => {
                self.wrong(name, FieldCode::WrongType, "must not be null");
                None
            }
        }
    }

    /// Any JSON, null for none.
    pub(crate) fn nullable_json(&mut self, name: &str) -> Change<Json> {
        self.take_nullable(name, "must not contain the NUL character (U+0000)", |value| {
            Json::new(value).map_err(|_| FieldCode::NulCharacter)
        })
    }

    /// An object of our own.
    pub(crate) fn object<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let value = self.values.remove(name)?;
        self.inner(name, value, read)
    }

    /// A list of objects of our own; `None` when it is left out or no list.
    pub(crate) fn objects<T: Default>(&mut self, name: &str, read: fn(&mut Self) -> T) -> Option<Vec<T>> {
        let Value::Array(items) = self.values.remove(name)? else {
            self.wrong(name, FieldCode::WrongType, "must be a list");
            return None;
        };
        let mut objects = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            // What is no object keeps its place, so that later items keep their numbers.
            objects.push(self.inner(&format!("{name}[{index}]"), item, read).unwrap_or_default());
        }
        Some(objects)
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
        for name in std::mem::take(&mut self.values).keys() {
            self.wrong(name, FieldCode::UnknownField, "is not a field of this request");
        }
        self.errors
    }

    fn inner<T>(&mut self, name: &str, value: Value, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let Value::Object(values) = value else {
            self.wrong(name, FieldCode::WrongType, "must be an object");
            return None;
        };
        let mut inner = Self { prefix: format!("{}{name}.", self.prefix), values, errors: Vec::new() };
        let object = read(&mut inner);
        self.errors.extend(inner.finish());
        Some(object)
    }

    fn take<T>(
        &mut self,
        name: &str,
        rule: &str,
        read: impl FnOnce(Value) -> Result<T, FieldCode>,
    ) -> Option<T> {
        let read = read(self.values.remove(name)?);
        read.map_err(|code| self.wrong(name, code, rule)).ok()
    }

    fn take_nullable<T>(
        &mut self,
        name: &str,
        rule: &str,
        read: impl FnOnce(Value) -> Result<T, FieldCode>,
    ) -> Change<T> {
        if self.values.get(name).is_some_and(Value::is_null) {
            self.values.remove(name);
            return Change::Clear;
        }
        self.take(name, rule, read).map_or(Change::Keep, Change::Set)
    }
}

fn as_text(value: Value) -> Result<String, FieldCode> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(FieldCode::WrongType),
    }
}

/// A whole number however it is spelled: `3`, `3.0` and `3e0` are one value.
fn as_integer(value: Value) -> Result<i64, FieldCode> {
    let Value::Number(number) = value else { return Err(FieldCode::WrongType) };
    if let Some(integer) = number.as_i64() {
        return Ok(integer);
    }
    match number.as_f64() {
        Some(float) if float.fract() != 0.0 => Err(FieldCode::WrongType),
        Some(float) if float.abs() <= chatstore::limits::COUNT as f64 => Ok(float as i64),
        _ => Err(FieldCode::OutOfRange),
    }
}

/// The value of a field whose null means the same as leaving it out.
pub(crate) fn value_of<T>(change: Change<T>) -> Option<T> {
    match change {
        Change::Set(value) => Some(value),
        Change::Keep | Change::Clear => None,
    }
}
