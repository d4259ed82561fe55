//! Members of a conversation: listed, added, removed.

use std::time::Duration;

use chatstore::{MemberRole, UserId};
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::operations::operations;
use crate::support::{Person, Server, answer, exchange, exchanges, outlines};

conformance!(
    a_member_is_added_and_then_given_another_role,
    members_are_listed_with_the_owner_first,
    a_walk_over_members_meets_each_once,
    adding_an_unsuitable_member_is_refused,
    the_owner_or_the_member_ends_a_membership,
    memberships_leave_the_conversation_as_it_was,
    every_route_answers_a_viewer_and_an_editor_by_their_rights,
);

fn member(conversation: &str, id: UserId) -> String {
    format!("{conversation}/members/{id}")
}

async fn a_member_is_added_and_then_given_another_role(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let conversation = server.conversation(&ada).await;
    assert_eq!(answer(server.request(&eve, "GET", &conversation)).await.status, 404);
    let path = member(&conversation, eve.id);
    let let_in = exchange(server.request(&ada, "PUT", &path)).await;
    assert_eq!(server.get(&eve, &conversation).await["role"], "editor");
    server.case.clock.advance(Duration::from_secs(60));
    let changed = exchange(server.send(&ada, "PUT", &path, r#"{"role": "viewer"}"#)).await;
    assert_eq!(server.get(&eve, &conversation).await["role"], "viewer");
    allow_duplicates! { assert_snapshot!(format!("{let_in}────\n{changed}"), @r#"
    PUT /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/members/019ca945-0a00-7917-98de-357e3da8cb43

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/members/019ca945-0a00-7917-98de-357e3da8cb43

    {
      "joined_at": "2026-03-01T12:00:00.000000Z",
      "role": "editor",
      "user_id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "username": "eve"
    }
    ────
    PUT /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/members/019ca945-0a00-7917-98de-357e3da8cb43
    {"role": "viewer"}

    200 OK
    content-type: application/json

    {
      "joined_at": "2026-03-01T12:00:00.000000Z",
      "role": "viewer",
      "user_id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "username": "eve"
    }
    "#) }
    let short = answer(server.send(&ada, "PUT", &member(&conversation, eve.id), "{}")).await;
    assert_eq!((short.status, &short.body["role"]), (200, &"editor".into()), "the default role");
}

async fn members_are_listed_with_the_owner_first(case: TestDatabase) {
    let server = Server::start(case).await;
    // The owner's id is the largest, and the first that joins has no name.
    let (eve, vic, ada) =
        (server.person("eve").await, server.person("vic").await, server.person("ada").await);
    let (nameless, _) = server.store.users().get_or_create_by_email("a@b.org").await.unwrap();
    let conversation = server.conversation(&ada).await;
    let nameless = Person { id: nameless.id, key: String::new() };
    for (person, role) in
        [(&nameless, MemberRole::Viewer), (&vic, MemberRole::Editor), (&eve, MemberRole::Viewer)]
    {
        server.case.clock.advance(Duration::from_secs(1));
        server.share(&conversation, &ada, person, role).await;
    }
    let text = exchanges([
        server.request(&eve, "GET", &format!("{conversation}/members?limit=3")),
        server.request(&ada, "GET", &format!("{conversation}/members?limit=4&cursor=x")),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations/019ca945-0a00-73f9-9ca7-864a7135b6b9/members?limit=3

    200 OK
    content-type: application/json

    {
      "data": [
        {
          "joined_at": "2026-03-01T12:00:00.000000Z",
          "role": "owner",
          "user_id": "019ca945-0a00-7534-a6a6-b7fd0b63d0ba",
          "username": "ada"
        },
        {
          "joined_at": "2026-03-01T12:00:01.000000Z",
          "role": "viewer",
          "user_id": "019ca945-0a00-7973-85c5-d1aab99f0c43",
          "username": null
        },
        {
          "joined_at": "2026-03-01T12:00:02.000000Z",
          "role": "editor",
          "user_id": "019ca945-0a00-7917-98de-357e3da8cb43",
          "username": "vic"
        }
      ],
      "next_cursor": "AAAAAAAAAAEABkv1Nc2UgAGcqUUKAHkXmN41fj2oy0P8ca5yySJ8mA"
    }
    ────
    GET /api/v1/conversations/019ca945-0a00-73f9-9ca7-864a7135b6b9/members?limit=4&cursor=x

    422 Unprocessable Entity
    content-type: application/problem+json

    {
      "detail": "cursor: is not a cursor of this list; start again without one",
      "errors": [
        {
          "code": "invalid_format",
          "field": "cursor",
          "message": "is not a cursor of this list; start again without one"
        }
      ],
      "request_id": "r-1",
      "status": 422,
      "title": "Validation failed",
      "type": "urn:chatstore:problem:validation"
    }
    ────
    "#) }
    let all = server.get(&vic, &format!("{conversation}/members")).await;
    let ids: Vec<&str> =
        all["data"].as_array().unwrap().iter().map(|one| one["user_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [ada.id, nameless.id, vic.id, eve.id].map(|id| id.to_string()));
    assert!(all["next_cursor"].is_null());
}

async fn a_walk_over_members_meets_each_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let conversation = server.conversation(&ada).await;
    let other = server.conversation(&ada).await;
    let mut expected = vec![ada.id.to_string()];
    for number in 0..7 {
        let (user, _) =
            server.store.users().get_or_create_by_email(&format!("{number}@b.org")).await.unwrap();
        let person = Person { id: user.id, key: String::new() };
        server.share(&conversation, &ada, &person, MemberRole::Viewer).await;
        expected.push(user.id.to_string());
    }
    server.share(&conversation, &ada, &eve, MemberRole::Viewer).await;
    expected.push(eve.id.to_string());
    expected[1..].sort_unstable();
    for limit in [1, 2, 4, 9, 200] {
        let (mut met, mut cursor) = (Vec::new(), String::new());
        loop {
            let target = format!("{conversation}/members?limit={limit}{cursor}");
            let page = server.get(&ada, &target).await;
            met.extend(
                page["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one["user_id"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(met[0], expected[0], "the owner is first");
        met[1..].sort_unstable();
        assert_eq!(met, expected, "limit {limit}");
    }
    let page = server.get(&ada, &format!("{conversation}/members?limit=1")).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    for (person, path) in [(&ada, &other), (&eve, &conversation)] {
        let refused = answer(server.request(person, "GET", &format!("{path}/members?cursor={cursor}"))).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["field"]), (422, &"cursor".into()));
    }
}

async fn adding_an_unsuitable_member_is_refused(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, vic, bob) = (
        server.person("ada").await,
        server.person("eve").await,
        server.person("vic").await,
        server.person("bob").await,
    );
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, MemberRole::Editor).await;
    server.share(&conversation, &ada, &vic, MemberRole::Viewer).await;
    let gone = server.person("gone").await;
    server.store.users().erase(gone.id).await.unwrap();
    let put = |person: &Person, id: &str, body: &str| {
        server.send(person, "PUT", &format!("{conversation}/members/{id}"), body)
    };
    let (bob_id, nil) = (bob.id.to_string(), UserId::ANONYMOUS.to_string());
    let text = outlines([
        put(&eve, &bob_id, "{}"),
        put(&vic, &vic.id.to_string(), r#"{"role": "editor"}"#),
        put(&bob, &bob_id, "{}"),
        put(&ada, "00000000-0000-7000-8000-000000000001", "{}"),
        put(&ada, &nil, "{}"),
        put(&ada, &gone.id.to_string(), "{}"),
        put(&ada, "bob", "{}"),
        put(&ada, &ada.id.to_string(), r#"{"role": "viewer"}"#),
        put(&ada, &bob_id, r#"{"role": "owner"}"#),
        put(&ada, &bob_id, r#"{"role": null, "user_id": "x"}"#),
        put(&ada, "%00", "{}"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/019ca945-0a00-7973-85c5-d1aab99f0c43 {} → 403 forbidden
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/019ca945-0a00-7534-a6a6-b7fd0b63d0ba {"role": "editor"} → 403 forbidden
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/019ca945-0a00-7973-85c5-d1aab99f0c43 {} → 404 not-found
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/00000000-0000-7000-8000-000000000001 {} → 404 not-found
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/00000000-0000-0000-0000-000000000000 {} → 404 not-found
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/019ca945-0a00-70d6-824e-2ef3fc17879e {} → 404 not-found
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/bob {} → 404 not-found
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/019ca945-0a00-710a-adec-89025cc1beeb {"role": "viewer"} → 409 conflict
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/019ca945-0a00-7973-85c5-d1aab99f0c43 {"role": "owner"} → 422 validation (role: not_allowed)
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/019ca945-0a00-7973-85c5-d1aab99f0c43 {"role": null, "user_id": "x"} → 422 validation (role: wrong_type) (user_id: unknown_field)
    PUT /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/members/%00 {} → 422 validation (user_id: nul_character)
    "#) }
    let members = server.get(&ada, &format!("{conversation}/members")).await;
    assert_eq!(members["data"].as_array().unwrap().len(), 3, "no member was added");
}

async fn the_owner_or_the_member_ends_a_membership(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, vic) =
        (server.person("ada").await, server.person("eve").await, server.person("vic").await);
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, MemberRole::Editor).await;
    server.share(&conversation, &ada, &vic, MemberRole::Viewer).await;
    let remove = |person: &Person, id: UserId| server.request(person, "DELETE", &member(&conversation, id));
    let text = outlines([
        remove(&eve, vic.id),
        remove(&eve, ada.id),
        remove(&ada, ada.id),
        remove(&ada, UserId::ANONYMOUS),
        remove(&vic, vic.id),
        remove(&vic, vic.id),
        remove(&ada, eve.id),
        remove(&ada, eve.id),
        server.request(&ada, "DELETE", &format!("{conversation}/members/x")),
        server.request(&eve, "GET", &conversation),
        server.request(&vic, "GET", &format!("{conversation}/members")),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @"
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members/019ca945-0a00-7534-a6a6-b7fd0b63d0ba → 403 forbidden
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members/019ca945-0a00-710a-adec-89025cc1beeb → 403 forbidden
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members/019ca945-0a00-710a-adec-89025cc1beeb → 409 conflict
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members/00000000-0000-0000-0000-000000000000 → 404 not-found
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members/019ca945-0a00-7534-a6a6-b7fd0b63d0ba → 204
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members/019ca945-0a00-7534-a6a6-b7fd0b63d0ba → 404 not-found
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members/019ca945-0a00-7917-98de-357e3da8cb43 → 204
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members/019ca945-0a00-7917-98de-357e3da8cb43 → 404 not-found
    DELETE /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members/x → 404 not-found
    GET /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43 → 404 not-found
    GET /api/v1/conversations/019ca945-0a00-7973-85c5-d1aab99f0c43/members → 404 not-found
    ") }
}

async fn memberships_leave_the_conversation_as_it_was(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let conversation = server.conversation(&ada).await;
    let before = server.get(&ada, &conversation).await["updated_at"].clone();
    let path = member(&conversation, eve.id);
    for (person, method, body) in [
        (&ada, "PUT", "{}"),
        (&ada, "PUT", r#"{"role": "viewer"}"#),
        (&ada, "DELETE", ""),
        (&ada, "PUT", "{}"),
        (&eve, "DELETE", ""),
    ] {
        server.case.clock.advance(Duration::from_secs(60));
        assert!(answer(server.send(person, method, &path, body)).await.status < 300, "{method} {body}");
        assert_eq!(server.get(&ada, &conversation).await["updated_at"], before, "{method} {body}");
    }
}

async fn every_route_answers_a_viewer_and_an_editor_by_their_rights(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, vic, bob) = (
        server.person("ada").await,
        server.person("eve").await,
        server.person("vic").await,
        server.person("bob").await,
    );
    let mut text = String::new();
    let below = |path: &str| path.starts_with("/api/v1/conversations/{id}");
    for operation in operations().iter().filter(|operation| below(&operation.path)) {
        // Another conversation for each, because one of them deletes it.
        let conversation = server.conversation(&ada).await;
        let id = conversation.rsplit('/').next().unwrap();
        server.share(&conversation, &ada, &eve, MemberRole::Editor).await;
        server.share(&conversation, &ada, &vic, MemberRole::Viewer).await;
        server.post(&ada, &format!("{conversation}/replies"), r#"{"content": "of ada"}"#).await;
        let bob_id = bob.id.to_string();
        let target = operation.target(&[("id", id), ("message_id", "1"), ("user_id", &bob_id)]);
        let mut statuses = Vec::new();
        for person in [&vic, &eve, &ada] {
            statuses
                .push(answer(server.send(person, &operation.method, &target, operation.body())).await.status);
        }
        text.push_str(&format!(
            "{}: viewer {} editor {} owner {}\n",
            operation.name(),
            statuses[0],
            statuses[1],
            statuses[2]
        ));
    }
    allow_duplicates! { assert_snapshot!(text, @"
    GET /api/v1/conversations/{id}: viewer 200 editor 200 owner 200
    PATCH /api/v1/conversations/{id}: viewer 403 editor 200 owner 200
    DELETE /api/v1/conversations/{id}: viewer 403 editor 403 owner 204
    POST /api/v1/conversations/{id}/copies: viewer 201 editor 201 owner 201
    GET /api/v1/conversations/{id}/members: viewer 200 editor 200 owner 200
    PUT /api/v1/conversations/{id}/members/{user_id}: viewer 403 editor 403 owner 201
    DELETE /api/v1/conversations/{id}/members/{user_id}: viewer 403 editor 403 owner 404
    GET /api/v1/conversations/{id}/messages: viewer 200 editor 200 owner 200
    PUT /api/v1/conversations/{id}/messages: viewer 403 editor 403 owner 200
    POST /api/v1/conversations/{id}/messages: viewer 403 editor 201 owner 201
    DELETE /api/v1/conversations/{id}/messages: viewer 403 editor 403 owner 200
    DELETE /api/v1/conversations/{id}/messages/last: viewer 403 editor 403 owner 200
    POST /api/v1/conversations/{id}/messages/replace-suffix: viewer 403 editor 403 owner 200
    GET /api/v1/conversations/{id}/messages/{message_id}: viewer 200 editor 200 owner 200
    PUT /api/v1/conversations/{id}/messages/{message_id}: viewer 403 editor 201 owner 200
    PATCH /api/v1/conversations/{id}/messages/{message_id}: viewer 403 editor 403 owner 200
    DELETE /api/v1/conversations/{id}/messages/{message_id}: viewer 403 editor 403 owner 204
    GET /api/v1/conversations/{id}/messages/{message_id}/response: viewer 200 editor 200 owner 200
    POST /api/v1/conversations/{id}/replies: viewer 403 editor 201 owner 201
    ") }
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, MemberRole::Editor).await;
    server.post(&eve, &format!("{conversation}/messages"), r#"{"content": "of eve"}"#).await;
    let own = format!("{conversation}/messages/1");
    let text = outlines([
        server.send(&eve, "PATCH", &own, r#"{"content": "still of eve"}"#),
        server.send(&eve, "PATCH", &conversation, r#"{"title": "a", "default_model": "b", "metadata": {}}"#),
        server.send(&eve, "PATCH", &conversation, r#"{"last_message": "a"}"#),
        server.request(&eve, "DELETE", &own),
    ])
    .await
    .replace(&conversation, "{conversation}");
    allow_duplicates! { assert_snapshot!(text, @r#"
    PATCH {conversation}/messages/1 {"content": "still of eve"} → 200
    PATCH {conversation} {"title": "a", "default_model": "b", "metadata": {}} → 200
    PATCH {conversation} {"last_message": "a"} → 403 forbidden
    DELETE {conversation}/messages/1 → 204
    "#) }
}
