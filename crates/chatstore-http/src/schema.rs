//! Schemas for the description of the API, built from the fields that requests are read with.

use std::borrow::Cow;
use std::marker::PhantomData;

use chatstore::fields::HEAD;
use chatstore::{
    ApiKeyScope, Change, ConversationRole, ConversationSort, CountField, CountsField, FlagField, JsonField,
    JsonShape, Keyword, KeywordField, ListField, LogLevel, MessageNameField, MessageRole, Order,
    ResponseScope, RouteGroup, TextField, TextsField, UserRole, VerbatimField, limits,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, OneOfBuilder, RefBuilder, SchemaFormat, SchemaType,
};
use utoipa::openapi::{KnownFormat, ObjectBuilder, Ref, RefOr, Required, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::fields::HeadField;
use crate::request::{Field, FieldSchema, NamedSchema, ReadFields, RequestObject};

/// Defines an object of requests: its name, what is read from it, the function that reads it, and an example. The
/// first line of its documentation describes it in the HTTP API as well.
macro_rules! request_object {
    (
        #[doc = $about:literal]
        $name:ident: $draft:ty = $read:path $(, $example:tt)?
    ) => {
        #[doc = $about]
        #[derive(Debug)]
        pub(crate) struct $name;

        impl $crate::request::RequestObject for $name {
            const NAME: &'static str = stringify!($name);
            const ABOUT: &'static str = $about.trim_ascii_start();

            type Draft = $draft;

            $(fn example() -> Option<serde_json::Value> {
                Some(serde_json::json!($example))
            })?

            fn read(fields: &mut impl $crate::request::ReadFields) -> $draft {
                $read(fields)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $crate::schema::schema_of::<Self>()
            }
        }

        impl utoipa::ToSchema for $name {
            fn schemas(schemas: &mut Vec<$crate::request::NamedSchema>) {
                schemas.extend($crate::schema::schemas_in::<Self>());
            }
        }
    };
}

pub(crate) use request_object;

/// The schema of an object: the fields that it is read with, and no others.
#[expect(deprecated, reason = "the derives of answers write `example` too")]
pub(crate) fn schema_of<T: RequestObject>() -> RefOr<Schema> {
    let mut describer = Describer::default();
    T::read(&mut describer);
    let object = describer.object.description(Some(T::ABOUT)).example(T::example());
    object.additional_properties(Some(AdditionalProperties::FreeForm(false))).into()
}

/// The schemas that the schema of an object refers to.
pub(crate) fn schemas_in<T: RequestObject>() -> Vec<NamedSchema> {
    let mut describer = Describer::default();
    T::read(&mut describer);
    describer.named
}

/// Writes down the fields that an object is read with.
#[derive(Default)]
struct Describer {
    object: ObjectBuilder,
    named: Vec<NamedSchema>,
}

impl Describer {
    fn property(&mut self, name: &str, schema: RefOr<Schema>) {
        self.object = std::mem::take(&mut self.object).property(name, schema);
    }

    fn require(&mut self, name: &str) {
        self.object = std::mem::take(&mut self.object).required(name);
    }

    fn field<F: FieldSchema>(&mut self, field: &F, is_nullable: bool, default: Option<Value>) {
        self.named.extend(field.named());
        self.property(field.name(), field.schema(is_nullable, default));
    }

    fn refer_to<T: RequestObject>(&mut self) -> Ref {
        self.named.push((T::NAME.to_owned(), schema_of::<T>()));
        self.named.extend(schemas_in::<T>());
        Ref::from_schema_name(T::NAME)
    }
}

impl ReadFields for Describer {
    fn has(&self, _name: &str) -> bool {
        false
    }

    fn wrong(&mut self, _name: &str, _code: chatstore::FieldCode, _message: &str) {}

    fn required<F: Field>(&mut self, field: &F) -> F::Value
    where
        F::Value: Default,
    {
        self.field(field, false, None);
        self.require(field.name());
        F::Value::default()
    }

    fn given<F: Field>(&mut self, field: &F) -> Option<F::Value> {
        self.field(field, false, None);
        None
    }

    fn given_or<F: Field>(&mut self, field: &F, default: F::Value) -> F::Value
    where
        F::Value: Serialize,
    {
        self.field(field, false, serde_json::to_value(&default).ok());
        default
    }

    fn nullable<F: Field>(&mut self, field: &F) -> Change<F::Value> {
        self.field(field, true, None);
        Change::Keep
    }

    fn object<T: RequestObject>(&mut self, name: &str) -> Option<T::Draft> {
        let reference = RefBuilder::from(self.refer_to::<T>()).description(Some(T::ABOUT)).build();
        self.property(name, RefOr::Ref(reference));
        None
    }

    fn objects<T: RequestObject>(&mut self, list: &ListField) -> Vec<T::Draft> {
        self.require(list.name);
        self.given_objects::<T>(list).unwrap_or_default()
    }

    fn given_objects<T: RequestObject>(&mut self, list: &ListField) -> Option<Vec<T::Draft>> {
        let items = self.refer_to::<T>();
        let array = ArrayBuilder::new().items(items).min_items(Some(list.min)).max_items(Some(list.max));
        self.property(list.name, array.into());
        None
    }
}

fn type_of(plain: Type, is_nullable: bool) -> SchemaType {
    if is_nullable { SchemaType::Array(vec![plain, Type::Null]) } else { SchemaType::Type(plain) }
}

/// A description, unless it is empty, and what the field is when it is left out: as `default` of the schema it would
/// make generated clients require the field.
fn about(text: &'static str, default: Option<Value>) -> Option<String> {
    let default = default.map(|value| {
        let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("`{word}` when it is left out.")
    });
    let sentences: Vec<String> =
        Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().chain(default).collect();
    Some(sentences.join(" ")).filter(|text| !text.is_empty())
}

impl<T> FieldSchema for TextField<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, is_nullable: bool, default: Option<Value>) -> RefOr<Schema> {
        let object = text_schema(self).schema_type(type_of(Type::String, is_nullable));
        object.description(about(self.about, default)).into()
    }
}

