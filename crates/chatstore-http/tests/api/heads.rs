//! Heads of requests that RFC 9112 forbids, over a bare socket.

use chatstore_testkit::{TestDatabase, conformance};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{CONVERSATIONS, Server};

conformance!(
    a_head_that_can_be_read_in_two_ways_is_refused_and_ends_its_connection,
    requests_that_follow_each_other_at_once_are_each_looked_at,
    a_body_keeps_its_line_feeds,
    the_trace_of_a_request_is_repeated_in_its_answer_unless_it_is_malformed,
);

/// Everything that the server sends until it closes, with the client's side closed.
async fn answers(server: &Server, pieces: &[&str]) -> String {
    let mut stream = server.connect().await;
    for piece in pieces {
        stream.write_all(piece.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn a_head_that_can_be_read_in_two_ways_is_refused_and_ends_its_connection(case: TestDatabase) {
    let server = Server::start(case).await;
    for (head, detail) in [
        ("GET /healthz HTTP/1.1\r\n\r\n", "must have a Host header"),
        ("GET http://example.org/healthz HTTP/1.1\r\n\r\n", "must have a Host header"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "only one Host header"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "only one Host header"),
        ("GET /healthz HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "only one Host header"),
        ("GET /healthz HTTP/1.1\r\nHost: a, b\r\n\r\n", "must be a host"),
        ("GET /healthz HTTP/1.1\r\nHost: ada@example.org\r\n\r\n", "must be a host"),
        ("GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n", "must be a host"),
        ("GET /healthz HTTP/1.1\nHost: a\n\n", "must end with CRLF"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n\n", "must end with CRLF"),
        ("GET /healthz HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", "must end with CRLF"),
        ("\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "must end with CRLF"),
    ] {
        let text = answers(&server, &[head]).await;
        assert!(text.starts_with("HTTP/1.1 400 ") || text.starts_with("HTTP/1.0 400 "), "{head:?}: {text}");
        assert!(text.contains("connection: close") && text.contains("malformed-request"), "{head:?}: {text}");
        assert!(text.contains(detail), "{head:?}: {text}");
    }
    for head in [
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n",
        "GET /healthz  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET /healthz HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let text = answers(&server, &[head]).await;
        assert!(text.starts_with("HTTP/1.1 400 ") || text.starts_with("HTTP/1.0 400 "), "{head:?}: {text}");
    }
    for head in [
        "GET /healthz HTTP/1.0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
        "\r\nGET /healthz HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n",
    ] {
        let text = answers(&server, &[head]).await;
        assert!(text.contains(" 200 OK"), "{head:?}: {text}");
    }
}

async fn requests_that_follow_each_other_at_once_are_each_looked_at(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let post = format!(
        "POST {CONVERSATIONS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {}\r\nContent-Length: 16\r\n\r\n{{\"title\":\n\"abc\"}}",
        ada.key
    );
    let many = [get, &post, get, get, &post, last].concat();
    for cut in [0, 1, 20, get.len(), get.len() + 30, get.len() + post.len() - 5, many.len() - 1] {
        let text = answers(&server, &[&many[..cut], &many[cut..]]).await;
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 4, "cut at {cut}: {text}");
        assert_eq!(text.matches("HTTP/1.1 201 Created").count(), 2, "cut at {cut}: {text}");
    }
    let hidden = [get, &post, "GET /healthz HTTP/1.1\nHost: a\r\n\r\n", get].concat();
    let text = answers(&server, &[&hidden]).await;
    assert_eq!(text.matches("HTTP/1.1 ").count(), 3, "{text}");
    assert!(text.contains("HTTP/1.1 400 ") && text.contains("must end with CRLF"), "{text}");
}

async fn a_body_keeps_its_line_feeds(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let head = format!(
        "POST {CONVERSATIONS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {}\r\nConnection: close\r\n",
        ada.key
    );
    let body = "\n\n{\n\"title\":\n\"abc\"\n}\n\n";
    let known = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for request in [&known, &chunked] {
        for cut in [0, head.len(), request.len() - body.len(), request.len() - 3] {
            let text = answers(&server, &[&request[..cut], &request[cut..]]).await;
            assert!(text.starts_with("HTTP/1.1 201 "), "cut at {cut}: {text}");
        }
    }
}

async fn the_trace_of_a_request_is_repeated_in_its_answer_unless_it_is_malformed(case: TestDatabase) {
    let server = Server::start(case).await;
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let malformed = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    for (path, traceparent, repeated) in [
        ("/healthz", given, Some(given)),
        (CONVERSATIONS, given, Some(given)),
        (CONVERSATIONS, malformed, None),
        (CONVERSATIONS, "4bf92f3577b34da6a3ce929d0e0e4736", None),
    ] {
        let answer = server.anonymous("GET", path).header("traceparent", traceparent).send().await.unwrap();
        let shown = answer.headers().get("traceparent").map(|value| value.to_str().unwrap());
        assert_eq!(shown, repeated, "{path} {traceparent}");
        assert_eq!(answer.headers()["x-request-id"], "r-1");
    }
}
