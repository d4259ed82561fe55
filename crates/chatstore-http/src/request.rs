//! What an object in a request is: one list of fields, which is read from JSON (`fields`) and written into the
//! description of the API (`schema`).

use chatstore::{Change, FieldCode, ListField};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::openapi::{RefOr, Schema};

/// A schema with the name by which others refer to it.
pub(crate) type NamedSchema = (String, RefOr<Schema>);

/// An object in a request: the fields that it is read with, from which its schema follows too.
pub(crate) trait RequestObject {
    /// Its name in the description of the API.
    const NAME: &'static str;

    /// What it is for.
    const ABOUT: &'static str;

    /// What is read from it, as yet unchecked.
    type Draft;

    /// An example of it.
    fn example() -> Option<Value> {
        None
    }

    /// Reads the fields. Every call reads the same fields in the same order, whatever their values are.
    fn read(fields: &mut impl ReadFields) -> Self::Draft;
}

/// The fields of an object, which are read from a request or written into a schema.
pub(crate) trait ReadFields {
    /// Whether there is such a field.
    fn has(&self, name: &str) -> bool;

    /// Notes a wrong field.
    fn wrong(&mut self, name: &str, code: FieldCode, message: &str);

    /// A field that must be there.
    fn required<F: Field>(&mut self, field: &F) -> F::Value
    where
        F::Value: Default;

    /// A field that may be left out but not be null.
    fn given<F: Field>(&mut self, field: &F) -> Option<F::Value>;

    /// A field that may be left out but not be null, and what it is then.
    fn given_or<F: Field>(&mut self, field: &F, default: F::Value) -> F::Value
    where
        F::Value: Serialize;

    /// A field that may be left out or null.
    fn nullable<F: Field>(&mut self, field: &F) -> Change<F::Value>;

    /// A field that may be left out or null, which is the same.
    fn optional<F: Field>(&mut self, field: &F) -> Option<F::Value> {
        match self.nullable(field) {
            Change::Set(value) => Some(value),
            Change::Keep | Change::Clear => None,
        }
    }

    /// An object of the API, which may be left out.
    fn object<T: RequestObject>(&mut self, name: &str) -> Option<T::Draft>;

    /// A list of objects of the API, which must be there.
    fn objects<T: RequestObject>(&mut self, list: &ListField) -> Vec<T::Draft>;

    /// A list of objects of the API, which may be left out.
    fn given_objects<T: RequestObject>(&mut self, list: &ListField) -> Option<Vec<T::Draft>>;
}

/// A field of a request.
pub(crate) trait Field: FieldSchema {
    /// What is read from it.
    type Value;

    /// Reads it; messages say so where null would be allowed.
    fn read(&self, value: &RawValue, is_nullable: bool) -> Result<Self::Value, (FieldCode, String)>;
}

/// The schema of a field.
pub(crate) trait FieldSchema {
    /// The name of the field.
    fn name(&self) -> &'static str;

    /// What the field takes.
    fn schema(&self, is_nullable: bool, default: Option<Value>) -> RefOr<Schema>;

    /// The schema that the field's refers to.
    fn named(&self) -> Option<NamedSchema> {
        None
    }
}