fn text_schema<T>(field: &TextField<T>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(field.form.format().map(|format| SchemaFormat::Custom(format.to_owned())))
        .pattern(field.form.pattern())
        .min_length(Some(field.min).filter(|min| *min > 0))
        .max_length(field.max)
}

impl<T> FieldSchema for TextsField<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, is_nullable: bool, _default: Option<Value>) -> RefOr<Schema> {
        let list = ArrayBuilder::new().schema_type(type_of(Type::Array, is_nullable));
        let items = ObjectBuilder::new().schema_type(Type::String);
        list.items(items).max_items(Some(self.max)).description(about(self.about, None)).into()
    }
}

impl<K: Keyword> FieldSchema for KeywordField<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, _is_nullable: bool, default: Option<Value>) -> RefOr<Schema> {
        let reference = RefBuilder::from(Ref::from_schema_name(K::NAME));
        RefOr::Ref(reference.description(about(self.about, default)).build())
    }

    fn named(&self) -> Option<NamedSchema> {
        Some((K::NAME.to_owned(), Word::<K>::schema()))
    }
}

impl FieldSchema for FlagField {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, is_nullable: bool, default: Option<Value>) -> RefOr<Schema> {
        let object = ObjectBuilder::new().schema_type(type_of(Type::Boolean, is_nullable));
        object.description(about(self.about, default)).into()
    }
}

impl FieldSchema for CountField {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, is_nullable: bool, default: Option<Value>) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(type_of(Type::Integer, is_nullable))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .description(about(self.about, default))
            .minimum(Some(self.min))
            .maximum(Some(self.max))
            .into()
    }
}

impl FieldSchema for CountsField {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, is_nullable: bool, _default: Option<Value>) -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0))
            .maximum(Some(limits::COUNT));
        list_schema(self.about, is_nullable).items(number).max_items(Some(self.max)).into()
    }
}

impl FieldSchema for MessageNameField {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, is_nullable: bool, default: Option<Value>) -> RefOr<Schema> {
        let mut types = vec![Type::String, Type::Integer];
        types.extend(is_nullable.then_some(Type::Null));
        let object = ObjectBuilder::new().schema_type(SchemaType::Array(types));
        object.description(about(self.about, default)).into()
    }
}

