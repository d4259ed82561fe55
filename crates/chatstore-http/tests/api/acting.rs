//! A service that acts for the users of its application.

use chatstore::{NewUser, UserId, UserName};
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::Value;

use crate::operations::operations;
use crate::support::{CONVERSATIONS, Person, Server, answer, outlines};

conformance!(
    a_service_names_the_user_in_many_ways,
    acting_for_an_unsuitable_user_is_refused,
    only_a_service_may_act_for_others,
    a_service_acts_by_exactly_the_operations_that_say_so,
    what_a_service_creates_belongs_to_the_user,
    a_service_has_exactly_the_rights_of_the_user,
    a_service_creates_and_reads_an_anonymous_conversation,
    a_service_stops_acting_for_a_disabled_user_at_once,
    a_service_key_ends_with_its_administrator,
    a_service_key_ends_with_the_role_of_its_administrator,
);

async fn root_and_service(server: &Server) -> (Person, Person) {
    let root = server.admin("root").await;
    let service = server.service(&root).await;
    (root, service)
}

async fn post(server: &Server, service: &Person, whom: &str, target: &str, body: &str) -> Value {
    let request = server.send(service, "POST", target, body).header("Chatstore-User", whom);
    let created = answer(request).await;
    assert_eq!(created.status, 201, "POST {target} for {whom}");
    created.body
}

async fn a_service_names_the_user_in_many_ways(case: TestDatabase) {
    let server = Server::start(case).await;
    let (_root, service) = root_and_service(&server).await;
    let email = chatstore::Email::new("ada@example.org").unwrap();
    let username = Some(UserName::new("Äda B: C").unwrap());
    let new = NewUser { username, ..NewUser::with_verified_email(email) };
    let ada = server.store.users().create(new).await.unwrap();
    let (id, short_id) = (ada.id.to_string(), ada.id.short());
    for whom in [
        &id,
        &short_id,
        "name:äDA b: c",
        "name:%C3%A4DA%20b%3A%20c",
        "name:A%CC%88da b: c",
        "email:ADA@example.org",
        "email:ada%40example.org",
    ] {
        let created = post(&server, &service, whom, CONVERSATIONS, "{}").await;
        assert_eq!(created["owner_id"], id.as_str(), "{whom}");
        let me = answer(server.act(&service, whom, "GET", "/api/v1/users/me")).await;
        assert_eq!(me.body["id"], id.as_str(), "{whom}");
    }
    for whom in ["anonymous", "anonymous"] {
        let created = post(&server, &service, whom, CONVERSATIONS, "{}").await;
        assert_eq!(created["owner_id"], UserId::ANONYMOUS.to_string(), "{whom}");
    }
}

