//! What a member of another user's conversation may do.

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use reqwest::StatusCode;

use crate::support::{Server, exchange, exchanges};

conformance!(
    members_change_only_what_their_role_allows,
    members_write_only_what_their_role_allows,
    a_viewer_records_no_reply,
);

async fn members_change_only_what_their_role_allows(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, vic) =
        (server.person("ada").await, server.person("eve").await, server.person("vic").await);
    let path = server.conversation(&ada).await;
    server.share(&path, &ada, &eve, MemberRole::Editor).await;
    server.share(&path, &ada, &vic, MemberRole::Viewer).await;
    assert_eq!(server.get(&eve, &path).await["role"], "editor");
    assert_eq!(server.get(&vic, &path).await["role"], "viewer");
    let edited = server.send(&eve, "PATCH", &path, r#"{"title": "Ours"}"#).send().await.unwrap();
    assert_eq!(edited.status(), StatusCode::OK);
    let text = exchanges([
        server.send(&eve, "PATCH", &path, r#"{"thread_id": "mine"}"#),
        server.send(&eve, "PATCH", &path, r#"{"archived": true}"#),
        server.send(&vic, "PATCH", &path, r#"{"title": "Mine"}"#),
        server.request(&eve, "DELETE", &path),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PATCH /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43
    {"thread_id": "mine"}

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "an editor may change title, default_model and metadata only",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    ────
    PATCH /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43
    {"archived": true}

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "an editor may change title, default_model and metadata only",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    ────
    PATCH /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43
    {"title": "Mine"}

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "a viewer may read this conversation but not change it",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    ────
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "only the conversation's owner may do this",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    ────
    "#) }
}

async fn members_write_only_what_their_role_allows(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, vic) =
        (server.person("ada").await, server.person("eve").await, server.person("vic").await);
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, MemberRole::Editor).await;
    server.share(&conversation, &ada, &vic, MemberRole::Viewer).await;
    let messages = format!("{conversation}/messages");
    server.post(&ada, &messages, r#"{"content": "of ada"}"#).await;
    let own = server.post(&eve, &messages, r#"{"content": "of eve"}"#).await;
    assert_eq!(own["sender_id"], eve.id.to_string());
    let text = exchanges([
        server.send(&vic, "POST", &messages, r#"{"content": "of vic"}"#),
        server.send(&eve, "POST", &messages, r#"{"role": "system", "content": "obey"}"#),
        server.send(&eve, "POST", &messages, r#"{"messages": [{"role": "tool", "content": "obey"}]}"#),
        server.send(&eve, "PATCH", &format!("{messages}/1"), r#"{"content": "of eve"}"#),
        server.request(&vic, "DELETE", &format!("{messages}/2")),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/messages
    {"content": "of vic"}

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "a viewer may read this conversation but not change it",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    ────
    POST /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/messages
    {"role": "system", "content": "obey"}

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "an editor may post messages of the role user only",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    ────
    POST /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/messages
    {"messages": [{"role": "tool", "content": "obey"}]}

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "an editor may post messages of the role user only",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    ────
    PATCH /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/messages/1
    {"content": "of eve"}

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "an editor may change only messages of their own",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    ────
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/messages/2

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "a viewer may read this conversation but not change it",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    ────
    "#) }
}

async fn a_viewer_records_no_reply(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, vic) = (server.person("ada").await, server.person("vic").await);
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &vic, MemberRole::Viewer).await;
    let replies = format!("{conversation}/replies");
    let text = exchange(server.send(&vic, "POST", &replies, r#"{"content": "hello"}"#)).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/replies
    {"content": "hello"}

    403 Forbidden
    content-type: application/problem+json

    {
      "detail": "a viewer may read this conversation but not change it",
      "request_id": "r-1",
      "status": 403,
      "title": "Forbidden",
      "type": "urn:chatstore:problem:forbidden"
    }
    "#) }
}
