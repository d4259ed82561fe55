//! Objects of others look like absent ones, on every route with an id in its path.

use chatstore_testkit::{TestDatabase, conformance};
use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;

use crate::operations::{Operation, operations};
use crate::support::{Person, Server};

conformance!(
    objects_of_others_and_absent_ones_are_answered_alike_on_every_route,
    a_message_of_another_conversation_is_absent_in_this_one,
);

/// What is in an answer.
type Answered = (u16, HeaderMap, Vec<u8>);

async fn answered(request: RequestBuilder) -> Answered {
    let answer = request.send().await.unwrap();
    let (status, mut headers) = (answer.status().as_u16(), answer.headers().clone());
    assert!(headers.remove("date").is_some());
    (status, headers, answer.bytes().await.unwrap().to_vec())
}

/// Creates a conversation with a thread id, a reply as message 1 and a member; returns what paths can name.
async fn parts(server: &Server, owner: &Person, member: &Person) -> Vec<(&'static str, String)> {
    let created = server.post(owner, "/api/v1/conversations", r#"{"thread_id": "t1"}"#).await;
    let id = created["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/conversations/{id}");
    server.share(&path, owner, member, chatstore::MemberRole::Editor).await;
    let reply = server.post(owner, &format!("{path}/replies"), r#"{"content": "secret"}"#).await;
    vec![
        ("id", id),
        ("message_id", reply["id"].as_str().unwrap().to_owned()),
        ("user_id", member.id.to_string()),
        ("thread_id", "t1".to_owned()),
        ("email", "ada@example.org".to_owned()),
    ]
}

/// The same with well-formed ids of nothing, and with texts that are not ids.
const ABSENT: [&[(&str, &str)]; 2] = [
    &[("thread_id", "t2"), ("email", "nobody@example.org")],
    &[
        ("id", "no-id"),
        ("message_id", "no-id"),
        ("user_id", "no-id"),
        ("key_id", "no-id"),
        ("thread_id", "t3"),
        ("email", "no-address"),
    ],
];

async fn objects_of_others_and_absent_ones_are_answered_alike_on_every_route(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, root) =
        (server.person("ada").await, server.person("eve").await, server.admin("root").await);
    let service = server.service(&root).await;
    let of_ada = parts(&server, &ada, &root).await;
    let document = server.post(&ada, "/api/v1/documents", r#"{"content": "secret"}"#).await;
    let document = document["id"].as_str().unwrap();
    let event = server.post(&ada, "/api/v1/logs", r#"{"event": "secret"}"#).await;
    let event = event["id"].as_str().unwrap();
    let key = server.store.keys().list(ada.id).await.unwrap()[0].id.to_string();
    let mut count = 0;
    for operation in operations().iter().filter(|operation| operation.path.contains('{')) {
        let creates = [
            "PUT /api/v1/ai-cache/{hash}",
            "PUT /api/v1/threads/{thread_id}",
            "POST /api/v1/threads/{thread_id}/messages",
            "PUT /api/v1/threads/{thread_id}/messages",
        ];
        if creates.contains(&operation.name().as_str()) {
            continue; // Of the caller's own.
        }
        let foreign = foreign_target(operation, &of_ada, &ada, [&key, document, event]);
        let expected = if operation.is_for_admins() || operation.needs_session() { 403 } else { 404 };
        for (name, value) in [("Accept", "*/*"), ("If-Match", "\"99\""), ("Idempotency-Key", "k1")] {
            let as_eve = |target: &str| {
                server.send(&eve, &operation.method, target, operation.body()).header(name, value)
            };
            let for_eve = |target: &str| {
                let request = server.send(&service, &operation.method, target, operation.body());
                request.header(name, value).header("Chatstore-User", "name:eve")
            };
            let first = answered(as_eve(&foreign)).await;
            assert_eq!(first.0, expected, "{}", operation.name());
            // A service has no keys of its own to manage, and administers users for no user.
            let is_of_users = !operation.path.contains("/auth/") && !operation.is_for_admins();
            if is_of_users {
                assert_eq!(first, answered(for_eve(&foreign)).await, "for a service: {}", operation.name());
            }
            for absent in ABSENT {
                let target = operation.target(absent);
                assert_eq!(first, answered(as_eve(&target)).await, "{} {target}", operation.method);
                if is_of_users {
                    assert_eq!(first, answered(for_eve(&target)).await, "{} {target}", operation.method);
                }
            }
        }
        count += 1;
    }
    assert!(count >= 27, "{count} routes with an id");
    let kept = server.get(&ada, &format!("/api/v1/documents/{document}")).await;
    assert_eq!(kept["content"], "secret", "nothing was changed");
    assert_eq!(server.get(&ada, "/api/v1/threads/t1").await["message_count"], 1, "nothing was changed");
}

fn foreign_target(
    operation: &Operation,
    of_ada: &[(&str, String)],
    ada: &Person,
    [key, document, event]: [&str; 3],
) -> String {
    let user = ada.id.to_string();
    let mut parts: Vec<(&str, &str)> = vec![("key_id", key)];
    if operation.path.contains("/auth/api-keys/") {
        parts.push(("id", key));
    } else if operation.path.contains("/documents/") {
        parts.push(("id", document));
    } else if operation.path.contains("/logs/") {
        parts.push(("id", event));
    } else if operation.path.starts_with("/api/v1/users/") {
        parts.push(("id", &user));
    }
    parts.extend(of_ada.iter().map(|(name, value)| (*name, value.as_str())));
    operation.target(&parts)
}

async fn a_message_of_another_conversation_is_absent_in_this_one(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let foreign = server.conversation(&ada).await;
    let of_ada = server.post(&ada, &format!("{foreign}/replies"), r#"{"content": "secret"}"#).await;
    let of_ada = of_ada["id"].as_str().unwrap();
    let own = server.post(&eve, "/api/v1/conversations", r#"{"thread_id": "t1"}"#).await;
    let id = own["id"].as_str().unwrap();
    let of_messages =
        |operation: &Operation| operation.path.contains("{message_id}") && operation.method != "PUT";
    let mut count = 0;
    for operation in operations().into_iter().filter(of_messages) {
        let target =
            |message: &str| operation.target(&[("id", id), ("thread_id", "t1"), ("message_id", message)]);
        let ask = |message: &str| server.send(&eve, &operation.method, &target(message), operation.body());
        let first = answered(ask(of_ada)).await;
        assert_eq!(first.0, 404, "{}", operation.name());
        for absent in ["00000000-0000-7000-8000-000000000001", "1", "0", "99999999999999999999", "x", "-1"] {
            assert_eq!(first, answered(ask(absent)).await, "{} {absent}", operation.name());
        }
        count += 1;
    }
    assert!(count >= 4, "{count} routes of a message");
    let kept = server.get(&ada, &format!("{foreign}/messages/{of_ada}")).await;
    assert_eq!(kept["content"], "secret", "nothing was changed");
}
