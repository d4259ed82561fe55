//! Requests that take effect once, however often they are sent.

use chatstore_testkit::{SeededIds, TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::operations::{Operation, operations};
use crate::support::{Answer, CONVERSATIONS, Person, Server, answer, at_once, exchange, open_with, outlines};

conformance!(
    every_route_that_takes_a_key_replays_its_first_answer,
    a_replay_shows_the_created_object_as_it_is_now,
    a_replay_of_a_deleted_object_is_a_conflict,
    a_key_is_bound_to_its_body_and_route,
    one_of_sixteen_concurrent_requests_takes_effect,
    one_of_the_concurrent_requests_to_two_servers_takes_effect,
);

/// The idempotent requests, those below a conversation among them: path and body.
fn requests(conversation: &str) -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("conversation", CONVERSATIONS.to_owned(), r#"{"title": "a", "thread_id": "t1"}"#),
        ("message", format!("{conversation}/messages"), r#"{"content": "a"}"#),
        (
            "batch",
            format!("{conversation}/messages"),
            r#"{"messages": [{"content": "a"}, {"content": "b"}]}"#,
        ),
        ("batch of one", format!("{conversation}/messages"), r#"{"messages": [{"content": "a"}]}"#),
        ("document", "/api/v1/documents".to_owned(), r#"{"content": 1}"#),
        ("documents", "/api/v1/documents".to_owned(), r#"{"documents": [{"content": 1}, {"content": 2}]}"#),
        ("reply", format!("{conversation}/replies"), r#"{"content": "a", "response": {"tokens_prompt": 1}}"#),
        ("copy", format!("{conversation}/copies"), r#"{"thread_id": "copied"}"#),
        ("copy with ids", format!("{conversation}/copies?include=ids"), r#"{"branches": "all"}"#),
    ]
}

async fn once(server: &Server, person: &Person, key: &str, target: &str, body: &str) -> Answer {
    answer(server.send(person, "POST", target, body).header("Idempotency-Key", key)).await
}

async fn every_route_that_takes_a_key_replays_its_first_answer(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let described = operations();
    let described =
        described.iter().filter(|one| one.parameters.iter().any(|name| name == "Idempotency-Key"));
    let described: Vec<String> = described.map(Operation::name).collect();
    let mut expected = vec![format!("POST {CONVERSATIONS}"), "POST /api/v1/documents".to_owned()];
    for (place, below) in [(1, "/api/v1/conversations/{id}"), (9, "/api/v1/threads/{thread_id}")] {
        let ends = [
            "POST copies",
            "PUT messages",
            "POST messages",
            "DELETE messages",
            "DELETE messages/last",
            "POST messages/replace-suffix",
            "POST replies",
        ];
        let below = ends.map(|end| end.replacen(' ', &format!(" {below}/"), 1));
        expected.splice(place..place, below);
    }
    assert_eq!(described, expected);
    let conversation = server.conversation(&ada).await;
    for (name, target, body) in requests(&conversation) {
        let first = once(&server, &ada, name.replace(' ', "-").as_str(), &target, body).await;
        assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""), "{name}");
        let counts = server.store.operations().counts().await.unwrap();
        for _ in 0..2 {
            let again = once(&server, &ada, name.replace(' ', "-").as_str(), &target, body).await;
            assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"), "{name}");
            assert_eq!(again.body, first.body, "{name}");
            assert_eq!(again.header("location"), first.header("location"), "{name}");
            assert_eq!(again.header("etag"), first.header("etag"), "{name}");
        }
        assert_eq!(server.store.operations().counts().await.unwrap(), counts, "{name}");
    }
    let total = &server.get(&ada, "/api/v1/usage").await["total"];
    assert_eq!((&total["requests"], &total["tokens_prompt"]), (&1.into(), &1.into()), "booked once");
}

async fn a_replay_shows_the_created_object_as_it_is_now(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let messages = format!("{conversation}/messages");
    let batch = r#"{"messages": [{"content": "a"}, {"content": "b"}]}"#;
    once(&server, &ada, "batch", &messages, batch).await;
    let edit = server.send(&ada, "PATCH", &format!("{messages}/2"), r#"{"content": "edited"}"#);
    assert_eq!(answer(edit).await.status, 200);
    let again = once(&server, &ada, "batch", &messages, batch).await;
    assert_eq!(again.body["data"][0]["edited_at"], serde_json::Value::Null);
    assert_eq!(again.body["data"][1]["content"], "edited");
    assert_eq!(again.body["data"][1], server.get(&ada, &format!("{messages}/2")).await);

    let created = once(&server, &ada, "made", CONVERSATIONS, "{}").await;
    let path = created.header("location").to_owned();
    assert_eq!(answer(server.send(&ada, "PATCH", &path, r#"{"title": "later"}"#)).await.status, 200);
    let again =
        exchange(server.send(&ada, "POST", CONVERSATIONS, "{}").header("Idempotency-Key", "made")).await;
    allow_duplicates! { assert_snapshot!(again, @r#"
    POST /api/v1/conversations
    {}

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-7e84-b796-30af89eee263
    etag: "2"
    idempotency-replayed: true

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "id": "019ca945-0a00-7e84-b796-30af89eee263",
      "last_seq": 0,
      "message_count": 0,
      "metadata": {},
      "owner_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "revision": 2,
      "role": "owner",
      "short_id": "1CYcKgdRerQoERiWwCVsbQ",
      "title": "later",
      "updated_at": "2026-03-01T12:00:00.000000Z"
    }
    "#) }

    let reply = once(&server, &ada, "reply", &format!("{path}/replies"), r#"{"content": "a"}"#).await;
    let edit = server.send(&ada, "PATCH", &format!("{path}/messages/1"), r#"{"content": "b"}"#);
    assert_eq!(answer(edit).await.status, 200);
    let again = once(&server, &ada, "reply", &format!("{path}/replies"), r#"{"content": "a"}"#).await;
    assert_eq!((again.status, &again.body["content"]), (201, &"b".into()));
    assert_eq!(again.body["response"], reply.body["response"]);
}

async fn a_replay_of_a_deleted_object_is_a_conflict(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let mut text = String::new();
    for (name, target, body) in requests(&conversation) {
        let key = name.replace(' ', "-");
        let created = once(&server, &ada, &key, &target, body).await;
        let path = created.header("location");
        assert_eq!(answer(server.request(&ada, "DELETE", path)).await.status, 204, "{name}");
        let counts = server.store.operations().counts().await.unwrap();
        text += &outlines([server.send(&ada, "POST", &target, body).header("Idempotency-Key", key)]).await;
        assert_eq!(server.store.operations().counts().await.unwrap(), counts, "{name}");
    }
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations [idempotency-key: conversation] {"title": "a", "thread_id": "t1"} → 409 conflict
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages [idempotency-key: message] {"content": "a"} → 409 conflict
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages [idempotency-key: batch] {"messages": [{"content": "a"}, {"content": "b"}]} → 409 conflict
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages [idempotency-key: batch-of-one] {"messages": [{"content": "a"}]} → 409 conflict
    POST /api/v1/documents [idempotency-key: document] {"content": 1} → 409 conflict
    POST /api/v1/documents [idempotency-key: documents] {"documents": [{"content": 1}, {"content": 2}]} → 409 conflict
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/replies [idempotency-key: reply] {"content": "a", "response": {"tokens_prompt": 1}} → 409 conflict
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/copies [idempotency-key: copy] {"thread_id": "copied"} → 409 conflict
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/copies?include=ids [idempotency-key: copy-with-ids] {"branches": "all"} → 409 conflict
    "#) }
    let inside = format!("{conversation}/messages");
    once(&server, &ada, "k1", &inside, r#"{"content": "a"}"#).await;
    assert_eq!(answer(server.request(&ada, "DELETE", &conversation)).await.status, 204);
    let again = once(&server, &ada, "k1", &inside, r#"{"content": "a"}"#).await;
    assert_eq!(again.status, 404, "its conversation is absent");
}

async fn a_key_is_bound_to_its_body_and_route(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let other = server.conversation(&ada).await;
    let message = r#"{"content": "a"}"#;
    let created = once(&server, &ada, "k1", &format!("{conversation}/messages"), message).await;
    assert_eq!(created.status, 201);
    let with_key =
        |target: &str, body: &str| server.send(&ada, "POST", target, body).header("Idempotency-Key", "k1");
    let text = outlines([
        with_key(&format!("{conversation}/messages"), r#"{"content": "b"}"#),
        with_key(&format!("{conversation}/messages"), r#"{"content":"a"}"#),
        with_key(&format!("{conversation}/replies"), message),
        with_key(&format!("{other}/messages"), message),
        with_key(CONVERSATIONS, "{}"),
        with_key(&format!("{conversation}/messages"), r#"{"content": 1}"#),
        with_key(&format!("{conversation}/messages"), message),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages [idempotency-key: k1] {"content": "b"} → 422 idempotency-mismatch
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages [idempotency-key: k1] {"content":"a"} → 422 idempotency-mismatch
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/replies [idempotency-key: k1] {"content": "a"} → 422 idempotency-mismatch
    POST /api/v1/conversations/019ca945-0a00-7775-9c77-01564f619afc/messages [idempotency-key: k1] {"content": "a"} → 422 idempotency-mismatch
    POST /api/v1/conversations [idempotency-key: k1] {} → 422 idempotency-mismatch
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages [idempotency-key: k1] {"content": 1} → 422 validation (content: wrong_type)
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages [idempotency-key: k1] {"content": "a"} → 201
    "#) }
    let mismatch = exchange(with_key(&format!("{conversation}/messages"), r#"{"content": "b"}"#)).await;
    allow_duplicates! { assert_snapshot!(mismatch, @r#"
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages
    {"content": "b"}

    422 Unprocessable Entity
    content-type: application/problem+json

    {
      "detail": "the idempotency key was used for another request",
      "request_id": "r-1",
      "status": 422,
      "title": "Idempotency key reused",
      "type": "urn:chatstore:problem:idempotency-mismatch"
    }
    "#) }
    assert_eq!(server.get(&ada, &conversation).await["message_count"], 1);
    assert_eq!(server.get(&ada, &other).await["message_count"], 0);
}

async fn one_of_sixteen_concurrent_requests_takes_effect(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    for (name, target, body) in requests(&conversation) {
        let key = format!("of-{}", name.replace(' ', "-"));
        let request = |_| server.send(&ada, "POST", &target, body).header("Idempotency-Key", &key);
        let answers = at_once((0..16).map(request)).await;
        let replayed =
            answers.iter().filter(|answer| answer.header("idempotency-replayed") == "true").count();
        assert_eq!(replayed, 15, "{name}");
        assert!(answers.iter().all(|one| one.status == 201 && one.body == answers[0].body), "{name}");
    }
    assert_eq!(server.get(&ada, &conversation).await["message_count"], 5);
    assert_eq!(server.get(&ada, "/api/v1/conversations/count").await["count"], 4);
    assert_eq!(server.get(&ada, "/api/v1/usage").await["total"]["requests"], 1);
}

async fn one_of_the_concurrent_requests_to_two_servers_takes_effect(case: TestDatabase) {
    let mut server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let first = server.store.clone();
    let mut batches = Vec::new();
    for (name, target, body) in requests(&conversation) {
        let key = name.replace(' ', "-");
        let request = |_| server.send(&ada, "POST", &target, body).header("Idempotency-Key", &key);
        batches.push((0..8).map(request).collect::<Vec<_>>());
    }
    let second = open_with(&server.case, SeededIds::new(1 << 40)).await;
    let stopped = server.serve_beside(second).await;
    for (batch, (name, target, body)) in batches.into_iter().zip(requests(&conversation)) {
        let key = name.replace(' ', "-");
        let request = |_| server.send(&ada, "POST", &target, body).header("Idempotency-Key", &key);
        let answers = at_once(batch.into_iter().chain((0..8).map(request))).await;
        let replayed =
            answers.iter().filter(|answer| answer.header("idempotency-replayed") == "true").count();
        assert_eq!(replayed, 15, "{name}");
        assert!(answers.iter().all(|one| one.status == 201 && one.body == answers[0].body), "{name}");
    }
    assert_eq!(server.get(&ada, &conversation).await["message_count"], 5);
    drop((stopped, first));
}
