//! How large a request may be.

use axum::Router;
use chatstore::Store;
use chatstore_http::Api;
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use insta::{allow_duplicates, assert_snapshot};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{CONVERSATIONS, Person, Server, answer, exchange};

conformance!(
    a_target_has_a_maximum_of_8_kibibytes,
    a_head_has_a_maximum_of_100_fields_and_32_kibibytes,
    the_limits_hold_on_every_path,
    a_request_id_is_kept_or_replaced_on_refusals_too,
    a_large_body_of_an_unknown_sender_is_refused_before_it_arrives,
    bodies_that_do_not_arrive_keep_no_others_out,
    one_client_holds_at_most_half_of_the_memory_for_bodies,
);

async fn a_target_has_a_maximum_of_8_kibibytes(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let of_length = |length: usize| {
        let start = format!("{CONVERSATIONS}?limit=1&cursor=");
        format!("{start}{}", "a".repeat(length - start.len()))
    };
    let refused = exchange(server.request(&ada, "GET", &of_length(8193))).await;
    let refused = refused.replace(&"a".repeat(8000), "…");
    let answered = refused.split_once("\n\n").unwrap().1;
    allow_duplicates! { assert_snapshot!(answered, @r#"
    414 URI Too Long
    content-type: application/problem+json

    {
      "detail": "path and query must have at most 8192 bytes",
      "request_id": "r-1",
      "status": 414,
      "title": "URI too long",
      "type": "urn:chatstore:problem:uri-too-long"
    }
    "#) }
    let longest = answer(server.request(&ada, "GET", &of_length(8192))).await;
    assert_eq!((longest.status, &longest.body["errors"][0]["code"]), (422, &"too_long".into()));
}

async fn a_head_has_a_maximum_of_100_fields_and_32_kibibytes(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let ask = |fields: usize, bytes: usize| {
        let mut request = server.request(&ada, "GET", &path);
        for number in 0..fields {
            request = request.header(format!("X-Field-{number}"), "a".repeat(bytes));
        }
        request
    };
    let refused = exchange(ask(100, 1)).await;
    allow_duplicates! { assert_snapshot!(refused, @r#"
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43

    431 Request Header Fields Too Large
    content-type: application/problem+json

    {
      "detail": "there must be at most 100 header fields and 32768 bytes of them",
      "request_id": "r-1",
      "status": 431,
      "title": "Headers too large",
      "type": "urn:chatstore:problem:headers-too-large"
    }
    "#) }
    assert_eq!(answer(ask(90, 1)).await.status, 200);
    assert_eq!(answer(ask(1, 33 * 1024)).await.status, 431);
    assert_eq!(answer(ask(33, 1024)).await.status, 431);
    assert_eq!(answer(ask(1, 31 * 1024)).await.status, 200);
}

async fn the_limits_hold_on_every_path(case: TestDatabase) {
    let server = Server::start(case).await;
    for path in ["/healthz", "/readyz", "/openapi.json", "/nothing", "/api/v1/nothing"] {
        let long = answer(server.anonymous("GET", &format!("{path}?{}", "a".repeat(8192)))).await;
        assert_eq!(
            (long.status, &long.body["type"]),
            (414, &"urn:chatstore:problem:uri-too-long".into()),
            "{path}"
        );
        let large = answer(server.anonymous("GET", path).header("X-Large", "a".repeat(33 * 1024))).await;
        let kind = "urn:chatstore:problem:headers-too-large";
        assert_eq!((large.status, &large.body["type"]), (431, &kind.into()), "{path}");
    }
}

async fn a_request_id_is_kept_or_replaced_on_refusals_too(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let long = format!("{CONVERSATIONS}?{}", "a".repeat(8192));
    for (status, request) in [
        (401, server.anonymous("GET", CONVERSATIONS)),
        (404, server.request(&ada, "GET", "/api/v1/nothing")),
        (405, server.request(&ada, "PUT", CONVERSATIONS)),
        (414, server.request(&ada, "GET", &long)),
        (415, server.request(&ada, "POST", CONVERSATIONS).body("{}")),
        (422, server.send(&ada, "POST", CONVERSATIONS, r#"{"title": 1}"#)),
        (431, server.request(&ada, "GET", CONVERSATIONS).header("X-Large", "a".repeat(33 * 1024))),
    ] {
        let refused = answer(request).await;
        assert_eq!(refused.status, status);
        assert_eq!((refused.header("x-request-id"), &refused.body["request_id"]), ("r-1", &"r-1".into()));
        assert_eq!(refused.header("content-type"), "application/problem+json", "{status}");
        assert_eq!(refused.header("x-content-type-options"), "nosniff", "{status}");
        assert_eq!(refused.header("cache-control"), "no-store", "{status}");
    }
}

/// The head of a request that creates a conversation from an address.
fn head(address: &str, credentials: &str, more: &str, length: usize) -> String {
    format!(
        "POST {CONVERSATIONS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         X-Forwarded-For: {address}\r\n{credentials}{more}Content-Length: {length}\r\n\r\n"
    )
}

fn bearer(person: &Person) -> String {
    format!("Authorization: Bearer {}\r\n", person.key)
}

/// A body of this size.
fn conversation_of(bytes: usize) -> String {
    // Blanks around JSON are no part of it.
    format!("{{}}{}", " ".repeat(bytes - 2))
}

async fn a_large_body_of_an_unknown_sender_is_refused_before_it_arrives(case: TestDatabase) {
    let server = Server::start(case).await;
    for credentials in ["", "Authorization: Bearer wrong\r\n"] {
        let mut stream = server.connect().await;
        let head = head("192.0.2.1", credentials, "Expect: 100-continue\r\n", 16_385);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        let sent = server.anonymous("POST", CONVERSATIONS).header("Content-Type", "application/json");
        let sent = sent.body(conversation_of(1024 * 1024)).send().await.unwrap();
        assert_eq!(sent.status(), 401, "a client that sends it whole sees why");
    }
}

async fn bodies_that_do_not_arrive_keep_no_others_out(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let mut silent = Vec::new();
    for _ in 0..256 {
        let mut stream = server.connect().await;
        let head = head("192.0.2.1", &bearer(&ada), "Expect: 100-continue\r\n", 1_000_000);
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server asks for the body when it begins to read it.
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked[..], b"HTTP/1.1 100 Continue\r\n\r\n");
        silent.push(stream);
    }
    server.post(&ada, CONVERSATIONS, &conversation_of(1_000_000)).await;
}

fn behind_a_proxy(store: Store) -> Router {
    Api::new(store).trusted_proxies("127.0.0.0/8".parse().unwrap()).router()
}

async fn one_client_holds_at_most_half_of_the_memory_for_bodies(case: TestDatabase) {
    const MEBIBYTE: usize = 1024 * 1024;
    let server = Server::start_with(case, behind_a_proxy).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let head = head("192.0.2.1", &bearer(&ada), "", MEBIBYTE);
    let unfinished = conversation_of(MEBIBYTE - 1);
    let mut sending = FuturesUnordered::new();
    for _ in 0..40 {
        let (mut stream, request) = (server.connect().await, format!("{head}{unfinished}"));
        sending.push(async move {
            // A refused one may be closed before everything was written.
            let _ = stream.write_all(request.as_bytes()).await;
            let mut answer = [0; 12];
            let read = stream.read_exact(&mut answer).await;
            (stream, read.is_ok().then_some(answer))
        });
    }
    for _ in 0..8 {
        let (_, answer) = sending.next().await.unwrap();
        assert_eq!(answer.as_ref().map(|answer| &answer[..]), Some(&b"HTTP/1.1 503"[..]));
    }
    let large = conversation_of(MEBIBYTE);
    let from = |person: &Person, address: &str, body: &str| {
        server.send(person, "POST", CONVERSATIONS, body).header("X-Forwarded-For", address)
    };
    let refused = answer(from(&ada, "192.0.2.2", &large)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"), "the same user elsewhere");
    assert_eq!(refused.body["type"], "urn:chatstore:problem:overloaded");
    assert_eq!(answer(from(&bob, "192.0.2.1", &large)).await.status, 503, "another user of the same address");
    assert_eq!(answer(from(&bob, "192.0.2.2", &large)).await.status, 201, "another user elsewhere");
    assert_eq!(answer(from(&ada, "192.0.2.1", "{}")).await.status, 201, "a small body");

    drop(sending);
    // Nothing tells from outside when the server has noticed that a client left, so it is asked until it has.
    loop {
        let taken = answer(from(&ada, "192.0.2.1", &large)).await;
        if taken.status == 201 {
            break;
        }
        assert_eq!(taken.status, 503);
    }
}
