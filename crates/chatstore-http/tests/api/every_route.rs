//! What holds for every route that the description names.

use axum::body::Body;
use axum::http::Request;
use chatstore_http::Api;
use chatstore_testkit::{TestDatabase, conformance};
use tower::ServiceExt as _;

use crate::login::in_session;
use crate::operations::{Operation, operations};
use crate::support::{Person, Server, answer, open_to_registration};

conformance!(
    only_registration_login_and_refresh_answer_without_credentials,
    administration_is_refused_before_anything_is_read,
    every_route_refuses_an_unknown_parameter,
    every_body_must_be_json_with_its_media_type,
    every_body_has_a_maximum_size,
    every_body_refuses_an_unknown_field,
    every_route_has_limits_for_its_head,
    every_path_names_the_methods_it_supports,
    every_route_is_rate_limited_when_enabled,
);

/// An administrator with a key, and in a session for the routes that refuse keys.
struct Root {
    key: Person,
    session: Person,
}

impl Root {
    async fn of(server: &Server) -> Self {
        let key = server.admin("root").await;
        let session = in_session(server, &key, "root").await;
        Self { key, session }
    }

    fn for_operation(&self, operation: &Operation) -> &Person {
        if operation.needs_session() { &self.session } else { &self.key }
    }
}

async fn only_registration_login_and_refresh_answer_without_credentials(case: TestDatabase) {
    let server = Server::start(case).await;
    let open: Vec<String> = operations()
        .into_iter()
        .filter(|operation| operation.is_open)
        .map(|operation| operation.path)
        .collect();
    assert_eq!(open, ["/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/register"]);
    for operation in operations().into_iter().filter(|operation| !operation.is_open) {
        let (name, target) = (operation.name(), operation.target(&[]));
        let refused = answer(server.anonymous(&operation.method, &target).body("{")).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"), "{name}");
        assert!(operation.statuses.contains(&401), "{name}");
    }
}

async fn administration_is_refused_before_anything_is_read(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let mut count = 0;
    for operation in operations().into_iter().filter(crate::operations::Operation::is_for_admins) {
        let target = format!("{}?unknown=1", operation.target(&[]));
        let refused = answer(server.send(&ada, &operation.method, &target, "{")).await;
        let kind = refused.body["type"].as_str().unwrap_or_default();
        assert_eq!((refused.status, kind), (403, "urn:chatstore:problem:forbidden"), "{}", operation.name());
        assert!(operation.statuses.contains(&403), "{}", operation.name());
        count += 1;
    }
    assert!(count >= 9, "{count} routes for administrators");
}

async fn every_route_refuses_an_unknown_parameter(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = Root::of(&server).await;
    for operation in operations() {
        let target = format!("{}?unknown=1", operation.target(&[("email", "a@b.org")]));
        let refused =
            answer(server.send(root.for_operation(&operation), &operation.method, &target, operation.body()))
                .await;
        let errors = refused.body["errors"].as_array().unwrap();
        let is_named =
            errors.iter().any(|error| error["field"] == "unknown" && error["code"] == "unknown_field");
        assert_eq!((refused.status, is_named), (422, true), "{}", operation.name());
        assert!(operation.statuses.contains(&422), "{}", operation.name());
    }
    assert_eq!(server.get(&root.key, "/api/v1/users/me").await["username"], "root", "nothing was changed");
}

async fn every_body_must_be_json_with_its_media_type(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = Root::of(&server).await;
    let mut count = 0;
    for operation in operations().into_iter().filter(|operation| operation.takes_body) {
        let (name, target) = (operation.name(), operation.target(&[("email", "a@b.org")]));
        for (body, media_type, status, kind) in [
            ("{", "application/json", 400, "malformed-request"),
            ("{}", "text/plain", 415, "unsupported-media-type"),
            ("[]", "application/json", 422, "validation"),
        ] {
            let request = server.request(root.for_operation(&operation), &operation.method, &target);
            let refused = answer(request.header("Content-Type", media_type).body(body.to_owned())).await;
            let kind = format!("urn:chatstore:problem:{kind}");
            assert_eq!(
                (refused.status, refused.body["type"].as_str()),
                (status, Some(kind.as_str())),
                "{name}"
            );
            assert!(operation.statuses.contains(&status), "{name} {status}");
        }
        count += 1;
    }
    assert!(count >= 13, "{count} routes with a body");
}

