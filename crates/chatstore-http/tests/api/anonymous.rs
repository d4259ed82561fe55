//! Requests without credentials, where that is enabled.

use axum::Router;
use chatstore::{Store, UserId};
use chatstore_http::Api;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::operations::operations;
use crate::support::{CONVERSATIONS, Server, answer, exchange, outlines};

conformance!(
    a_conversation_is_created_and_read_without_credentials,
    only_five_routes_answer_without_credentials,
    a_wrong_key_is_not_anonymous,
    only_anonymous_conversations_are_readable_without_credentials,
    an_anonymous_request_cannot_be_idempotent,
    nothing_is_anonymous_unless_enabled,
);

fn open_to_all(store: Store) -> Router {
    Api::new(store).anonymous(true).router()
}

/// The path of a conversation created without credentials.
async fn conversation(server: &Server) -> String {
    let created = answer(server.anonymous("POST", CONVERSATIONS)).await;
    assert_eq!(created.status, 201);
    created.header("location").to_owned()
}

async fn a_conversation_is_created_and_read_without_credentials(case: TestDatabase) {
    let server = Server::start_with(case, open_to_all).await;
    let request = server.anonymous("POST", CONVERSATIONS).header("Content-Type", "application/json");
    let created = exchange(request.body(r#"{"title": "Question"}"#)).await;
    allow_duplicates! { assert_snapshot!(created, @r#"
    POST /api/v1/conversations
    {"title": "Question"}

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-710a-adec-89025cc1beeb
    etag: "1"

    {
      "created_at": "2026-03-01T12:00:00.000000Z",
      "id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "last_seq": 0,
      "message_count": 0,
      "metadata": {},
      "owner_id": "00000000-0000-0000-0000-000000000000",
      "revision": 1,
      "role": "owner",
      "short_id": "1CYcKgdRe6VkxLyee5rhEJ",
      "title": "Question",
      "updated_at": "2026-03-01T12:00:00.000000Z"
    }
    "#) }
    let path = conversation(&server).await;
    let id = path.rsplit('/').next().unwrap().parse().unwrap();
    let of_nobody = server.store.as_user(UserId::ANONYMOUS);
    of_nobody.messages().append(id, chatstore::NewMessage::user("hello")).await.unwrap();
    of_nobody.messages().reply(id, chatstore::NewReply::new("good day")).await.unwrap();
    let read = answer(server.anonymous("GET", &format!("{path}?include=messages"))).await;
    assert_eq!((read.status, &read.body["messages"][1]["content"]), (200, &"good day".into()));
    let by_short_id = format!("{CONVERSATIONS}/{}", read.body["short_id"].as_str().unwrap());
    let text = outlines([
        server.anonymous("GET", &by_short_id),
        server.anonymous("GET", &path).header("If-None-Match", "\"3\""),
        server.anonymous("GET", &format!("{path}/messages")),
        server.anonymous("GET", &format!("{path}/messages/1")),
        server.anonymous("GET", &format!("{path}/messages/2/response")),
        server.anonymous("GET", &format!("{path}/messages/3")),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations/1CYcKgdReX3qb7XAs3Rc7S → 200
    GET /api/v1/conversations/019ca945-0a00-7893-a2ee-fb32555e71c1 [if-none-match: "3"] → 304
    GET /api/v1/conversations/019ca945-0a00-7893-a2ee-fb32555e71c1/messages → 200
    GET /api/v1/conversations/019ca945-0a00-7893-a2ee-fb32555e71c1/messages/1 → 200
    GET /api/v1/conversations/019ca945-0a00-7893-a2ee-fb32555e71c1/messages/2/response → 200
    GET /api/v1/conversations/019ca945-0a00-7893-a2ee-fb32555e71c1/messages/3 → 404 not-found
    "#) }
}

async fn only_five_routes_answer_without_credentials(case: TestDatabase) {
    let server = Server::start_with(case, open_to_all).await;
    let path = conversation(&server).await;
    let id = path.rsplit('/').next().unwrap();
    let mut answering = String::new();
    for operation in operations().into_iter().filter(|operation| !operation.is_open) {
        let target = operation.target(&[("id", id), ("message_id", "1")]);
        let request = server.anonymous(&operation.method, &target).header("Content-Type", "application/json");
        let status = answer(request.body(operation.body())).await.status;
        if status != 401 {
            answering.push_str(&format!("{} → {status}\n", operation.name()));
        }
    }
    allow_duplicates! { assert_snapshot!(answering, @"
    POST /api/v1/conversations → 201
    GET /api/v1/conversations/{id} → 200
    GET /api/v1/conversations/{id}/messages → 200
    GET /api/v1/conversations/{id}/messages/{message_id} → 404
    GET /api/v1/conversations/{id}/messages/{message_id}/response → 404
    ") }
}

async fn a_wrong_key_is_not_anonymous(case: TestDatabase) {
    let server = Server::start_with(case, open_to_all).await;
    let path = conversation(&server).await;
    for value in ["Bearer cs_wrong", "Bearer", "", "Basic YTpi"] {
        for (method, target) in [("POST", CONVERSATIONS), ("GET", path.as_str())] {
            let refused = answer(server.anonymous(method, target).header("Authorization", value)).await;
            assert_eq!(refused.status, 401, "{method} {value:?}");
        }
    }
    let text = outlines([
        server.anonymous("POST", CONVERSATIONS).header("Chatstore-User", "anonymous"),
        server.anonymous("GET", &path).header("Chatstore-User", "anonymous"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @"
    POST /api/v1/conversations [chatstore-user: anonymous] → 403 forbidden
    GET /api/v1/conversations/019ca945-0a00-710a-adec-89025cc1beeb [chatstore-user: anonymous] → 403 forbidden
    ") }
}

async fn only_anonymous_conversations_are_readable_without_credentials(case: TestDatabase) {
    let server = Server::start_with(case, open_to_all).await;
    let ada = server.person("ada").await;
    let of_ada = server.conversation(&ada).await;
    server.post(&ada, &format!("{of_ada}/replies"), r#"{"content": "secret"}"#).await;
    let anonymous = conversation(&server).await;
    let absent = format!("{CONVERSATIONS}/00000000-0000-7000-8000-000000000001");
    for below in ["", "/messages", "/messages/1", "/messages/1/response"] {
        let refused = answer(server.anonymous("GET", &format!("{of_ada}{below}"))).await;
        let absent = answer(server.anonymous("GET", &format!("{absent}{below}"))).await;
        assert_eq!((refused.status, &refused.body), (404, &absent.body), "{below}");
        let others = answer(server.request(&ada, "GET", &format!("{anonymous}{below}"))).await;
        assert_eq!((others.status, &others.body), (404, &absent.body), "nor does it belong to her {below}");
    }
    let created = server.post(&ada, CONVERSATIONS, "{}").await;
    assert_eq!(created["owner_id"], ada.id.to_string(), "a caller with a key is not anonymous");
}

async fn an_anonymous_request_cannot_be_idempotent(case: TestDatabase) {
    let server = Server::start_with(case, open_to_all).await;
    let refused = exchange(server.anonymous("POST", CONVERSATIONS).header("Idempotency-Key", "k1")).await;
    allow_duplicates! { assert_snapshot!(refused, @r#"
    POST /api/v1/conversations

    422 Unprocessable Entity
    content-type: application/problem+json

    {
      "detail": "Idempotency-Key: needs credentials: the keys of clients without any could collide",
      "errors": [
        {
          "code": "not_allowed",
          "field": "Idempotency-Key",
          "message": "needs credentials: the keys of clients without any could collide"
        }
      ],
      "request_id": "r-1",
      "status": 422,
      "title": "Validation failed",
      "type": "urn:chatstore:problem:validation"
    }
    "#) }
    assert_eq!(server.store.operations().counts().await.unwrap().conversations, 0);
}

async fn nothing_is_anonymous_unless_enabled(case: TestDatabase) {
    let server = Server::start(case).await;
    let created = server.store.as_user(UserId::ANONYMOUS).conversations();
    let created = created.create(chatstore::NewConversation::default()).await.unwrap();
    let path = format!("{CONVERSATIONS}/{}", created.id);
    for (method, target) in [
        ("POST", CONVERSATIONS.to_owned()),
        ("GET", path.clone()),
        ("GET", format!("{path}/messages")),
        ("GET", format!("{path}/messages/1")),
        ("GET", format!("{path}/messages/1/response")),
    ] {
        assert_eq!(answer(server.anonymous(method, &target)).await.status, 401, "{method} {target}");
    }
}
