//! What the description of the API says everywhere, so that no handler has to: requests take no unknown
//! fields and may be empty where nothing is required, and a service key names its user.

use std::collections::BTreeSet;

use serde_json::json;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems};
use utoipa::openapi::{Components, ObjectBuilder, OpenApi, PathItem, RefOr, Required, Schema, Type};

/// Completes the description that the handlers provide.
pub(crate) fn complete(mut openapi: OpenApi) -> OpenApi {
    let mut requests = BTreeSet::new();
    for item in openapi.paths.paths.values() {
        for operation in operations(item) {
            requests.extend(body_of(operation));
        }
    }
    if let Some(components) = &mut openapi.components {
        let optional = deny_unknown_fields(components, requests);
        for item in openapi.paths.paths.values_mut() {
            for operation in operations_mut(item) {
                relax_body(operation, &optional);
            }
        }
    }
    openapi
}

/// Says of all operations that a service key acts for a user by them.
pub(crate) fn add_acting_user(openapi: &mut OpenApi) {
    for item in openapi.paths.paths.values_mut() {
        for operation in operations_mut(item) {
            operation.parameters.get_or_insert_default().push(RefOr::T(acting_user()));
        }
    }
}

fn acting_user() -> Parameter {
    ParameterBuilder::new()
        .name("Chatstore-User")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "For service keys only: the user that the request acts for, as `<id>`, `<short id>`, `name:NAME`, \
             `email:ADDRESS` or `anonymous`.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .example(Some(json!("email:ada@example.org")))
        .build()
}

fn operations(item: &PathItem) -> impl Iterator<Item = &Operation> {
    [&item.get, &item.put, &item.post, &item.patch, &item.delete].into_iter().flatten()
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// The name of the schema of an operation's body.
fn body_of(operation: &Operation) -> Option<String> {
    let Some(RefOr::T(body)) = &operation.request_body else { return None };
    let RefOr::T(content) = body.content.get("application/json")? else { return None };
    content.schema.as_ref().and_then(name_of)
}

fn name_of(schema: &RefOr<Schema>) -> Option<String> {
    match schema {
        RefOr::Ref(reference) => {
            reference.ref_location.strip_prefix("#/components/schemas/").map(str::to_owned)
        }
        RefOr::T(_) => None,
    }
}

/// Denies unknown fields in the schemas of requests and of the objects in them; the names of those that require
/// nothing.
fn deny_unknown_fields(components: &mut Components, requests: BTreeSet<String>) -> BTreeSet<String> {
    let mut optional = BTreeSet::new();
    let mut waiting: Vec<String> = requests.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        match components.schemas.get_mut(&name) {
            Some(RefOr::T(Schema::Object(object))) if !object.properties.is_empty() => {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
                if object.required.is_empty() {
                    optional.insert(name);
                }
                waiting.extend(object.properties.values().flat_map(names_in));
            }
            Some(RefOr::T(Schema::OneOf(one_of))) => waiting.extend(one_of.items.iter().flat_map(names_in)),
            _ => {}
        }
    }
    optional
}

/// The names of the schemas that a schema refers to.
fn names_in(schema: &RefOr<Schema>) -> Vec<String> {
    match schema {
        RefOr::T(Schema::Array(array)) => match &array.items {
            ArrayItems::RefOrSchema(items) => names_in(items),
            ArrayItems::False => Vec::new(),
        },
        RefOr::T(Schema::OneOf(one_of)) => one_of.items.iter().flat_map(names_in).collect(),
        other => name_of(other).into_iter().collect(),
    }
}

/// No body at all is an empty object, which is taken where nothing is required.
fn relax_body(operation: &mut Operation, optional: &BTreeSet<String>) {
    let is_optional = body_of(operation).is_some_and(|name| optional.contains(&name));
    if let (true, Some(RefOr::T(body))) = (is_optional, &mut operation.request_body) {
        body.required = Some(Required::False);
    }
}
