//! The description of the API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::future::Future;

use serde_json::Value;

const REFRESH: &str = "cargo run -p chatstore-http --example openapi > crates/chatstore-http/openapi.json";

fn description() -> Value {
    serde_json::to_value(chatstore_http::openapi()).unwrap()
}

/// What a value of the description says, which may be a reference to it.
fn resolved<'d>(description: &'d Value, value: &'d Value) -> &'d Value {
    let Some(place) = value["$ref"].as_str() else { return value };
    description.pointer(place.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{place} leads nowhere"))
}

fn parameters<'d>(description: &'d Value, operation: &'d Value) -> Vec<&'d Value> {
    let parameters = operation["parameters"].as_array().unwrap().iter();
    parameters.map(|parameter| resolved(description, parameter)).collect()
}

/// Every value in the description, with where it is.
fn walk<'d>(value: &'d Value, place: &str, visit: &mut impl FnMut(&str, &'d Value)) {
    visit(place, value);
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                walk(field, &format!("{place}/{name}"), visit);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{place}/{index}"), visit);
            }
        }
        _ => {}
    }
}

/// Method, path and description of every operation.
fn operations(description: &Value) -> Vec<(String, &Value)> {
    let paths = description["paths"].as_object().unwrap();

    let mut operations = Vec::new();
    for (path, item) in paths {
        for method in ["get", "put", "post", "patch", "delete"] {
            if let Some(operation) = item.get(method) {
                operations.push((format!("{method} {path}"), operation));
            }
        }
    }
    operations
}

#[test]
fn the_checked_in_description_is_that_of_the_routes() {
    let checked_in = include_str!("../openapi.json");
    let generated = chatstore_http::openapi().to_pretty_json().unwrap();
    assert!(
        checked_in.trim_end() == generated,
        "the API has changed; look at the difference after\n  {REFRESH}"
    );
}

#[test]
fn the_description_has_the_routes_of_this_version_and_no_others() {
    let description = description();
    let names: Vec<String> = operations(&description).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "get /api/v1/admin/cache",
            "get /api/v1/admin/cache/sessions/{user_id}",
            "delete /api/v1/admin/cache/sessions/{user_id}",
            "get /api/v1/admin/cache/sessions/{user_id}/{access_jti}",
            "delete /api/v1/admin/cache/sessions/{user_id}/{access_jti}",
            "get /api/v1/admin/cache/users/{username}",
            "delete /api/v1/admin/cache/users/{username}",
            "get /api/v1/admin/logs",
            "post /api/v1/ai-cache/hash",
            "get /api/v1/ai-cache/{hash}",
            "put /api/v1/ai-cache/{hash}",
            "delete /api/v1/ai-cache/{hash}",
            "get /api/v1/auth/api-key",
            "post /api/v1/auth/api-key/rotate",
            "get /api/v1/auth/api-keys",
            "post /api/v1/auth/api-keys",
            "delete /api/v1/auth/api-keys/{id}",
            "post /api/v1/auth/api-keys/{id}/rotate",
            "post /api/v1/auth/confirm",
            "post /api/v1/auth/login",
            "post /api/v1/auth/logout",
            "post /api/v1/auth/logout-all",
            "post /api/v1/auth/password",
            "post /api/v1/auth/refresh",
            "post /api/v1/auth/register",
            "get /api/v1/auth/sessions",
            "delete /api/v1/auth/sessions/{id}",
            "get /api/v1/conversations",
            "post /api/v1/conversations",
            "delete /api/v1/conversations",
            "get /api/v1/conversations/count",
            "get /api/v1/conversations/{id}",
            "patch /api/v1/conversations/{id}",
            "delete /api/v1/conversations/{id}",
            "post /api/v1/conversations/{id}/copies",
            "get /api/v1/conversations/{id}/members",
            "put /api/v1/conversations/{id}/members/{user_id}",
            "delete /api/v1/conversations/{id}/members/{user_id}",
            "get /api/v1/conversations/{id}/messages",
            "put /api/v1/conversations/{id}/messages",
            "post /api/v1/conversations/{id}/messages",
            "delete /api/v1/conversations/{id}/messages",
            "delete /api/v1/conversations/{id}/messages/last",
            "post /api/v1/conversations/{id}/messages/replace-suffix",
            "get /api/v1/conversations/{id}/messages/{message_id}",
            "put /api/v1/conversations/{id}/messages/{message_id}",
            "patch /api/v1/conversations/{id}/messages/{message_id}",
            "delete /api/v1/conversations/{id}/messages/{message_id}",
            "get /api/v1/conversations/{id}/messages/{message_id}/response",
            "post /api/v1/conversations/{id}/replies",
            "get /api/v1/documents",
            "post /api/v1/documents",
            "get /api/v1/documents/count",
            "get /api/v1/documents/{id}",
            "patch /api/v1/documents/{id}",
            "delete /api/v1/documents/{id}",
            "get /api/v1/logs",
            "post /api/v1/logs",
            "get /api/v1/logs/{id}",
            "get /api/v1/messages/{id}",
            "patch /api/v1/messages/{id}",
            "delete /api/v1/messages/{id}",
            "get /api/v1/threads/{thread_id}",
            "put /api/v1/threads/{thread_id}",
            "patch /api/v1/threads/{thread_id}",
            "delete /api/v1/threads/{thread_id}",
            "post /api/v1/threads/{thread_id}/copies",
            "get /api/v1/threads/{thread_id}/members",
            "put /api/v1/threads/{thread_id}/members/{user_id}",
            "delete /api/v1/threads/{thread_id}/members/{user_id}",
            "get /api/v1/threads/{thread_id}/messages",
            "put /api/v1/threads/{thread_id}/messages",
            "post /api/v1/threads/{thread_id}/messages",
            "delete /api/v1/threads/{thread_id}/messages",
            "delete /api/v1/threads/{thread_id}/messages/last",
            "post /api/v1/threads/{thread_id}/messages/replace-suffix",
            "get /api/v1/threads/{thread_id}/messages/{message_id}",
            "put /api/v1/threads/{thread_id}/messages/{message_id}",
            "patch /api/v1/threads/{thread_id}/messages/{message_id}",
            "delete /api/v1/threads/{thread_id}/messages/{message_id}",
            "get /api/v1/threads/{thread_id}/messages/{message_id}/response",
            "post /api/v1/threads/{thread_id}/replies",
            "get /api/v1/usage",
            "get /api/v1/users",
            "post /api/v1/users",
            "put /api/v1/users/by-email/{email}",
            "get /api/v1/users/me",
            "patch /api/v1/users/me",
            "delete /api/v1/users/me",
            "get /api/v1/users/me/export",
            "get /api/v1/users/{id}",
            "patch /api/v1/users/{id}",
            "delete /api/v1/users/{id}",
            "get /api/v1/users/{id}/api-keys",
            "post /api/v1/users/{id}/api-keys",
            "delete /api/v1/users/{id}/api-keys/{key_id}",
            "get /healthz",
            "get /openapi.json",
            "get /readyz",
        ]
    );
}

