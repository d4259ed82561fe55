//! Which requests are remembered under which keys.

use std::time::Duration;

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::support::{CONVERSATIONS, Person, Server, answer, at_once, outlines};

conformance!(
    a_request_that_failed_is_not_remembered,
    the_keys_of_two_users_do_not_collide,
    a_key_has_1_to_255_visible_ascii_characters,
    a_key_is_remembered_for_a_day,
    a_replay_passes_a_condition_that_held_the_first_time,
    one_of_the_concurrent_conditional_requests_takes_effect,
    a_user_who_may_no_longer_write_gets_no_replay,
);

const MESSAGE: &str = r#"{"content": "a"}"#;

async fn a_request_that_failed_is_not_remembered(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, vic) = (server.person("ada").await, server.person("vic").await);
    let conversation = server.conversation(&ada).await;
    let messages = format!("{conversation}/messages");
    server.share(&conversation, &ada, &vic, MemberRole::Viewer).await;
    let absent = format!("{CONVERSATIONS}/00000000-0000-7000-8000-000000000001/messages");
    let post = |person: &Person, key: &str, target: &str, body: &str| {
        server.send(person, "POST", target, body).header("Idempotency-Key", key)
    };
    let mut text = outlines([
        post(&ada, "k1", &messages, r#"{"content": 1}"#),
        post(&ada, "k1", &absent, MESSAGE),
        post(&ada, "k1", &messages, "{"),
        post(&ada, "k1", &messages, MESSAGE).header("If-Match", "\"99\""),
        post(&ada, "k1", &messages, MESSAGE),
        post(&ada, "r1", &messages.replace("messages", "replies"), MESSAGE).header("If-Match", "\"99\""),
        post(&ada, "r1", &messages.replace("messages", "replies"), MESSAGE),
        post(&ada, "k2", CONVERSATIONS, r#"{"thread_id": "t1"}"#),
        post(&ada, "k3", CONVERSATIONS, r#"{"thread_id": "t1"}"#),
        post(&ada, "k3", CONVERSATIONS, r#"{"thread_id": "t2"}"#),
        post(&vic, "k1", &messages, MESSAGE),
    ])
    .await;
    server.share(&conversation, &ada, &vic, MemberRole::Editor).await;
    text += &outlines([post(&vic, "k1", &messages, MESSAGE)]).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/messages [idempotency-key: k1] {"content": 1} → 422 validation (content: wrong_type)
    POST /api/v1/conversations/00000000-0000-7000-8000-000000000001/messages [idempotency-key: k1] {"content": "a"} → 404 not-found
    POST /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/messages [idempotency-key: k1] { → 400 malformed-request
    POST /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/messages [if-match: "99"] [idempotency-key: k1] {"content": "a"} → 412 precondition-failed
    POST /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/messages [idempotency-key: k1] {"content": "a"} → 201
    POST /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/replies [if-match: "99"] [idempotency-key: r1] {"content": "a"} → 412 precondition-failed
    POST /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/replies [idempotency-key: r1] {"content": "a"} → 201
    POST /api/v1/conversations [idempotency-key: k2] {"thread_id": "t1"} → 201
    POST /api/v1/conversations [idempotency-key: k3] {"thread_id": "t1"} → 409 already-exists (thread_id: not_allowed)
    POST /api/v1/conversations [idempotency-key: k3] {"thread_id": "t2"} → 201
    POST /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/messages [idempotency-key: k1] {"content": "a"} → 403 forbidden
    POST /api/v1/conversations/019ca945-0a00-7534-a6a6-b7fd0b63d0ba/messages [idempotency-key: k1] {"content": "a"} → 201
    "#) }
    assert_eq!(server.get(&ada, &conversation).await["message_count"], 3);
}

async fn the_keys_of_two_users_do_not_collide(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada, eve) =
        (server.admin("root").await, server.person("ada").await, server.person("eve").await);
    let service = server.service(&root).await;
    let post = |person: &Person, body: &str| {
        server.send(person, "POST", CONVERSATIONS, body).header("Idempotency-Key", "k1")
    };
    let of_ada = answer(post(&ada, "{}")).await;
    let of_eve = answer(post(&eve, r#"{"title": "another"}"#)).await;
    assert_eq!((of_eve.status, of_eve.header("idempotency-replayed")), (201, ""));
    assert_ne!(of_ada.body["id"], of_eve.body["id"]);
    let for_root = answer(post(&service, "{}").header("Chatstore-User", "anonymous")).await;
    assert_eq!((for_root.status, for_root.header("idempotency-replayed")), (201, ""));
    let for_ada = answer(post(&service, "{}").header("Chatstore-User", "name:ada")).await;
    assert_eq!(for_ada.header("idempotency-replayed"), "true", "the scope is the user, not the key");
    assert_eq!(for_ada.body, of_ada.body);
}

async fn a_key_has_1_to_255_visible_ascii_characters(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let targets =
        [CONVERSATIONS.to_owned(), format!("{conversation}/messages"), format!("{conversation}/replies")];
    for target in &targets {
        let body = if target == CONVERSATIONS { "{}" } else { MESSAGE };
        let post = |key: &str| server.send(&ada, "POST", target, body).header("Idempotency-Key", key);
        for key in ["", "a b", "é", "a\tb", &"a".repeat(256)] {
            let refused = answer(post(key)).await;
            let error = &refused.body["errors"][0];
            assert_eq!(
                (refused.status, error["field"].as_str(), error["code"].as_str()),
                (422, Some("Idempotency-Key"), Some("invalid_format")),
                "{target} {key:?}"
            );
        }
        let twice = answer(post("a").header("Idempotency-Key", "a")).await;
        assert_eq!(
            (twice.status, &twice.body["errors"][0]["code"]),
            (422, &"not_allowed".into()),
            "{target}"
        );
        for key in [format!("!~{}", target.len()), format!("{}{}", target.len(), "a".repeat(253))] {
            assert_eq!(answer(post(&key)).await.status, 201, "{target} {key}");
            assert_eq!(answer(post(&key)).await.header("idempotency-replayed"), "true", "{target} {key}");
        }
    }
}

async fn a_key_is_remembered_for_a_day(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let post = || server.send(&ada, "POST", CONVERSATIONS, "{}").header("Idempotency-Key", "k1");
    let first = answer(post()).await;
    server.case.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert_eq!(answer(post()).await.body["id"], first.body["id"]);
    server.case.clock.advance(Duration::from_secs(2));
    let later = answer(post()).await;
    assert_eq!((later.status, later.header("idempotency-replayed")), (201, ""));
    assert_ne!(later.body["id"], first.body["id"]);
}

async fn a_replay_passes_a_condition_that_held_the_first_time(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    for (end, tag) in [("messages", "\"1\""), ("replies", "\"2\"")] {
        let target = format!("{conversation}/{end}");
        let post = || {
            let request = server.send(&ada, "POST", &target, MESSAGE);
            request.header("Idempotency-Key", end).header("If-Match", tag)
        };
        let (first, again) = (answer(post()).await, answer(post()).await);
        assert_eq!((first.status, again.status), (201, 201), "{end}");
        assert_eq!(again.header("idempotency-replayed"), "true", "{end}");
        assert_eq!(again.body, first.body, "{end}");
    }
}

async fn one_of_the_concurrent_conditional_requests_takes_effect(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for end in ["messages", "replies"] {
        let conversation = server.conversation(&ada).await;
        let post = |_| {
            let request = server.send(&ada, "POST", &format!("{conversation}/{end}"), MESSAGE);
            request.header("Idempotency-Key", conversation.as_str()).header("If-Match", "\"1\"")
        };
        let answers = at_once((0..16).map(post)).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [201; 16], "{end}");
        let first = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty());
        assert_eq!(first.count(), 1, "{end}");
    }
}

async fn a_user_who_may_no_longer_write_gets_no_replay(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, MemberRole::Editor).await;
    let target = format!("{conversation}/messages");
    let post = || server.send(&eve, "POST", &target, MESSAGE).header("Idempotency-Key", "k1");
    assert_eq!(answer(post()).await.status, 201);
    let member = format!("{conversation}/members/{}", eve.id);
    assert_eq!(answer(server.request(&ada, "DELETE", &member)).await.status, 204);
    assert_eq!(answer(post()).await.status, 404);
}
