//! Sessions over HTTP: refreshed, listed, ended.

use std::time::Duration;

use chatstore::{UserPatch, UserRole};
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::login::{PASSWORD, confirm, logged_in, login, member, post};
use crate::support::{Answer, CONVERSATIONS, Person, Server, answer, at_once, open_with};

conformance!(
    a_refresh_extends_a_session,
    sixteen_tabs_get_the_same_successor,
    a_reused_refresh_token_ends_its_session,
    a_lost_answer_is_no_theft_for_a_day,
    an_answer_that_arrived_ends_the_former_token_after_ten_seconds,
    the_use_of_an_access_token_is_seen_by_another_server,
    an_invalid_refresh_token_is_refused,
    logging_out_ends_the_session_at_once,
    logging_out_everywhere_ends_all_sessions_but_keeps_keys,
    logging_out_everywhere_takes_the_keys_along_where_that_is_said,
    sessions_are_listed_and_revoked_one_by_one,
    a_disabled_user_is_logged_out_at_once_and_stays_so,
    an_erased_user_is_logged_out_at_once,
    a_changed_role_takes_effect_at_once,
    a_session_of_another_server_is_recognized,
    an_access_token_of_another_key_is_refused,
);

const ME: &str = "/api/v1/users/me";
const SESSIONS: &str = "/api/v1/auth/sessions";

async fn refresh(server: &Server, token: &Value) -> Answer {
    answer(post(server, "/api/v1/auth/refresh", &json!({"refresh_token": token}))).await
}

fn bearer(person: &Person, tokens: &Value) -> Person {
    Person { key: tokens["access_token"].as_str().unwrap().to_owned(), ..person.clone() }
}

async fn status(server: &Server, person: &Person, method: &str, target: &str) -> u16 {
    answer(server.request(person, method, target)).await.status
}

async fn a_refresh_extends_a_session(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let (ada, first) = logged_in(&server, "ada").await;
    server.case.clock.advance(Duration::from_secs(700));
    assert_eq!(status(&server, &ada, "GET", ME).await, 401);
    let second = refresh(&server, &first["refresh_token"]).await;
    assert_eq!((second.status, &second.body["session_id"]), (200, &first["session_id"]));
    assert_ne!(second.body["refresh_token"], first["refresh_token"]);
    assert_eq!(second.body["user"]["username"], "ada");
    assert_eq!(status(&server, &bearer(&ada, &second.body), "GET", ME).await, 200);
    let again = refresh(&server, &first["refresh_token"]).await;
    assert_eq!(again.status, 200, "the answer may have been lost");
    assert_eq!(again.body["refresh_token"], second.body["refresh_token"]);
    assert_eq!(status(&server, &bearer(&ada, &again.body), "GET", ME).await, 200);
}

async fn sixteen_tabs_get_the_same_successor(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let (ada, tokens) = logged_in(&server, "ada").await;
    let body = json!({"refresh_token": tokens["refresh_token"]});
    let tabs = at_once((0..16).map(|_| post(&server, "/api/v1/auth/refresh", &body))).await;
    for tab in &tabs {
        assert_eq!((tab.status, &tab.body["refresh_token"]), (200, &tabs[0].body["refresh_token"]));
        assert_eq!(status(&server, &bearer(&ada, &tab.body), "GET", ME).await, 200);
    }
}

async fn a_reused_refresh_token_ends_its_session(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let (ada, first) = logged_in(&server, "ada").await;
    let second = refresh(&server, &first["refresh_token"]).await.body;
    let third = refresh(&server, &second["refresh_token"]).await.body;
    let attacker = refresh(&server, &first["refresh_token"]).await;
    assert_eq!(
        (attacker.status, attacker.body["type"].as_str()),
        (401, Some("urn:chatstore:problem:invalid-credentials"))
    );
    assert_eq!(refresh(&server, &third["refresh_token"]).await.status, 401, "its holder is out too");
    assert_eq!(status(&server, &bearer(&ada, &third), "GET", ME).await, 401, "at once");
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 200);
}

async fn a_lost_answer_is_no_theft_for_a_day(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let (ada, first) = logged_in(&server, "ada").await;
    let lost = refresh(&server, &first["refresh_token"]).await;
    for hours in [0, 1, 22] {
        server.case.clock.advance(Duration::from_secs(hours * 3_600 + 12));
        let again = refresh(&server, &first["refresh_token"]).await;
        assert_eq!((again.status, &again.body["refresh_token"]), (200, &lost.body["refresh_token"]));
    }
    let last = refresh(&server, &first["refresh_token"]).await.body;
    assert_eq!(status(&server, &bearer(&ada, &last), "GET", ME).await, 200);
    assert_eq!(refresh(&server, &first["refresh_token"]).await.status, 401, "its access token was used");
    assert_eq!(status(&server, &bearer(&ada, &last), "GET", ME).await, 401, "at once");
}