impl FieldSchema for HeadField {
    fn name(&self) -> &'static str {
        HEAD.name
    }

    fn schema(&self, _is_nullable: bool, _default: Option<Value>) -> RefOr<Schema> {
        let name = || ObjectBuilder::new().schema_type(SchemaType::Array(vec![Type::String, Type::Integer]));
        let under = ObjectBuilder::new().property("under", name()).required("under");
        let under = under.additional_properties(Some(AdditionalProperties::FreeForm(false)));
        OneOfBuilder::new().item(name()).item(under).description(Some(HEAD.about)).into()
    }
}

impl FieldSchema for JsonField {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, is_nullable: bool, _default: Option<Value>) -> RefOr<Schema> {
        match self.shape {
            JsonShape::Any => {
                let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
                any.description(about(self.about, None)).into()
            }
            JsonShape::Object { .. } => {
                let object = ObjectBuilder::new().schema_type(type_of(Type::Object, is_nullable));
                object.description(about(self.about, None)).into()
            }
            JsonShape::TextsAndObjects { max_items } => {
                let items = Ref::from_schema_name(UsedDocument::name());
                list_schema(self.about, is_nullable).items(items).max_items(Some(max_items)).into()
            }
        }
    }

    fn named(&self) -> Option<NamedSchema> {
        matches!(self.shape, JsonShape::TextsAndObjects { .. })
            .then(|| (UsedDocument::name().into_owned(), UsedDocument::schema()))
    }
}

impl FieldSchema for VerbatimField {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self, is_nullable: bool, _default: Option<Value>) -> RefOr<Schema> {
        list_schema(self.about, is_nullable).items(ObjectBuilder::new()).into()
    }
}

fn list_schema(text: &'static str, is_nullable: bool) -> ArrayBuilder {
    ArrayBuilder::new().schema_type(type_of(Type::Array, is_nullable)).description(about(text, None))
}

/// A word of the list `K`.
pub(crate) struct Word<K>(PhantomData<K>);

impl<K: Keyword> PartialSchema for Word<K> {
    fn schema() -> RefOr<Schema> {
        let words: Vec<&str> = K::ALL.iter().map(|word| word.as_str()).collect();
        let object = ObjectBuilder::new().schema_type(Type::String).description(Some(K::ABOUT));
        object.enum_values(Some(words)).into()
    }
}

impl<K: Keyword> ToSchema for Word<K> {
    fn name() -> Cow<'static, str> {
        K::NAME.into()
    }
}

/// A document that a message drew on: a text or an object.
#[derive(Debug)]
pub(crate) struct UsedDocument;

// Written out because the derive has no schema of two types.
impl PartialSchema for UsedDocument {
    fn schema() -> RefOr<Schema> {
        let types = SchemaType::Array(vec![Type::String, Type::Object]);
        ObjectBuilder::new().schema_type(types).description(Some("A text or an object.")).into()
    }
}

impl ToSchema for UsedDocument {}

/// A parameter of a request.
pub(crate) fn parameter(
    name: &str,
    place: ParameterIn,
    about: &str,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    let is_required = if place == ParameterIn::Path { Required::True } else { Required::False };
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(is_required);
    parameter.description(Some(about)).schema(Some(schema))
}

/// A text parameter of a request.
pub(crate) fn text_parameter<T>(
    field: &TextField<T>,
    place: ParameterIn,
    about: &str,
    example: Option<Value>,
) -> Parameter {
    parameter(field.name, place, about, text_schema(field)).example(example).build()
}

// The derives of responses and parameters take a name here: they would add the parameter of `Word` to it.

/// A word for whom an API key speaks.
pub(crate) type ApiKeyScopeWord = Word<ApiKeyScope>;

/// A word for a role in a conversation.
pub(crate) type ConversationRoleWord = Word<ConversationRole>;

/// A word for what a list of conversations is sorted by.
pub(crate) type ConversationSortWord = Word<ConversationSort>;

/// A word for the level of an event.
pub(crate) type LogLevelWord = Word<LogLevel>;

/// A word for the role of a message.
pub(crate) type MessageRoleWord = Word<MessageRole>;

/// A word for the direction of a list.
pub(crate) type OrderWord = Word<Order>;

/// A word for who finds a cached response.
pub(crate) type ResponseScopeWord = Word<ResponseScope>;

/// A word for what a route is about.
pub(crate) type RouteGroupWord = Word<RouteGroup>;

/// A word for the role of a user.
pub(crate) type UserRoleWord = Word<UserRole>;
