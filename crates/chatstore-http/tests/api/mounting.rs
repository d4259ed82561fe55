//! The router inside another application.

use axum::Router;
use axum::routing::get;
use chatstore::Store;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::support::{Server, exchanges, refusal};

conformance!(
    a_nested_router_answers_below_its_path,
    a_merged_router_leaves_the_application_its_own_fallback,
    the_description_names_the_path_at_which_the_router_is_mounted,
    the_front_page_says_what_this_is_to_people_and_programs,
);

fn nested(store: Store) -> Router {
    let own = Router::new().route("/", get(async || "the application"));
    own.nest("/chat", chatstore_http::router(store)).fallback(async || "the application's own fallback")
}

fn merged(store: Store) -> Router {
    let own = Router::new().route("/", get(async || "the application"));
    own.merge(chatstore_http::router(store)).fallback(async || "the application's own fallback")
}

async fn a_nested_router_answers_below_its_path(case: TestDatabase) {
    let server = Server::start_with(case, nested).await;
    let ada = server.person("ada").await;
    let created = server.send(&ada, "POST", "/chat/api/v1/conversations", "{}").send().await.unwrap();
    let location = created.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with("/chat/api/v1/conversations/"), "{location}");
    let text = exchanges([
        server.send(&ada, "POST", &format!("{location}/messages"), r#"{"messages": [{"content": "hello"}]}"#),
        server.send(&ada, "POST", &format!("{location}/replies"), r#"{"content": "good day"}"#),
        server.request(&ada, "GET", "/chat/api/v1/nothing"),
        server.request(&ada, "PUT", "/chat/api/v1/conversations"),
        server.anonymous("GET", "/chat/healthz"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /chat/api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages
    {"messages": [{"content": "hello"}]}

    201 Created
    content-type: application/json
    location: /chat/api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/019ca945-0a00-7775-9c77-01564f619afc
    etag: "2"

    {
      "data": [
        {
          "content": "hello",
          "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
          "created_at": "2026-03-01T12:00:00.000000Z",
          "effective_model": "echo",
          "id": "019ca945-0a00-7775-9c77-01564f619afc",
          "metadata": {},
          "role": "user",
          "sender_id": "019ca945-0a00-710a-adec-89025cc1beeb",
          "seq": 1,
          "short_id": "1CYcKgdReTQgBSmVQApABm",
          "used_documents": []
        }
      ]
    }
    ────
    POST /chat/api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/replies
    {"content": "good day"}

    201 Created
    content-type: application/json
    location: /chat/api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/019ca945-0a00-7476-8f8a-4baa5dc087b3
    etag: "3"

    {
      "content": "good day",
      "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "created_at": "2026-03-01T12:00:00.000000Z",
      "effective_model": "echo",
      "id": "019ca945-0a00-7476-8f8a-4baa5dc087b3",
      "metadata": {},
      "model": "echo",
      "response": {
        "completion_time_ms": null,
        "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
        "created_at": "2026-03-01T12:00:00.000000Z",
        "finish_reason": null,
        "from_cache": false,
        "message_id": "019ca945-0a00-7476-8f8a-4baa5dc087b3",
        "model_used": "echo",
        "tokens_cached": null,
        "tokens_completion": null,
        "tokens_prompt": null,
        "tokens_total": null
      },
      "role": "assistant",
      "seq": 2,
      "short_id": "1CYcKgdReHePbhWheteW9x",
      "used_documents": []
    }
    ────
    GET /chat/api/v1/nothing

    404 Not Found
    content-type: application/problem+json

    {
      "detail": "there is nothing here, or nothing that you may see",
      "request_id": "r-1",
      "status": 404,
      "title": "Not found",
      "type": "urn:chatstore:problem:not-found"
    }
    ────
    PUT /chat/api/v1/conversations

    405 Method Not Allowed
    content-type: application/problem+json
    allow: GET,HEAD,POST,DELETE

    {
      "detail": "this resource does not support this method",
      "request_id": "r-1",
      "status": 405,
      "title": "Method not allowed",
      "type": "urn:chatstore:problem:method-not-allowed"
    }
    ────
    GET /chat/healthz

    200 OK
    content-type: application/json

    {
      "status": "ok"
    }
    ────
    "#) }
    for (path, body) in [("/", "the application"), ("/nothing", "the application's own fallback")] {
        let answer = server.anonymous("GET", path).send().await.unwrap();
        assert!(!answer.headers().contains_key("x-request-id"), "{path} is not ours");
        assert_eq!(answer.text().await.unwrap(), body);
    }
}

async fn a_merged_router_leaves_the_application_its_own_fallback(case: TestDatabase) {
    let server = Server::start_with(case, merged).await;
    let ada = server.person("ada").await;
    server.conversation(&ada).await;
    assert_eq!(refusal(server.request(&ada, "GET", "/api/v1/nothing")).await.0, 404);
    let answer = server.anonymous("GET", "/nothing").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "the application's own fallback");
}

async fn the_description_names_the_path_at_which_the_router_is_mounted(case: TestDatabase) {
    let server = Server::start_with(case, |store| {
        Router::new()
            .nest("/chat", chatstore_http::router(store.clone()))
            .nest("/{tenant}", chatstore_http::router(store.clone()))
            .merge(chatstore_http::router(store))
    })
    .await;
    for (mount, url) in [("/chat", "/chat"), ("/a%22b", "/a%22b"), ("", "/")] {
        let answer = server.anonymous("GET", &format!("{mount}/openapi.json")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{mount}");
        let description: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(description["servers"], serde_json::json!([{"url": url}]));
        assert!(description["paths"]["/api/v1/conversations"].is_object(), "{mount}");
    }
}

async fn the_front_page_says_what_this_is_to_people_and_programs(case: TestDatabase) {
    let with_page = |store: Store| {
        let api = chatstore_http::Api::new(store).front_page(true);
        let hidden = api.clone().description(false).router();
        api.router().nest("/hidden", hidden)
    };
    let server = Server::start_with(case, with_page).await;
    let get = |path: &'static str, accept: &'static str| {
        server.anonymous("GET", path).header("accept", accept).send()
    };
    for accept in ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json, text/html"] {
        let answer = get("/", accept).await.unwrap();
        assert_eq!(answer.status(), 200, "{accept}");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        let page = answer.text().await.unwrap();
        assert!(page.contains(r#"<a href="/docs">"#) && page.contains("/api/v1"), "{page}");
        assert!(page.contains(env!("CARGO_PKG_VERSION")), "{page}");
    }
    let answer = get("/", "application/json;q=0.9").await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let about: serde_json::Value = answer.json().await.unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        about,
        serde_json::json!({
            "name": "chatstore", "version": version, "api": "/api/v1", "docs": "/docs", "openapi": "/openapi.json"
        })
    );
    let page = get("/hidden", "*/*").await.unwrap().text().await.unwrap();
    assert!(page.contains("/hidden/api/v1") && !page.contains("href"), "{page}");
}
