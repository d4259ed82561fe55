//! Users whom another system names by its own ids.

use chatstore::{ApiKeyScope, KeyRights, Namespace, UserId, UserPatch};
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::key_rights::limited;
use crate::support::{CONVERSATIONS, Person, Server, answer, at_once, outlines};

conformance!(
    a_provisioning_key_creates_the_users_it_names,
    of_sixteen_first_requests_one_creates_the_user,
    namespaces_do_not_see_each_other,
    a_key_for_a_namespace_acts_for_its_users_alone,
    a_disabled_or_erased_user_is_not_made_again_by_mistake,
    ext_needs_a_namespace_and_a_good_id,
    a_read_only_key_creates_no_user,
);

const ME: &str = "/api/v1/users/me";

async fn service(server: &Server, rights: KeyRights) -> Person {
    limited(server, UserId::ANONYMOUS, ApiKeyScope::Service, rights).await
}

async fn provisioning(server: &Server, namespace: &str) -> Person {
    let provision = Some(Namespace::new(namespace).unwrap());
    service(server, KeyRights { provision, ..KeyRights::default() }).await
}

async fn me(server: &Server, service: &Person, whom: &str) -> Value {
    let found = answer(server.act(service, whom, "GET", ME)).await;
    assert_eq!(found.status, 200, "{whom}: {}", found.body);
    found.body
}

