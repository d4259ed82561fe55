//! Copies of conversations.

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::{Value, json};

use crate::support::{CONVERSATIONS, Person, Server, answer, exchange, outlines};

conformance!(
    a_copy_is_answered_with_what_it_is_a_copy_of,
    a_copy_has_the_path_to_the_message_that_is_named_or_all_branches,
    the_ids_of_a_copy_are_answered_when_they_are_asked_for,
    a_thread_is_copied_by_its_id,
    every_wrong_copy_is_refused_with_its_field,
);

/// A question with an answer, and the question again: 1 ← 2, and the head 3.
async fn branched(server: &Server, person: &Person, thread_id: &str) -> String {
    let new = json!({"title": "Trip", "thread_id": thread_id, "metadata": {"a": 1}});
    let created = server.post(person, CONVERSATIONS, &new.to_string()).await;
    let path = format!("{CONVERSATIONS}/{}", created["id"].as_str().unwrap());
    for body in [
        json!({"content": "q1"}),
        json!({"content": "a1", "role": "assistant", "external_id": "a/1"}),
        json!({"content": "q2", "parent": null}),
    ] {
        server.post(person, &format!("{path}/messages"), &body.to_string()).await;
    }
    path
}

async fn a_copy_is_answered_with_what_it_is_a_copy_of(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = branched(&server, &ada, "t1").await;
    let body = r#"{"up_to": 2, "thread_id": "t2"}"#;
    let copy = exchange(server.send(&ada, "POST", &format!("{path}/copies"), body)).await;
    allow_duplicates! { assert_snapshot!(copy, @r#"
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/copies
    {"up_to": 2, "thread_id": "t2"}

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba
    etag: "1"

    {
      "copied_from": {
        "id": "019ca945-0a00-7917-98de-357e3da8cb43",
        "seq": 2
      },
      "created_at": "2026-03-01T12:00:00.000000Z",
      "id": "019ca945-0a00-7534-a6a6-b7fd0b63d0ba",
      "last_message": "a1",
      "last_message_at": "2026-03-01T12:00:00.000000Z",
      "last_seq": 2,
      "message_count": 2,
      "metadata": {
        "a": 1
      },
      "owner_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "revision": 1,
      "role": "owner",
      "short_id": "1CYcKgdReL4j8qLNTkp8Cy",
      "thread_id": "t2",
      "title": "Trip",
      "updated_at": "2026-03-01T12:00:00.000000Z"
    }
    "#); }
    let found = server.get(&ada, "/api/v1/threads/t2").await;
    assert_eq!((&found["title"], &found["message_count"]), (&json!("Trip"), &json!(2)));
}

async fn texts(server: &Server, person: &Person, copy: &Value, query: &str) -> Vec<Value> {
    let target = format!("{CONVERSATIONS}/{}/messages{query}", copy["id"].as_str().unwrap());
    let list = server.get(person, &target).await;
    list["data"].as_array().unwrap().iter().map(|one| json!([one["seq"], one["content"]])).collect()
}

async fn a_copy_has_the_path_to_the_message_that_is_named_or_all_branches(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, vic) = (server.person("ada").await, server.person("vic").await);
    let path = branched(&server, &ada, "t1").await;
    server.share(&path, &ada, &vic, MemberRole::Viewer).await;
    let id = server.get(&ada, &format!("{path}/messages/2")).await["short_id"].clone();
    for person in [&ada, &vic] {
        for (body, from, expected) in [
            (json!({}), 3, json!([[1, "q2"]])),
            (json!({"branches": "head", "up_to": null}), 3, json!([[1, "q2"]])),
            (json!({"up_to": 1}), 1, json!([[1, "q1"]])),
            (json!({"up_to": id}), 2, json!([[1, "q1"], [2, "a1"]])),
            (json!({"up_to": "ext:a/1"}), 2, json!([[1, "q1"], [2, "a1"]])),
            (json!({"branches": "all"}), 3, json!([[3, "q2"]])),
        ] {
            let copy = server.post(person, &format!("{path}/copies"), &body.to_string()).await;
            assert_eq!(copy["copied_from"]["seq"], from, "{body}");
            assert_eq!(json!(texts(&server, person, &copy, "").await), expected, "{body}");
            assert_eq!((&copy["role"], &copy["metadata"]), (&json!("owner"), &json!({"a": 1})), "{body}");
            if body["branches"] == "all" {
                let all = texts(&server, person, &copy, "?branch=all").await;
                assert_eq!(json!(all), json!([[1, "q1"], [2, "a1"], [3, "q2"]]));
                assert_eq!((&copy["head_seq"], &copy["message_count"]), (&json!(3), &json!(3)));
            }
        }
    }
}

async fn the_ids_of_a_copy_are_answered_when_they_are_asked_for(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = branched(&server, &ada, "t1").await;
    let copies = format!("{path}/copies");
    assert!(server.post(&ada, &copies, "{}").await["ids"].is_null());
    let once = || {
        let request = server.send(&ada, "POST", &format!("{copies}?include=ids"), r#"{"branches": "all"}"#);
        request.header("Idempotency-Key", "k1")
    };
    let first = answer(once()).await;
    let ids = first.body["ids"].as_object().unwrap();
    let messages = async |path: &str| -> Vec<String> {
        let list = server.get(&ada, &format!("{path}/messages?branch=all")).await;
        let id = |one: &Value| one["id"].as_str().unwrap().to_owned();
        list["data"].as_array().unwrap().iter().map(id).collect()
    };
    let (old, new) = (messages(&path).await, messages(first.header("location")).await);
    assert_eq!(ids.len(), 3);
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(ids[old], json!(new));
    }
    let again = answer(once()).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.body, first.body);
    let other = server.send(&ada, "POST", &copies, r#"{"branches": "all"}"#).header("Idempotency-Key", "k1");
    assert_eq!(answer(other).await.status, 422, "another request");
}

async fn a_thread_is_copied_by_its_id(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = branched(&server, &ada, "support/1").await;
    let copies = "/api/v1/threads/support%2F1/copies";
    let copy = server.post(&ada, copies, r#"{"thread_id": "support/2"}"#).await;
    assert_eq!(copy["copied_from"]["id"], path.rsplit('/').next().unwrap());
    assert_eq!(json!(texts(&server, &ada, &copy, "").await), json!([[1, "q2"]]));
}

async fn every_wrong_copy_is_refused_with_its_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = branched(&server, &ada, "t1").await;
    let copies = format!("{path}/copies");
    let requests = [
        "{}x",
        r#"{"up_to": 9}"#,
        r#"{"up_to": "no name"}"#,
        r#"{"up_to": 1, "branches": "all"}"#,
        r#"{"branches": "some"}"#,
        r#"{"thread_id": ""}"#,
        r#"{"thread_id": "t1"}"#,
        r#"{"title": "Copy"}"#,
    ];
    let mut requests: Vec<_> = requests.iter().map(|body| server.send(&ada, "POST", &copies, body)).collect();
    requests.push(server.send(&ada, "POST", &format!("{copies}?include=messages"), "{}"));
    requests.push(server.send(&ada, "POST", &format!("{CONVERSATIONS}/no-id/copies"), "{}"));
    requests.push(server.send(&ada, "POST", &copies, "{}").header("Idempotency-Retention", "conversation"));
    let text = outlines(requests).await.replace(&path, "");
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /copies {}x → 400 malformed-request
    POST /copies {"up_to": 9} → 422 validation (up_to: not_allowed)
    POST /copies {"up_to": "no name"} → 422 validation (up_to: invalid_format)
    POST /copies {"up_to": 1, "branches": "all"} → 422 validation (up_to: not_allowed)
    POST /copies {"branches": "some"} → 422 validation (branches: not_allowed)
    POST /copies {"thread_id": ""} → 422 validation (thread_id: too_short)
    POST /copies {"thread_id": "t1"} → 409 already-exists (thread_id: not_allowed)
    POST /copies {"title": "Copy"} → 422 validation (title: unknown_field)
    POST /copies?include=messages {} → 422 validation (include: not_allowed)
    POST /api/v1/conversations/no-id/copies {} → 404 not-found
    POST /copies {} → 422 validation (Idempotency-Retention: not_allowed)
    "#); }
}
