//! Which requests are refused, and in which order the reasons are checked.

use std::time::Duration;

use chatstore::{ApiKeyScope, MemberRole, Timestamp};
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use reqwest::StatusCode;

use crate::support::{Server, exchange, exchanges, refusal};

conformance!(
    every_route_requires_a_key,
    a_key_that_is_not_valid_is_refused,
    objects_of_others_and_absent_ones_look_the_same,
    the_reasons_for_a_refusal_have_an_order,
    a_path_that_names_nothing_is_not_found,
    nul_in_a_path_is_invalid,
    an_unsupported_method_is_answered_with_the_supported_ones,
);

const CONVERSATIONS: &str = "/api/v1/conversations";
const ABSENT: &str = "/api/v1/conversations/00000000-0000-7000-8000-000000000001";

/// Every route under `/api`, below a conversation.
fn routes(conversation: &str) -> Vec<(&'static str, String)> {
    vec![
        ("POST", CONVERSATIONS.to_owned()),
        ("GET", CONVERSATIONS.to_owned()),
        ("GET", format!("{CONVERSATIONS}/count")),
        ("GET", conversation.to_owned()),
        ("PATCH", conversation.to_owned()),
        ("DELETE", conversation.to_owned()),
        ("GET", format!("{conversation}/messages")),
        ("POST", format!("{conversation}/messages")),
        ("GET", format!("{conversation}/messages/1")),
        ("PATCH", format!("{conversation}/messages/1")),
        ("DELETE", format!("{conversation}/messages/1")),
        ("POST", format!("{conversation}/replies")),
        ("GET", format!("{conversation}/messages/1/response")),
    ]
}

async fn every_route_requires_a_key(case: TestDatabase) {
    let server = Server::start(case).await;
    let text = exchange(server.anonymous("GET", CONVERSATIONS)).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations

    401 Unauthorized
    content-type: application/problem+json
    www-authenticate: Bearer

    {
      "detail": "a valid access token or API key is needed, as `Authorization: Bearer …`",
      "request_id": "r-1",
      "status": 401,
      "title": "Not authenticated",
      "type": "urn:chatstore:problem:unauthenticated"
    }
    "#) }
    for (method, path) in routes(ABSENT) {
        let answer = server.anonymous(method, &path).body("{").send().await.unwrap();
        assert_eq!(answer.status(), 401, "{method} {path}");
        assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{method} {path}");
    }
}

async fn a_key_that_is_not_valid_is_refused(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let status = async |header: &str| {
        let request = server.anonymous("GET", CONVERSATIONS).header("Authorization", header);
        request.send().await.unwrap().status().as_u16()
    };
    let key = &ada.key;
    let (body, last) = key.split_at(key.len() - 2);
    let other = if last == "AA" { "BB" } else { "AA" };
    for header in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {key}"),
        key.clone(),
        format!("Bearer {body}{other}"),
        format!("Bearer {}", key.to_lowercase()),
        "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
    ] {
        assert_eq!(status(&header).await, 401, "{header}");
    }
    assert_eq!(status(&format!("bearer {key}")).await, 200);
    let twice = server.request(&ada, "GET", CONVERSATIONS).header("Authorization", format!("Bearer {key}"));
    assert_eq!(twice.send().await.unwrap().status(), 401, "one header only");

    let expiry: Timestamp = "2026-03-01T12:00:10Z".parse().unwrap();
    let short = server.store.keys().create(ada.id, ApiKeyScope::User, None, Some(expiry)).await.unwrap();
    assert_eq!(status(&format!("Bearer {}", short.text)).await, 200);
    server.case.clock.advance(Duration::from_secs(10));
    assert_eq!(status(&format!("Bearer {}", short.text)).await, 401, "expired");
    let id = server.store.keys().list(ada.id).await.unwrap()[0].id;
    server.store.keys().revoke(ada.id, id).await.unwrap();
    assert_eq!(status(&format!("Bearer {key}")).await, 401, "revoked");
}

