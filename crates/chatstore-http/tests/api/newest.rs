//! The newest messages of a conversation in one request.

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::{Value, json};

use crate::support::{Person, Server, outlines};

conformance!(
    the_newest_messages_come_in_ascending_order,
    what_is_too_large_together_begins_later_and_says_where,
    the_newest_messages_of_a_range_are_found,
    more_messages_than_a_page_has_come_together,
    last_excludes_what_pages_are_asked_with,
);

fn seqs(messages: &Value) -> Vec<i64> {
    messages.as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

/// A conversation with this number of messages, each of some bytes.
async fn conversation(server: &Server, person: &Person, count: usize, bytes: usize) -> String {
    let path = server.conversation(person).await;
    for batch in (0..count).collect::<Vec<_>>().chunks(200.min(1_000_000 / bytes)) {
        let messages: Vec<Value> = batch.iter().map(|_| json!({"content": "x".repeat(bytes)})).collect();
        server.post(person, &format!("{path}/messages"), &json!({"messages": messages}).to_string()).await;
    }
    path
}

async fn the_newest_messages_come_in_ascending_order(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = conversation(&server, &ada, 7, 1).await;
    server.share(&path, &ada, &eve, chatstore::MemberRole::Viewer).await;
    for (last, expected) in
        [(0, vec![]), (1, vec![7]), (3, vec![5, 6, 7]), (7, (1..=7).collect()), (8, (1..=7).collect())]
    {
        for person in [&ada, &eve] {
            let read = server.get(person, &format!("{path}/messages?last={last}")).await;
            assert_eq!(seqs(&read["data"]), expected, "{last}");
            let fields: Vec<&str> = read.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!((fields, &read["next_cursor"]), (vec!["data", "next_cursor"], &Value::Null));
            let included = server.get(person, &format!("{path}?include=messages&last={last}")).await;
            assert_eq!(included["messages"], read["data"], "{last}");
            assert_eq!((included.get("truncated"), included.get("before")), (None, None));
        }
    }
    let empty = server.conversation(&ada).await;
    assert_eq!(server.get(&ada, &format!("{empty}/messages?last=5")).await["data"], json!([]));
}

async fn what_is_too_large_together_begins_later_and_says_where(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 7, 500_000).await;
    let read = server.get(&ada, &format!("{path}/messages?last=6")).await;
    assert_eq!(seqs(&read["data"]), [3, 4, 5, 6, 7], "the one that reaches 2 MiB is among them");
    assert_eq!((&read["truncated"], &read["before"]), (&json!(true), &json!(3)));
    let rest = server.get(&ada, &format!("{path}/messages?last=6&before={}", read["before"])).await;
    assert_eq!((seqs(&rest["data"]), rest.get("truncated")), (vec![1, 2], None));
    let included = server.get(&ada, &format!("{path}?include=messages&last=6")).await;
    assert_eq!(included["messages"], read["data"]);
    assert_eq!((&included["truncated"], &included["before"]), (&json!(true), &json!(3)));
    let five = server.get(&ada, &format!("{path}/messages?last=5")).await;
    assert_eq!(
        (seqs(&five["data"]), five.get("truncated")),
        (vec![3, 4, 5, 6, 7], None),
        "all that were asked for"
    );
}

async fn the_newest_messages_of_a_range_are_found(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 9, 1).await;
    for (query, expected) in [
        ("last=2&before=5", vec![3, 4]),
        ("last=2&after=5", vec![8, 9]),
        ("last=9&after=5&before=8", vec![6, 7]),
        ("last=2&after=9", vec![]),
    ] {
        let read = server.get(&ada, &format!("{path}/messages?{query}")).await;
        assert_eq!(seqs(&read["data"]), expected, "{query}");
    }
}

async fn more_messages_than_a_page_has_come_together(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 450, 100).await;
    let read = server.get(&ada, &format!("{path}/messages?last=2147483647")).await;
    assert_eq!(seqs(&read["data"]), (1..=450).collect::<Vec<_>>());
    let read = server.get(&ada, &format!("{path}/messages?last=401")).await;
    assert_eq!(seqs(&read["data"]), (50..=450).collect::<Vec<_>>());
    assert_eq!(read.get("truncated"), None);
}

async fn last_excludes_what_pages_are_asked_with(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let get = |query: &str| server.request(&ada, "GET", &format!("{path}{query}"));
    let text = outlines([
        get("/messages?last=1&limit=1&cursor=c&order=asc&around=1"),
        get("/messages?last=-1"),
        get("/messages?last=2147483648"),
        get("/messages?last=x"),
        get("?last=1"),
        get("?include=messages&last=x"),
    ])
    .await
    .replace(&path, "");
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /messages?last=1&limit=1&cursor=c&order=asc&around=1 → 422 validation (limit: not_allowed) (cursor: not_allowed) (order: not_allowed) (around: not_allowed)
    GET /messages?last=-1 → 422 validation (last: out_of_range)
    GET /messages?last=2147483648 → 422 validation (last: out_of_range)
    GET /messages?last=x → 422 validation (last: invalid_format)
    GET ?last=1 → 422 validation (last: not_allowed)
    GET ?include=messages&last=x → 422 validation (last: invalid_format)
    "#) }
}
