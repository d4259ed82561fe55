//! What servers remember together, as administrators see and forget it. The cache is that of one process here; Redis has
//! the same cases in `chatstore-redis`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore::shared_cache::LocalCache;
use chatstore_testkit::{SeededIds, TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::{Value, json};

use crate::login::{in_session, member};
use crate::support::{Person, Server, answer, builder, open_to_registration, outlines};

conformance!(
    a_user_who_is_remembered_is_shown_and_forgotten,
    sessions_that_are_remembered_are_shown_without_tokens_and_forgotten,
    forgetting_is_kept_as_a_security_event,
    a_server_without_a_shared_cache_remembers_no_user_and_shows_no_session,
);

const CACHE: &str = "/api/v1/admin/cache";
const ME: &str = "/api/v1/users/me";

/// A server with a shared cache, and an administrator.
async fn server(case: TestDatabase) -> (Server, Person) {
    let mut server = Server::start(case).await;
    let builder = builder(&server.case, SeededIds::new(2)).event_log(true);
    let store = builder.shared_cache(Arc::new(LocalCache::default())).connect().await.unwrap();
    server.serve_with(store, open_to_registration).await;
    let root = server.admin("root").await;
    (server, root)
}

async fn a_user_who_is_remembered_is_shown_and_forgotten(case: TestDatabase) {
    let (server, root) = server(case).await;
    let ada = member(&server, "Ada").await;
    let shown = format!("{CACHE}/users/ada");
    assert_eq!(answer(server.request(&root, "GET", &shown)).await.status, 404, "it was not looked up yet");
    let listed = server.get(&root, "/api/v1/users?username=ada").await;
    let cached = server.get(&root, &format!("{CACHE}/users/%20ADA")).await;
    assert_eq!(cached["user"], listed["data"][0]);
    assert_eq!(cached["user"]["id"], json!(ada.id));
    let expires_at = cached["expires_at"].as_str().unwrap();
    assert!(("2026-03-01T12:04:30".."2026-03-01T12:05:01").contains(&expires_at), "{expires_at}");
    assert!(
        !cached.to_string().contains("password_hash") && !cached.to_string().contains("argon2"),
        "{cached}"
    );
    let text = outlines([
        server.request(&root, "DELETE", &shown),
        server.request(&root, "GET", &shown),
        server.request(&root, "DELETE", &shown),
        server.request(&root, "GET", &format!("{CACHE}/users/nobody")),
        server.request(&root, "GET", &format!("{CACHE}/users/a%00")),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @"
    DELETE /api/v1/admin/cache/users/ada → 204
    GET /api/v1/admin/cache/users/ada → 404 not-found
    DELETE /api/v1/admin/cache/users/ada → 204
    GET /api/v1/admin/cache/users/nobody → 404 not-found
    GET /api/v1/admin/cache/users/a%00 → 422 validation (username: nul_character)
    "); }
    let status = server.get(&root, CACHE).await;
    assert_eq!(
        (&status["kind"], &status["place"], &status["is_up"], &status["errors"], &status["losses"]),
        (&json!("memory"), &Value::Null, &json!(true), &json!(0), &json!(0))
    );
    assert!(status["hits"].as_u64() >= Some(1) && status["misses"].as_u64() >= Some(1), "{status}");
}

async fn sessions_that_are_remembered_are_shown_without_tokens_and_forgotten(case: TestDatabase) {
    let (server, root) = server(case).await;
    let ada = server.person("ada").await;
    let session = in_session(&server, &ada, "ada").await;
    let list = format!("{CACHE}/sessions/{}", ada.id);
    assert_eq!(server.get(&root, &list).await, json!({"data": []}));
    assert_eq!(server.get(&session, ME).await["username"], "ada");
    let cached = server.get(&root, &list).await;
    let [shown] = cached["data"].as_array().unwrap().as_slice() else { panic!("{cached}") };
    assert_eq!(
        *shown,
        json!({
            "access_jti": shown["access_jti"], "role": "user", "must_change_password": false,
            "last_activity": "2026-03-01T12:00:00.000000Z", "session_expires_at": "2026-03-15T12:00:00.000000Z",
            "expires_at": shown["expires_at"]
        })
    );
    let one = format!("{list}/{}", shown["access_jti"].as_str().unwrap());
    assert_eq!(server.get(&root, &one).await["access_jti"], shown["access_jti"]);
    assert!(!cached.to_string().contains(session.key.rsplit('.').next().unwrap()), "no token");
    let absent = "00000000-0000-7000-8000-000000000001";
    for forget in [&list, &one] {
        assert_eq!(server.get(&session, ME).await["username"], "ada", "the session goes on");
        assert_eq!(answer(server.request(&root, "GET", &one)).await.status, 200);
        assert_eq!(answer(server.request(&root, "DELETE", forget)).await.status, 204);
        assert_eq!(answer(server.request(&root, "GET", &one)).await.status, 404, "{forget}");
    }
    for (method, target) in [
        ("GET", format!("{list}/{absent}")),
        ("GET", format!("{list}/jti")),
        ("DELETE", format!("{list}/jti")),
        ("GET", format!("{CACHE}/sessions/{absent}")),
        ("DELETE", format!("{CACHE}/sessions/{absent}")),
        ("DELETE", format!("{CACHE}/sessions/{absent}/{absent}")),
        ("DELETE", format!("{CACHE}/sessions/ada")),
    ] {
        assert_eq!(answer(server.request(&root, method, &target)).await.status, 404, "{method} {target}");
    }
}

async fn forgetting_is_kept_as_a_security_event(case: TestDatabase) {
    let (server, root) = server(case).await;
    let ada = member(&server, "ada").await;
    let absent = "00000000-0000-7000-8000-000000000001";
    for target in
        ["users/ada".to_owned(), format!("sessions/{}", ada.id), format!("sessions/{}/{absent}", ada.id)]
    {
        let forgotten = answer(server.request(&root, "DELETE", &format!("{CACHE}/{target}"))).await;
        assert_eq!(forgotten.status, 204, "{target}");
    }
    let kept = "/api/v1/admin/logs?event=security.cache_invalidated";
    let began = Instant::now();
    let events = loop {
        let page = server.get(&root, kept).await;
        if page["data"].as_array().unwrap().len() == 3 {
            break page["data"].clone();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{page}");
    };
    for event in events.as_array().unwrap() {
        assert_eq!((&event["user_id"], &event["actor_id"]), (&json!(ada.id), &json!(root.id)), "{event}");
    }
}

async fn a_server_without_a_shared_cache_remembers_no_user_and_shows_no_session(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, ada) = (server.admin("root").await, server.person("ada").await);
    let session = in_session(&server, &ada, "ada").await;
    assert_eq!(server.get(&session, ME).await["username"], "ada");
    server.get(&root, "/api/v1/users?username=ada").await;
    assert_eq!(server.get(&root, CACHE).await["kind"], "memory");
    let sessions = format!("{CACHE}/sessions/{}", ada.id);
    assert_eq!(server.get(&root, &sessions).await, json!({"data": []}));
    let text = outlines([
        server.request(&root, "GET", &format!("{CACHE}/users/ada")),
        server.request(&root, "DELETE", &format!("{CACHE}/users/ada")),
        server.request(&root, "DELETE", &sessions),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text.replace(&ada.id.to_string(), "<ada>"), @"
    GET /api/v1/admin/cache/users/ada → 404 not-found
    DELETE /api/v1/admin/cache/users/ada → 204
    DELETE /api/v1/admin/cache/sessions/<ada> → 204
    "); }
}
