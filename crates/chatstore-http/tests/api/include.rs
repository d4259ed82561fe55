//! A conversation with its newest messages, and the effective model for each message.

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::{Value, json};

use crate::support::{CONVERSATIONS, Person, Server, answer, exchange, outlines};

conformance!(
    a_conversation_comes_with_its_newest_fifty_messages_in_order,
    a_thread_comes_with_its_messages_too,
    messages_are_included_only_on_request,
    the_effective_model_follows_its_rule,
    the_effective_model_is_the_current_one,
);

fn seqs(messages: &Value) -> Vec<i64> {
    messages.as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

async fn append(server: &Server, person: &Person, path: &str, count: usize) {
    let messages: Vec<Value> = (0..count).map(|number| json!({"content": number.to_string()})).collect();
    server.post(person, &format!("{path}/messages"), &json!({"messages": messages}).to_string()).await;
}

async fn a_conversation_comes_with_its_newest_fifty_messages_in_order(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let with_messages = format!("{path}?include=messages");
    assert_eq!(server.get(&ada, &with_messages).await["messages"], json!([]));
    append(&server, &ada, &path, 60).await;
    let read = server.get(&ada, &with_messages).await;
    assert_eq!(seqs(&read["messages"]), (11..=60).collect::<Vec<_>>());
    assert_eq!(answer(server.request(&ada, "DELETE", &format!("{path}/messages/30"))).await.status, 204);
    let read = server.get(&ada, &with_messages).await;
    let expected: Vec<i64> = (10..=60).filter(|seq| *seq != 30).collect();
    assert_eq!(seqs(&read["messages"]), expected);
    let page = server.get(&ada, &format!("{path}/messages?after=9&limit=50")).await;
    assert_eq!(read["messages"], page["data"], "as in the list");
}

async fn a_thread_comes_with_its_messages_too(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let created = server.post(&ada, CONVERSATIONS, r#"{"thread_id": "t1"}"#).await;
    let path = format!("{CONVERSATIONS}/{}", created["id"].as_str().unwrap());
    server.post(&ada, &format!("{path}/messages"), r#"{"content": "hello"}"#).await;
    let text = exchange(server.request(&ada, "GET", "/api/v1/threads/t1?include=messages")).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/threads/t1?include=messages

    200 OK
    content-type: application/json
    etag: "2"

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "last_message": "hello",
      "last_message_at": "2026-03-01T12:00:00.000000Z",
      "last_seq": 1,
      "message_count": 1,
      "messages": [
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
        }
      ],
      "metadata": {},
      "owner_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "revision": 2,
      "role": "owner",
      "short_id": "1CYcKgdReYjG4CFCN2qReJ",
      "thread_id": "t1",
      "updated_at": "2026-03-01T12:00:00.000000Z"
    }
    "#) }
    let by_thread = server.get(&ada, "/api/v1/threads/t1?include=messages").await;
    assert_eq!(server.get(&ada, &format!("{path}?include=messages")).await, by_thread);
}

async fn messages_are_included_only_on_request(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    append(&server, &ada, &path, 1).await;
    assert!(server.get(&ada, &path).await.get("messages").is_none());
    let with_messages = format!("{path}?include=messages");
    let text = outlines([
        server.request(&ada, "GET", &with_messages).header("If-None-Match", "\"2\""),
        server.request(&ada, "GET", &format!("{path}?include=message")),
        server.request(&ada, "GET", &format!("{path}?include=")),
        server.request(&ada, "GET", &format!("{path}?include=messages&include=messages")),
        server.request(&ada, "GET", &format!("{CONVERSATIONS}?include=messages")),
        server.request(&ada, "PATCH", &with_messages),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43?include=messages [if-none-match: "2"] → 304
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43?include=message → 422 validation (include: not_allowed)
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43?include= → 422 validation (include: not_allowed)
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43?include=messages&include=messages → 422 validation (include: not_allowed)
    GET /api/v1/conversations?include=messages → 422 validation (include: unknown_field)
    PATCH /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43?include=messages → 422 validation (include: unknown_field)
    "#) }
}

/// Role, own model and effective model of every message, in order.
async fn models(server: &Server, person: &Person, path: &str) -> Vec<String> {
    let page = server.get(person, &format!("{path}/messages")).await;
    let included = server.get(person, &format!("{path}?include=messages")).await;
    assert_eq!(page["data"], included["messages"]);
    let down = server.get(person, &format!("{path}/messages?order=desc&limit=200")).await;
    let mut down = down["data"].as_array().unwrap().clone();
    down.reverse();
    assert_eq!(page["data"], Value::Array(down), "the same in every order");
    let mut models = Vec::new();
    for message in page["data"].as_array().unwrap() {
        let alone = format!("{path}/messages/{}", message["seq"]);
        assert_eq!(&server.get(person, &alone).await, message, "the same alone");
        let around = server.get(person, &format!("{path}/messages?around={}&limit=1", message["seq"])).await;
        assert_eq!(&around["data"][0], message, "the same on a page of its own");
        models.push(format!(
            "{} {}",
            message["role"].as_str().unwrap(),
            message["effective_model"].as_str().unwrap()
        ));
    }
    models
}

async fn the_effective_model_follows_its_rule(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let post = async |end: &str, body: Value| {
        server.post(&ada, &format!("{path}/{end}"), &body.to_string()).await["effective_model"].clone()
    };
    let answered = [
        post("replies", json!({"content": "a"})).await,
        post("messages", json!({"content": "a"})).await,
        post("replies", json!({"content": "a"})).await,
        post("messages", json!({"content": "a", "model": "asked-1"})).await,
        post("messages", json!({"role": "system", "content": "a"})).await,
        post("messages", json!({"role": "tool", "content": "a"})).await,
        post("replies", json!({"content": "a"})).await,
        post("replies", json!({"content": "a", "model": "own-1"})).await,
        post("messages", json!({"role": "assistant", "content": "a"})).await,
        post("replies", json!({"content": "a", "response": {"model_used": "used-1"}})).await,
        post("messages", json!({"content": "a"})).await,
        post("replies", json!({"content": "a"})).await,
    ];
    let expected = [
        "assistant echo",
        "user echo",
        "assistant echo",
        "user asked-1",
        "system echo",
        "tool echo",
        "assistant asked-1",
        "assistant own-1",
        "assistant asked-1",
        "assistant used-1",
        "user echo",
        "assistant echo",
    ];
    assert_eq!(models(&server, &ada, &path).await, expected);
    for (answered, expected) in answered.iter().zip(expected) {
        assert_eq!(answered, expected.split(' ').nth(1).unwrap(), "the answer to the request itself");
    }
    let patch = server.send(&ada, "PATCH", &path, r#"{"default_model": "large-1"}"#);
    assert_eq!(answer(patch).await.status, 200);
    // What an answer was generated by is not changed.
    let expected = expected.map(|line| match line.starts_with("assistant") {
        true => line.to_owned(),
        false => line.replace("echo", "large-1"),
    });
    assert_eq!(models(&server, &ada, &path).await, expected, "the conversation's goes before the server's");
}

async fn the_effective_model_is_the_current_one(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    for (end, body) in [
        ("messages", r#"{"content": "a", "model": "one"}"#),
        ("messages", r#"{"content": "a", "model": "two"}"#),
        ("replies", r#"{"content": "a"}"#),
    ] {
        server.post(&ada, &format!("{path}/{end}"), body).await;
    }
    assert_eq!(models(&server, &ada, &path).await, ["user one", "user two", "assistant two"]);
    let edit = server.send(&ada, "PATCH", &format!("{path}/messages/2"), r#"{"model": "three"}"#);
    assert_eq!(answer(edit).await.status, 200);
    assert_eq!(models(&server, &ada, &path).await, ["user one", "user three", "assistant two"]);
    assert_eq!(answer(server.request(&ada, "DELETE", &format!("{path}/messages/2"))).await.status, 204);
    assert_eq!(models(&server, &ada, &path).await, ["user one", "assistant two"]);
    let response = server.get(&ada, &format!("{path}/messages/3/response")).await;
    assert_eq!(response["model_used"], "two", "what answered stays what it was");
}
