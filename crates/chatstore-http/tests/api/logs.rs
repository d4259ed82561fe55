//! Events: kept for applications and by the server, and read by those whom they are about and by administrators.

use std::time::Duration;

use chatstore::auth::{LoginName, Password};
use chatstore_testkit::{SeededIds, TestDatabase, conformance};
use serde_json::{Value, json};

use crate::support::{Person, Server, answer, builder, outlines, refusal};

conformance!(
    an_event_is_kept_and_read_by_whom_it_is_about,
    an_event_names_who_caused_it_in_which_request,
    events_are_listed_newest_first_and_page_by_page,
    every_filter_of_events_is_applied,
    administrators_read_the_events_of_all_and_services_do_not,
    events_about_nobody_are_read_by_administrators_alone,
    what_is_wrong_with_an_event_is_answered_field_by_field,
    security_events_are_kept_and_their_user_reads_them,
);

const LOGS: &str = "/api/v1/logs";
const ALL: &str = "/api/v1/admin/logs";
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// The names of the events of a list.
async fn names(server: &Server, person: &Person, target: &str) -> Vec<String> {
    let page = server.get(person, target).await;
    let events = page["data"].as_array().unwrap().iter();
    events.map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

/// Keeps an event, a second after the one before.
async fn happen(server: &Server, person: &Person, body: &str) -> Value {
    server.case.clock.advance(Duration::from_secs(1));
    server.post(person, LOGS, body).await
}

async fn an_event_is_kept_and_read_by_whom_it_is_about(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let conversation = server.post(&ada, "/api/v1/conversations", "{}").await;
    let body = json!({
        "level": "warn", "event": "chat.opened", "conversation_id": conversation["short_id"], "request_id": "r-7",
        "data": {"b": 1.0, "a": [null]}
    });
    let created = answer(server.send(&ada, "POST", LOGS, &body.to_string())).await;
    assert_eq!(created.status, 201);
    let event = created.body.clone();
    let key = server.store.keys().list(ada.id).await.unwrap()[0].id.to_string();
    let expected = json!({
        "id": event["id"], "short_id": event["short_id"], "at": "2026-03-01T12:00:00.000000Z", "level": "warn",
        "event": "chat.opened", "user_id": ada.id, "conversation_id": conversation["id"], "request_id": "r-7",
        "actor_id": ada.id, "key_id": key, "acting_for_id": null, "data": {"a": [null], "b": 1}
    });
    assert_eq!(event, expected);
    let place = created.header("location").to_owned();
    assert_eq!(place, format!("{LOGS}/{}", event["id"].as_str().unwrap()));
    for name in ["id", "short_id"] {
        let target = format!("{LOGS}/{}", event[name].as_str().unwrap());
        assert_eq!(server.get(&ada, &target).await, expected);
    }
    assert_eq!(server.get(&ada, LOGS).await, json!({"data": [expected], "next_cursor": null}));
    assert_eq!(answer(server.request(&eve, "GET", &place)).await.status, 404);
    assert_eq!(server.get(&eve, LOGS).await, json!({"data": [], "next_cursor": null}));
    let smallest = server.post(&ada, LOGS, r#"{"event": "chat.opened"}"#).await;
    assert_eq!((&smallest["level"], &smallest["data"]), (&json!("info"), &json!({})));
    for method in ["PATCH", "DELETE", "PUT"] {
        assert_eq!(answer(server.send(&ada, method, &place, "{}")).await.status, 405, "{method}");
    }
}

async fn an_event_names_who_caused_it_in_which_request(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, root) = (server.person("ada").await, server.admin("root").await);
    let service = server.service(&root).await;
    let request = server.act(&service, "name:ada", "POST", LOGS).header("Content-Type", "application/json");
    let event = answer(request.body(r#"{"event": "chat.opened"}"#)).await.body;
    assert_eq!(event["user_id"], json!(ada.id));
    assert_eq!((&event["actor_id"], &event["acting_for_id"]), (&json!(root.id), &json!(ada.id)));
    assert_eq!(event["request_id"], "r-1", "the id of the request that keeps it");
    assert!(event["key_id"].is_string());
}

async fn events_are_listed_newest_first_and_page_by_page(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, root) = (server.person("ada").await, server.admin("root").await);
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.push(format!("e{number}"));
        happen(&server, &ada, &format!(r#"{{"event": "e{number}"}}"#)).await;
    }
    assert_eq!(names(&server, &ada, &format!("{LOGS}?order=asc")).await, expected);
    expected.reverse();
    for list in [LOGS.to_owned(), ALL.to_owned(), format!("{ALL}?user_id={}", ada.id)] {
        let person = if list == LOGS { &ada } else { &root };
        let separator = if list.contains('?') { '&' } else { '?' };
        let (mut found, mut target) = (Vec::new(), format!("{list}{separator}limit=3"));
        let first = target.clone();
        loop {
            let page = server.get(person, &target).await;
            found.extend(page["data"].as_array().unwrap().iter().map(|event| event["event"].clone()));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            target = format!("{first}&cursor={cursor}");
        }
        assert_eq!(json!(found), json!(expected), "{list}");
    }
    let page = server.get(&ada, &format!("{LOGS}?limit=3")).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    for (person, target) in [(&root, ALL), (&root, LOGS)] {
        let refused = refusal(server.request(person, "GET", &format!("{target}?cursor={cursor}"))).await;
        assert_eq!(refused, (422, vec![("cursor".to_owned(), "invalid_format".to_owned())]), "{target}");
    }
    for other in ["order=asc", "level=info", "event=e1", "from=2026-03-01T12:00:00Z"] {
        let target = format!("{LOGS}?cursor={cursor}&{other}");
        assert_eq!(refusal(server.request(&ada, "GET", &target)).await.0, 422, "{target}");
    }
}

async fn every_filter_of_events_is_applied(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, root) = (server.person("ada").await, server.admin("root").await);
    happen(&server, &ada, r#"{"event": "first"}"#).await;
    happen(&server, &ada, r#"{"event": "second", "level": "error"}"#).await;
    happen(&server, &ada, r#"{"event": "third", "level": "debug"}"#).await;
    for (filter, expected) in [
        ("level=error", vec!["second"]),
        ("level=debug&event=third", vec!["third"]),
        ("event=first", vec!["first"]),
        ("event=firs", vec![]),
        ("from=2026-03-01T12:00:02Z", vec!["third", "second"]),
        ("to=2026-03-01T12:00:02Z", vec!["first"]),
        ("from=2026-03-01T12:00:02.000001Z&to=2026-03-01T13:00:03%2B01:00", vec![]),
        ("from=2026-03-01T12:00:03Z&to=2026-03-01T12:00:01Z", vec![]),
    ] {
        for list in [
            format!("{LOGS}?{filter}"),
            format!("{ALL}?{filter}"),
            format!("{ALL}?user_id={}&{filter}", ada.id),
        ] {
            let person = if list.starts_with(LOGS) { &ada } else { &root };
            assert_eq!(names(&server, person, &list).await, expected, "{list}");
        }
    }
    assert_eq!(names(&server, &root, &format!("{ALL}?user_id={}", root.id)).await, [""; 0]);
    let refused = outlines([
        server.request(&ada, "GET", &format!("{LOGS}?level=fatal")),
        server.request(&ada, "GET", &format!("{LOGS}?event=a%20b")),
        server.request(&ada, "GET", &format!("{LOGS}?from=yesterday&to=1")),
        server.request(&ada, "GET", &format!("{LOGS}?user_id={NOBODY}")),
        server.request(&root, "GET", &format!("{ALL}?user_id=ada")),
    ])
    .await;
    insta::allow_duplicates! { insta::assert_snapshot!(refused, @"
    GET /api/v1/logs?level=fatal → 422 validation (level: not_allowed)
    GET /api/v1/logs?event=a%20b → 422 validation (event: invalid_format)
    GET /api/v1/logs?from=yesterday&to=1 → 422 validation (from: invalid_format) (to: invalid_format)
    GET /api/v1/logs?user_id=00000000-0000-0000-0000-000000000000 → 422 validation (user_id: unknown_field)
    GET /api/v1/admin/logs?user_id=ada → 422 validation (user_id: invalid_format)
    "); }
}

async fn administrators_read_the_events_of_all_and_services_do_not(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, root) = (server.person("ada").await, server.admin("root").await);
    let service = server.service(&root).await;
    happen(&server, &ada, r#"{"event": "of-ada"}"#).await;
    happen(&server, &root, r#"{"event": "of-root"}"#).await;
    assert_eq!(names(&server, &root, ALL).await, ["of-root", "of-ada"]);
    assert_eq!(answer(server.request(&ada, "GET", ALL)).await.status, 403);
    assert_eq!(answer(server.request(&service, "GET", ALL)).await.status, 403);
    assert_eq!(answer(server.act(&service, "name:root", "GET", ALL)).await.status, 403);
}

async fn events_about_nobody_are_read_by_administrators_alone(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let service = server.service(&root).await;
    let keep = server.act(&service, "anonymous", "POST", LOGS).header("Content-Type", "application/json");
    let kept = answer(keep.body(r#"{"event": "app.started"}"#)).await;
    assert_eq!((kept.status, &kept.body["user_id"]), (201, &json!(NOBODY)));
    assert_eq!(answer(server.act(&service, "anonymous", "GET", LOGS)).await.status, 403);
    let place = kept.header("location");
    assert_eq!(answer(server.act(&service, "anonymous", "GET", place)).await.status, 403);
    assert_eq!(names(&server, &root, &format!("{ALL}?user_id={NOBODY}")).await, ["app.started"]);
}

async fn what_is_wrong_with_an_event_is_answered_field_by_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let large = format!(r#"{{"event": "a", "data": {{"text": "{}"}}}}"#, "x".repeat(16 * 1024));
    let refused = outlines([
        server.send(&ada, "POST", LOGS, "{}"),
        server.send(&ada, "POST", LOGS, r#"{"event": "security.login_failed"}"#),
        server.send(&ada, "POST", LOGS, r#"{"event": "server.request_failed"}"#),
        server.send(
            &ada,
            "POST",
            LOGS,
            r#"{"event": "a b", "level": "fatal", "conversation_id": 1, "request_id": "", "data": [], "at": "now", "user_id": "x"}"#,
        ),
        server.send(&ada, "POST", LOGS, r#"{"event": "a", "data": {"b": "\u0000"}}"#),
    ])
    .await;
    insta::allow_duplicates! { insta::assert_snapshot!(refused, @r#"
    POST /api/v1/logs {} → 422 validation (event: required)
    POST /api/v1/logs {"event": "security.login_failed"} → 422 validation (event: not_allowed)
    POST /api/v1/logs {"event": "server.request_failed"} → 422 validation (event: not_allowed)
    POST /api/v1/logs {"event": "a b", "level": "fatal", "conversation_id": 1, "request_id": "", "data": [], "at": "now", "user_id": "x"} → 422 validation (level: not_allowed) (conversation_id: wrong_type) (event: invalid_format) (request_id: too_short) (data: wrong_type) (at: unknown_field) (user_id: unknown_field)
    POST /api/v1/logs {"event": "a", "data": {"b": "\u0000"}} → 422 validation (data: nul_character)
    "#); }
    let refused = refusal(server.send(&ada, "POST", LOGS, &large)).await;
    assert_eq!(refused, (422, vec![("data".to_owned(), "too_long".to_owned())]));
}

/// Waits until the server has stored so many events.
async fn stored(server: &Server, events: u64) {
    while server.store.event_log().counts().stored < events {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn security_events_are_kept_and_their_user_reads_them(case: TestDatabase) {
    let mut server = Server::start(case).await;
    let root = server.admin("root").await;
    let store = builder(&server.case, SeededIds::new(1_000)).event_log(true).connect().await.unwrap();
    server.serve(store).await;
    let created =
        server.post(&root, "/api/v1/users", r#"{"username": "ada", "password": "wide green horse"}"#).await;
    let login = |password: &str| {
        let body = json!({"username": "ada", "password": password}).to_string();
        server.anonymous("POST", "/api/v1/auth/login").header("Content-Type", "application/json").body(body)
    };
    assert_eq!(answer(login("narrow green horse")).await.status, 401);
    let tokens = answer(login("wide green horse")).await.body;
    stored(&server, 3).await;
    let session = Person { id: root.id, key: tokens["access_token"].as_str().unwrap().to_owned() };
    let found = server.get(&session, &format!("{LOGS}?order=asc")).await;
    let events: Vec<Value> = found["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            assert_eq!(event["user_id"], created["id"]);
            json!([event["event"], event["actor_id"], event["request_id"], event["data"]["outcome"]])
        })
        .collect();
    let expected = [
        json!(["security.user_created", root.id, "r-1", "done"]),
        json!(["security.login_failed", null, "r-1", "refused"]),
        json!(["security.login_succeeded", null, "r-1", "done"]),
    ];
    let mut sorted = events.clone();
    sorted.sort_by_key(|event| expected.iter().position(|one| one == event));
    assert_eq!(sorted, expected, "they may happen in one microsecond of the test's clock");

    server
        .store
        .auth()
        .login(LoginName::Username("nobody".to_owned()), Password::new("x"))
        .await
        .unwrap_err();
    stored(&server, 4).await;
    let failed = server.get(&root, &format!("{ALL}?user_id={NOBODY}&event=security.login_failed")).await;
    assert_eq!(failed["data"].as_array().unwrap().len(), 1);
}
