//! Schemas as programs that generate clients need them: each is written out once, and an object whose fields the
//! application chooses says so.

use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, SchemaType};
use utoipa::openapi::{Components, Object, OpenApi, Ref, RefOr, Schema, Type};

use super::operations_mut;

/// Refers to a schema that has a name wherever it is repeated, writes out objects that others are part of, and lets objects
/// without described fields have any.
pub(super) fn complete(openapi: &mut OpenApi) {
    let Some(components) = &mut openapi.components else { return };
    write_out_combined(components);
    refer_to_named(components);
    for schema in components.schemas.values_mut() {
        visit(schema, &mut let_have_any_fields);
    }
    for operation in openapi.paths.paths.values_mut().flat_map(operations_mut) {
        for response in operation.responses.responses.values_mut() {
            let RefOr::T(response) = response else { continue };
            for content in response.content.values_mut() {
                let RefOr::T(content) = content else { continue };
                if let Some(schema) = &mut content.schema {
                    visit(schema, &mut let_have_any_fields);
                }
            }
        }
    }
}

/// Writes an object out that is described as several objects together. Of a field that two of them have, generators
/// understand only that the later describes it.
fn write_out_combined(components: &mut Components) {
    let written: Vec<(String, Object)> = components
        .schemas
        .iter()
        .filter_map(|(name, schema)| Some((name.clone(), written_out(schema, components)?)))
        .collect();
    components.schemas.extend(written.into_iter().map(|(name, object)| (name, object.into())));
}

fn written_out(schema: &RefOr<Schema>, components: &Components) -> Option<Object> {
    let RefOr::T(Schema::AllOf(all_of)) = schema else { return None };
    let mut whole: Option<Object> = None;
    for part in &all_of.items {
        let RefOr::T(Schema::Object(part)) = resolved(part, components)? else { return None };
        let Some(whole) = &mut whole else {
            whole = Some(part.clone());
            continue;
        };
        whole.properties.extend(part.properties.clone());
        let more = part.required.iter().filter(|name| !whole.required.contains(name)).cloned();
        let more: Vec<String> = more.collect();
        whole.required.extend(more);
    }
    let mut whole = whole?;
    whole.description.clone_from(&all_of.description);
    whole.example.clone_from(&all_of.example);
    Some(whole)
}

fn resolved<'c>(schema: &'c RefOr<Schema>, components: &'c Components) -> Option<&'c RefOr<Schema>> {
    let RefOr::Ref(reference) = schema else { return Some(schema) };
    components.schemas.get(reference.ref_location.strip_prefix("#/components/schemas/")?)
}

fn refer_to_named(components: &mut Components) {
    let named: Vec<(String, RefOr<Schema>)> = components
        .schemas
        .iter()
        .filter(|(_, schema)| is_described(schema))
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    for schema in components.schemas.values_mut() {
        let RefOr::T(schema) = schema else { continue };
        for part in parts_mut(schema) {
            visit(part, &mut |part| {
                if let Some((name, _)) = named.iter().find(|(_, known)| known == part) {
                    *part = RefOr::Ref(Ref::from_schema_name(name));
                }
            });
        }
    }
}

/// Whether a schema says so much that an equal one is the same, rather than alike by chance.
fn is_described(schema: &RefOr<Schema>) -> bool {
    let RefOr::T(Schema::Object(object)) = schema else { return false };
    !object.properties.is_empty() || object.enum_values.is_some()
}

fn let_have_any_fields(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    if may_be_object(object) && object.properties.is_empty() && object.additional_properties.is_none() {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
    }
}

fn may_be_object(object: &Object) -> bool {
    match &object.schema_type {
        SchemaType::Type(plain) => *plain == Type::Object,
        SchemaType::Array(types) => types.contains(&Type::Object),
        SchemaType::AnyValue => false,
    }
}

/// Applies a change to a schema, then to those in it.
fn visit(schema: &mut RefOr<Schema>, change: &mut impl FnMut(&mut RefOr<Schema>)) {
    change(schema);
    let RefOr::T(schema) = schema else { return };
    for part in parts_mut(schema) {
        visit(part, change);
    }
}

fn parts_mut(schema: &mut Schema) -> Vec<&mut RefOr<Schema>> {
    match schema {
        Schema::Object(object) => object.properties.values_mut().collect(),
        Schema::Array(array) => match &mut array.items {
            ArrayItems::RefOrSchema(items) => vec![items.as_mut()],
            ArrayItems::False => Vec::new(),
        },
        Schema::OneOf(one_of) => one_of.items.iter_mut().collect(),
        Schema::AllOf(all_of) => all_of.items.iter_mut().collect(),
        Schema::AnyOf(any_of) => any_of.items.iter_mut().collect(),
        _ => Vec::new(),
    }
}