async fn a_provisioning_key_creates_the_users_it_names(case: TestDatabase) {
    let server = Server::start(case).await;
    let shop = provisioning(&server, "shop").await;
    let created = server.act(&shop, "ext:auth0%7C7", "POST", CONVERSATIONS);
    let created = answer(created.header("Content-Type", "application/json").body("{}")).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let ada = me(&server, &shop, "ext:auth0|7").await;
    assert_eq!(created.body["owner_id"], ada["id"]);
    assert_eq!(
        (&ada["external_namespace"], &ada["external_id"], &ada["username"], &ada["email"], &ada["role"]),
        (&json!("shop"), &json!("auth0|7"), &Value::Null, &Value::Null, &json!("user"))
    );
    for other in ["ext:AUTH0|7", "ext:auth0|7%20", "ext:zo%C3%AB", "ext:50%25"] {
        assert_ne!(me(&server, &shop, other).await["id"], ada["id"], "{other}");
    }
    assert_eq!(me(&server, &shop, "ext:zoë").await["external_id"], "zoë");
    let id = ada["id"].as_str().unwrap();
    assert_eq!(me(&server, &shop, id).await, ada, "named by id as well");
    let patch = server.act(&shop, id, "PATCH", ME).header("Content-Type", "application/json");
    let named = answer(patch.body(r#"{"username": "ada"}"#)).await;
    assert_eq!((named.status, &named.body["external_id"]), (200, &ada["external_id"]));
    let patch = server.act(&shop, id, "PATCH", ME).header("Content-Type", "application/json");
    assert_eq!(answer(patch.body(r#"{"username": null}"#)).await.status, 200, "the external id is enough");
}

async fn of_sixteen_first_requests_one_creates_the_user(case: TestDatabase) {
    let server = Server::start(case).await;
    let shop = provisioning(&server, "shop").await;
    let answers = at_once((0..16).map(|_| server.act(&shop, "ext:7", "GET", ME))).await;
    for found in &answers {
        assert_eq!((found.status, &found.body), (200, &answers[0].body));
    }
    assert_eq!(server.store.operations().counts().await.unwrap().users, 1);
}

async fn namespaces_do_not_see_each_other(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let (shop, forum) = (provisioning(&server, "shop").await, provisioning(&server, "forum").await);
    let plain = server.service(&root).await;
    let of_shop = me(&server, &shop, "ext:7").await;
    let of_forum = me(&server, &forum, "ext:7").await;
    assert_ne!(of_shop["id"], of_forum["id"]);
    let target = format!("/api/v1/users/{}", of_shop["id"].as_str().unwrap());
    for (person, expected) in
        [(&shop, json!("7")), (&root, json!("7")), (&forum, Value::Null), (&plain, Value::Null)]
    {
        let shown = server.get(person, &target).await;
        assert_eq!(shown["external_id"], expected);
        assert_eq!(shown["external_namespace"].is_null(), expected.is_null());
        let listed = server.get(person, "/api/v1/users").await;
        let found =
            listed["data"].as_array().unwrap().iter().find(|user| user["id"] == of_shop["id"]).unwrap();
        assert_eq!(found["external_id"], expected);
    }
    let id = of_shop["id"].as_str().unwrap();
    let exported = server.act(&forum, id, "GET", "/api/v1/users/me/export").send().await.unwrap();
    assert!(!exported.text().await.unwrap().contains("\"shop\""), "nor in an export");
}

async fn a_key_for_a_namespace_acts_for_its_users_alone(case: TestDatabase) {
    let server = Server::start(case).await;
    server.person("ada").await;
    let shop = provisioning(&server, "shop").await;
    let of_shop = me(&server, &shop, "ext:7").await;
    let namespace = Some(Namespace::new("shop").unwrap());
    let within = service(&server, KeyRights { namespace, ..KeyRights::default() }).await;
    let id = of_shop["id"].as_str().unwrap();
    let text = outlines([
        server.act(&within, "ext:7", "GET", CONVERSATIONS),
        server.act(&within, id, "GET", CONVERSATIONS),
        server.act(&within, "ext:8", "GET", CONVERSATIONS),
        server.act(&within, "name:ada", "GET", CONVERSATIONS),
        server.act(&within, "anonymous", "GET", CONVERSATIONS),
        server.request(&within, "GET", "/api/v1/users"),
        server.request(&within, "GET", &format!("/api/v1/users/{id}")),
    ])
    .await;
    insta::allow_duplicates! { insta::assert_snapshot!(text.replace(id, "<7>"), @"
    GET /api/v1/conversations [chatstore-user: ext:7] → 200
    GET /api/v1/conversations [chatstore-user: <7>] → 200
    GET /api/v1/conversations [chatstore-user: ext:8] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: name:ada] → 404 unknown-user
    GET /api/v1/conversations [chatstore-user: anonymous] → 404 unknown-user
    GET /api/v1/users → 403 forbidden
    GET /api/v1/users/<7> → 200
    ") }
}

async fn a_disabled_or_erased_user_is_not_made_again_by_mistake(case: TestDatabase) {
    let server = Server::start(case).await;
    let shop = provisioning(&server, "shop").await;
    let ada = me(&server, &shop, "ext:7").await;
    let id: UserId = ada["id"].as_str().unwrap().parse().unwrap();
    let disable = UserPatch { is_active: Some(false), ..UserPatch::default() };
    server.store.users().update(id, disable).await.unwrap();
    let refused = answer(server.act(&shop, "ext:7", "GET", ME)).await;
    let kind = refused.body["type"].as_str();
    assert_eq!((refused.status, kind), (404, Some("urn:chatstore:problem:unknown-user")));
    assert_eq!(server.store.operations().counts().await.unwrap().users, 1);
    server.store.users().erase(id).await.unwrap();
    assert_ne!(me(&server, &shop, "ext:7").await["id"], ada["id"], "a new user, with nothing of the former");
}

async fn ext_needs_a_namespace_and_a_good_id(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let (plain, shop) = (server.service(&root).await, provisioning(&server, "shop").await);
    let long = format!("ext:{}", "a".repeat(256));
    for (service, whom) in [
        (&plain, "ext:7"),
        (&shop, "ext:"),
        (&shop, "ext:%"),
        (&shop, "ext:50%"),
        (&shop, "ext:%ff"),
        (&shop, "ext:a%00b"),
        (&shop, "ext:a%0Ab"),
        (&shop, long.as_str()),
    ] {
        let refused = answer(server.act(service, whom, "GET", ME)).await;
        let error = &refused.body["errors"][0];
        assert_eq!(
            (refused.status, error["field"].as_str(), error["code"].as_str()),
            (422, Some("Chatstore-User"), Some("invalid_format")),
            "{whom}"
        );
    }
    assert_eq!(server.store.operations().counts().await.unwrap().users, 1);
}

async fn a_read_only_key_creates_no_user(case: TestDatabase) {
    let server = Server::start(case).await;
    let provision = Some(Namespace::new("shop").unwrap());
    let reader = service(&server, KeyRights { read_only: true, provision, ..KeyRights::default() }).await;
    assert_eq!(answer(server.act(&reader, "ext:7", "GET", ME)).await.status, 404);
    let shop = provisioning(&server, "shop").await;
    let created = me(&server, &shop, "ext:7").await;
    assert_eq!(me(&server, &reader, "ext:7").await, created);
}
