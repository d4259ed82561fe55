//! What the description of the API says everywhere, so that no handler has to: a body may be left out where it may be
//! empty, a service key names its user, what is below a conversation is below a thread too, and what is repeated is
//! described once.

mod parameters;
mod schemas;
pub(crate) mod text;

use utoipa::IntoParams as _;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::{Components, ObjectBuilder, OpenApi, PathItem, RefOr, Required, Schema, Server, Type};

use crate::path::ThreadPath;
use crate::schema::parameter;

use text::ROOT;

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
    openapi.servers = Some(vec![Server::new(ROOT)]);
    schemas::complete(&mut openapi);
    parameters::share(&mut openapi);
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
                 `email:ADDRESS` (a verified one), `ext:ID` or `anonymous`; NAME, ADDRESS and ID are percent-encoded \
                 UTF-8.";
    let text = ObjectBuilder::new().schema_type(Type::String);
    parameter("Chatstore-User", ParameterIn::Header, about, text)
        .example(Some("email:ada@example.org".into()))
        .build()
}

/// The routes below a conversation, as routes below the thread that the caller calls it.
pub(crate) fn below_thread(mut paths: Paths) -> Paths {
    let described = std::mem::take(&mut paths.paths);
    for (path, mut item) in described {
        operations_mut(&mut item).for_each(describe_below_thread);
        paths.paths.insert(path.replacen("/conversations/{id}", "/threads/{thread_id}", 1), item);
    }
    paths
}

fn describe_below_thread(operation: &mut Operation) {
    if let Some(id) = &mut operation.operation_id {
        id.push_str("_of_thread");
    }
    if let Some(summary) = &mut operation.summary {
        summary.push_str(", by the application's id of the conversation");
    }
    let parameters = operation.parameters.get_or_insert_default();
    let is_id = |one: &RefOr<Parameter>| matches!(one, RefOr::T(one) if one.name == "id");
    parameters.retain(|one| !is_id(one));
    let thread = ThreadPath::into_params(|| None).into_iter().map(RefOr::T);
    parameters.splice(0..0, thread);
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}