async fn acting_for_an_unsuitable_user_is_refused(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, service) = root_and_service(&server).await;
    let (_ada, off, gone) =
        (server.person("ada").await, server.person("off").await, server.person("gone").await);
    let disabled = chatstore::UserPatch { is_active: Some(false), ..chatstore::UserPatch::default() };
    server.store.users().update(off.id, disabled).await.unwrap();
    server.store.users().erase(gone.id).await.unwrap();
    let (off_id, gone_id, root_id, nil) =
        (off.id.to_string(), gone.id.to_string(), root.id.to_string(), UserId::ANONYMOUS.to_string());
    let ask = |whom: &str| server.act(&service, whom, "GET", CONVERSATIONS);
    let text = outlines([
        server.request(&service, "GET", CONVERSATIONS),
        ask(""),
        ask("ada"),
        ask("name:"),
        ask("email:"),
        ask("phone:1"),
        ask("Anonymous"),
        ask("00000000-0000-7000-8000-000000000001"),
        ask("name:nobody"),
        ask("email:nobody@example.org"),
        ask("name:off"),
        ask(&off_id),
        ask(&gone_id),
        ask("name:gone"),
        ask("name:anonymous"),
        ask(&nil),
        ask("name:root"),
        ask(&root_id),
        ask("name:ada").header("Chatstore-User", "name:ada"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @"
    GET /api/v1/conversations → 422 validation (Chatstore-User: required)
    GET /api/v1/conversations [chatstore-user: ] → 422 validation (Chatstore-User: invalid_format)
    GET /api/v1/conversations [chatstore-user: ada] → 422 validation (Chatstore-User: invalid_format)
    GET /api/v1/conversations [chatstore-user: name:] → 422 validation (Chatstore-User: invalid_format)
    GET /api/v1/conversations [chatstore-user: email:] → 422 validation (Chatstore-User: invalid_format)
    GET /api/v1/conversations [chatstore-user: phone:1] → 422 validation (Chatstore-User: invalid_format)
    GET /api/v1/conversations [chatstore-user: Anonymous] → 422 validation (Chatstore-User: invalid_format)
    GET /api/v1/conversations [chatstore-user: 00000000-0000-7000-8000-000000000001] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: name:nobody] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: email:nobody@example.org] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: name:off] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: 019ca945-0a00-7ef1-bd0e-d1548fcd1f84] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: 019ca945-0a00-790c-970b-12c5d084962b] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: name:gone] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: name:anonymous] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: 00000000-0000-0000-0000-000000000000] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: name:root] → 403 forbidden
    GET /api/v1/conversations [chatstore-user: 019ca945-0a00-710a-adec-89025cc1beeb] → 403 forbidden
    GET /api/v1/conversations [chatstore-user: name:ada] [chatstore-user: name:ada] → 422 validation (Chatstore-User: not_allowed)
    ") }
    let latin = reqwest::header::HeaderValue::from_bytes(b"name:\xe4da").unwrap();
    let refused =
        answer(server.request(&service, "GET", CONVERSATIONS).header("Chatstore-User", latin)).await;
    assert_eq!((refused.status, &refused.body["errors"][0]["field"]), (422, &"Chatstore-User".into()));
}

