//! Bodies that cannot be read, and those that only just can.

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::json;

use crate::login::confirmed;
use crate::support::{Server, answer, exchange, refusal};

conformance!(
    a_body_that_is_not_json_is_malformed,
    a_body_that_is_json_but_wrong_is_invalid,
    a_body_of_another_type_is_refused,
    a_body_with_messages_may_have_sixteen_mebibytes,
    data_of_the_application_may_be_unusual,
    a_limit_is_described_as_it_is_checked,
    what_is_wrong_with_a_large_body_is_said_in_a_short_answer,
);

const CONVERSATIONS: &str = "/api/v1/conversations";

/// Metadata with this nesting of lists and objects, the body's own object included.
fn nested(depth: usize) -> String {
    format!(r#"{{"metadata":{{"a":{}{}}}}}"#, "[".repeat(depth - 2), "]".repeat(depth - 2))
}

async fn a_body_that_is_not_json_is_malformed(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let deep = nested(129);
    let bodies: [&[u8]; 15] = [
        b"{",
        b"{}x",
        b"nul",
        b"{'title': 1}",
        b"{\"title\": \"a\",}",
        b"{\"title\": NaN}",
        b"{\"title\": \"\\ud800\"}",
        b"{\"metadata\": {\"a\": \"\\udc00\\ud800\"}}",
        b"{\"title\": \"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{\"title\": \"a\nb\"}",
        b"{\"title\": \"a\", \"title\": \"b\"}",
        b"{\"unknown\": 1, \"unknown\": 2}",
        deep.as_bytes(),
        b" ",
    ];
    for body in bodies {
        let request = server.request(&ada, "POST", CONVERSATIONS).header("Content-Type", "application/json");
        let answer = refusal(request.body(body.to_vec())).await;
        assert_eq!(answer, (400, vec![]), "{}", String::from_utf8_lossy(body));
    }
    let messages = format!("{}/messages", server.conversation(&ada).await);
    for body in [
        r#"{"messages": [{"content": "a", "content": "b"}]}"#,
        r#"{"messages": [{"content": "a"}], "messages": []}"#,
    ] {
        assert_eq!(refusal(server.send(&ada, "POST", &messages, body)).await, (400, vec![]), "{body}");
    }
    let replies = messages.replace("/messages", "/replies");
    let twice = r#"{"content": "a", "response": {"from_cache": true, "from_cache": false}}"#;
    assert_eq!(refusal(server.send(&ada, "POST", &replies, twice)).await, (400, vec![]));
    let text = exchange(server.send(&ada, "POST", CONVERSATIONS, r#"{"title": }"#)).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations
    {"title": }

    400 Bad Request
    content-type: application/problem+json

    {
      "detail": "the body is not JSON that can be read: expected value at line 1 column 11",
      "request_id": "r-1",
      "status": 400,
      "title": "Malformed request",
      "type": "urn:chatstore:problem:malformed-request"
    }
    "#) }
}

async fn a_body_that_is_json_but_wrong_is_invalid(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let long = format!(r#"{{"title": "{}"}}"#, "é".repeat(513));
    let control = r#"{"thread_id": "a\u0007"}"#;
    let large = format!(r#"{{"metadata": {{"a": "{}"}}}}"#, "x".repeat(65_536));
    for (body, field, code) in [
        ("[]", "body", "wrong_type"),
        ("null", "body", "wrong_type"),
        (r#""text""#, "body", "wrong_type"),
        (r#"{"owner_id": "1"}"#, "owner_id", "unknown_field"),
        (r#"{"title": 1}"#, "title", "wrong_type"),
        (r#"{"metadata": []}"#, "metadata", "wrong_type"),
        (r#"{"thread_id": ""}"#, "thread_id", "too_short"),
        (control, "thread_id", "invalid_format"),
        (long.as_str(), "title", "too_long"),
        (large.as_str(), "metadata", "too_long"),
        (r#"{"title": "a\u0000b"}"#, "title", "nul_character"),
        (r#"{"metadata": {"a": ["\u0000"]}}"#, "metadata", "nul_character"),
        (r#"{"metadata": {"\u0000": 1}}"#, "metadata", "nul_character"),
    ] {
        let expected = (422, vec![(field.to_owned(), code.to_owned())]);
        assert_eq!(refusal(server.send(&ada, "POST", CONVERSATIONS, body)).await, expected, "{body}");
    }
    let body = r#"{"title": 1, "thread_id": "", "default_model": "\u0000", "metadata": 2, "Title": "a"}"#;
    let text = exchange(server.send(&ada, "POST", CONVERSATIONS, body)).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations
    {"title": 1, "thread_id": "", "default_model": "\u0000", "metadata": 2, "Title": "a"}

    422 Unprocessable Entity
    content-type: application/problem+json

    {
      "detail": "title: must be a text or null (and 4 more)",
      "errors": [
        {
          "code": "wrong_type",
          "field": "title",
          "message": "must be a text or null"
        },
        {
          "code": "too_short",
          "field": "thread_id",
          "message": "must not be empty"
        },
        {
          "code": "nul_character",
          "field": "default_model",
          "message": "must not contain the NUL character (U+0000)"
        },
        {
          "code": "wrong_type",
          "field": "metadata",
          "message": "must be an object"
        },
        {
          "code": "unknown_field",
          "field": "Title",
          "message": "is not a field of this request"
        }
      ],
      "request_id": "r-1",
      "status": 422,
      "title": "Validation failed",
      "type": "urn:chatstore:problem:validation"
    }
    "#) }
}

async fn a_body_of_another_type_is_refused(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let text = exchange(server.request(&ada, "POST", CONVERSATIONS).body("{}")).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations
    {}

    415 Unsupported Media Type
    content-type: application/problem+json

    {
      "detail": "the body must be of the type application/json",
      "request_id": "r-1",
      "status": 415,
      "title": "Unsupported media type",
      "type": "urn:chatstore:problem:unsupported-media-type"
    }
    "#) }
    for (media_type, status) in [
        ("text/plain", 415),
        ("application/jsonx", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
    ] {
        let request = server.request(&ada, "POST", CONVERSATIONS).header("Content-Type", media_type);
        assert_eq!(request.body("{}").send().await.unwrap().status(), status, "{media_type}");
    }
    let empty = server.request(&ada, "POST", CONVERSATIONS).send().await.unwrap();
    assert_eq!(empty.status(), 201, "a request without a body needs no media type");
}

async fn a_body_with_messages_may_have_sixteen_mebibytes(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    let body = |bytes: usize| format!(r#"{{"content": "{}"}}"#, "x".repeat(bytes - 15));
    let full = server.post(&ada, &messages, &body(16_777_216)).await;
    assert_eq!(full["content"].as_str().unwrap().len(), 16_777_201);
    let request = server.send(&ada, "POST", &messages, &body(16_777_217));
    let text = crate::support::answer_text(request.send().await.unwrap(), |value| value).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    413 Payload Too Large
    content-type: application/problem+json

    {
      "detail": "the body must have at most 16777216 bytes",
      "request_id": "r-1",
      "status": 413,
      "title": "Request too large",
      "type": "urn:chatstore:problem:too-large"
    }
    "#) }
}

async fn data_of_the_application_may_be_unusual(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let odd = r#"{"metadata": {"a": 1, "a": 2, "messages": {"b": 1, "b": 2}, "n": 18446744073709551615, "f": 1e22}}"#;
    let created = server.post(&ada, CONVERSATIONS, odd).await;
    let expected = r#"{"a": 2, "messages": {"b": 2}, "n": 18446744073709551615, "f": 1e22}"#;
    assert_eq!(created["metadata"], serde_json::from_str::<serde_json::Value>(expected).unwrap());
    let path = format!("{CONVERSATIONS}/{}", created["id"].as_str().unwrap());
    assert_eq!(server.get(&ada, &path).await["metadata"], created["metadata"]);
    let deepest = server.send(&ada, "POST", CONVERSATIONS, &nested(128)).send().await.unwrap();
    assert_eq!(deepest.status(), 201);
    let listed = server.request(&ada, "GET", CONVERSATIONS).send().await.unwrap();
    assert_eq!(listed.status(), 200);
}

async fn a_limit_is_described_as_it_is_checked(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let root = confirmed(&server, &root, "root").await;
    let description = serde_json::to_value(chatstore_http::openapi()).unwrap();
    for (request, target, field, others) in [
        ("CreateConversation", CONVERSATIONS, "thread_id", json!({})),
        ("CreateConversation", CONVERSATIONS, "title", json!({})),
        ("CreateConversation", CONVERSATIONS, "default_model", json!({})),
        ("CreateConversation", CONVERSATIONS, "last_message", json!({})),
        ("CreateUser", "/api/v1/users", "username", json!({})),
        ("CreateUser", "/api/v1/users", "full_name", json!({"email": "ada@example.org"})),
        ("CreateKey", "/api/v1/auth/api-keys", "name", json!({})),
    ] {
        let described = &description["components"]["schemas"][request]["properties"][field]["maxLength"];
        let max = usize::try_from(described.as_u64().unwrap()).unwrap();
        let mut body = others;
        body[field] = "x".repeat(max + 1).into();
        let refused = answer(server.send(&root, "POST", target, &body.to_string())).await;
        let message = format!("must have at most {max} characters");
        let expected = json!([{"field": field, "code": "too_long", "message": message}]);
        assert_eq!((refused.status, &refused.body["errors"]), (422, &expected));
        body[field] = "x".repeat(max).into();
        let taken = answer(server.send(&root, "POST", target, &body.to_string())).await;
        assert_eq!(taken.status, 201, "{request} {field}: {}", taken.body);
    }
}

async fn what_is_wrong_with_a_large_body_is_said_in_a_short_answer(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    let fields = |count: usize| {
        let fields: Vec<String> = (0..count).map(|number| format!("\"{number:x}\":0")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let many = format!(r#"{{"messages":[{}]}}"#, vec![fields(127); 200].join(","));
    let zeros = format!(r#"{{"messages":[{}]}}"#, vec!["0"; 500_000].join(","));
    let documents = format!(r#"{{"content":"a","used_documents":[{}]}}"#, vec!["0"; 500_000].join(","));
    let long_name = format!(r#"{{"content":"a","{}":0}}"#, "\\u0001".repeat(150_000));
    let twice = format!(r#"{{"{0}":0,"{0}":0}}"#, "\u{200b}".repeat(150_000));
    for (body, status, first, count) in [
        (fields(100_000), 400, None, 0),
        (fields(128), 422, Some(("content", "required")), 100),
        (many, 422, Some(("messages[0].content", "required")), 100),
        (format!(r#"{{"messages":[{}]}}"#, fields(129)), 422, Some(("messages[0].content", "required")), 100),
        (zeros, 422, Some(("messages", "too_long")), 1),
        (documents, 422, Some(("used_documents", "too_long")), 1),
        (long_name, 422, None, 1),
        (twice, 400, None, 0),
    ] {
        assert!(body.len() <= 1024 * 1024);
        let answer = server.send(&ada, "POST", &messages, &body).send().await.unwrap();
        let (found, text) = (answer.status(), answer.text().await.unwrap());
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        assert_eq!((found.as_u16(), errors.len()), (status, count), "{:.80}", body);
        assert!(text.len() < 16 * 1024, "{} bytes for {:.80}", text.len(), body);
        if let Some((field, code)) = first {
            assert_eq!(
                (&errors[0]["field"], &errors[0]["code"]),
                (&field.into(), &code.into()),
                "{:.80}",
                body
            );
        }
    }
}
