//! What the description of the API says everywhere, so that no handler has to: a body may be left out where it may be
//! empty, and a service key names its user.

use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::{Components, ObjectBuilder, OpenApi, PathItem, RefOr, Required, Schema, Type};

use crate::schema::parameter;

/// Completes the description that the handlers provide: no body at all is an empty object, which is taken where
/// nothing is required.
pub(crate) fn complete(mut openapi: OpenApi) -> OpenApi {
    let Some(components) = &openapi.components else { return openapi };
    for operation in openapi.paths.paths.values_mut().flat_map(operations_mut) {
        let Some(RefOr::T(body)) = &mut operation.request_body else { continue };
        if name_of(body).is_some_and(|name| requires_nothing(components, name)) {
            body.required = Some(Required::False);
        }
    }
    openapi
}

/// The name of the schema of a body.
fn name_of(body: &RequestBody) -> Option<&str> {
    let RefOr::T(content) = body.content.get("application/json")? else { return None };
    let Some(RefOr::Ref(reference)) = &content.schema else { return None };
    reference.ref_location.strip_prefix("#/components/schemas/")
}

fn requires_nothing(components: &Components, name: &str) -> bool {
    let schema = components.schemas.get(name);
    matches!(schema, Some(RefOr::T(Schema::Object(object))) if object.required.is_empty())
}

/// Says of all operations that a service key acts for a user by them.
pub(crate) fn add_acting_user(openapi: &mut OpenApi) {
    for operation in openapi.paths.paths.values_mut().flat_map(operations_mut) {
        operation.parameters.get_or_insert_default().push(acting_user().into());
    }
}

fn acting_user() -> Parameter {
    let about = "For service keys only: the user that the request acts for, as `<id>`, `<short id>`, `name:NAME`, \
                 `email:ADDRESS` or `anonymous`.";
    let text = ObjectBuilder::new().schema_type(Type::String);
    parameter("Chatstore-User", ParameterIn::Header, about, text)
        .example(Some("email:ada@example.org".into()))
        .build()
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}