async fn an_answer_that_arrived_ends_the_former_token_after_ten_seconds(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let (ada, first) = logged_in(&server, "ada").await;
    let second = refresh(&server, &first["refresh_token"]).await.body;
    assert_eq!(status(&server, &ada, "GET", ME).await, 200, "the access token before it");
    server.case.clock.advance(Duration::from_secs(11));
    assert_eq!(refresh(&server, &first["refresh_token"]).await.status, 200);
    assert_eq!(status(&server, &bearer(&ada, &second), "GET", ME).await, 200);
    let attacker = refresh(&server, &first["refresh_token"]).await;
    assert_eq!(attacker.status, 401);
    assert_eq!(refresh(&server, &second["refresh_token"]).await.status, 401, "its holder is out too");
}

async fn the_use_of_an_access_token_is_seen_by_another_server(case: TestDatabase) {
    let mut server = Server::start(case).await;
    member(&server, "ada").await;
    let (ada, first) = logged_in(&server, "ada").await;
    assert_eq!(status(&server, &ada, "GET", ME).await, 200);
    let second = refresh(&server, &first["refresh_token"]).await.body;
    let other = open_with(&server.case, chatstore_testkit::SeededIds::new(7)).await;
    let _first = server.serve_beside(other).await;
    assert_eq!(status(&server, &bearer(&ada, &second), "GET", ME).await, 200);
    server.case.clock.advance(Duration::from_secs(11));
    assert_eq!(refresh(&server, &first["refresh_token"]).await.status, 401);
}

async fn an_invalid_refresh_token_is_refused(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let (_, tokens) = logged_in(&server, "ada").await;
    let text = tokens["refresh_token"].as_str().unwrap();
    for wrong in [
        "",
        "cr_",
        &text[1..],
        &format!("{text} "),
        &text.replace("_0_", "_1_"),
        tokens["access_token"].as_str().unwrap(),
    ] {
        let refused = refresh(&server, &json!(wrong)).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"), "{wrong}");
    }
    assert_eq!(refresh(&server, &tokens["refresh_token"]).await.status, 200, "nothing was ended");
    server.case.clock.advance(Duration::from_secs(15 * 24 * 60 * 60));
    assert_eq!(refresh(&server, &tokens["refresh_token"]).await.status, 401);
}

async fn logging_out_ends_the_session_at_once(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let (one, tokens) = logged_in(&server, "ada").await;
    let (two, _) = logged_in(&server, "ada").await;
    assert_eq!(status(&server, &one, "POST", "/api/v1/auth/logout").await, 204);
    assert_eq!(status(&server, &one, "GET", ME).await, 401);
    assert_eq!(refresh(&server, &tokens["refresh_token"]).await.status, 401);
    assert_eq!(status(&server, &two, "GET", ME).await, 200);
}

async fn logging_out_everywhere_ends_all_sessions_but_keeps_keys(case: TestDatabase) {
    let server = Server::start(case).await;
    let key = member(&server, "ada").await;
    member(&server, "bob").await;
    let (one, tokens) = logged_in(&server, "ada").await;
    let (two, _) = logged_in(&server, "ada").await;
    let (other, _) = logged_in(&server, "bob").await;
    assert_eq!(status(&server, &one, "POST", "/api/v1/auth/logout-all").await, 204);
    for session in [&one, &two] {
        assert_eq!(status(&server, session, "GET", ME).await, 401);
    }
    assert_eq!(refresh(&server, &tokens["refresh_token"]).await.status, 401);
    assert_eq!(status(&server, &key, "GET", ME).await, 200);
    assert_eq!(status(&server, &other, "GET", ME).await, 200);
}

async fn logging_out_everywhere_takes_the_keys_along_where_that_is_said(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, bob) = (member(&server, "ada").await, member(&server, "bob").await);
    let (session, _) = logged_in(&server, "ada").await;
    let body = r#"{"api_keys": true}"#;
    let all = server.send(&session, "POST", "/api/v1/auth/logout-all", body);
    assert_eq!(answer(all).await.status, 204);
    assert_eq!(status(&server, &ada, "GET", ME).await, 401);
    assert_eq!(status(&server, &bob, "GET", ME).await, 200);
}

