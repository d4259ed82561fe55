//! Removing the newest messages, a range, some, or all.

use std::collections::BTreeSet;

use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use serde_json::{Value, json};

use crate::support::{Answer, Person, Server, answer, at_once, outlines};

conformance!(
    a_pop_returns_the_newest_messages_in_order_and_repairs_the_conversation,
    concurrent_pops_get_different_messages,
    an_editor_pops_only_their_own_messages,
    a_repeated_pop_gets_the_same_messages,
    a_pop_too_large_to_be_repeated_is_a_conflict,
    messages_that_are_too_large_together_are_not_popped,
    ranges_and_lists_are_removed_and_the_rest_stays,
    a_clear_keeps_the_conversation_and_its_numbers,
    more_than_a_thousand_messages_are_cleared_by_one_request,
    a_repeated_clear_removes_nothing_newer,
    only_the_owner_clears_and_only_at_the_revision,
    every_wrong_parameter_of_a_removal_is_named,
);

fn seqs(messages: &Value) -> Vec<i64> {
    messages.as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

async fn say(server: &Server, person: &Person, path: &str, count: usize) {
    for batch in (0..count).collect::<Vec<_>>().chunks(200) {
        let messages: Vec<Value> =
            batch.iter().map(|number| json!({"content": format!("no. {number}")})).collect();
        server.post(person, &format!("{path}/messages"), &json!({"messages": messages}).to_string()).await;
    }
}

async fn conversation(server: &Server, person: &Person, count: usize) -> String {
    let path = server.conversation(person).await;
    say(server, person, &path, count).await;
    path
}

async fn delete(server: &Server, person: &Person, target: &str) -> Answer {
    answer(server.request(person, "DELETE", target)).await
}

async fn left(server: &Server, person: &Person, path: &str) -> Vec<i64> {
    seqs(&server.get(person, &format!("{path}/messages?last=10000")).await["data"])
}

async fn a_pop_returns_the_newest_messages_in_order_and_repairs_the_conversation(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 4).await;
    server.post(&ada, &format!("{path}/replies"), r#"{"content": "reply", "model": "m"}"#).await;
    let newest = server.get(&ada, &format!("{path}/messages?last=3")).await["data"].clone();
    let before = server.get(&ada, &path).await;
    let popped = delete(&server, &ada, &format!("{path}/messages/last")).await;
    assert_eq!((popped.status, &popped.body), (200, &json!({"data": [newest[2]]})));
    let popped = delete(&server, &ada, &format!("{path}/messages/last?count=2")).await;
    assert_eq!(popped.body, json!({"data": [newest[0], newest[1]]}));
    let after = server.get(&ada, &path).await;
    assert_eq!((&after["message_count"], &after["last_seq"]), (&json!(2), &json!(5)));
    assert_eq!(after["last_message"], "no. 1");
    assert!(after["revision"].as_i64() > before["revision"].as_i64());
    let popped = delete(&server, &ada, &format!("{path}/messages/last?count=200")).await;
    assert_eq!(seqs(&popped.body["data"]), [1, 2]);
    let empty = server.get(&ada, &path).await;
    assert_eq!((&empty["message_count"], &empty["last_message"]), (&json!(0), &Value::Null));
    let popped = delete(&server, &ada, &format!("{path}/messages/last")).await;
    assert_eq!((popped.status, &popped.body), (200, &json!({"data": []})));
    assert_eq!(server.get(&ada, &path).await, empty, "nothing was changed");
    say(&server, &ada, &path, 1).await;
    assert_eq!(left(&server, &ada, &path).await, [6], "numbers are not used again");
}

async fn concurrent_pops_get_different_messages(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 40).await;
    let pops = (0..32).map(|number| {
        server.request(&ada, "DELETE", &format!("{path}/messages/last?count={}", number % 2 + 1))
    });
    let answers = at_once(pops).await;
    let mut popped = left(&server, &ada, &path).await;
    for answer in answers.iter().filter(|answer| answer.status != 503) {
        assert_eq!(answer.status, 200);
        popped.extend(seqs(&answer.body["data"]));
    }
    let different: BTreeSet<i64> = popped.iter().copied().collect();
    assert_eq!((popped.len(), different.len()), (40, 40), "none is popped twice or lost");
}

