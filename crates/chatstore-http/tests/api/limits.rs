//! How large a request may be.

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{CONVERSATIONS, Server, answer, exchange};

conformance!(
    a_target_has_a_maximum_of_8_kibibytes,
    a_head_has_a_maximum_of_100_fields_and_32_kibibytes,
    the_limits_hold_on_every_path,
    a_request_id_is_kept_or_replaced_on_refusals_too,
    unfinished_large_bodies_block_only_other_large_bodies,
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

async fn unfinished_large_bodies_block_only_other_large_bodies(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let large = format!(r#"{{"title": "a", "metadata": {{"a": "{}"}}}}"#, "a".repeat(20_000));
    let mut unfinished = Vec::new();
    for _ in 0..256 {
        let mut stream = server.connect().await;
        let head = format!(
            "POST {CONVERSATIONS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            large.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server asks for the body when it begins to read it.
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked[..], b"HTTP/1.1 100 Continue\r\n\r\n");
        unfinished.push(stream);
    }
    let refused = answer(server.send(&ada, "POST", CONVERSATIONS, &large)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.body["type"], "urn:chatstore:problem:overloaded");
    server.post(&ada, CONVERSATIONS, "{}").await;

    unfinished.clear();
    // Nothing tells from outside when the server has noticed that a client left, so it is asked until it has.
    loop {
        let taken = answer(server.send(&ada, "POST", CONVERSATIONS, &large)).await;
        if taken.status == 201 {
            break;
        }
        assert_eq!(taken.status, 503);
    }
}