async fn objects_of_others_and_absent_ones_look_the_same(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let foreign = server.conversation(&ada).await;
    server.post(&ada, &format!("{foreign}/replies"), r#"{"content": "secret"}"#).await;
    let no_id = format!("{CONVERSATIONS}/not-an-id");
    for (index, (method, path)) in routes(&foreign).into_iter().enumerate().skip(3) {
        let mut answers = Vec::new();
        for path in [path, routes(ABSENT)[index].1.clone(), routes(&no_id)[index].1.clone()] {
            let answer = server.send(&eve, method, &path, r#"{"content": "a"}"#).send().await.unwrap();
            let answer = if answer.status() == StatusCode::UNPROCESSABLE_ENTITY {
                server.request(&eve, method, &path).send().await.unwrap()
            } else {
                answer
            };
            let (status, mut headers) = (answer.status(), answer.headers().clone());
            headers.remove("date");
            answers.push((status, headers, answer.bytes().await.unwrap()));
        }
        assert_eq!(answers[0].0, 404, "{method}");
        assert_eq!(answers[0], answers[1], "{method}");
        assert_eq!(answers[0], answers[2], "{method}");
    }
    let mine = server.conversation(&eve).await;
    server.post(&eve, &format!("{mine}/messages"), r#"{"content": "a"}"#).await;
    let id = server.get(&ada, &format!("{foreign}/messages/1")).await["id"].as_str().unwrap().to_owned();
    let elsewhere = format!("{mine}/messages/{id}");
    assert_eq!(
        refusal(server.request(&eve, "GET", &elsewhere)).await.0,
        404,
        "a message of another conversation"
    );
}

async fn the_reasons_for_a_refusal_have_an_order(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, vic) = (server.person("ada").await, server.person("vic").await);
    let shared = server.conversation(&ada).await;
    server.share(&shared, &ada, &vic, MemberRole::Viewer).await;
    server.post(&ada, CONVERSATIONS, r#"{"thread_id": "taken"}"#).await;
    let cases = [
        (&ada, "POST", format!("{ABSENT}/messages"), "{", 400),
        (&ada, "POST", format!("{ABSENT}/messages"), r#"{"content": 1}"#, 422),
        (&ada, "POST", format!("{CONVERSATIONS}/no-id/messages"), r#"{"content": 1}"#, 422),
        (&ada, "GET", format!("{ABSENT}/messages?limit=0"), "", 422),
        (&ada, "GET", format!("{ABSENT}/messages?cursor=x"), "", 422),
        (&ada, "GET", format!("{CONVERSATIONS}/no-id/messages?cursor=x"), "", 422),
        (&ada, "DELETE", format!("{ABSENT}?x=1"), "", 422),
        (&ada, "POST", format!("{ABSENT}/messages"), r#"{"content": "a"}"#, 404),
        (&vic, "POST", format!("{shared}/messages"), r#"{"content": 1}"#, 422),
        (&vic, "PATCH", format!("{shared}/messages/9"), r#"{"content": "a"}"#, 404),
        (&vic, "POST", format!("{shared}/messages"), r#"{"content": "a"}"#, 403),
        (&vic, "PATCH", shared.clone(), r#"{"thread_id": "taken"}"#, 403),
        (&ada, "PATCH", shared.clone(), r#"{"thread_id": "taken"}"#, 409),
    ];
    for (person, method, path, body, status) in cases {
        let answer = refusal(server.send(person, method, &path, body)).await;
        assert_eq!(answer.0, status, "{method} {path} {body}");
    }
}

async fn a_path_that_names_nothing_is_not_found(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let text = exchange(server.request(&ada, "GET", "/api/v1/nothing/t1")).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/nothing/t1

    404 Not Found
    content-type: application/problem+json

    {
      "detail": "there is nothing here, or nothing that you may see",
      "request_id": "r-1",
      "status": 404,
      "title": "Not found",
      "type": "urn:chatstore:problem:not-found"
    }
    "#) }
    let conversation = server.conversation(&ada).await;
    for path in [
        "/".to_owned(),
        "/nothing".to_owned(),
        "/api".to_owned(),
        "/api/v1".to_owned(),
        "/api/v1/".to_owned(),
        format!("{CONVERSATIONS}/"),
        format!("{conversation}/"),
        format!("{conversation}/messages/1/"),
        format!("{conversation}/messages/1/response/x"),
        format!("{CONVERSATIONS}/%FF"),
        format!("{CONVERSATIONS}/{}", conversation.replace('/', "%2F")),
    ] {
        assert_eq!(refusal(server.request(&ada, "GET", &path)).await, (404, vec![]), "{path}");
    }
}

async fn nul_in_a_path_is_invalid(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let wrong = |field: &str| (422, vec![(field.to_owned(), "nul_character".to_owned())]);
    let in_id = format!("{CONVERSATIONS}/a%00b");
    assert_eq!(refusal(server.request(&ada, "GET", &in_id)).await, wrong("id"));
    assert_eq!(refusal(server.request(&ada, "DELETE", &in_id)).await, wrong("id"));
    assert_eq!(refusal(server.request(&ada, "GET", &format!("{in_id}/messages"))).await, wrong("id"));
    let in_message = format!("{conversation}/messages/%00");
    assert_eq!(refusal(server.request(&ada, "GET", &in_message)).await, wrong("message_id"));
    assert_eq!(refusal(server.request(&ada, "GET", &format!("{CONVERSATIONS}?%00=1"))).await, wrong("\0"));
}

async fn an_unsupported_method_is_answered_with_the_supported_ones(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let text =
        exchanges([server.request(&ada, "PUT", CONVERSATIONS), server.request(&ada, "POST", "/healthz")])
            .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PUT /api/v1/conversations

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
    POST /healthz

    405 Method Not Allowed
    content-type: application/problem+json
    allow: GET,HEAD

    {
      "detail": "this resource does not support this method",
      "request_id": "r-1",
      "status": 405,
      "title": "Method not allowed",
      "type": "urn:chatstore:problem:method-not-allowed"
    }
    ────
    "#) }
    for (method, path, allow) in [
        ("DELETE", format!("{CONVERSATIONS}/count"), "GET,HEAD"),
        ("POST", ABSENT.to_owned(), "GET,HEAD,PATCH,DELETE"),
        ("PATCH", format!("{ABSENT}/messages"), "GET,HEAD,POST,PUT,DELETE"),
        ("POST", format!("{ABSENT}/messages/1"), "GET,HEAD,PUT,PATCH,DELETE"),
        ("GET", format!("{ABSENT}/replies"), "POST"),
    ] {
        let answer = server.request(&ada, method, &path).send().await.unwrap();
        assert_eq!(answer.status(), 405, "{method} {path}");
        let mut given: Vec<&str> = answer.headers()["allow"].to_str().unwrap().split(',').collect();
        let mut expected: Vec<&str> = allow.split(',').collect();
        given.sort_unstable();
        expected.sort_unstable();
        assert_eq!(given, expected, "{method} {path}");
    }
}
