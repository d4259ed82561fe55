//! Parameters that mean the same wherever they are, described once.

use std::collections::BTreeMap;

use utoipa::openapi::path::Parameter;
use utoipa::openapi::{OpenApi, Ref, RefOr};

use super::operations_mut;

/// Describes each parameter once that several operations have, if it is the same in all of them.
pub(super) fn share(openapi: &mut OpenApi) {
    let shared = shared(openapi);
    for operation in openapi.paths.paths.values_mut().flat_map(operations_mut) {
        for parameter in operation.parameters.iter_mut().flatten() {
            let RefOr::T(described) = parameter else { continue };
            if shared.contains_key(&described.name) {
                let place = format!("#/components/parameters/{}", type_name(&described.name));
                *parameter = RefOr::Ref(Ref::new(place));
            }
        }
    }
    let components = openapi.components.get_or_insert_default();
    let named = shared.into_values().map(|parameter| (type_name(&parameter.name), RefOr::T(parameter)));
    components.parameters.extend(named);
}

/// Those that all operations with a parameter of this name describe alike, by their names.
fn shared(openapi: &mut OpenApi) -> BTreeMap<String, Parameter> {
    let mut found: BTreeMap<String, (Parameter, usize)> = BTreeMap::new();
    let mut differing = Vec::new();
    for operation in openapi.paths.paths.values_mut().flat_map(operations_mut) {
        for parameter in operation.parameters.iter().flatten() {
            let RefOr::T(parameter) = parameter else { continue };
            let (first, count) =
                found.entry(parameter.name.clone()).or_insert_with(|| (parameter.clone(), 0));
            *count += 1;
            if first != parameter {
                differing.push(parameter.name.clone());
            }
        }
    }
    found.retain(|name, (_, count)| *count > 1 && !differing.contains(name));
    found.into_iter().map(|(name, (parameter, _))| (name, parameter)).collect()
}

/// The name of a parameter as that of a type: `ThreadId` of `thread_id`.
fn type_name(name: &str) -> String {
    let words = name.split(['_', '-']);
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
