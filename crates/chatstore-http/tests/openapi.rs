//! The description of the API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::future::Future;

use serde_json::Value;

const REFRESH: &str = "cargo run -p chatstore-http --example openapi > crates/chatstore-http/openapi.json";

fn description() -> Value {
    serde_json::to_value(chatstore_http::openapi()).unwrap()
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
            "get /api/v1/conversations/count",
            "get /api/v1/conversations/{id}",
            "patch /api/v1/conversations/{id}",
            "delete /api/v1/conversations/{id}",
            "get /api/v1/conversations/{id}/members",
            "put /api/v1/conversations/{id}/members/{user_id}",
            "delete /api/v1/conversations/{id}/members/{user_id}",
            "get /api/v1/conversations/{id}/messages",
            "post /api/v1/conversations/{id}/messages",
            "delete /api/v1/conversations/{id}/messages",
            "delete /api/v1/conversations/{id}/messages/last",
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
            "get /api/v1/threads/{thread_id}/members",
            "put /api/v1/threads/{thread_id}/members/{user_id}",
            "delete /api/v1/threads/{thread_id}/members/{user_id}",
            "get /api/v1/threads/{thread_id}/messages",
            "post /api/v1/threads/{thread_id}/messages",
            "delete /api/v1/threads/{thread_id}/messages",
            "delete /api/v1/threads/{thread_id}/messages/last",
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
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema == "#/components/schemas/Problem", is_problem, "{name} {status}");
        }
    }
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
            let parameters = target["parameters"].as_array().unwrap();
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
            let parameters = operation["parameters"].as_array().unwrap().iter();
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
