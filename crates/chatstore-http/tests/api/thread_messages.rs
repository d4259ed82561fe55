//! What is below a thread: the routes of its conversation, by the application's own id, created by the first append.

use std::collections::BTreeSet;

use axum::Router;
use chatstore::Store;
use chatstore_http::Api;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::{Value, json};

use crate::operations::operations;
use crate::support::{CONVERSATIONS, Server, answer, at_once, exchange, json as body_of, outlines, refusal};

conformance!(
    the_first_append_creates_the_thread_with_what_it_says_of_it,
    every_route_of_a_conversation_answers_alike_below_its_thread,
    sixty_four_first_appends_create_one_conversation_and_lose_nothing,
    a_condition_or_a_flag_keeps_a_thread_from_being_created,
    a_late_repetition_does_not_revive_a_deleted_thread,
    what_is_said_of_a_conversation_is_stored_with_the_messages_or_not_at_all,
    an_editor_changes_with_messages_what_an_editor_may_change,
    every_wrong_field_of_an_append_to_a_thread_is_named,
    no_thread_answers_without_credentials,
);

const MESSAGES: &str = "/api/v1/threads/support%2F17/messages";
const THREAD: &str = "/api/v1/threads/support%2F17";

async fn the_first_append_creates_the_thread_with_what_it_says_of_it(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let first = r#"{"content": "hello", "conversation": {"title": "Support", "default_model": "m", "metadata_patch": {"a": 1, "b": null}}}"#;
    let created = exchange(server.send(&ada, "POST", MESSAGES, first)).await;
    allow_duplicates! { assert_snapshot!(created, @r#"
    POST /api/v1/threads/support%2F17/messages
    {"content": "hello", "conversation": {"title": "Support", "default_model": "m", "metadata_patch": {"a": 1, "b": null}}}

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/019ca945-0a00-7775-9c77-01564f619afc
    etag: "2"

    {
      "content": "hello",
      "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "created_at": "2026-03-01T12:00:00.000000Z",
      "effective_model": "m",
      "id": "019ca945-0a00-7775-9c77-01564f619afc",
      "metadata": {},
      "role": "user",
      "sender_id": "019ca945-0a00-710a-adec-89025cc1beeb",
      "seq": 1,
      "short_id": "1CYcKgdReTQgBSmVQApABm",
      "used_documents": []
    }
    "#) }
    let thread = server.get(&ada, THREAD).await;
    assert_eq!(
        (&thread["title"], &thread["default_model"], &thread["metadata"], &thread["message_count"]),
        (&json!("Support"), &json!("m"), &json!({"a": 1}), &json!(1))
    );
    let second = r#"{"messages": [{"content": "a"}, {"role": "tool", "content": "b"}], "conversation": {"metadata_patch": {"c": {"d": 2}}}}"#;
    let appended = server.post(&ada, MESSAGES, second).await;
    assert_eq!((&appended["data"][0]["seq"], &appended["data"][1]["seq"]), (&json!(2), &json!(3)));
    let thread = server.get(&ada, THREAD).await;
    assert_eq!((&thread["title"], &thread["metadata"]), (&json!("Support"), &json!({"a": 1, "c": {"d": 2}})));
    assert_eq!(server.get(&ada, "/api/v1/conversations/count").await["count"], 1);
}

async fn every_route_of_a_conversation_answers_alike_below_its_thread(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let made = server.post(&ada, CONVERSATIONS, r#"{"thread_id": "t1"}"#).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("{CONVERSATIONS}/{id}");
    server.share(&path, &ada, &eve, chatstore::MemberRole::Editor).await;
    server.post(&ada, &format!("{path}/messages"), r#"{"content": "a"}"#).await;
    server.post(&ada, &format!("{path}/replies"), r#"{"content": "b"}"#).await;
    let eve_id = eve.id.to_string();
    let parts = [("id", id), ("thread_id", "t1"), ("message_id", "2"), ("user_id", &eve_id)];
    let mut count = 0;
    for operation in operations() {
        let Some(below) = operation.path.strip_prefix("/api/v1/conversations/{id}/") else { continue };
        count += 1;
        if operation.method != "GET" {
            continue;
        }
        let by_id = server.get(&ada, &operation.target(&parts)).await;
        let target = operation.target(&parts).replace(&path, "/api/v1/threads/t1");
        assert_eq!(server.get(&ada, &target).await, by_id, "{below}");
    }
    assert!(count >= 12, "{count} routes");
    let text = outlines([
        server.send(&ada, "PATCH", "/api/v1/threads/t1/messages/2", r#"{"content": "c"}"#),
        server.send(&ada, "PUT", &format!("/api/v1/threads/t1/members/{eve_id}"), r#"{"role": "viewer"}"#),
        server.request(&ada, "DELETE", &format!("/api/v1/threads/t1/members/{eve_id}")),
        server.request(&ada, "DELETE", "/api/v1/threads/t1/messages/2"),
        server.send(&ada, "POST", "/api/v1/threads/t1/replies", r#"{"content": "d"}"#),
    ])
    .await;
    let text = text.replace(&eve_id, "{eve}");
    allow_duplicates! { assert_snapshot!(text, @r#"
    PATCH /api/v1/threads/t1/messages/2 {"content": "c"} → 200
    PUT /api/v1/threads/t1/members/{eve} {"role": "viewer"} → 200
    DELETE /api/v1/threads/t1/members/{eve} → 204
    DELETE /api/v1/threads/t1/messages/2 → 204
    POST /api/v1/threads/t1/replies {"content": "d"} → 201
    "#) }
    assert_eq!(server.get(&ada, &path).await["last_message"], "d");
}

async fn sixty_four_first_appends_create_one_conversation_and_lose_nothing(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let batch = |number: usize| {
        let content = |place: usize| json!({"content": format!("{number}.{place}")});
        json!({"messages": [content(0), content(1), content(2)]}).to_string()
    };
    let requests = (0..64).map(|number| server.send(&ada, "POST", MESSAGES, &batch(number)));
    let answers = at_once(requests).await;
    let stored: Vec<&Value> =
        answers.iter().filter(|answer| answer.status == 201).map(|one| &one.body).collect();
    let refused: BTreeSet<u16> =
        answers.iter().map(|answer| answer.status).filter(|status| *status != 201).collect();
    assert!(refused.is_empty() || refused == BTreeSet::from([503]), "{refused:?}");
    assert!(!stored.is_empty());
    let conversations: BTreeSet<&str> =
        stored.iter().map(|body| body["data"][0]["conversation_id"].as_str().unwrap()).collect();
    assert_eq!(conversations.len(), 1);
    let all = server.get(&ada, &format!("{MESSAGES}?last=1000")).await;
    let contents: Vec<&str> =
        all["data"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(contents.len(), stored.len() * 3);
    for batch in contents.chunks(3) {
        let number = batch[0].split('.').next().unwrap();
        assert_eq!(batch, [0, 1, 2].map(|place| format!("{number}.{place}")), "each batch is whole");
    }
    assert_eq!(server.get(&ada, "/api/v1/conversations/count").await["count"], 1);
}

async fn a_condition_or_a_flag_keeps_a_thread_from_being_created(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let body = r#"{"content": "a"}"#;
    let append = |query: &str| server.send(&ada, "POST", &format!("{MESSAGES}{query}"), body);
    let conversation = server.conversation(&ada).await;
    let text = outlines([
        append("").header("If-Match", "*"),
        append("").header("If-Match", "\"1\""),
        append("").header("If-Match", "*").header("Idempotency-Key", "k1"),
        append("?create=false"),
        append("?create=false").header("If-Match", "*"),
        append("?create=no"),
        server.send(&ada, "POST", &format!("{conversation}/messages?create=true"), body),
        append("?create=true"),
        append("?create=false"),
        append("").header("If-Match", "*"),
        append("").header("If-Match", "\"4\""),
        append("").header("If-Match", "\"4\""),
    ])
    .await;
    let text = text.replace(&conversation, "{conversation}");
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/threads/support%2F17/messages [if-match: *] {"content": "a"} → 412 precondition-failed
    POST /api/v1/threads/support%2F17/messages [if-match: "1"] {"content": "a"} → 412 precondition-failed
    POST /api/v1/threads/support%2F17/messages [if-match: *] [idempotency-key: k1] {"content": "a"} → 412 precondition-failed
    POST /api/v1/threads/support%2F17/messages?create=false {"content": "a"} → 404 not-found
    POST /api/v1/threads/support%2F17/messages?create=false [if-match: *] {"content": "a"} → 404 not-found
    POST /api/v1/threads/support%2F17/messages?create=no {"content": "a"} → 422 validation (create: not_allowed)
    POST {conversation}/messages?create=true {"content": "a"} → 422 validation (create: not_allowed)
    POST /api/v1/threads/support%2F17/messages?create=true {"content": "a"} → 201
    POST /api/v1/threads/support%2F17/messages?create=false {"content": "a"} → 201
    POST /api/v1/threads/support%2F17/messages [if-match: *] {"content": "a"} → 201
    POST /api/v1/threads/support%2F17/messages [if-match: "4"] {"content": "a"} → 201
    POST /api/v1/threads/support%2F17/messages [if-match: "4"] {"content": "a"} → 412 precondition-failed
    "#) }
    assert_eq!(server.get(&ada, THREAD).await["message_count"], 4);
}

async fn a_late_repetition_does_not_revive_a_deleted_thread(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let append =
        || server.send(&ada, "POST", MESSAGES, r#"{"content": "a"}"#).header("Idempotency-Key", "k1");
    let first = answer(append()).await;
    let again = answer(append()).await;
    assert_eq!((first.status, again.status, again.header("idempotency-replayed")), (201, 201, "true"));
    assert_eq!(first.body, again.body);
    assert_eq!(answer(server.request(&ada, "DELETE", THREAD)).await.status, 204);
    assert_eq!(answer(append()).await.status, 409);
    assert_eq!(answer(server.request(&ada, "GET", THREAD)).await.status, 404);
    assert_eq!(server.get(&ada, "/api/v1/conversations/count").await["count"], 0);
    let repetitions = (0..16)
        .map(|_| server.send(&ada, "POST", MESSAGES, r#"{"content": "b"}"#).header("Idempotency-Key", "k2"));
    let answers = at_once(repetitions).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(server.get(&ada, THREAD).await["message_count"], 1);
}

async fn what_is_said_of_a_conversation_is_stored_with_the_messages_or_not_at_all(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let messages = format!("{conversation}/messages");
    let state = r#"{"content": "a", "conversation": {"title": "T", "metadata_patch": {"step": 1}}}"#;
    server.post(&ada, &messages, state).await;
    let changed = server.get(&ada, &conversation).await;
    assert_eq!((&changed["title"], &changed["metadata"]), (&json!("T"), &json!({"step": 1})));
    let large = json!({"content": "b", "conversation": {"metadata_patch": {"large": "x".repeat(65_530)}}});
    let refused = refusal(server.send(&ada, "POST", &messages, &large.to_string())).await;
    assert_eq!(refused, (422, vec![("conversation.metadata_patch".to_owned(), "too_long".to_owned())]));
    let refused = server.send(&ada, "POST", &messages, state).header("If-Match", "\"1\"");
    assert_eq!(answer(refused).await.status, 412);
    assert_eq!(server.get(&ada, &conversation).await, changed, "nothing was changed");
    for number in 2..4 {
        let patch = json!({"metadata_patch": {"step": null, format!("n{number}"): [number]}});
        let patched = server.send(&ada, "PATCH", &conversation, &patch.to_string());
        assert_eq!(answer(patched).await.status, 200);
    }
    assert_eq!(server.get(&ada, &conversation).await["metadata"], json!({"n2": [2], "n3": [3]}));
    let steps = (0..16).map(|number| {
        let body =
            json!({"content": "c", "conversation": {"metadata_patch": {format!("s{number}"): number}}});
        server.send(&ada, "POST", &messages, &body.to_string())
    });
    assert!(at_once(steps).await.iter().all(|one| one.status == 201));
    let merged = server.get(&ada, &conversation).await["metadata"].as_object().unwrap().len();
    assert_eq!(merged, 18, "no patch is lost");
}

async fn an_editor_changes_with_messages_what_an_editor_may_change(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, bob) =
        (server.person("ada").await, server.person("eve").await, server.person("bob").await);
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, chatstore::MemberRole::Editor).await;
    server.share(&conversation, &ada, &bob, chatstore::MemberRole::Viewer).await;
    let messages = format!("{conversation}/messages");
    let body = r#"{"content": "a", "conversation": {"title": "T", "metadata_patch": {"a": 1}}}"#;
    let statuses = [
        answer(server.send(&eve, "POST", &messages, body)).await.status,
        answer(server.send(&bob, "POST", &messages, body)).await.status,
    ];
    assert_eq!(statuses, [201, 403]);
    let changed = server.get(&ada, &conversation).await;
    assert_eq!((&changed["title"], &changed["message_count"]), (&json!("T"), &json!(1)));
    let message = server.get(&ada, &format!("{messages}/1")).await;
    assert_eq!(message["sender_id"], eve.id.to_string());
}

async fn every_wrong_field_of_an_append_to_a_thread_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let post = |target: &str, body: &str| server.send(&ada, "POST", target, body);
    let text = outlines([
        post(MESSAGES, r#"{"content": 1, "conversation": {"title": 2, "owner_id": 3}}"#),
        post(MESSAGES, r#"{"messages": [{"content": "a", "conversation": {}}]}"#),
        post(MESSAGES, r#"{"content": "a", "conversation": {"metadata": {}, "metadata_patch": {}}}"#),
        post(MESSAGES, r#"{"content": "a", "conversation": {"metadata_patch": [1]}}"#),
        post(MESSAGES, r#"{"content": "a", "conversation": {"metadata_patch": null}}"#),
        post(MESSAGES, r#"{"content": "a", "conversation": null}"#),
        post(MESSAGES, r#"{"content": "a", "conversation": {"title": "a", "title": "b"}}"#),
        post("/api/v1/threads/a%0Ab/messages", r#"{"content": "a"}"#),
        post("/api/v1/threads/a%00b/messages", r#"{"content": "a"}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/threads/support%2F17/messages {"content": 1, "conversation": {"title": 2, "owner_id": 3}} → 422 validation (content: wrong_type) (conversation.title: wrong_type) (conversation.owner_id: unknown_field)
    POST /api/v1/threads/support%2F17/messages {"messages": [{"content": "a", "conversation": {}}]} → 422 validation (messages[0].conversation: unknown_field)
    POST /api/v1/threads/support%2F17/messages {"content": "a", "conversation": {"metadata": {}, "metadata_patch": {}}} → 422 validation (conversation.metadata_patch: not_allowed)
    POST /api/v1/threads/support%2F17/messages {"content": "a", "conversation": {"metadata_patch": [1]}} → 422 validation (conversation.metadata_patch: wrong_type)
    POST /api/v1/threads/support%2F17/messages {"content": "a", "conversation": {"metadata_patch": null}} → 422 validation (conversation.metadata_patch: wrong_type)
    POST /api/v1/threads/support%2F17/messages {"content": "a", "conversation": null} → 422 validation (conversation: wrong_type)
    POST /api/v1/threads/support%2F17/messages {"content": "a", "conversation": {"title": "a", "title": "b"}} → 400 malformed-request
    POST /api/v1/threads/a%0Ab/messages {"content": "a"} → 422 validation (thread_id: invalid_format)
    POST /api/v1/threads/a%00b/messages {"content": "a"} → 422 validation (thread_id: nul_character)
    "#) }
    let long = format!("/api/v1/threads/{}/messages", "a".repeat(256));
    let refused = refusal(post(&long, r#"{"content": "a"}"#)).await;
    assert_eq!(refused, (422, vec![("thread_id".to_owned(), "too_long".to_owned())]));
    assert_eq!(server.get(&ada, "/api/v1/conversations/count").await["count"], 0);
}

fn open_to_all(store: Store) -> Router {
    Api::new(store).anonymous(true).router()
}

async fn no_thread_answers_without_credentials(case: TestDatabase) {
    let server = Server::start_with(case, open_to_all).await;
    let root = server.admin("root").await;
    let service = server.service(&root).await;
    let append = server.act(&service, "anonymous", "POST", "/api/v1/threads/t1/messages");
    let append = append.header("Content-Type", "application/json").body(r#"{"content": "secret"}"#);
    let created = append.send().await.unwrap();
    assert_eq!(created.status(), 201);
    let id = body_of(created).await["conversation_id"].as_str().unwrap().to_owned();
    let parts = [("id", id.as_str()), ("thread_id", "t1"), ("message_id", "1")];
    let (mut of_threads, mut of_ids) = (0, 0);
    for operation in operations() {
        let request = server.anonymous(&operation.method, &operation.target(&parts));
        let request = request.header("Content-Type", "application/json").body(operation.body());
        if operation.path.starts_with("/api/v1/threads/") {
            assert_eq!(answer(request).await.status, 401, "{}", operation.name());
            of_threads += 1;
        } else if operation.path.starts_with("/api/v1/conversations/{id}/messages")
            && operation.method == "GET"
        {
            of_ids += usize::from(answer(request).await.status == 200);
        }
    }
    assert!(of_threads >= 16 && of_ids >= 2, "{of_threads} {of_ids}");
}
