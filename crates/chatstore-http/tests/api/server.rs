//! The server itself: whether it is alive, whether it is ready, and what every answer carries.

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::support::{Server, exchange, json};

conformance!(
    a_server_is_alive_and_ready,
    a_server_without_its_database_is_alive_but_not_ready,
    the_description_is_served,
    a_safe_request_id_is_kept_and_another_replaced,
    a_head_request_is_answered_without_a_body,
    a_finished_shutdown_lets_requests_end,
);

async fn a_server_is_alive_and_ready(case: TestDatabase) {
    let server = Server::start(case).await;
    let health = exchange(server.anonymous("GET", "/healthz")).await;
    allow_duplicates! { assert_snapshot!(health, @r#"
    GET /healthz

    200 OK
    content-type: application/json

    {
      "status": "ok"
    }
    "#) }
    let kind = server.store.kind().as_str();
    let ready = exchange(server.anonymous("GET", "/readyz")).await.replace(kind, "<kind>");
    allow_duplicates! { assert_snapshot!(ready, @r#"
    GET /readyz

    200 OK
    content-type: application/json

    {
      "dependencies": {
        "database": {
          "kind": "<kind>",
          "status": "ready"
        }
      },
      "status": "ready"
    }
    "#) }
}

async fn a_server_without_its_database_is_alive_but_not_ready(case: TestDatabase) {
    let server = Server::start(case).await;
    server.store.close().await;
    assert_eq!(server.anonymous("GET", "/healthz").send().await.unwrap().status(), 200);
    let kind = server.store.kind().as_str();
    let unready = exchange(server.anonymous("GET", "/readyz")).await.replace(kind, "<kind>");
    allow_duplicates! { assert_snapshot!(unready, @r#"
    GET /readyz

    503 Service Unavailable
    content-type: application/json
    retry-after: 1

    {
      "dependencies": {
        "database": {
          "kind": "<kind>",
          "status": "unavailable"
        }
      },
      "status": "unavailable"
    }
    "#) }
}

async fn the_description_is_served(case: TestDatabase) {
    let server = Server::start(case).await;
    let answer = server.anonymous("GET", "/openapi.json").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let served = json(answer).await;
    assert_eq!(served, serde_json::to_value(chatstore_http::openapi()).unwrap());
}

async fn a_safe_request_id_is_kept_and_another_replaced(case: TestDatabase) {
    let server = Server::start(case).await;
    let client = reqwest::Client::new();
    let url = server.anonymous("GET", "/nothing").build().unwrap().url().clone();
    let answered = async |given: Option<&str>| {
        let request = client.get(url.clone());
        let request = given.map_or(request.try_clone().unwrap(), |id| request.header("X-Request-Id", id));
        let answer = request.send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(json(answer).await["request_id"], id.as_str(), "header and body agree");
        id
    };
    let longest = "x".repeat(128);
    for kept in ["a", "A-b_c.9", &longest] {
        assert_eq!(answered(Some(kept)).await, kept);
    }
    let too_long = "x".repeat(129);
    for replaced in ["", "a b", "a/b", "é", &too_long] {
        assert_ne!(answered(Some(replaced)).await, replaced);
    }
    assert_ne!(answered(None).await, answered(None).await);
}

async fn a_head_request_is_answered_without_a_body(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let answer = server.request(&ada, "HEAD", &path).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap()), (200, "\"1\""));
    assert!(answer.text().await.unwrap().is_empty());
}

async fn a_finished_shutdown_lets_requests_end(case: TestDatabase) {
    let store = crate::support::open(&case).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/healthz", listener.local_addr().unwrap());
    let (shutdown, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(chatstore_http::serve(listener, chatstore_http::router(store), async {
        stopped.await.unwrap_or_default();
    }));
    let client = reqwest::Client::new();
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    drop(shutdown);
    serving.await.unwrap().unwrap();
    assert!(client.get(&url).send().await.is_err(), "the server no longer listens");
}
