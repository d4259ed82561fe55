//! Messages by ids that clients bring.

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::{Value, json};

use crate::support::{Server, answer, at_once, outlines};

conformance!(
    a_repeated_external_id_is_refused_ignored_or_replaced,
    a_message_is_found_by_its_external_id_and_by_its_id_alone,
    a_put_under_an_external_id_stores_or_edits,
    concurrent_appends_of_one_external_id_store_it_once,
    ids_of_others_and_of_other_conversations_change_nothing,
);

const CHAT: &str = "/api/v1/threads/chat-1/messages";

fn contents(messages: &Value) -> Vec<&str> {
    messages.as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect()
}

async fn a_repeated_external_id_is_refused_ignored_or_replaced(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let batch = |texts: [&str; 3]| {
        let [a, b, c] = texts;
        json!({"messages": [
            {"external_id": "a", "content": a},
            {"external_id": "b", "role": "assistant", "content": b},
            {"external_id": "c", "content": c},
        ]})
        .to_string()
    };
    let post = |query: &str, body: &str| server.send(&ada, "POST", &format!("{CHAT}{query}"), body);
    let first = json!({"messages": [
        {"external_id": "a", "content": "1"},
        {"external_id": "b", "role": "assistant", "content": "2"},
    ]});
    assert_eq!(answer(post("", &first.to_string())).await.status, 201);
    let text = outlines([
        post("", &batch(["x", "x", "3"])),
        post("", r#"{"external_id": "a", "content": "x"}"#),
        post(
            "?on_conflict=error",
            r#"{"messages": [{"content": "x"}, {"external_id": "b", "content": "x"}]}"#,
        ),
        post("?on_conflict=replace", r#"{"external_id": "b", "content": "x"}"#),
        post("?on_conflict=keep", r#"{"content": "x"}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/threads/chat-1/messages {"messages":[{"content":"x","external_id":"a"},{"content":"x","external_id":"b","role":"assistant"},{"content":"3","external_id":"c"}]} → 409 already-exists (messages[0].external_id: not_allowed)
    POST /api/v1/threads/chat-1/messages {"external_id": "a", "content": "x"} → 409 already-exists (external_id: not_allowed)
    POST /api/v1/threads/chat-1/messages?on_conflict=error {"messages": [{"content": "x"}, {"external_id": "b", "content": "x"}]} → 409 already-exists (messages[1].external_id: not_allowed)
    POST /api/v1/threads/chat-1/messages?on_conflict=replace {"external_id": "b", "content": "x"} → 422 validation (role: not_allowed)
    POST /api/v1/threads/chat-1/messages?on_conflict=keep {"content": "x"} → 422 validation (on_conflict: not_allowed)
    "#) }
    let ignored = answer(post("?on_conflict=ignore", &batch(["x", "x", "3"]))).await;
    assert_eq!((ignored.status, contents(&ignored.body["data"])), (201, vec!["1", "2", "3"]));
    let replaced = answer(post("?on_conflict=replace", &batch(["1", "new", "3"]))).await;
    assert_eq!(contents(&replaced.body["data"]), ["1", "new", "3"]);
    let edited: Vec<bool> =
        replaced.body["data"].as_array().unwrap().iter().map(|one| !one["edited_at"].is_null()).collect();
    assert_eq!(edited, [false, true, false], "what is equal is not edited");
    let all = server.get(&ada, &format!("{CHAT}?last=10")).await;
    assert_eq!((contents(&all["data"]), &all["data"][1]["seq"]), (vec!["1", "new", "3"], &json!(2)));
    let twice =
        r#"{"messages": [{"external_id": "d", "content": "4"}, {"external_id": "d", "content": "5"}]}"#;
    assert_eq!(contents(&answer(post("?on_conflict=ignore", twice)).await.body["data"]), ["4", "4"]);
}

async fn a_message_is_found_by_its_external_id_and_by_its_id_alone(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = server.conversation(&ada).await;
    server.share(&path, &ada, &eve, chatstore::MemberRole::Editor).await;
    let id = "01234567-89ab-4def-8123-456789abcdef";
    let body = json!({"id": id, "external_id": "run/1 é", "content": "a"}).to_string();
    let stored = server.post(&ada, &format!("{path}/messages"), &body).await;
    assert_eq!((&stored["id"], &stored["external_id"]), (&json!(id), &json!("run/1 é")));
    let by_name = format!("{path}/messages/ext:run%2F1%20%C3%A9");
    for person in [&ada, &eve] {
        assert_eq!(server.get(person, &by_name).await, stored);
    }
    assert_eq!(server.get(&ada, &format!("/api/v1/messages/{id}")).await, stored);
    let short = format!("/api/v1/messages/{}", stored["short_id"].as_str().unwrap());
    let text = outlines([
        server.request(&eve, "GET", &short),
        server.send(&eve, "PATCH", &short, r#"{"content": "x"}"#),
        server.request(&eve, "DELETE", &short),
        server.request(&ada, "GET", "/api/v1/messages/1"),
        server.request(&ada, "GET", "/api/v1/messages/ext:run%2F1%20%C3%A9"),
        server.request(&ada, "GET", &format!("{path}/messages/ext:other")),
        server.request(&ada, "GET", &format!("{path}/messages/ext:")),
        server.send(&ada, "PATCH", &by_name, r#"{"content": "b"}"#),
        server.send(&ada, "PATCH", &short, r#"{"content": "c"}"#),
        server.request(&ada, "DELETE", &short),
        server.request(&ada, "DELETE", &by_name),
    ])
    .await
    .replace(&path, "")
    .replace(&short, "/short");
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /short → 404 not-found
    PATCH /short {"content": "x"} → 404 not-found
    DELETE /short → 404 not-found
    GET /api/v1/messages/1 → 404 not-found
    GET /api/v1/messages/ext:run%2F1%20%C3%A9 → 404 not-found
    GET /messages/ext:other → 404 not-found
    GET /messages/ext: → 404 not-found
    PATCH /messages/ext:run%2F1%20%C3%A9 {"content": "b"} → 200
    PATCH /short {"content": "c"} → 200
    DELETE /short → 204
    DELETE /messages/ext:run%2F1%20%C3%A9 → 404 not-found
    "#) }
}

async fn a_put_under_an_external_id_stores_or_edits(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let put = |name: &str, body: &str| server.send(&ada, "PUT", &format!("{path}/messages/{name}"), body);
    let text = outlines([
        put("ext:m1", r#"{"content": "a"}"#),
        put("ext:m1", r#"{"content": "b", "external_id": "m1"}"#),
        put("ext:m1", r#"{"content": "b", "external_id": "m2"}"#),
        put("1", r#"{"content": "b"}"#),
        put("ext:", r#"{"content": "b"}"#),
        put("ext:m2", r#"{}"#),
    ])
    .await
    .replace(&path, "");
    allow_duplicates! { assert_snapshot!(text, @r#"
    PUT /messages/ext:m1 {"content": "a"} → 201
    PUT /messages/ext:m1 {"content": "b", "external_id": "m1"} → 200
    PUT /messages/ext:m1 {"content": "b", "external_id": "m2"} → 422 validation (external_id: not_allowed)
    PUT /messages/1 {"content": "b"} → 404 not-found
    PUT /messages/ext: {"content": "b"} → 422 validation (external_id: too_short)
    PUT /messages/ext:m2 {} → 422 validation (content: required)
    "#) }
    let all = server.get(&ada, &format!("{path}/messages")).await;
    assert_eq!((contents(&all["data"]), &all["data"][0]["seq"]), (vec!["b"], &json!(1)));
}

async fn concurrent_appends_of_one_external_id_store_it_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let request = |number: usize| {
        let body = json!({"messages": [
            {"external_id": "same", "content": "once"},
            {"external_id": format!("own-{number}"), "content": number.to_string()},
        ]});
        server.send(&ada, "POST", &format!("{CHAT}?on_conflict=ignore"), &body.to_string())
    };
    let answers = at_once((0..64).map(request)).await;
    let stored: Vec<&Value> =
        answers.iter().filter(|one| one.status == 201).map(|one| &one.body["data"]).collect();
    assert!(answers.iter().all(|one| [201, 503].contains(&one.status)) && !stored.is_empty());
    assert!(stored.iter().all(|data| data[0]["id"] == stored[0][0]["id"]));
    let all = server.get(&ada, &format!("{CHAT}?last=1000")).await;
    assert_eq!(contents(&all["data"]).iter().filter(|content| **content == "once").count(), 1);
    assert_eq!(all["data"].as_array().unwrap().len(), stored.len() + 1);
}

async fn ids_of_others_and_of_other_conversations_change_nothing(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let (path, other) = (server.conversation(&ada).await, server.conversation(&ada).await);
    server.share(&path, &ada, &eve, chatstore::MemberRole::Editor).await;
    let body = r#"{"external_id": "e1", "content": "of ada"}"#;
    let of_ada = server.post(&ada, &format!("{path}/messages"), body).await;
    let elsewhere = server.post(&ada, &format!("{other}/messages"), body).await;
    assert_eq!(elsewhere["external_id"], "e1", "an external id belongs to its conversation");
    let id = |message: &Value| message["id"].as_str().unwrap().to_owned();
    let with = |id: &str| json!({"id": id, "content": "x"}).to_string();
    let post = |query: &str, body: &str| server.send(&eve, "POST", &format!("{path}/messages{query}"), body);
    let statuses = [
        answer(post("?on_conflict=replace", r#"{"external_id": "e1", "content": "x"}"#)).await.status,
        answer(post("?on_conflict=replace", &with(&id(&of_ada)))).await.status,
        answer(post("?on_conflict=replace", &with(&id(&elsewhere)))).await.status,
        answer(post("?on_conflict=ignore", &with(&id(&elsewhere)))).await.status,
        answer(server.send(&eve, "PUT", &format!("{path}/messages/ext:e1"), r#"{"content": "x"}"#))
            .await
            .status,
        answer(server.send(&eve, "PATCH", &format!("{other}/messages/ext:e1"), r#"{"content": "x"}"#))
            .await
            .status,
        answer(server.request(&eve, "GET", &format!("{other}/messages/ext:e1"))).await.status,
        answer(server.request(&eve, "GET", &format!("/api/v1/messages/{}", id(&of_ada)))).await.status,
    ];
    assert_eq!(statuses, [403, 403, 409, 409, 403, 404, 404, 404]);
    let own = server.conversation(&eve).await;
    let of_eve = server.post(&eve, &format!("{own}/messages"), &with(&id(&of_ada))).await;
    assert_eq!(id(&of_eve), id(&of_ada), "ids belong to their owners");
    for message in [&of_ada, &elsewhere] {
        let kept = server.get(&ada, &format!("/api/v1/messages/{}", id(message))).await;
        assert_eq!(&kept, message, "nothing was changed");
    }
    assert_eq!(server.get(&ada, &path).await["message_count"], 1);
}