#[test]
fn every_problem_is_described_as_one() {
    let description = description();
    for (name, operation) in operations(&description) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let is_problem = status.as_str() >= "400" && !name.ends_with("/readyz");
            let response = resolved(&description, response);
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema == "#/components/schemas/Problem", is_problem, "{name} {status}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_everything_shared_is_referred_to() {
    let description = description();
    let mut places = BTreeSet::new();
    walk(&description, "#", &mut |_, value| {
        if value["$ref"].is_string() {
            resolved(&description, value);
            places.insert(value["$ref"].as_str().unwrap());
        }
    });
    for kind in ["schemas", "responses", "parameters"] {
        for name in description["components"][kind].as_object().unwrap().keys() {
            assert!(places.contains(&*format!("#/components/{kind}/{name}")), "{kind} {name}");
        }
    }
}

#[test]
fn no_error_answer_and_no_header_parameter_is_described_twice() {
    let description = description();
    let mut seen = BTreeSet::new();
    for (name, operation) in operations(&description) {
        let answers = operation["responses"].as_object().unwrap().values();
        let headers = operation["parameters"].as_array().into_iter().flatten();
        let headers = headers.filter(|parameter| parameter["in"] == "header");
        let errors = answers.filter(|answer| !answer["content"]["application/problem+json"].is_null());
        for described in errors.chain(headers) {
            assert!(seen.insert(described.to_string()), "{name}: {described}");
        }
    }
}

#[test]
fn the_items_of_every_page_are_a_schema_with_a_name() {
    let description = description();
    let mut count = 0;
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        if schema["properties"]["next_cursor"].is_object() {
            assert!(schema["properties"]["data"]["items"]["$ref"].is_string(), "{name}: {schema}");
            count += 1;
        }
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn no_schema_has_the_name_of_a_type_that_generated_clients_have_themselves() {
    let description = description();
    for taken in ["Response", "Request", "Error", "Client", "AuthenticatedClient", "Unset", "File"] {
        assert!(description["components"]["schemas"][taken].is_null(), "{taken}");
    }
}

#[test]
fn a_field_that_may_be_left_out_has_no_default_that_would_make_generated_clients_require_it() {
    let description = description();
    walk(&description["components"]["schemas"], "", &mut |place, value| {
        assert!(value["default"].is_null(), "{place}");
    });
    let schemas = &description["components"]["schemas"];
    let role = &schemas["AppendMessage"]["properties"]["role"];
    assert!(role["description"].as_str().unwrap().ends_with("`user` when it is left out."), "{role}");
}

#[test]
fn no_answer_has_two_content_types_of_which_generated_clients_would_expect_either() {
    let description = description();
    for (name, operation) in operations(&description) {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let types = answer["content"].as_object().map_or(0, |types| types.len());
            assert!(types <= 1, "{name}, {status}: {types} content types");
        }
    }
}

