//! One message, or a batch of new ones.

use std::time::Duration;

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::support::{Server, exchange, exchanges, refusal, whole_exchange};

conformance!(
    a_message_is_appended_and_read_back,
    a_batch_is_numbered_without_gaps,
    a_batch_with_a_wrong_item_writes_nothing,
    a_batch_holds_1_to_1000_messages,
    a_message_is_found_by_uuid_short_id_and_number,
    a_changed_message_says_when,
    a_deleted_message_repairs_its_conversation,
);

async fn a_message_is_appended_and_read_back(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    let body = r#"{"role": "tool", "content": "h\u00e9 \ud83d\ude00\n", "parts": [{"type": "text", "n": 1e2}], "model": "m", "token_count": 3, "used_documents": ["d1", {"id": 2}], "metadata": {"k": 0.1}}"#;
    let appended = whole_exchange(server.send(&ada, "POST", &messages, body)).await;
    allow_duplicates! { assert_snapshot!(appended, @r#"
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages
    {"role": "tool", "content": "h\u00e9 \ud83d\ude00\n", "parts": [{"type": "text", "n": 1e2}], "model": "m", "token_count": 3, "used_documents": ["d1", {"id": 2}], "metadata": {"k": 0.1}}

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/019ca945-0a00-7775-9c77-01564f619afc
    etag: "2"

    {
      "content": "hé 😀\n",
      "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "created_at": "2026-03-01T12:00:00.000000Z",
      "edited_at": null,
      "effective_model": "m",
      "external_id": null,
      "format": null,
      "id": "019ca945-0a00-7775-9c77-01564f619afc",
      "metadata": {
        "k": 0.1
      },
      "model": "m",
      "parts": [
        {
          "n": 100.0,
          "type": "text"
        }
      ],
      "role": "tool",
      "sender_id": null,
      "seq": 1,
      "short_id": "1CYcKgdReTQgBSmVQApABm",
      "token_count": 3,
      "used_documents": [
        "d1",
        {
          "id": 2
        }
      ]
    }
    "#) }
    let read = exchange(server.request(&ada, "GET", &messages)).await;
    allow_duplicates! { assert_snapshot!(read, @r#"
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages

    200 OK
    content-type: application/json
    etag: "2"

    {
      "data": [
        {
          "content": "hé 😀\n",
          "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
          "created_at": "2026-03-01T12:00:00.000000Z",
          "effective_model": "m",
          "id": "019ca945-0a00-7775-9c77-01564f619afc",
          "metadata": {
            "k": 0.1
          },
          "model": "m",
          "parts": [
            {
              "n": 100.0,
              "type": "text"
            }
          ],
          "role": "tool",
          "seq": 1,
          "short_id": "1CYcKgdReTQgBSmVQApABm",
          "token_count": 3,
          "used_documents": [
            "d1",
            {
              "id": 2
            }
          ]
        }
      ],
      "next_cursor": null
    }
    "#) }
}

async fn a_batch_is_numbered_without_gaps(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let body = r#"{"messages": [{"content": "hello"}, {"role": "assistant", "content": ""}]}"#;
    let appended = exchange(server.send(&ada, "POST", &format!("{conversation}/messages"), body)).await;
    allow_duplicates! { assert_snapshot!(appended, @r#"
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages
    {"messages": [{"content": "hello"}, {"role": "assistant", "content": ""}]}

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/019ca945-0a00-7775-9c77-01564f619afc
    etag: "2"

    {
      "data": [
        {
          "content": "hello",
          "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
          "created_at": "2026-03-01T12:00:00.000000Z",
          "effective_model": "echo",
          "id": "019ca945-0a00-7775-9c77-01564f619afc",
          "metadata": {},
          "role": "user",
          "sender_id": "019ca945-0a00-710a-adec-89025cc1beeb",
          "seq": 1,
          "short_id": "1CYcKgdReTQgBSmVQApABm",
          "used_documents": []
        },
        {
          "content": "",
          "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
          "created_at": "2026-03-01T12:00:00.000000Z",
          "effective_model": "echo",
          "id": "019ca945-0a00-7476-8f8a-4baa5dc087b3",
          "metadata": {},
          "role": "assistant",
          "seq": 2,
          "short_id": "1CYcKgdReHePbhWheteW9x",
          "used_documents": []
        }
      ]
    }
    "#) }
    let conversation = server.get(&ada, &conversation).await;
    assert_eq!((&conversation["message_count"], &conversation["last_seq"]), (&2.into(), &2.into()));
}

async fn a_batch_with_a_wrong_item_writes_nothing(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let body = r#"{"messages": [{"content": "a"}, {"role": "robot", "content": 1}, "b", {"content": "\u0000", "seq": 9}, {"token_count": -1}], "limit": 1}"#;
    let refused = exchange(server.send(&ada, "POST", &format!("{conversation}/messages"), body)).await;
    allow_duplicates! { assert_snapshot!(refused, @r#"
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages
    {"messages": [{"content": "a"}, {"role": "robot", "content": 1}, "b", {"content": "\u0000", "seq": 9}, {"token_count": -1}], "limit": 1}

    422 Unprocessable Entity
    content-type: application/problem+json

    {
      "detail": "messages[1].role: must be one of system, developer, user, assistant, tool (and 7 more)",
      "errors": [
        {
          "code": "not_allowed",
          "field": "messages[1].role",
          "message": "must be one of system, developer, user, assistant, tool"
        },
        {
          "code": "wrong_type",
          "field": "messages[1].content",
          "message": "must be a text or null"
        },
        {
          "code": "wrong_type",
          "field": "messages[2]",
          "message": "must be an object"
        },
        {
          "code": "unknown_field",
          "field": "messages[3].seq",
          "message": "is not a field of this request"
        },
        {
          "code": "required",
          "field": "messages[4].content",
          "message": "must be given"
        },
        {
          "code": "nul_character",
          "field": "messages[3].content",
          "message": "must not contain the NUL character (U+0000)"
        },
        {
          "code": "out_of_range",
          "field": "messages[4].token_count",
          "message": "must be from 0 to 9007199254740991"
        },
        {
          "code": "unknown_field",
          "field": "limit",
          "message": "is not a field of this request"
        }
      ],
      "request_id": "r-1",
      "status": 422,
      "title": "Validation failed",
      "type": "urn:chatstore:problem:validation"
    }
    "#) }
    assert_eq!(server.get(&ada, &conversation).await["message_count"], 0);
}

async fn a_batch_holds_1_to_1000_messages(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    let batch =
        |count: usize| format!(r#"{{"messages": [{}]}}"#, vec![r#"{"content": ""}"#; count].join(","));
    let wrong = |code: &str| (422, vec![("messages".to_owned(), code.to_owned())]);
    assert_eq!(refusal(server.send(&ada, "POST", &messages, &batch(0))).await, wrong("too_short"));
    assert_eq!(refusal(server.send(&ada, "POST", &messages, &batch(1001))).await, wrong("too_long"));
    let not_a_list = r#"{"messages": {"content": "a"}}"#;
    assert_eq!(refusal(server.send(&ada, "POST", &messages, not_a_list)).await, wrong("wrong_type"));
    let appended = server.post(&ada, &messages, &batch(1000)).await;
    assert_eq!(appended["data"][999]["seq"], 1000);
}

async fn a_message_is_found_by_uuid_short_id_and_number(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    server.post(&ada, &messages, r#"{"content": "one"}"#).await;
    let two = server.post(&ada, &messages, r#"{"content": "two"}"#).await;
    for name in [two["id"].as_str().unwrap(), two["short_id"].as_str().unwrap(), "2", "002"] {
        assert_eq!(server.get(&ada, &format!("{messages}/{name}")).await, two, "{name}");
    }
    let read = exchange(server.request(&ada, "GET", &format!("{messages}/1"))).await;
    allow_duplicates! { assert_snapshot!(read, @r#"
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/1

    200 OK
    content-type: application/json
    etag: "3"

    {
      "content": "one",
      "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "created_at": "2026-03-01T12:00:00.000000Z",
      "effective_model": "echo",
      "id": "019ca945-0a00-7775-9c77-01564f619afc",
      "metadata": {},
      "role": "user",
      "sender_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "seq": 1,
      "short_id": "1CYcKgdReTQgBSmVQApABm",
      "used_documents": []
    }
    "#) }
    for name in ["0", "3", "99999999999999999999", "-1", "x", "1111111111111111111111"] {
        let target = format!("{messages}/{name}");
        for method in ["GET", "DELETE", "PATCH"] {
            assert_eq!(refusal(server.request(&ada, method, &target)).await.0, 404, "{method} {name}");
        }
        assert_eq!(
            refusal(server.request(&ada, "GET", &format!("{target}/response"))).await.0,
            404,
            "{name}"
        );
    }
}

async fn a_changed_message_says_when(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let body = r#"{"content": "hello", "model": "m", "token_count": 3, "parts": []}"#;
    let message = server.post(&ada, &format!("{conversation}/messages"), body).await;
    let target = format!("{conversation}/messages/1");
    let untouched = server.send(&ada, "PATCH", &target, "{}").send().await.unwrap();
    assert_eq!(crate::support::json(untouched).await, message);
    server.case.clock.advance(Duration::from_secs(5));
    let body =
        r#"{"content": "good day", "model": null, "parts": null, "token_count": 4, "used_documents": ["d"]}"#;
    let changed = exchange(server.send(&ada, "PATCH", &target, body)).await;
    allow_duplicates! { assert_snapshot!(changed, @r#"
    PATCH /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/1
    {"content": "good day", "model": null, "parts": null, "token_count": 4, "used_documents": ["d"]}

    200 OK
    content-type: application/json
    etag: "3"

    {
      "content": "good day",
      "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "created_at": "2026-03-01T12:00:00.000000Z",
      "edited_at": "2026-03-01T12:00:05.000000Z",
      "effective_model": "echo",
      "id": "019ca945-0a00-7775-9c77-01564f619afc",
      "metadata": {},
      "role": "user",
      "sender_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "seq": 1,
      "short_id": "1CYcKgdReTQgBSmVQApABm",
      "token_count": 4,
      "used_documents": [
        "d"
      ]
    }
    "#) }
    assert_eq!(server.get(&ada, &conversation).await["last_message"], "good day");
}

async fn a_deleted_message_repairs_its_conversation(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let messages = format!("{conversation}/messages");
    server.post(&ada, &messages, r#"{"content": "one"}"#).await;
    server.post(&ada, &messages, r#"{"content": "two"}"#).await;
    let target = format!("{messages}/2");
    let text =
        exchanges([server.request(&ada, "DELETE", &target), server.request(&ada, "DELETE", &target)]).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    DELETE /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/2

    204 No Content
    etag: "4"
    ────
    DELETE /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/2

    404 Not Found
    content-type: application/problem+json

    {
      "detail": "there is nothing here, or nothing that you may see",
      "request_id": "r-1",
      "status": 404,
      "title": "Not found",
      "type": "urn:chatstore:problem:not-found"
    }
    ────
    "#) }
    let conversation = server.get(&ada, &conversation).await;
    assert_eq!((&conversation["message_count"], &conversation["last_message"]), (&1.into(), &"one".into()));
    assert_eq!(server.post(&ada, &messages, r#"{"content": "three"}"#).await["seq"], 3);
}