/// Without a socket: a client that is still sending may find it closed before it reads the refusal.
async fn every_body_has_a_maximum_size(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = Root::of(&server).await;
    let router = open_to_registration(server.store.clone());
    let body = |bytes: usize| format!(r#"{{"unknown": "{}"}}"#, "a".repeat(bytes - 15));
    for operation in operations().into_iter().filter(|operation| operation.takes_body) {
        let has = |segment: &str| operation.path.split('/').any(|name| name == segment);
        let max = match () {
            () if has("auth") => 16 * 1024,
            () if has("messages") || has("replies") || has("hash") => 16 * 1024 * 1024,
            () => 1024 * 1024,
        };
        for (bytes, status) in [(max, 422), (max + 1, 413)] {
            let request = Request::builder()
                .method(operation.method.as_str())
                .uri(operation.target(&[("email", "a@b.org")]))
                .header("Authorization", format!("Bearer {}", root.for_operation(&operation).key))
                .header("Content-Type", "application/json")
                .header("X-Request-Id", "r-1");
            let refused =
                router.clone().oneshot(request.body(Body::from(body(bytes))).unwrap()).await.unwrap();
            assert_eq!(refused.status(), status, "{} {bytes}", operation.name());
            assert_eq!(refused.headers()["x-request-id"], "r-1");
            assert_eq!(refused.headers()["content-type"], "application/problem+json");
        }
        assert!(operation.statuses.contains(&413), "{}", operation.name());
    }
}

async fn every_body_refuses_an_unknown_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = Root::of(&server).await;
    for operation in operations().into_iter().filter(|operation| operation.takes_body) {
        let target = operation.target(&[("email", "a@b.org")]);
        let takes_id =
            ["/conversations", "/messages", "/replies"].iter().any(|end| operation.path.ends_with(end))
                || (operation.method == "PUT" && operation.path.contains("/messages/"));
        for field in ["owner_id", "id", "password_hash", "seq"] {
            if field == "id" && takes_id {
                continue;
            }
            let body = format!(r#"{{"{field}": 1}}"#);
            let refused =
                answer(server.send(root.for_operation(&operation), &operation.method, &target, &body)).await;
            let errors = refused.body["errors"].as_array().cloned().unwrap_or_default();
            let is_named =
                errors.iter().any(|error| error["field"] == field && error["code"] == "unknown_field");
            assert!(refused.status == 422 && is_named, "{} {field}: {}", operation.name(), refused.body);
        }
    }
}

async fn every_route_has_limits_for_its_head(case: TestDatabase) {
    let server = Server::start(case).await;
    let long = "a".repeat(8 * 1024);
    for operation in operations() {
        let (name, target) = (operation.name(), operation.target(&[]));
        let refused = answer(server.anonymous(&operation.method, &format!("{target}?cursor={long}"))).await;
        assert_eq!(refused.status, 414, "{name}");
        let request = server.anonymous(&operation.method, &target).header("X-Large", "a".repeat(32 * 1024));
        let refused = answer(request).await;
        assert_eq!(refused.status, 431, "{name}");
        assert!(operation.statuses.contains(&414) && operation.statuses.contains(&431), "{name}");
    }
}

async fn every_path_names_the_methods_it_supports(case: TestDatabase) {
    let server = Server::start(case).await;
    let operations = operations();
    for operation in &operations {
        let of_path = operations.iter().filter(|other| other.path == operation.path);
        let mut taken: Vec<&str> = of_path.map(|other| other.method.as_str()).collect();
        let other = ["PATCH", "PUT", "DELETE", "POST", "GET"].into_iter().find(|one| !taken.contains(one));
        let refused = answer(server.anonymous(other.unwrap(), &operation.target(&[]))).await;
        assert_eq!(refused.status, 405, "{}", operation.name());
        let mut given: Vec<&str> = refused.header("allow").split(',').collect();
        if taken.contains(&"GET") {
            taken.push("HEAD");
        }
        given.sort_unstable();
        taken.sort_unstable();
        assert_eq!(given, taken, "{}", operation.path);
    }
}

async fn every_route_is_rate_limited_when_enabled(case: TestDatabase) {
    let one_a_minute = |store| Api::new(store).registration(true).requests_a_minute(Some(1)).router();
    let server = Server::start_with(case, one_a_minute).await;
    let root = server.admin("root").await;
    assert_eq!(server.get(&root, "/api/v1/users/me").await["username"], "root");
    for operation in operations() {
        let target = operation.target(&[("email", "a@b.org")]);
        let refused = answer(server.send(&root, &operation.method, &target, operation.body())).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "60"), "{}", operation.name());
        assert!(operation.statuses.contains(&429), "{}", operation.name());
    }
}