#[test]
fn an_object_without_described_fields_says_what_others_it_takes() {
    let description = description();
    walk(&description, "#", &mut |place, value| {
        let types = &value["type"];
        let is_object =
            types == "object" || types.as_array().is_some_and(|types| types.contains(&"object".into()));
        let is_example = place.contains("/example");
        if is_object && !is_example && value["properties"].is_null() {
            let others = &value["additionalProperties"];
            assert!(others.is_boolean() || others["type"].is_string(), "{place}: {value}");
        }
    });
}

#[test]
fn every_example_of_an_object_has_its_required_fields_and_no_others() {
    let description = description();
    let mut count = 0;
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        let Some(example) = schema["example"].as_object() else { continue };
        for field in schema["required"].as_array().into_iter().flatten() {
            assert!(example.contains_key(field.as_str().unwrap()), "{name}: its example has no {field}");
        }
        for field in example.keys() {
            assert!(!schema["properties"][field].is_null(), "{name}: its example has an unknown {field}");
        }
        count += 1;
    }
    assert!(count >= 15, "{count}");
}

#[test]
fn no_object_is_described_as_several_objects_together() {
    let description = description();
    walk(&description, "#", &mut |place, value| assert!(value["allOf"].is_null(), "{place}"));
    let reply = &description["components"]["schemas"]["Reply"];
    assert_eq!(reply["properties"]["response"]["$ref"], "#/components/schemas/ModelResponse");
    assert!(reply["required"].as_array().unwrap().contains(&"response".into()), "{reply}");
    assert!(reply["properties"]["content"].is_object(), "{reply}");
}

#[test]
fn a_parameter_is_never_null() {
    let description = description();
    for (name, operation) in operations(&description) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(&description, parameter);
            assert!(parameter["schema"]["type"].is_string(), "{name}: {parameter}");
        }
    }
}

#[test]
fn the_server_of_the_description_is_the_one_it_comes_from() {
    assert_eq!(description()["servers"], serde_json::json!([{"url": "/"}]));
}

#[test]
fn every_operation_has_its_own_id() {
    let description = description();
    let ids: BTreeSet<&str> = operations(&description)
        .iter()
        .filter_map(|(_, operation)| operation["operationId"].as_str())
        .collect();
    assert_eq!(ids.len(), operations(&description).len());
}

#[test]
fn every_link_leads_to_an_operation_with_these_parameters() {
    let description = description();
    let operations = operations(&description);
    let mut count = 0;
    for (name, operation) in &operations {
        let answers = operation["responses"].as_object().unwrap().values();
        let links = answers.filter_map(|answer| answer["links"].as_object()).flat_map(|links| links.values());
        for link in links {
            let target = operations.iter().find(|(_, target)| target["operationId"] == link["operationId"]);
            let (_, target) = target.unwrap_or_else(|| panic!("{name}: {link} leads nowhere"));
            let parameters = parameters(&description, target);
            for parameter in link["parameters"].as_object().unwrap().keys() {
                assert!(parameters.iter().any(|known| known["name"] == *parameter), "{name}: {parameter}");
            }
            count += 1;
        }
    }
    assert_eq!(count, 15);
}

#[test]
fn every_route_below_a_conversation_is_below_a_thread_with_the_same_requests_and_answers() {
    let description = description();
    let operations = operations(&description);
    let below = |prefix: &str| -> Vec<(String, &Value)> {
        let names = operations.iter().filter(|(name, _)| name.contains(prefix));
        names.map(|(name, operation)| (name.replace(prefix, ""), *operation)).collect()
    };
    let of_conversations = below("/api/v1/conversations/{id}/");
    let of_threads = below("/api/v1/threads/{thread_id}/");
    assert!(of_conversations.len() >= 12, "{of_conversations:?}");
    assert_eq!(of_conversations.len(), of_threads.len());
    for ((name, of_conversation), (of_same, of_thread)) in of_conversations.iter().zip(&of_threads) {
        assert_eq!(name, of_same);
        assert_eq!(of_conversation["requestBody"], of_thread["requestBody"], "{name}");
        assert_eq!(of_conversation["responses"], of_thread["responses"], "{name}");
        let others = |operation: &Value, name: &str| -> Vec<Value> {
            let parameters = parameters(&description, operation).into_iter();
            parameters.filter(|one| one["name"] != name).cloned().collect()
        };
        assert_eq!(others(of_conversation, "id"), others(of_thread, "thread_id"), "{name}");
    }
}

#[test]
fn serving_can_move_between_threads() {
    fn assert_send<T: Future + Send>(_: &T) {}
    async fn serve(store: chatstore::Store, listener: tokio::net::TcpListener) {
        let served = chatstore_http::serve(listener, chatstore_http::router(store), std::future::pending());
        assert_send(&served);
        served.await.unwrap();
    }
    let _ = serve;
}
