//! What clients may bring: the time of a message, the id of a conversation.

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::json;

use crate::support::{CONVERSATIONS, Server, answer, outlines};

conformance!(
    a_message_is_as_old_as_its_owner_says_and_the_conversation_as_new_as_the_request,
    only_the_owner_and_service_keys_say_when_a_message_was_created,
    every_wrong_time_is_named,
    a_service_key_says_the_id_of_a_conversation_and_nobody_else,
);

async fn a_message_is_as_old_as_its_owner_says_and_the_conversation_as_new_as_the_request(
    case: TestDatabase,
) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let messages = format!("{path}/messages");
    for (number, (given, stored)) in [
        ("2020-01-01T01:00:00+01:00", "2020-01-01T00:00:00.000000Z"),
        ("2026-03-02T12:00:00Z", "2026-03-02T12:00:00.000000Z"),
        ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"content": "a", "created_at": given}).to_string();
        let appended = server.post(&ada, &messages, &body).await;
        assert_eq!((&appended["created_at"], &appended["seq"]), (&json!(stored), &json!(number + 1)));
        let row = server.get(&ada, &path).await;
        assert_eq!((&row["last_message_at"], &row["updated_at"]), (&json!(stored), &row["created_at"]));
    }
    let batch =
        json!({"messages": [{"content": "b", "created_at": "2021-01-01T00:00:00Z"}, {"content": "c"}]});
    let appended = server.post(&ada, &messages, &batch.to_string()).await;
    assert_eq!(appended["data"][0]["created_at"], "2021-01-01T00:00:00.000000Z");
    assert_eq!(appended["data"][1]["created_at"], "2026-03-01T12:00:00.000000Z");
    let other = server.conversation(&ada).await;
    let body = r#"{"content": "later", "created_at": "2026-03-02T11:59:59Z"}"#;
    server.post(&ada, &format!("{other}/messages"), body).await;
    let listed = server.get(&ada, CONVERSATIONS).await;
    assert_eq!(listed["data"][0]["updated_at"], listed["data"][1]["updated_at"], "neither is pinned");
}

async fn only_the_owner_and_service_keys_say_when_a_message_was_created(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, root) =
        (server.person("ada").await, server.person("eve").await, server.admin("root").await);
    let service = server.service(&root).await;
    let path = server.conversation(&ada).await;
    server.share(&path, &ada, &eve, chatstore::MemberRole::Editor).await;
    let messages = format!("{path}/messages");
    let body = r#"{"content": "a", "created_at": "2020-01-01T00:00:00Z"}"#;
    let for_eve =
        server.act(&service, "name:eve", "POST", &messages).header("Content-Type", "application/json");
    let statuses = [
        answer(server.send(&ada, "POST", &messages, body)).await.status,
        answer(server.send(&eve, "POST", &messages, body)).await.status,
        answer(server.send(&eve, "POST", &messages, body).header("Idempotency-Key", "k1")).await.status,
        answer(server.send(&eve, "POST", &messages, &format!(r#"{{"messages": [{body}]}}"#))).await.status,
        answer(for_eve.body(body)).await.status,
    ];
    assert_eq!(statuses, [201, 403, 403, 403, 201]);
    assert_eq!(server.get(&ada, &path).await["message_count"], 2);
}

async fn every_wrong_time_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let post = |body: &str| server.send(&ada, "POST", &format!("{path}/messages"), body);
    let text = outlines([
        post(r#"{"content": "a", "created_at": "2026-03-02T12:00:00.000001Z"}"#),
        post(r#"{"messages": [{"content": "a"}, {"content": "b", "created_at": "2027-01-01T00:00:00Z"}]}"#),
        post(r#"{"content": "a", "created_at": "2026-03-01T12:00:00"}"#),
        post(r#"{"content": "a", "created_at": 1}"#),
        post(r#"{"content": "a", "created_at": null}"#),
    ])
    .await
    .replace(&path, "");
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /messages {"content": "a", "created_at": "2026-03-02T12:00:00.000001Z"} → 422 validation (created_at: out_of_range)
    POST /messages {"messages": [{"content": "a"}, {"content": "b", "created_at": "2027-01-01T00:00:00Z"}]} → 422 validation (messages[1].created_at: out_of_range)
    POST /messages {"content": "a", "created_at": "2026-03-01T12:00:00"} → 422 validation (created_at: invalid_format)
    POST /messages {"content": "a", "created_at": 1} → 422 validation (created_at: wrong_type)
    POST /messages {"content": "a", "created_at": null} → 201
    "#) }
}

async fn a_service_key_says_the_id_of_a_conversation_and_nobody_else(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, root) =
        (server.person("ada").await, server.person("eve").await, server.admin("root").await);
    let service = server.service(&root).await;
    let id = "01234567-89ab-4def-8123-456789abcdef";
    let body = format!(r#"{{"id": "{id}", "title": "T"}}"#);
    let create = |whom: &str| {
        let request = server.act(&service, whom, "POST", CONVERSATIONS);
        request.header("Content-Type", "application/json").body(body.clone())
    };
    let of_ada = answer(create("name:ada")).await;
    assert_eq!((of_ada.status, &of_ada.body["id"]), (201, &json!(id)));
    let taken = answer(create("name:ada")).await;
    assert_eq!((taken.status, &taken.body["errors"][0]["field"]), (409, &json!("id")));
    let of_eve = answer(create("name:eve")).await;
    assert_eq!(
        (of_eve.status, &of_eve.body["owner_id"]),
        (201, &json!(eve.id.to_string())),
        "each has an own one"
    );
    assert_eq!(server.get(&ada, &format!("{CONVERSATIONS}/{id}")).await["owner_id"], ada.id.to_string());
    for person in [&ada, &root] {
        assert_eq!(answer(server.send(person, "POST", CONVERSATIONS, &body)).await.status, 403);
    }
    let member = format!("{CONVERSATIONS}/{id}/members/{}", eve.id);
    let refused = answer(server.request(&ada, "PUT", &member)).await;
    assert_eq!((refused.status, &refused.body["type"]), (409, &json!("urn:chatstore:problem:conflict")));
}