async fn only_a_service_may_act_for_others(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, _service) = root_and_service(&server).await;
    let ada = server.person("ada").await;
    let own = ada.id.to_string();
    let text = outlines([
        server.act(&ada, "name:root", "GET", CONVERSATIONS),
        server.act(&ada, "name:ada", "GET", CONVERSATIONS),
        server.act(&ada, "nonsense", "GET", CONVERSATIONS),
        server.act(&ada, "anonymous", "GET", "/api/v1/auth/api-keys"),
        server.act(&root, "name:ada", "GET", CONVERSATIONS),
        server.act(&root, "name:ada", "GET", "/api/v1/users"),
        server.anonymous("GET", CONVERSATIONS).header("Chatstore-User", "name:ada"),
        server.anonymous("GET", CONVERSATIONS).bearer_auth("cs_wrong").header("Chatstore-User", "name:ada"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text.replace(&own, "<ada>"), @"
    GET /api/v1/conversations [chatstore-user: name:root] → 403 forbidden
    GET /api/v1/conversations [chatstore-user: name:ada] → 403 forbidden
    GET /api/v1/conversations [chatstore-user: nonsense] → 403 forbidden
    GET /api/v1/auth/api-keys [chatstore-user: anonymous] → 403 forbidden
    GET /api/v1/conversations [chatstore-user: name:ada] → 403 forbidden
    GET /api/v1/users [chatstore-user: name:ada] → 403 forbidden
    GET /api/v1/conversations [chatstore-user: name:ada] → 401 unauthenticated
    GET /api/v1/conversations [chatstore-user: name:ada] → 401 unauthenticated
    ") }
}

async fn a_service_acts_by_exactly_the_operations_that_say_so(case: TestDatabase) {
    let server = Server::start(case).await;
    let (_root, service) = root_and_service(&server).await;
    server.person("ada").await;
    for operation in operations() {
        // The caller is looked at before the parameter, which keeps the request from doing anything.
        let target = format!("{}?unknown=1", operation.target(&[]));
        let refused = answer(server.act(&service, "name:ada", &operation.method, &target)).await;
        let says_so = operation.parameters.iter().any(|name| name == "Chatstore-User");
        let is_without_user = operation.is_for_admins() || operation.path.contains("/auth/api-key/");
        let ignores_it =
            is_without_user && !operation.needs_session() || operation.path.ends_with("/auth/api-key");
        assert_eq!(refused.status, if says_so || ignores_it { 422 } else { 403 }, "{}", operation.name());
    }
}

async fn what_a_service_creates_belongs_to_the_user(case: TestDatabase) {
    let server = Server::start(case).await;
    let (_root, service) = root_and_service(&server).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let created = post(&server, &service, "name:ada", CONVERSATIONS, r#"{"thread_id": "t1"}"#).await;
    let path = format!("{CONVERSATIONS}/{}", created["id"].as_str().unwrap());
    assert_eq!((&created["owner_id"], &created["role"]), (&ada.id.to_string().into(), &"owner".into()));
    let message =
        post(&server, &service, "name:ada", &format!("{path}/messages"), r#"{"content": "a"}"#).await;
    assert_eq!(message["sender_id"], ada.id.to_string());
    let body = r#"{"content": "b", "response": {"tokens_prompt": 1, "tokens_completion": 2}}"#;
    let reply = post(&server, &service, "name:ada", &format!("{path}/replies"), body).await;
    assert_eq!(reply["sender_id"], Value::Null);
    assert_eq!(server.get(&ada, "/api/v1/threads/t1").await["message_count"], 2, "it belongs to ada");
    let mut usage = Vec::new();
    for whom in ["name:ada", "name:eve"] {
        let used = answer(server.act(&service, whom, "GET", "/api/v1/usage")).await;
        usage.push(used.body["total"]["tokens_total"].clone());
    }
    assert_eq!(usage, [3, 0], "and is charged to ada");
    let for_eve = |method: &str, target: &str| server.act(&service, "name:eve", method, target);
    for request in [
        for_eve("GET", &path),
        for_eve("PATCH", &path),
        for_eve("DELETE", &path),
        for_eve("GET", "/api/v1/threads/t1"),
        for_eve("GET", &format!("{path}/messages/1")),
        server.request(&eve, "GET", &path),
    ] {
        assert_eq!(answer(request).await.status, 404, "another user of the same service");
    }
    let listed = answer(for_eve("GET", CONVERSATIONS)).await;
    assert_eq!(listed.body["data"], serde_json::json!([]));
    assert_eq!(answer(server.act(&service, "anonymous", "GET", &path)).await.status, 404);
}

async fn a_service_has_exactly_the_rights_of_the_user(case: TestDatabase) {
    let server = Server::start(case).await;
    let (_root, service) = root_and_service(&server).await;
    let (ada, vic) = (server.person("ada").await, server.person("vic").await);
    let path = server.conversation(&ada).await;
    server.share(&path, &ada, &vic, chatstore::MemberRole::Viewer).await;
    let for_vic = |method: &str, target: &str, body: &str| {
        server.send(&service, method, target, body).header("Chatstore-User", "name:vic")
    };
    let text = outlines([
        for_vic("GET", &path, ""),
        for_vic("PATCH", &path, r#"{"title": "a"}"#),
        for_vic("POST", &format!("{path}/messages"), r#"{"content": "a"}"#),
        for_vic("DELETE", &path, ""),
        for_vic("GET", "/api/v1/usage?scope=all", ""),
        for_vic("GET", "/api/v1/users", ""),
        for_vic("DELETE", &format!("{path}/members/{}", vic.id), ""),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations/019ca945-0a00-790c-970b-12c5d084962b [chatstore-user: name:vic] → 200
    PATCH /api/v1/conversations/019ca945-0a00-790c-970b-12c5d084962b [chatstore-user: name:vic] {"title": "a"} → 403 forbidden
    POST /api/v1/conversations/019ca945-0a00-790c-970b-12c5d084962b/messages [chatstore-user: name:vic] {"content": "a"} → 403 forbidden
    DELETE /api/v1/conversations/019ca945-0a00-790c-970b-12c5d084962b [chatstore-user: name:vic] → 403 forbidden
    GET /api/v1/usage?scope=all [chatstore-user: name:vic] → 403 forbidden
    GET /api/v1/users [chatstore-user: name:vic] → 200
    DELETE /api/v1/conversations/019ca945-0a00-790c-970b-12c5d084962b/members/019ca945-0a00-7ef1-bd0e-d1548fcd1f84 [chatstore-user: name:vic] → 204
    "#) }
}

async fn a_service_creates_and_reads_an_anonymous_conversation(case: TestDatabase) {
    let server = Server::start(case).await;
    let (_root, service) = root_and_service(&server).await;
    let created = post(&server, &service, "anonymous", CONVERSATIONS, r#"{"title": "a"}"#).await;
    let path = format!("{CONVERSATIONS}/{}", created["id"].as_str().unwrap());
    let message =
        post(&server, &service, "anonymous", &format!("{path}/messages"), r#"{"content": "a"}"#).await;
    assert_eq!(message["sender_id"], UserId::ANONYMOUS.to_string());
    let read = answer(server.act(&service, "anonymous", "GET", &path)).await;
    assert_eq!((read.status, &read.body["message_count"]), (200, &1.into()));
    let listed = answer(server.act(&service, "anonymous", "GET", CONVERSATIONS)).await;
    assert_eq!(listed.body["data"][0]["id"], created["id"]);
    assert_eq!(answer(server.anonymous("GET", &path)).await.status, 401, "unless it is enabled");
}

async fn a_service_stops_acting_for_a_disabled_user_at_once(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, service) = root_and_service(&server).await;
    let ada = server.person("ada").await;
    let path = format!("/api/v1/users/{}", ada.id);
    let ask = || server.act(&service, "name:ada", "GET", CONVERSATIONS);
    let text = outlines([
        ask(),
        server.send(&root, "PATCH", &path, r#"{"is_active": false}"#),
        ask(),
        server.send(&root, "PATCH", &path, r#"{"is_active": true, "role": "admin"}"#),
        ask(),
        server.send(&root, "PATCH", &path, r#"{"role": "user", "username": "eve"}"#),
        ask(),
        server.act(&service, "name:eve", "GET", CONVERSATIONS),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations [chatstore-user: name:ada] → 200
    PATCH /api/v1/users/019ca945-0a00-7f9b-adae-6f4c57a82ac2 {"is_active": false} → 200
    GET /api/v1/conversations [chatstore-user: name:ada] → 404 unknown-user
    PATCH /api/v1/users/019ca945-0a00-7f9b-adae-6f4c57a82ac2 {"is_active": true, "role": "admin"} → 200
    GET /api/v1/conversations [chatstore-user: name:ada] → 403 forbidden
    PATCH /api/v1/users/019ca945-0a00-7f9b-adae-6f4c57a82ac2 {"role": "user", "username": "eve"} → 200
    GET /api/v1/conversations [chatstore-user: name:ada] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: name:eve] → 200
    "#) }
}

async fn a_service_key_ends_with_its_administrator(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, service) = root_and_service(&server).await;
    let (boss, _ada) = (server.admin("boss").await, server.person("ada").await);
    let path = format!("/api/v1/users/{}", root.id);
    let ask = || server.act(&service, "name:ada", "GET", CONVERSATIONS);
    let text = outlines([
        ask(),
        server.send(&boss, "PATCH", &path, r#"{"is_active": false}"#),
        ask(),
        server.send(&boss, "PATCH", &path, r#"{"is_active": true}"#),
        ask(),
        server.request(&boss, "DELETE", &path),
        ask(),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations [chatstore-user: name:ada] → 200
    PATCH /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb {"is_active": false} → 200
    GET /api/v1/conversations [chatstore-user: name:ada] → 401 unauthenticated
    PATCH /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb {"is_active": true} → 200
    GET /api/v1/conversations [chatstore-user: name:ada] → 200
    DELETE /api/v1/users/019ca945-0a00-710a-adec-89025cc1beeb → 204
    GET /api/v1/conversations [chatstore-user: name:ada] → 401 unauthenticated
    "#) }
}

async fn a_service_key_ends_with_the_role_of_its_administrator(case: TestDatabase) {
    let server = Server::start(case).await;
    let (root, service) = root_and_service(&server).await;
    let second = server.admin("second").await;
    server.person("ada").await;
    let act = || server.act(&service, "name:ada", "GET", CONVERSATIONS);
    assert_eq!(answer(act()).await.status, 200);
    let demote = server.send(&second, "PATCH", &format!("/api/v1/users/{}", root.id), r#"{"role": "user"}"#);
    assert_eq!(answer(demote).await.status, 200);
    assert_eq!(answer(act()).await.status, 401);
    assert_eq!(answer(server.request(&service, "GET", "/api/v1/users")).await.status, 401);
    assert_eq!(
        answer(server.request(&root, "GET", "/api/v1/users/me")).await.status,
        200,
        "the user's own key stays valid"
    );
}
