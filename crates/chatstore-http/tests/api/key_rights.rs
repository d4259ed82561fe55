//! What a key with limits may do, and that it shows it.

use std::time::Duration;

use chatstore::auth::KeyOptions;
use chatstore::{ApiKeyScope, FromText, KeyRights, NewUser, RouteGroup, UserId, UserName};
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::login::confirmed;
use crate::operations::{Operation, operations};
use crate::support::{CONVERSATIONS, Person, Server, answer, outlines};

conformance!(
    a_read_only_key_reads_and_nothing_else,
    a_key_for_some_routes_uses_no_other,
    a_service_key_for_some_users_reaches_no_other,
    a_service_key_for_some_users_administers_no_other,
    a_key_for_some_addresses_is_used_from_nowhere_else,
    a_key_shows_what_it_may_do_whatever_it_may_not,
    rights_are_set_where_a_key_is_created,
    rights_that_a_key_cannot_have_are_refused_by_their_field,
);

const KEY: &str = "/api/v1/auth/api-key";
const USERS: &str = "/api/v1/users";

/// A key of this user with limits.
pub(crate) async fn limited(server: &Server, user: UserId, scope: ApiKeyScope, rights: KeyRights) -> Person {
    let options = KeyOptions { scope, name: None, expires_at: None, rights };
    let key = server.store.keys().create_with(user, options).await.unwrap();
    Person { id: user, key: key.text }
}

async fn service(server: &Server, rights: KeyRights) -> Person {
    limited(server, UserId::ANONYMOUS, ApiKeyScope::Service, rights).await
}

/// What a problem says, for people.
fn detail(body: &Value) -> &str {
    body["detail"].as_str().unwrap_or_default()
}

/// Operations that a credential is needed for, but those by which a key asks about itself.
fn with_credentials() -> impl Iterator<Item = Operation> {
    let about_itself = ["/api/v1/auth/api-key", "/api/v1/auth/api-key/rotate"];
    operations().into_iter().filter(move |one| !one.is_open && !about_itself.contains(&one.path.as_str()))
}

async fn a_read_only_key_reads_and_nothing_else(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let rights = KeyRights { read_only: true, ..KeyRights::default() };
    let own = limited(&server, ada.id, ApiKeyScope::User, rights.clone()).await;
    let service = service(&server, rights).await;
    // An export is no JSON document but lines of them.
    for operation in with_credentials().filter(|operation| !operation.path.ends_with("/export")) {
        let target = operation.target(&[("email", "a@b.org")]);
        for request in [
            server.send(&own, &operation.method, &target, operation.body()),
            server
                .send(&service, &operation.method, &target, operation.body())
                .header("Chatstore-User", "name:ada"),
        ] {
            let found = answer(request).await;
            let is_refused = found.status == 403 && detail(&found.body) == "this key only reads";
            assert_eq!(is_refused, operation.method != "GET", "{}: {}", operation.name(), found.body);
        }
    }
    assert_eq!(answer(server.request(&own, "HEAD", CONVERSATIONS)).await.status, 200);
    assert_eq!(server.store.operations().counts().await.unwrap().conversations, 0);
}

/// The group that a route belongs to. A route of a new group has to be decided about here.
fn group_of(operation: &Operation) -> RouteGroup {
    match operation.path.split('/').nth(3).unwrap() {
        "conversations" | "threads" | "messages" => RouteGroup::Conversations,
        "documents" => RouteGroup::Documents,
        "users" => RouteGroup::Users,
        "admin" if operation.path.starts_with("/api/v1/admin/cache") => RouteGroup::Users,
        "logs" | "admin" => RouteGroup::Logs,
        "usage" => RouteGroup::Usage,
        "ai-cache" => RouteGroup::AiCache,
        "auth" => RouteGroup::Auth,
        other => panic!("{other}: which keys may use these routes?"),
    }
}

async fn a_key_for_some_routes_uses_no_other(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for group in RouteGroup::ALL {
        let rights = KeyRights { routes: vec![group], ..KeyRights::default() };
        let key = limited(&server, ada.id, ApiKeyScope::User, rights).await;
        for operation in with_credentials() {
            let target = format!("{}?unknown=1", operation.target(&[("email", "a@b.org")]));
            let found = answer(server.send(&key, &operation.method, &target, operation.body())).await;
            let is_refused = found.status == 403 && detail(&found.body) == "this key is not for this route";
            let is_for_another = group_of(&operation) != group;
            assert_eq!(is_refused, is_for_another, "{group:?}: {}: {}", operation.name(), found.body);
        }
    }
    let two =
        KeyRights { routes: vec![RouteGroup::Usage, RouteGroup::Conversations], ..KeyRights::default() };
    let two = limited(&server, ada.id, ApiKeyScope::User, two).await;
    for (target, status) in [("/api/v1/usage", 200), (CONVERSATIONS, 200), ("/api/v1/users/me", 403)] {
        assert_eq!(answer(server.request(&two, "GET", target)).await.status, status, "{target}");
    }
}

