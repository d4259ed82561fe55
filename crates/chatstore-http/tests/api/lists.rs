//! Lists: what they hold, what may be asked of them, and whose cursors they take.

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::Value;

use crate::support::{Person, Server, exchange, exchanges, refusal};

conformance!(
    a_list_of_conversations_is_newest_first,
    conversations_are_counted_by_membership,
    archived_conversations_are_listed_and_counted_when_asked_for,
    messages_are_listed_before_after_and_around,
    a_page_around_a_message_continues_upward,
    the_end_of_a_list_has_no_cursor,
    wrong_parameters_are_all_named,
    a_limit_outside_1_to_200_is_refused,
    a_cursor_of_another_list_is_refused,
    an_offset_skips_rows,
);

const CONVERSATIONS: &str = "/api/v1/conversations";

async fn a_list_of_conversations_is_newest_first(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    server.post(&ada, CONVERSATIONS, r#"{"title": "first"}"#).await;
    server.case.clock.advance(std::time::Duration::from_secs(1));
    server.post(&ada, CONVERSATIONS, r#"{"title": "second"}"#).await;
    let text = exchange(server.request(&ada, "GET", &format!("{CONVERSATIONS}?limit=1"))).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations?limit=1

    200 OK
    content-type: application/json

    {
      "data": [
        {
          "created_at": "2026-03-01T12:00:01.000000Z",
          "id": "019ca945-0de8-7775-9c77-01564f619afc",
          "last_seq": 0,
          "message_count": 0,
          "metadata": {},
          "owner_id": "019ca945-0a00-710a-adec-89025cc1beeb",
          "revision": 1,
          "role": "owner",
          "short_id": "1CYcKghhd11Xk6KPRHrkpb",
          "title": "second",
          "updated_at": "2026-03-01T12:00:01.000000Z"
        }
      ],
      "next_cursor": "AAZL9TW-UkABnKlFDeh3dZx3AVZPYZr8WgKzAri5Ges"
    }
    "#) }
}

async fn conversations_are_counted_by_membership(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let shared = server.conversation(&eve).await;
    server.share(&shared, &eve, &ada, MemberRole::Viewer).await;
    server.conversation(&ada).await;
    server.conversation(&ada).await;
    let text = exchange(server.request(&ada, "GET", &format!("{CONVERSATIONS}/count"))).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations/count

    200 OK
    content-type: application/json

    {
      "count": 3
    }
    "#) }
    for (membership, count) in [("all", 3), ("owned", 2), ("shared", 1)] {
        let counted = server.get(&ada, &format!("{CONVERSATIONS}/count?membership={membership}")).await;
        assert_eq!(counted["count"], count, "{membership}");
        let listed = server.get(&ada, &format!("{CONVERSATIONS}?membership={membership}")).await;
        assert_eq!(listed["data"].as_array().unwrap().len(), count, "{membership}");
    }
}

async fn archived_conversations_are_listed_and_counted_when_asked_for(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    server.conversation(&ada).await;
    let archived = server.send(&ada, "PATCH", &path, r#"{"archived": true}"#).send().await.unwrap();
    let archived: Value = archived.json().await.unwrap();
    assert_eq!(archived["archived_at"], "2026-03-01T12:00:00.000000Z");
    for (query, count) in [("", 1), ("?archived=false", 1), ("?archived=true", 1), ("?archived=all", 2)] {
        let listed = server.get(&ada, &format!("{CONVERSATIONS}{query}")).await;
        let listed: Vec<&Value> = listed["data"].as_array().unwrap().iter().collect();
        assert_eq!(listed.len(), count, "{query}");
        let holds_it = listed.iter().any(|conversation| conversation["id"] == archived["id"]);
        assert_eq!(holds_it, query.contains("true") || query.contains("all"), "{query}");
        assert_eq!(
            server.get(&ada, &format!("{CONVERSATIONS}/count{query}")).await["count"],
            count,
            "{query}"
        );
    }
    assert_eq!(server.get(&ada, &path).await["archived_at"], archived["archived_at"]);
    server.send(&ada, "PATCH", &path, r#"{"archived": false}"#).send().await.unwrap();
    assert_eq!(server.get(&ada, &path).await["archived_at"], Value::Null);
}

/// A conversation with messages 1 to 9.
async fn nine_messages(server: &Server, person: &Person) -> String {
    let messages = format!("{}/messages", server.conversation(person).await);
    for _ in 0..9 {
        server.post(person, &messages, r#"{"content": ""}"#).await;
    }
    messages
}

fn seqs(page: &Value) -> Vec<i64> {
    page["data"].as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

async fn messages_are_listed_before_after_and_around(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = nine_messages(&server, &ada).await;
    let cases: [(&str, &[i64]); 14] = [
        ("limit=3", &[1, 2, 3]),
        ("limit=3&order=desc", &[9, 8, 7]),
        ("before=5", &[4, 3, 2, 1]),
        ("before=5&order=asc", &[1, 2, 3, 4]),
        ("after=7", &[8, 9]),
        ("after=2&before=5", &[3, 4]),
        ("after=2&before=5&order=desc", &[4, 3]),
        ("before=0", &[]),
        ("after=9223372036854775807", &[]),
        ("around=5&limit=4", &[3, 4, 5, 6]),
        ("around=5&limit=5", &[3, 4, 5, 6, 7]),
        ("around=1&limit=4", &[1, 2, 3, 4]),
        ("around=100&limit=2", &[8, 9]),
        ("around=5&limit=1", &[5]),
    ];
    for (query, expected) in cases {
        let page = server.get(&ada, &format!("{messages}?{query}")).await;
        assert_eq!(seqs(&page), expected, "{query}");
    }
}

async fn a_page_around_a_message_continues_upward(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = nine_messages(&server, &ada).await;
    let page = server.get(&ada, &format!("{messages}?around=4&limit=4")).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = server.get(&ada, &format!("{messages}?cursor={cursor}")).await;
    assert_eq!((seqs(&next), &next["next_cursor"]), (vec![6, 7, 8, 9], &Value::Null));
}

async fn the_end_of_a_list_has_no_cursor(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = nine_messages(&server, &ada).await;
    for (query, has_next) in [
        ("limit=9", false),
        ("limit=8", true),
        ("after=5&limit=4", false),
        ("after=5&limit=3", true),
        ("before=4&limit=3", false),
        ("around=9&limit=4", false),
        ("around=8&limit=2", true),
    ] {
        let page = server.get(&ada, &format!("{messages}?{query}")).await;
        assert_eq!(page["next_cursor"].is_string(), has_next, "{query}");
    }
    let empty = server.get(&ada, &format!("{}/messages", server.conversation(&ada).await)).await;
    assert_eq!(empty, serde_json::json!({"data": [], "next_cursor": null}));
}

async fn wrong_parameters_are_all_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    let text = exchanges([
        server.request(&ada, "GET", &format!("{CONVERSATIONS}?limit=x&order=up&sort=title&offset=-1&page=2")),
        server.request(
            &ada,
            "GET",
            &format!("{messages}?around=1&cursor=x&order=asc&before=2&after=1&limit=1.5"),
        ),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations?limit=x&order=up&sort=title&offset=-1&page=2

    422 Unprocessable Entity
    content-type: application/problem+json

    {
      "detail": "offset: must be from 0 to 2147483647 (and 4 more)",
      "errors": [
        {
          "code": "out_of_range",
          "field": "offset",
          "message": "must be from 0 to 2147483647"
        },
        {
          "code": "invalid_format",
          "field": "limit",
          "message": "must be a whole number"
        },
        {
          "code": "not_allowed",
          "field": "order",
          "message": "must be one of asc, desc"
        },
        {
          "code": "not_allowed",
          "field": "sort",
          "message": "must be one of updated_at, created_at"
        },
        {
          "code": "unknown_field",
          "field": "page",
          "message": "is not a parameter of this request"
        }
      ],
      "request_id": "r-1",
      "status": 422,
      "title": "Validation failed",
      "type": "urn:chatstore:problem:validation"
    }
    ────
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages?around=1&cursor=x&order=asc&before=2&after=1&limit=1.5

    422 Unprocessable Entity
    content-type: application/problem+json

    {
      "detail": "limit: must be a whole number (and 4 more)",
      "errors": [
        {
          "code": "invalid_format",
          "field": "limit",
          "message": "must be a whole number"
        },
        {
          "code": "not_allowed",
          "field": "cursor",
          "message": "must not be given together with around"
        },
        {
          "code": "not_allowed",
          "field": "order",
          "message": "must not be given together with around"
        },
        {
          "code": "not_allowed",
          "field": "before",
          "message": "must not be given together with around"
        },
        {
          "code": "not_allowed",
          "field": "after",
          "message": "must not be given together with around"
        }
      ],
      "request_id": "r-1",
      "status": 422,
      "title": "Validation failed",
      "type": "urn:chatstore:problem:validation"
    }
    ────
    "#) }
    let cases = [
        ("GET", CONVERSATIONS.to_owned(), "limit=1&limit=1", "limit", "not_allowed"),
        ("GET", CONVERSATIONS.to_owned(), "cursor=", "cursor", "invalid_format"),
        ("GET", CONVERSATIONS.to_owned(), "membership=%00", "membership", "nul_character"),
        ("GET", CONVERSATIONS.to_owned(), "offset=2147483648", "offset", "out_of_range"),
        ("GET", format!("{CONVERSATIONS}/count"), "limit=1", "limit", "unknown_field"),
        ("GET", messages.clone(), "before=9223372036854775808", "before", "out_of_range"),
        ("GET", messages.clone(), "after=-1", "after", "out_of_range"),
        ("GET", messages.replace("/messages", ""), "include=members", "include", "not_allowed"),
        ("DELETE", messages.replace("/messages", ""), "force", "force", "unknown_field"),
        ("POST", CONVERSATIONS.to_owned(), "a=b", "a", "unknown_field"),
        ("PATCH", format!("{messages}/1"), "a=b", "a", "unknown_field"),
        ("GET", format!("{messages}/1/response"), "a=b", "a", "unknown_field"),
    ];
    for (method, path, query, field, code) in cases {
        let answer = refusal(server.request(&ada, method, &format!("{path}?{query}"))).await;
        assert_eq!(answer, (422, vec![(field.to_owned(), code.to_owned())]), "{method} {path}?{query}");
    }
}

async fn a_limit_outside_1_to_200_is_refused(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    for path in [CONVERSATIONS, &messages] {
        for limit in ["0", "201", "100000", "-1", "99999999999999999999999"] {
            let answer = refusal(server.request(&ada, "GET", &format!("{path}?limit={limit}"))).await;
            assert_eq!(answer, (422, vec![("limit".to_owned(), "out_of_range".to_owned())]), "{limit}");
        }
        server.get(&ada, &format!("{path}?limit=200")).await;
    }
}

async fn a_cursor_of_another_list_is_refused(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    for _ in 0..3 {
        server.conversation(&ada).await;
    }
    let messages = nine_messages(&server, &ada).await;
    let other_messages = nine_messages(&server, &ada).await;
    server.share(messages.strip_suffix("/messages").unwrap(), &ada, &eve, MemberRole::Viewer).await;
    let cursor_of =
        async |path: &str| server.get(&ada, path).await["next_cursor"].as_str().unwrap().to_owned();
    let list = cursor_of(&format!("{CONVERSATIONS}?limit=1")).await;
    let page = cursor_of(&format!("{messages}?limit=2&after=1")).await;
    let altered = format!("B{}", &page[1..]);
    let long = "A".repeat(2_049);
    let cases = [
        (&eve, CONVERSATIONS.to_owned(), format!("cursor={list}")),
        (&ada, CONVERSATIONS.to_owned(), format!("cursor={list}&order=asc")),
        (&ada, CONVERSATIONS.to_owned(), format!("cursor={list}&sort=created_at")),
        (&ada, CONVERSATIONS.to_owned(), format!("cursor={list}&membership=owned")),
        (&ada, CONVERSATIONS.to_owned(), format!("cursor={list}&archived=all")),
        (&ada, messages.clone(), format!("cursor={list}")),
        (&ada, CONVERSATIONS.to_owned(), format!("cursor={page}")),
        (&eve, messages.clone(), format!("cursor={page}&after=1")),
        (&ada, messages.clone(), format!("cursor={page}")),
        (&ada, messages.clone(), format!("cursor={page}&after=2")),
        (&ada, messages.clone(), format!("cursor={page}&after=1&order=desc")),
        (&ada, other_messages, format!("cursor={page}&after=1")),
        (&ada, messages.clone(), format!("cursor={altered}&after=1")),
        (&ada, messages.clone(), "cursor=x".to_owned()),
    ];
    for (person, path, query) in cases {
        let answer = refusal(server.request(person, "GET", &format!("{path}?{query}"))).await;
        assert_eq!(answer, (422, vec![("cursor".to_owned(), "invalid_format".to_owned())]), "{path}?{query}");
    }
    let answer = refusal(server.request(&ada, "GET", &format!("{messages}?cursor={long}"))).await;
    assert_eq!(answer, (422, vec![("cursor".to_owned(), "too_long".to_owned())]));
    let next = server.get(&ada, &format!("{messages}?cursor={page}&after=1&limit=3")).await;
    assert_eq!(seqs(&next), [4, 5, 6]);
}

async fn an_offset_skips_rows(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for title in ["a", "b", "c", "d"] {
        server.case.clock.advance(std::time::Duration::from_secs(1));
        server.post(&ada, CONVERSATIONS, &format!(r#"{{"title": "{title}"}}"#)).await;
    }
    let page = server.get(&ada, &format!("{CONVERSATIONS}?offset=1&limit=2")).await;
    assert_eq!((&page["data"][0]["title"], &page["data"][1]["title"]), (&"c".into(), &"b".into()));
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = server.get(&ada, &format!("{CONVERSATIONS}?cursor={cursor}")).await;
    assert_eq!((&next["data"][0]["title"], &next["next_cursor"]), (&"a".into(), &Value::Null));
    let both =
        refusal(server.request(&ada, "GET", &format!("{CONVERSATIONS}?cursor={cursor}&offset=0"))).await;
    assert_eq!(both, (422, vec![("offset".to_owned(), "not_allowed".to_owned())]));
}
