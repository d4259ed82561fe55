//! What browsers are told: what pages of other origins may do, and what may be done with an answer.

use axum::Router;
use chatstore::Store;
use chatstore_http::Api;
use chatstore_testkit::{TestDatabase, conformance};
use reqwest::{RequestBuilder, Response};

use crate::support::{CONVERSATIONS, Server};

conformance!(
    no_page_of_another_origin_may_use_the_api_by_default,
    a_page_of_an_allowed_origin_may_ask_first_and_read_the_answer,
    a_page_of_any_other_origin_is_told_nothing,
    every_answer_tells_browsers_to_do_nothing_with_it,
    the_description_can_be_switched_off,
);

const PAGE: &str = "https://chat.example.org";

fn open_to_a_page(store: Store) -> Router {
    let origins = format!("{PAGE},http://localhost:5173").parse().unwrap();
    Api::new(store).allowed_origins(origins).router()
}

fn hidden(store: Store) -> Router {
    Api::new(store).description(false).router()
}

fn preflight(server: &Server, origin: &str, method: &str, headers: &str) -> RequestBuilder {
    let request = server.anonymous("OPTIONS", CONVERSATIONS).header("Origin", origin);
    request.header("Access-Control-Request-Method", method).header("Access-Control-Request-Headers", headers)
}

/// The names in a header that is a list, in lower case.
fn list(answer: &Response, name: &str) -> Vec<String> {
    let values = answer.headers().get_all(name).iter();
    let mut names: Vec<String> = values
        .flat_map(|value| value.to_str().unwrap().split(','))
        .map(|name| name.trim().to_lowercase())
        .collect();
    names.sort_unstable();
    names
}

async fn no_page_of_another_origin_may_use_the_api_by_default(case: TestDatabase) {
    let server = Server::start(case).await;
    let asked = preflight(&server, PAGE, "POST", "authorization").send().await.unwrap();
    assert_eq!(asked.status(), 405);
    let ada = server.person("ada").await;
    let answer = server.request(&ada, "GET", CONVERSATIONS).header("Origin", PAGE).send().await.unwrap();
    for answer in [asked, answer] {
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
}

async fn a_page_of_an_allowed_origin_may_ask_first_and_read_the_answer(case: TestDatabase) {
    let server = Server::start_with(case, open_to_a_page).await;
    let sent = "authorization, chatstore-position, content-type, idempotency-key, idempotency-retention, if-match, if-none-match, traceparent, x-request-id";
    let asked = preflight(&server, PAGE, "PATCH", sent).send().await.unwrap();
    assert_eq!(asked.status(), 200);
    assert_eq!(asked.headers()["access-control-allow-origin"], PAGE);
    assert_eq!(list(&asked, "access-control-allow-headers").join(", "), sent);
    assert_eq!(
        list(&asked, "access-control-allow-methods"),
        ["delete", "get", "head", "patch", "post", "put"]
    );
    assert!(list(&asked, "vary").contains(&"origin".to_owned()));
    assert!(!asked.headers().contains_key("access-control-allow-credentials"), "tokens are no cookies");

    let ada = server.person("ada").await;
    let of_page = |request: RequestBuilder| async { request.header("Origin", PAGE).send().await.unwrap() };
    let created = of_page(server.send(&ada, "POST", CONVERSATIONS, "{}")).await;
    let refused = of_page(server.anonymous("GET", CONVERSATIONS)).await;
    let absent = of_page(server.anonymous("GET", "/nothing")).await;
    assert_eq!((created.status().as_u16(), refused.status().as_u16()), (201, 401));
    for answer in [created, refused, absent] {
        assert_eq!(answer.headers()["access-control-allow-origin"], PAGE);
        assert!(list(&answer, "vary").contains(&"origin".to_owned()));
        assert_eq!(
            list(&answer, "access-control-expose-headers"),
            [
                "chatstore-position",
                "etag",
                "idempotency-replayed",
                "location",
                "ratelimit",
                "ratelimit-policy",
                "retry-after",
                "www-authenticate",
                "x-request-id"
            ]
        );
    }
}

async fn a_page_of_any_other_origin_is_told_nothing(case: TestDatabase) {
    let server = Server::start_with(case, open_to_a_page).await;
    for origin in [
        "https://chat.example.org.evil.example",
        "https://evil.example",
        "http://chat.example.org",
        "https://chat.example.org:8443",
        "https://CHAT.example.org",
        "null",
    ] {
        let asked = preflight(&server, origin, "POST", "authorization").send().await.unwrap();
        assert!(!asked.headers().contains_key("access-control-allow-origin"), "{origin}");
        let answer = server.anonymous("GET", "/healthz").header("Origin", origin).send().await.unwrap();
        assert_eq!(
            answer.status(),
            200,
            "{origin}: not a browser's request that is refused, but its reading"
        );
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "{origin}");
    }
}

async fn every_answer_tells_browsers_to_do_nothing_with_it(case: TestDatabase) {
    let server = Server::start(case).await;
    for (method, path) in [
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/nothing"),
        ("POST", "/healthz"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/docs/"),
        ("GET", "/docs/nothing"),
        ("GET", CONVERSATIONS),
        ("POST", "/api/v1/auth/login"),
    ] {
        let answer = server.anonymous(method, path).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("default-src '"),
            "{path}: {policy}"
        );
        let is_page = ["/docs", "/docs/"].contains(&path);
        assert_eq!(policy.contains("default-src 'none'"), !is_page, "{path}: {policy}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
    }
}

async fn the_description_can_be_switched_off(case: TestDatabase) {
    let server = Server::start_with(case, hidden).await;
    for path in ["/docs", "/docs/", "/docs/index.html", "/openapi.json"] {
        assert_eq!(server.anonymous("GET", path).send().await.unwrap().status(), 404, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.anonymous("GET", path).send().await.unwrap().status(), 200, "{path}");
    }
    assert_eq!(server.anonymous("GET", CONVERSATIONS).send().await.unwrap().status(), 401);
}