async fn a_service_key_for_some_users_reaches_no_other(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let service = service(&server, KeyRights { users: vec![ada.id], ..KeyRights::default() }).await;
    let id = eve.id.to_string();
    let text = outlines([
        server.act(&service, "name:ada", "GET", CONVERSATIONS),
        server.act(&service, "name:eve", "GET", CONVERSATIONS),
        server.act(&service, &id, "GET", CONVERSATIONS),
        server.act(&service, "name:nobody", "GET", CONVERSATIONS),
        server.act(&service, "anonymous", "GET", CONVERSATIONS),
        server.request(&service, "GET", "/api/v1/usage?scope=all"),
        server.request(&service, "GET", &format!("/api/v1/usage?user_id={id}")),
        server.request(&service, "GET", &format!("/api/v1/usage?user_id={}", ada.id)),
    ])
    .await;
    insta::allow_duplicates! { insta::assert_snapshot!(
        text.replace(&id, "<eve>").replace(&ada.id.to_string(), "<ada>"), @"
    GET /api/v1/conversations [chatstore-user: name:ada] → 200
    GET /api/v1/conversations [chatstore-user: name:eve] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: <eve>] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: name:nobody] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: anonymous] → 404 unknown-user
    GET /api/v1/usage?scope=all → 403 forbidden
    GET /api/v1/usage?user_id=<eve> → 404 not-found
    GET /api/v1/usage?user_id=<ada> → 200
    ") }
    let of = async |whom| answer(server.act(&service, whom, "GET", CONVERSATIONS)).await.body;
    assert_eq!(
        of("name:eve").await,
        of("name:nobody").await,
        "whom the key is not for does not exist for it"
    );
}