async fn sessions_are_listed_and_revoked_one_by_one(case: TestDatabase) {
    let server = Server::start(case).await;
    let key = member(&server, "ada").await;
    member(&server, "bob").await;
    let (one, _) = logged_in(&server, "ada").await;
    server.case.clock.advance(Duration::from_secs(1));
    let (two, tokens) = logged_in(&server, "ada").await;
    let (other, _) = logged_in(&server, "bob").await;

    let list = server.get(&two, SESSIONS).await;
    let shown: Vec<bool> =
        list["data"].as_array().unwrap().iter().map(|one| one["current"].as_bool().unwrap()).collect();
    assert_eq!(shown, [true, false], "the last used first");
    let names: Vec<&String> = list["data"][0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["created_at", "current", "expires_at", "id", "ip", "last_activity", "user_agent"]);
    let page = server.get(&key, &format!("{SESSIONS}?limit=1")).await;
    let next = page["next_cursor"].as_str().unwrap();
    let rest = server.get(&key, &format!("{SESSIONS}?limit=1&cursor={next}")).await;
    assert_eq!(
        (&page["data"][0]["id"], &rest["data"][0]["id"]),
        (&list["data"][0]["id"], &list["data"][1]["id"])
    );
    assert_eq!(rest["next_cursor"], Value::Null);

    let target = format!("{SESSIONS}/{}", tokens["session_id"].as_str().unwrap());
    assert_eq!(status(&server, &other, "DELETE", &target).await, 404);
    assert_eq!(status(&server, &one, "DELETE", &target).await, 204);
    assert_eq!(status(&server, &two, "GET", ME).await, 401);
    assert_eq!(status(&server, &one, "DELETE", &target).await, 404);
    assert_eq!(server.get(&one, SESSIONS).await["data"].as_array().unwrap().len(), 1);
}

async fn a_disabled_user_is_logged_out_at_once_and_stays_so(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let key = member(&server, "ada").await;
    let (session, tokens) = logged_in(&server, "ada").await;
    let user = format!("/api/v1/users/{}", key.id);
    let disable = server.send(&root, "PATCH", &user, r#"{"is_active": false}"#);
    assert_eq!(answer(disable).await.status, 200);
    for credential in [&session, &key] {
        assert_eq!(status(&server, credential, "GET", ME).await, 401);
    }
    assert_eq!(refresh(&server, &tokens["refresh_token"]).await.status, 401);
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 401);
    let enable = server.send(&root, "PATCH", &user, r#"{"is_active": true}"#);
    assert_eq!(answer(enable).await.status, 200);
    assert_eq!(status(&server, &session, "GET", ME).await, 401, "a former session does not come back");
    assert_eq!(refresh(&server, &tokens["refresh_token"]).await.status, 401);
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 200);
}

async fn an_erased_user_is_logged_out_at_once(case: TestDatabase) {
    let server = Server::start(case).await;
    member(&server, "ada").await;
    let (session, tokens) = logged_in(&server, "ada").await;
    assert_eq!(status(&server, &session, "DELETE", ME).await, 403);
    assert_eq!(confirm(&server, &session, PASSWORD).await.status, 204);
    assert_eq!(status(&server, &session, "DELETE", ME).await, 204);
    assert_eq!(status(&server, &session, "GET", ME).await, 401);
    assert_eq!(refresh(&server, &tokens["refresh_token"]).await.status, 401);
    assert_eq!(login(&server, "ada", PASSWORD).await.status, 401);
}

async fn a_changed_role_takes_effect_at_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = member(&server, "ada").await;
    let (session, _) = logged_in(&server, "ada").await;
    assert_eq!(status(&server, &session, "GET", "/api/v1/users").await, 403);
    for (role, expected) in [(UserRole::Admin, 200), (UserRole::User, 403)] {
        server.admin(&format!("keeper {role:?}")).await;
        let patch = UserPatch { role: Some(role), ..UserPatch::default() };
        server.store.users().update(ada.id, patch).await.unwrap();
        assert_eq!(status(&server, &session, "GET", "/api/v1/users").await, expected, "{role:?}");
    }
}

async fn a_session_of_another_server_is_recognized(case: TestDatabase) {
    let mut server = Server::start(case).await;
    member(&server, "ada").await;
    let (session, tokens) = logged_in(&server, "ada").await;
    let other = open_with(&server.case, chatstore_testkit::SeededIds::new(7)).await;
    let _first = server.serve_beside(other).await;
    assert_eq!(status(&server, &session, "GET", CONVERSATIONS).await, 200);
    assert_eq!(refresh(&server, &tokens["refresh_token"]).await.status, 200);
}

async fn an_access_token_of_another_key_is_refused(case: TestDatabase) {
    let mut server = Server::start(case).await;
    member(&server, "ada").await;
    let (session, tokens) = logged_in(&server, "ada").await;
    let keys = chatstore::auth::TokenKeys::parse("/////////////////////////////////////////+E=").unwrap();
    let builder = chatstore::Store::builder(server.case.url.clone()).clock(server.case.clock.clone());
    let _first = server.serve_beside(builder.token_keys(keys).connect().await.unwrap()).await;
    assert_eq!(status(&server, &session, "GET", ME).await, 401);
    assert_eq!(
        refresh(&server, &tokens["refresh_token"]).await.status,
        200,
        "what is stored does not need the key"
    );
}
