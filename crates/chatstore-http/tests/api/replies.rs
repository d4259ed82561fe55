//! Replies of models, and what is known about them.

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};

use crate::support::{Server, exchange, exchanges};

conformance!(
    a_reply_is_stored_with_its_response,
    omitted_fields_of_a_response_are_filled_in,
    every_wrong_field_of_a_reply_is_named,
    a_message_without_a_response_has_none,
);

async fn a_reply_is_stored_with_its_response(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let body = r#"{"content": "21 °C", "model": "large-1", "token_count": 9, "metadata": {"a": 1}, "response": {"model_used": "large-1-2026", "tokens_prompt": 12, "tokens_completion": 9, "tokens_total": 30, "tokens_cached": 8, "completion_time_ms": 740, "finish_reason": "stop", "from_cache": true}}"#;
    let reply = exchange(server.send(&ada, "POST", &format!("{conversation}/replies"), body)).await;
    allow_duplicates! { assert_snapshot!(reply, @r#"
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/replies
    {"content": "21 °C", "model": "large-1", "token_count": 9, "metadata": {"a": 1}, "response": {"model_used": "large-1-2026", "tokens_prompt": 12, "tokens_completion": 9, "tokens_total": 30, "tokens_cached": 8, "completion_time_ms": 740, "finish_reason": "stop", "from_cache": true}}

    201 Created
    content-type: application/json
    location: /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/019ca945-0a00-7775-9c77-01564f619afc
    etag: "2"

    {
      "content": "21 °C",
      "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "created_at": "2026-03-01T12:00:00.000000Z",
      "effective_model": "large-1",
      "id": "019ca945-0a00-7775-9c77-01564f619afc",
      "metadata": {
        "a": 1
      },
      "model": "large-1",
      "response": {
        "completion_time_ms": 740,
        "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
        "created_at": "2026-03-01T12:00:00.000000Z",
        "finish_reason": "stop",
        "from_cache": true,
        "message_id": "019ca945-0a00-7775-9c77-01564f619afc",
        "model_used": "large-1-2026",
        "tokens_cached": 8,
        "tokens_completion": 9,
        "tokens_prompt": 12,
        "tokens_total": 30
      },
      "role": "assistant",
      "seq": 1,
      "short_id": "1CYcKgdReTQgBSmVQApABm",
      "token_count": 9,
      "used_documents": []
    }
    "#) }
    let response =
        exchange(server.request(&ada, "GET", &format!("{conversation}/messages/1/response"))).await;
    allow_duplicates! { assert_snapshot!(response, @r#"
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/1/response

    200 OK
    content-type: application/json
    etag: "2"

    {
      "completion_time_ms": 740,
      "conversation_id": "019ca945-0a00-7917-98de-357e3da8cb43",
      "created_at": "2026-03-01T12:00:00.000000Z",
      "finish_reason": "stop",
      "from_cache": true,
      "message_id": "019ca945-0a00-7775-9c77-01564f619afc",
      "model_used": "large-1-2026",
      "tokens_cached": 8,
      "tokens_completion": 9,
      "tokens_prompt": 12,
      "tokens_total": 30
    }
    "#) }
}

async fn omitted_fields_of_a_response_are_filled_in(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let replies = format!("{conversation}/replies");
    let bare = server.post(&ada, &replies, r#"{"content": "hello"}"#).await;
    assert_eq!((&bare["response"]["model_used"], &bare["role"]), (&"echo".into(), &"assistant".into()));
    server.post(&ada, &format!("{conversation}/messages"), r#"{"content": "ask", "model": "asked-1"}"#).await;
    let body = r#"{"content": "a", "response": {"tokens_prompt": 2, "tokens_completion": 3, "tokens_cached": null}}"#;
    let response = &server.post(&ada, &replies, body).await["response"];
    assert_eq!((&response["model_used"], &response["tokens_total"]), (&"asked-1".into(), &5.into()));
}

async fn every_wrong_field_of_a_reply_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let replies = format!("{}/replies", server.conversation(&ada).await);
    let text = exchanges([
        server.send(&ada, "POST", &replies, r#"{"role": "user", "parts": [1], "model": "", "used_documents": [2], "metadata": [], "response": {"tokens_prompt": 5, "tokens_completion": 1.5, "tokens_total": 4, "tokens_cached": 9007199254740992, "model_used": null, "from_cache": "no", "cost": 1}}"#),
        server.send(&ada, "POST", &replies, r#"{"content": "a", "response": [], "token_count": 1e300}"#),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/replies
    {"role": "user", "parts": [1], "model": "", "used_documents": [2], "metadata": [], "response": {"tokens_prompt": 5, "tokens_completion": 1.5, "tokens_total": 4, "tokens_cached": 9007199254740992, "model_used": null, "from_cache": "no", "cost": 1}}

    422 Unprocessable Entity
    content-type: application/problem+json

    {
      "detail": "response.model_used: must be a text (and 10 more)",
      "errors": [
        {
          "code": "wrong_type",
          "field": "response.model_used",
          "message": "must be a text"
        },
        {
          "code": "wrong_type",
          "field": "response.tokens_completion",
          "message": "must be a whole number from 0 to 2147483648, or null"
        },
        {
          "code": "wrong_type",
          "field": "response.from_cache",
          "message": "must be true or false"
        },
        {
          "code": "unknown_field",
          "field": "response.cost",
          "message": "is not a field of this request"
        },
        {
          "code": "too_short",
          "field": "model",
          "message": "must not be empty"
        },
        {
          "code": "wrong_type",
          "field": "parts",
          "message": "must be a list of objects"
        },
        {
          "code": "wrong_type",
          "field": "used_documents",
          "message": "must hold only texts and objects"
        },
        {
          "code": "wrong_type",
          "field": "metadata",
          "message": "must be an object"
        },
        {
          "code": "out_of_range",
          "field": "response.tokens_cached",
          "message": "must be from 0 to 2147483648"
        },
        {
          "code": "out_of_range",
          "field": "response.tokens_total",
          "message": "must not be below tokens_prompt + tokens_completion"
        },
        {
          "code": "unknown_field",
          "field": "role",
          "message": "is not a field of this request"
        }
      ],
      "request_id": "r-1",
      "status": 422,
      "title": "Validation failed",
      "type": "urn:chatstore:problem:validation"
    }
    ────
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/replies
    {"content": "a", "response": [], "token_count": 1e300}

    422 Unprocessable Entity
    content-type: application/problem+json

    {
      "detail": "token_count: must be a whole number from 0 to 9007199254740991, or null (and 1 more)",
      "errors": [
        {
          "code": "out_of_range",
          "field": "token_count",
          "message": "must be a whole number from 0 to 9007199254740991, or null"
        },
        {
          "code": "wrong_type",
          "field": "response",
          "message": "must be an object"
        }
      ],
      "request_id": "r-1",
      "status": 422,
      "title": "Validation failed",
      "type": "urn:chatstore:problem:validation"
    }
    ────
    "#) }
}

async fn a_message_without_a_response_has_none(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    server.post(&ada, &format!("{conversation}/messages"), r#"{"content": "hello"}"#).await;
    let text = exchange(server.request(&ada, "GET", &format!("{conversation}/messages/1/response"))).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages/1/response

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
}