async fn a_service_key_for_some_users_administers_no_other(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let service = service(&server, KeyRights { users: vec![ada.id], ..KeyRights::default() }).await;
    let key = server.store.keys().list(eve.id).await.unwrap()[0].id;
    let (of_ada, of_eve) = (format!("{USERS}/{}", ada.id), format!("{USERS}/{}", eve.id));
    for (method, target, status) in [
        ("GET", USERS.to_owned(), 403),
        ("GET", format!("{USERS}?username=eve"), 403),
        ("PUT", format!("{USERS}/by-email/eve@example.org"), 403),
        ("GET", of_eve.clone(), 404),
        ("DELETE", of_eve.clone(), 404),
        ("GET", format!("{of_eve}/api-keys"), 404),
        ("DELETE", format!("{of_eve}/api-keys/{key}"), 404),
        ("GET", of_ada.clone(), 200),
        ("GET", format!("{of_ada}/api-keys"), 200),
        ("DELETE", of_ada.clone(), 204),
    ] {
        let found = answer(server.request(&service, method, &target)).await;
        assert_eq!(found.status, status, "{method} {target}: {}", found.body);
    }
    for (method, target, status) in [("POST", USERS.to_owned(), 403), ("PATCH", of_eve, 404)] {
        let found = answer(server.send(&service, method, &target, r#"{"username": "mallory"}"#)).await;
        assert_eq!(found.status, status, "{method} {target}: {}", found.body);
    }
    assert_eq!(answer(server.request(&eve, "GET", "/api/v1/users/me")).await.body["username"], "eve");
}

async fn a_key_for_some_addresses_is_used_from_nowhere_else(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for (networks, status) in [
        (vec!["127.0.0.1"], 200),
        (vec!["10.0.0.0/8", "127.0.0.0/8"], 200),
        (vec!["10.0.0.0/8"], 403),
        (vec!["::1"], 403),
    ] {
        let addresses =
            networks.iter().map(|text| FromText::from_text((*text).to_owned()).unwrap()).collect();
        let rights = KeyRights { addresses, ..KeyRights::default() };
        let key = limited(&server, ada.id, ApiKeyScope::User, rights).await;
        for target in [CONVERSATIONS, KEY] {
            let asked = server.request(&key, "GET", target).header("X-Forwarded-For", "10.0.0.1");
            assert_eq!(answer(asked).await.status, status, "{networks:?} {target}");
        }
    }
}

async fn a_key_shows_what_it_may_do_whatever_it_may_not(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let rights = KeyRights { read_only: true, routes: vec![RouteGroup::Usage], ..KeyRights::default() };
    server.case.clock.advance(Duration::from_secs(1));
    let own = limited(&server, ada.id, ApiKeyScope::User, rights).await;
    let shown = server.get(&own, KEY).await;
    let nothing = Value::Null;
    assert_eq!(
        shown["rights"],
        json!({
            "read_only": true, "routes": ["usage"], "users": nothing, "namespace": nothing, "provision": nothing,
            "addresses": nothing
        })
    );
    let listed = server.get(&ada, "/api/v1/auth/api-keys").await;
    assert_eq!((&listed["data"][1]["id"], &listed["data"][1]["rights"]), (&shown["id"], &shown["rights"]));
    assert_eq!(listed["data"][0]["rights"]["read_only"], false);
    let service = service(&server, KeyRights { users: vec![ada.id], ..KeyRights::default() }).await;
    let shown = server.get(&service, KEY).await;
    assert_eq!(
        (&shown["scope"], &shown["rights"]["users"]),
        (&json!("service"), &json!([ada.id.to_string()]))
    );
    assert_eq!(answer(server.act(&service, "name:nobody", "GET", KEY)).await.status, 200);
    let session = crate::login::in_session(&server, &ada, "ada").await;
    assert_eq!(answer(server.request(&session, "GET", KEY)).await.status, 403, "a session is no key");
}

async fn rights_are_set_where_a_key_is_created(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let ada = server.store.users().create(NewUser::named(UserName::new("ada").unwrap())).await.unwrap();
    let session = confirmed(&server, &root, "root").await;
    let own =
        json!({"read_only": true, "routes": ["users", "auth"], "addresses": ["127.0.0.1", "10.1.2.3/8"]});
    let created = server.post(&session, "/api/v1/auth/api-keys", &own.to_string()).await;
    assert_eq!(created["rights"]["addresses"], json!(["127.0.0.1/32", "10.0.0.0/8"]));
    let key = Person { id: root.id, key: created["key"].as_str().unwrap().to_owned() };
    assert_eq!(answer(server.request(&key, "GET", "/api/v1/users")).await.status, 200);
    assert_eq!(
        answer(server.send(&key, "POST", "/api/v1/users", r#"{"username": "eve"}"#)).await.status,
        403
    );
    assert_eq!(answer(server.request(&key, "GET", CONVERSATIONS)).await.status, 403);
    let service = json!({"scope": "service", "users": [ada.id.short()], "name": "backend"});
    let target = format!("{USERS}/{}/api-keys", root.id);
    let created = server.post(&session, &target, &service.to_string()).await;
    assert_eq!(created["rights"]["users"], json!([ada.id.to_string()]));
    let service = Person { id: root.id, key: created["key"].as_str().unwrap().to_owned() };
    assert_eq!(answer(server.act(&service, "name:ada", "GET", CONVERSATIONS)).await.status, 200);
}

async fn rights_that_a_key_cannot_have_are_refused_by_their_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let root = confirmed(&server, &root, "root").await;
    let (own, of_root) = ("/api/v1/auth/api-keys".to_owned(), format!("{USERS}/{}/api-keys", root.id));
    let many = json!({"addresses": vec!["10.0.0.1"; 33]}).to_string();
    let mut text = String::new();
    for (target, body) in [
        (&own, r#"{"routes": ["conversations", "secrets"], "read_only": 1}"#),
        (&own, r#"{"routes": "conversations", "addresses": ["10.0.0.0/33"]}"#),
        (&own, r#"{"routes": [1], "addresses": null}"#),
        (&own, r#"{"users": [], "provision": "shop"}"#),
        (&own, many.as_str()),
        (&of_root, r#"{"users": ["1"], "namespace": "a b"}"#),
        (&of_root, r#"{"namespace": "shop", "provision": "shop"}"#),
        (&of_root, r#"{"scope": "service", "namespace": "shop", "provision": "other"}"#),
        (&of_root, r#"{"scope": "service", "users": ["1111111111111111111112"], "namespace": "shop"}"#),
        (&of_root, r#"{"scope": "service", "users": ["1111111111111111111112"], "provision": "shop"}"#),
    ] {
        let (status, errors) = crate::support::refusal(server.send(&root, "POST", target, body)).await;
        let errors: Vec<String> =
            errors.into_iter().map(|(field, code)| format!("{field}: {code}")).collect();
        text += &format!("{status} {}\n", errors.join(", "));
    }
    insta::allow_duplicates! { insta::assert_snapshot!(text, @"
    422 read_only: wrong_type, routes: not_allowed
    422 routes: wrong_type, addresses: invalid_format
    422 routes: wrong_type, addresses: wrong_type
    422 provision: unknown_field, users: unknown_field
    422 addresses: too_long
    422 users: invalid_format, namespace: invalid_format
    422 namespace: not_allowed, provision: not_allowed
    422 provision: not_allowed
    422 namespace: not_allowed
    422 provision: not_allowed
    ") }
}