async fn an_editor_pops_only_their_own_messages(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = conversation(&server, &ada, 1).await;
    server.share(&path, &ada, &eve, chatstore::MemberRole::Editor).await;
    say(&server, &eve, &path, 2).await;
    let last = |query: &str| server.request(&eve, "DELETE", &format!("{path}/messages/last{query}"));
    let text =
        outlines([last("?count=3"), last("").header("If-Match", "\"1\""), last("?count=2"), last("")]).await;
    allow_duplicates! { assert_snapshot!(text.replace(&path, ""), @r#"
    DELETE /messages/last?count=3 → 403 forbidden
    DELETE /messages/last [if-match: "1"] → 412 precondition-failed
    DELETE /messages/last?count=2 → 200
    DELETE /messages/last → 403 forbidden
    "#) }
    assert_eq!(left(&server, &ada, &path).await, [1]);
}

async fn a_repeated_pop_gets_the_same_messages(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 3).await;
    let body = r#"{"role": "assistant", "content": "é\n", "parts": [{"b": 1.5, "a": "\\u0000"}], "metadata": {"n": 18446744073709551615}, "used_documents": ["d", {"e": []}], "token_count": 4, "model": "m"}"#;
    server.post(&ada, &format!("{path}/messages"), body).await;
    let newest = server.get(&ada, &format!("{path}/messages?last=2")).await["data"].clone();
    let pop = |query: &str| {
        server
            .request(&ada, "DELETE", &format!("{path}/messages/last{query}"))
            .header("Idempotency-Key", "k1")
    };
    let first = answer(pop("?count=2")).await;
    assert_eq!((first.status, &first.body["data"]), (200, &newest));
    let again = answer(pop("?count=2")).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
    assert_eq!(again.body, first.body);
    assert_eq!(answer(pop("?count=1")).await.status, 422, "another query is another request");
    let answers = at_once((0..16).map(|_| {
        server.request(&ada, "DELETE", &format!("{path}/messages/last")).header("Idempotency-Key", "k2")
    }))
    .await;
    assert!(answers.iter().all(|one| one.status == 200 && seqs(&one.body["data"]) == [2]));
    assert_eq!(left(&server, &ada, &path).await, [1]);
}

async fn a_pop_too_large_to_be_repeated_is_a_conflict(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    for _ in 0..2 {
        let large = json!({"content": "x".repeat(600_000)}).to_string();
        server.post(&ada, &format!("{path}/messages"), &large).await;
    }
    let pop = || {
        server
            .request(&ada, "DELETE", &format!("{path}/messages/last?count=2"))
            .header("Idempotency-Key", "k1")
    };
    assert_eq!(seqs(&answer(pop()).await.body["data"]), [1, 2]);
    let again = answer(pop()).await;
    assert_eq!((again.status, &again.body["type"]), (409, &json!("urn:chatstore:problem:conflict")));
}

async fn messages_that_are_too_large_together_are_not_popped(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    for _ in 0..4 {
        let large = json!({"content": "x".repeat(900_000)}).to_string();
        server.post(&ada, &format!("{path}/messages"), &large).await;
    }
    let last = |query: &str| server.request(&ada, "DELETE", &format!("{path}/messages/last{query}"));
    let text = outlines([last("?count=4"), last("?count=3"), last("")]).await;
    allow_duplicates! { assert_snapshot!(text.replace(&path, ""), @r#"
    DELETE /messages/last?count=4 → 422 validation (count: out_of_range)
    DELETE /messages/last?count=3 → 200
    DELETE /messages/last → 200
    "#) }
}

async fn ranges_and_lists_are_removed_and_the_rest_stays(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 12).await;
    let id = async |seq: i64, field: &str| {
        server.get(&ada, &format!("{path}/messages/{seq}")).await[field].as_str().unwrap().to_owned()
    };
    let ids =
        format!("{},{},00000000-0000-7000-8000-000000000001", id(5, "id").await, id(12, "short_id").await);
    for (query, deleted, expected) in [
        ("from=2&to=3".to_owned(), 2, vec![1, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ("to=1".to_owned(), 1, vec![4, 5, 6, 7, 8, 9, 10, 11, 12]),
        (format!("ids={ids}"), 2, vec![4, 6, 7, 8, 9, 10, 11]),
        (format!("ids={ids}"), 0, vec![4, 6, 7, 8, 9, 10, 11]),
        ("from=11".to_owned(), 1, vec![4, 6, 7, 8, 9, 10]),
        ("keep_last=6".to_owned(), 0, vec![4, 6, 7, 8, 9, 10]),
        ("keep_last=4".to_owned(), 2, vec![7, 8, 9, 10]),
        ("from=9&to=8".to_owned(), 0, vec![7, 8, 9, 10]),
        ("keep_last=0".to_owned(), 4, vec![]),
    ] {
        let revision = server.get(&ada, &path).await["revision"].as_i64();
        let removed = delete(&server, &ada, &format!("{path}/messages?{query}")).await;
        assert_eq!((removed.status, &removed.body), (200, &json!({"deleted": deleted})), "{query}");
        assert_eq!(left(&server, &ada, &path).await, expected, "{query}");
        let row = server.get(&ada, &path).await;
        assert_eq!(row["message_count"], expected.len(), "{query}");
        let shown = expected.last().map(|seq| format!("no. {}", seq - 1));
        assert_eq!(row["last_message"].as_str(), shown.as_deref(), "{query}");
        assert_eq!(row["revision"].as_i64() > revision, deleted > 0, "{query}");
    }
}

async fn a_clear_keeps_the_conversation_and_its_numbers(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = conversation(&server, &ada, 3).await;
    server.share(&path, &ada, &eve, chatstore::MemberRole::Editor).await;
    let reply = r#"{"content": "a", "response": {"model_used": "m", "tokens_prompt": 3}}"#;
    server.post(&ada, &format!("{path}/replies"), reply).await;
    assert_eq!(answer(server.send(&ada, "PATCH", &path, r#"{"title": "T"}"#)).await.status, 200);
    assert_eq!(delete(&server, &ada, &format!("{path}/messages")).await.body, json!({"deleted": 4}));
    let cleared = server.get(&eve, &path).await;
    assert_eq!(
        (&cleared["title"], &cleared["message_count"], &cleared["last_seq"]),
        (&json!("T"), &json!(0), &json!(4))
    );
    assert_eq!((&cleared["last_message"], &cleared["last_message_at"]), (&Value::Null, &Value::Null));
    assert_eq!(server.get(&ada, "/api/v1/usage").await["total"]["tokens_prompt"], 3);
    assert_eq!(delete(&server, &ada, &format!("{path}/messages")).await.body, json!({"deleted": 0}));
    assert_eq!(server.get(&eve, &path).await, cleared);
    say(&server, &eve, &path, 1).await;
    assert_eq!(left(&server, &ada, &path).await, [5]);
}

async fn more_than_a_thousand_messages_are_cleared_by_one_request(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 1_250).await;
    assert_eq!(
        delete(&server, &ada, &format!("{path}/messages?keep_last=100")).await.body,
        json!({"deleted": 1_150})
    );
    assert_eq!(left(&server, &ada, &path).await, (1_151..=1_250).collect::<Vec<_>>());
    say(&server, &ada, &path, 1_000).await;
    let clear =
        || server.request(&ada, "DELETE", &format!("{path}/messages")).header("Idempotency-Key", "k1");
    assert_eq!(answer(clear()).await.body, json!({"deleted": 1_100}));
    let row = server.get(&ada, &path).await;
    assert_eq!((&row["message_count"], &row["last_message"]), (&json!(0), &Value::Null));
    let again = answer(clear()).await;
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &json!({"deleted": 1_100})));
}

async fn a_repeated_clear_removes_nothing_newer(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 3).await;
    let clear =
        || server.request(&ada, "DELETE", &format!("{path}/messages")).header("Idempotency-Key", "k1");
    assert_eq!(answer(clear()).await.body, json!({"deleted": 3}));
    say(&server, &ada, &path, 2).await;
    let again = answer(clear()).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
    assert_eq!(again.body, json!({"deleted": 3}));
    assert_eq!(left(&server, &ada, &path).await, [4, 5]);
}

async fn only_the_owner_clears_and_only_at_the_revision(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, bob) =
        (server.person("ada").await, server.person("eve").await, server.person("bob").await);
    let path = conversation(&server, &ada, 2).await;
    server.share(&path, &ada, &eve, chatstore::MemberRole::Editor).await;
    let clear = |person| server.request(person, "DELETE", &format!("{path}/messages"));
    let text = outlines([
        clear(&eve),
        clear(&bob),
        clear(&ada).header("If-Match", "\"1\""),
        clear(&ada).header("If-Match", "\"2\""),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text.replace(&path, ""), @r#"
    DELETE /messages → 403 forbidden
    DELETE /messages → 404 not-found
    DELETE /messages [if-match: "1"] → 412 precondition-failed
    DELETE /messages [if-match: "2"] → 200
    "#) }
}

async fn every_wrong_parameter_of_a_removal_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, 2).await;
    let many = ["00000000-0000-7000-8000-000000000001"; 201].join(",");
    let remove = |query: &str| server.request(&ada, "DELETE", &format!("{path}/messages{query}"));
    let text = outlines([
        remove("/last?count=0"),
        remove("/last?count=201"),
        remove("?keep_last=1&from=1"),
        remove("?keep_last=1&ids=00000000-0000-7000-8000-000000000001"),
        remove("?ids=00000000-0000-7000-8000-000000000001&to=3"),
        remove("?ids="),
        remove("?ids=1"),
        remove("?keep_last=100001"),
        remove("?from=-1&to=x"),
        remove("?last=1"),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text.replace(&path, ""), @r#"
    DELETE /messages/last?count=0 → 422 validation (count: out_of_range)
    DELETE /messages/last?count=201 → 422 validation (count: out_of_range)
    DELETE /messages?keep_last=1&from=1 → 422 validation (keep_last: not_allowed)
    DELETE /messages?keep_last=1&ids=00000000-0000-7000-8000-000000000001 → 422 validation (keep_last: not_allowed)
    DELETE /messages?ids=00000000-0000-7000-8000-000000000001&to=3 → 422 validation (ids: not_allowed)
    DELETE /messages?ids= → 422 validation (ids: invalid_format)
    DELETE /messages?ids=1 → 422 validation (ids: invalid_format)
    DELETE /messages?keep_last=100001 → 422 validation (keep_last: out_of_range)
    DELETE /messages?from=-1&to=x → 422 validation (from: out_of_range) (to: invalid_format)
    DELETE /messages?last=1 → 422 validation (last: unknown_field)
    "#) }
    let target = format!("{path}/messages?ids={many}");
    let refused = delete(&server, &ada, &target).await;
    assert_eq!((refused.status, &refused.body["errors"][0]["code"]), (422, &json!("too_long")));
    assert_eq!(left(&server, &ada, &path).await, [1, 2]);
}
