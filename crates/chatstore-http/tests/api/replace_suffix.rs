//! Replacing the newest messages where they are the expected ones, and keys that live as long as a history.

use std::time::Duration;

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answer, Person, Server, answer, at_once, outlines};

conformance!(
    the_newest_messages_are_replaced_if_their_parts_are_equal_as_json,
    nothing_changes_when_others_are_the_newest,
    messages_are_expected_by_their_numbers,
    a_swap_of_sixty_four_callers_is_won_by_one,
    more_messages_than_a_page_are_replaced,
    the_newest_messages_are_those_of_the_head,
    an_editor_replaces_only_their_own_messages,
    a_repeated_replacement_changes_nothing,
    a_replaced_message_gives_its_external_id_to_its_successor,
    a_key_of_a_history_is_remembered_for_days_and_forgotten_on_clear,
    a_key_of_a_history_outlives_its_messages_but_not_its_conversation,
    a_history_with_more_keys_than_a_piece_forgets_all_of_them,
    everything_wrong_with_a_replacement_is_named,
);

/// Messages with one part each.
fn messages(parts: &[&str]) -> Value {
    let part = |part: &str| serde_json::from_str::<Value>(part).unwrap();
    parts.iter().map(|text| json!({"role": "user", "parts": [part(text)]})).collect()
}

async fn conversation(server: &Server, person: &Person, parts: &[&str]) -> String {
    let path = server.conversation(person).await;
    let body = json!({"messages": messages(parts)}).to_string();
    server.post(person, &format!("{path}/messages"), &body).await;
    path
}

fn replacing(server: &Server, person: &Person, path: &str, body: &str) -> RequestBuilder {
    server.send(person, "POST", &format!("{path}/messages/replace-suffix"), body)
}

async fn replace(server: &Server, person: &Person, path: &str, body: &str) -> Answer {
    answer(replacing(server, person, path, body)).await
}

/// The numbers of the messages that are left, and what their parts say.
async fn left(server: &Server, person: &Person, path: &str) -> Vec<(i64, Value)> {
    let list = server.get(person, &format!("{path}/messages?last=10000")).await;
    let pair = |message: &Value| (message["seq"].as_i64().unwrap(), message["parts"][0]["n"].clone());
    list["data"].as_array().unwrap().iter().map(pair).collect()
}

async fn the_newest_messages_are_replaced_if_their_parts_are_equal_as_json(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let odd = r#"[ {"n":2.0,"z":[1e2],"a":"\u00e9\ud800"} ]"#;
    for parts in [r#"[{"n":1}]"#, odd, r#"[{"n":12345678901234567890123}]"#] {
        let body = format!(r#"{{"role":"assistant","parts":{parts}}}"#);
        let posted = server.send(&ada, "POST", &format!("{path}/messages"), &body).send().await.unwrap();
        assert_eq!(posted.status(), 201);
    }
    let before = server.get(&ada, &path).await;
    let body = r#"{
        "expected": [
            {"parts": [{"a": "é\uD800", "z": [100], "n": 2}]},
            {"parts": [{"n": 12345678901234567890123}]}
        ],
        "messages": [{"role": "tool", "parts": [{"n": 4}]}],
        "conversation": {"metadata_patch": {"step": 2}}
    }"#;
    let replaced = replace(&server, &ada, &path, body).await;
    assert_eq!((replaced.status, &replaced.body["removed"]), (200, &json!(2)));
    let new = &replaced.body["data"][0];
    assert_eq!((&new["seq"], &new["role"]), (&json!(4), &json!("tool")));
    assert_eq!(left(&server, &ada, &path).await, [(1, json!(1)), (4, json!(4))]);
    let after = server.get(&ada, &path).await;
    assert_eq!((&after["message_count"], &after["last_seq"]), (&json!(2), &json!(4)));
    assert_eq!(after["metadata"], json!({"step": 2}));
    assert!(after["revision"].as_i64() > before["revision"].as_i64());
    assert_eq!(replaced.header("etag"), format!("\"{}\"", after["revision"]));
    let append = r#"{"expected": [], "messages": [{"parts": [{"n": 5}]}]}"#;
    let appended = replace(&server, &ada, &path, append).await;
    assert_eq!((appended.status, &appended.body["removed"]), (200, &json!(0)));
    let remove = r#"{"expected": [{"parts": [{"n": 5}]}], "messages": []}"#;
    let removed = replace(&server, &ada, &path, remove).await;
    assert_eq!((removed.status, &removed.body), (200, &json!({"removed": 1, "data": []})));
    assert_eq!(left(&server, &ada, &path).await, [(1, json!(1)), (4, json!(4))]);
}

async fn nothing_changes_when_others_are_the_newest(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, &[r#"{"n":1}"#, r#"{"n":2}"#]).await;
    server.post(&ada, &format!("{path}/messages"), r#"{"content": "no parts"}"#).await;
    let before = server.get(&ada, &path).await;
    for expected in [
        r#"[{"parts": [{"n": 2}]}]"#,
        r#"[{"parts": []}]"#,
        r#"[{"parts": [{"n": 2}]}, {"parts": [{"n": 1}]}]"#,
        r#"[{"parts": [{}]}, {"parts": [{}]}, {"parts": [{}]}, {"parts": [{}]}]"#,
    ] {
        let body = format!(r#"{{"expected": {expected}, "messages": [{{"content": "x"}}]}}"#);
        let refused = replace(&server, &ada, &path, &body).await;
        assert_eq!(refused.status, 412, "{expected}");
        assert_eq!(refused.body["type"], "urn:chatstore:problem:precondition-failed");
    }
    assert_eq!(server.get(&ada, &path).await, before);
}

async fn messages_are_expected_by_their_numbers(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, &[r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]).await;
    let removed = server.request(&ada, "DELETE", &format!("{path}/messages/2")).send().await.unwrap();
    assert_eq!(removed.status(), 204);
    for (seqs, status) in [("[2, 3]", 412), ("[3, 1]", 412), ("[1]", 412), ("[1, 3]", 200)] {
        let body = format!(r#"{{"expected_seqs": {seqs}, "messages": [{{"parts": [{{"n": 4}}]}}]}}"#);
        assert_eq!(replace(&server, &ada, &path, &body).await.status, status, "{seqs}");
    }
    assert_eq!(left(&server, &ada, &path).await, [(4, json!(4))]);
}

async fn a_swap_of_sixty_four_callers_is_won_by_one(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, &[r#"{"n":"first"}"#, r#"{"n":"draft"}"#]).await;
    let swap = |caller: usize| {
        let body = json!({
            "expected": [{"parts": [{"n": "draft"}]}],
            "messages": [{"parts": [{"n": caller}]}, {"parts": [{"n": caller}]}],
        });
        replacing(&server, &ada, &path, &body.to_string())
    };
    let answers = at_once((0..64).map(swap)).await;
    let winners = answers.iter().enumerate().filter(|(_, answer)| answer.status == 200);
    let winners: Vec<usize> = winners.map(|(caller, _)| caller).collect();
    assert_eq!(winners.len(), 1);
    let mut others = answers.iter().filter(|answer| answer.status != 200);
    assert!(others.all(|answer| [412, 503].contains(&answer.status)), "lost, or not tried");
    let winner = json!(winners[0]);
    assert_eq!(left(&server, &ada, &path).await, [(1, json!("first")), (3, winner.clone()), (4, winner)]);
}

async fn more_messages_than_a_page_are_replaced(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, &[r#"{"n":0}"#]).await;
    let many: Vec<Value> = (1..=450).map(|number| json!({"parts": [{"n": number}]})).collect();
    server.post(&ada, &format!("{path}/messages"), &json!({"messages": many}).to_string()).await;
    let mut wrong = many.clone();
    wrong[3]["parts"][0]["n"] = json!(0);
    for (expected, status) in [(&wrong, 412), (&many, 200)] {
        let body = json!({"expected": expected, "messages": many[..250]}).to_string();
        assert_eq!(replace(&server, &ada, &path, &body).await.status, status);
    }
    let found = left(&server, &ada, &path).await;
    assert_eq!((found.len(), &found[0].1, &found[250].1), (251, &json!(0), &json!(250)));
}

async fn the_newest_messages_are_those_of_the_head(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, &[r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]).await;
    server.post(&ada, &format!("{path}/messages"), r#"{"parts": [{"n": 4}], "parent": 1}"#).await;
    let other = r#"{"expected_seqs": [3, 4], "messages": []}"#;
    assert_eq!(replace(&server, &ada, &path, other).await.status, 412);
    let own = r#"{"expected_seqs": [1, 4], "messages": [{"parts": [{"n": 5}]}]}"#;
    assert_eq!(replace(&server, &ada, &path, own).await.status, 200);
    let all = server.get(&ada, &format!("{path}/messages?branch=all")).await;
    let numbers: Vec<&Value> =
        all["data"].as_array().unwrap().iter().map(|message| &message["parts"][0]["n"]).collect();
    assert_eq!(numbers, [&json!(2), &json!(3), &json!(5)], "another branch keeps its messages");
}

async fn an_editor_replaces_only_their_own_messages(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let (eve, vic) = (server.person("eve").await, server.person("vic").await);
    let path = conversation(&server, &ada, &[r#"{"n":1}"#]).await;
    server.share(&path, &ada, &eve, MemberRole::Editor).await;
    server.share(&path, &ada, &vic, MemberRole::Viewer).await;
    for number in [2, 3] {
        let body = format!(r#"{{"parts": [{{"n": {number}}}]}}"#);
        server.post(&eve, &format!("{path}/messages"), &body).await;
    }
    let by_seqs = |seqs: &str, new: &str| format!(r#"{{"expected_seqs": {seqs}, "messages": [{new}]}}"#);
    let own = r#"{"parts": [{"n": 4}]}"#;
    let answer_of_model = r#"{"role": "assistant", "content": "x"}"#;
    let text = outlines([
        replacing(&server, &vic, &path, &by_seqs("[]", own)),
        replacing(&server, &eve, &path, &by_seqs("[1, 2, 3]", own)),
        replacing(&server, &eve, &path, &by_seqs("[1]", own)),
        replacing(&server, &eve, &path, &by_seqs("[2, 3]", answer_of_model)),
        replacing(&server, &eve, &path, &by_seqs("[2, 3]", own)),
        replacing(&server, &ada, &path, &by_seqs("[1, 4]", own)),
    ])
    .await
    .replace(&path, "");
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /messages/replace-suffix {"expected_seqs": [], "messages": [{"parts": [{"n": 4}]}]} → 403 forbidden
    POST /messages/replace-suffix {"expected_seqs": [1, 2, 3], "messages": [{"parts": [{"n": 4}]}]} → 403 forbidden
    POST /messages/replace-suffix {"expected_seqs": [1], "messages": [{"parts": [{"n": 4}]}]} → 412 precondition-failed
    POST /messages/replace-suffix {"expected_seqs": [2, 3], "messages": [{"role": "assistant", "content": "x"}]} → 403 forbidden
    POST /messages/replace-suffix {"expected_seqs": [2, 3], "messages": [{"parts": [{"n": 4}]}]} → 200
    POST /messages/replace-suffix {"expected_seqs": [1, 4], "messages": [{"parts": [{"n": 4}]}]} → 200
    "#) }
}

async fn a_repeated_replacement_changes_nothing(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, &[r#"{"n":1}"#]).await;
    let body = r#"{"expected": [{"parts": [{"n": 1}]}], "messages": [{"parts": [{"n": 2}]}]}"#;
    let once = |key: &str, body: &str| replacing(&server, &ada, &path, body).header("Idempotency-Key", key);
    let first = answer(once("k1", body)).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, ""));
    server.post(&ada, &format!("{path}/messages"), r#"{"parts": [{"n": 3}]}"#).await;
    for _ in 0..2 {
        let again = answer(once("k1", body)).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
        assert_eq!(again.body, first.body);
    }
    assert_eq!(left(&server, &ada, &path).await, [(2, json!(2)), (3, json!(3))]);
    let other = answer(once("k1", r#"{"expected": [], "messages": []}"#)).await;
    assert_eq!(other.status, 422, "another request");
    assert_eq!(answer(once("k2", body)).await.status, 412);
    let allowed = r#"{"expected": [{"parts": [{"n": 3}]}], "messages": []}"#;
    assert_eq!(answer(once("k2", allowed)).await.status, 200, "a refusal is not remembered");
    let append = r#"{"expected": [], "messages": [{"parts": [{"n": 9}]}]}"#;
    let answers = at_once((0..8).map(|_| once("k3", append))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(left(&server, &ada, &path).await, [(2, json!(2)), (4, json!(9))]);
}

async fn a_replaced_message_gives_its_external_id_to_its_successor(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    for number in [1, 2] {
        let body = format!(r#"{{"external_id": "m{number}", "parts": [{{"n": {number}}}]}}"#);
        server.post(&ada, &format!("{path}/messages"), &body).await;
    }
    let replacement = |id: &str| {
        let new = json!([{"external_id": id, "parts": [{"n": 3}]}]);
        json!({"expected_seqs": [2], "messages": new}).to_string()
    };
    let taken = replace(&server, &ada, &path, &replacement("m1")).await;
    assert_eq!((taken.status, &taken.body["errors"][0]["field"]), (409, &json!("messages[0].external_id")));
    assert_eq!(left(&server, &ada, &path).await, [(1, json!(1)), (2, json!(2))], "nothing was removed");
    assert_eq!(replace(&server, &ada, &path, &replacement("m2")).await.status, 200);
    assert_eq!(server.get(&ada, &format!("{path}/messages/ext:m2")).await["seq"], 3);
}

/// A request whose key lives as long as the history.
fn kept(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("Idempotency-Key", key).header("Idempotency-Retention", "conversation")
}

async fn a_key_of_a_history_is_remembered_for_days_and_forgotten_on_clear(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, &[r#"{"n":1}"#]).await;
    let messages = format!("{path}/messages");
    let one = r#"{"messages": [{"parts": [{"n": 2}]}]}"#;
    let append = || kept(server.send(&ada, "POST", &messages, one), "op-1");
    let body = r#"{"expected": [{"parts": [{"n": 2}]}], "messages": [{"parts": [{"n": 3}]}]}"#;
    let swap = || kept(replacing(&server, &ada, &path, body), "op-2");
    let of_a_day = || {
        let nothing = r#"{"expected": [], "messages": []}"#;
        replacing(&server, &ada, &path, nothing).header("Idempotency-Key", "day")
    };
    let is_replayed = async |request| answer(request).await.header("idempotency-replayed") == "true";
    assert_eq!(answer(append()).await.status, 201);
    assert_eq!(answer(swap()).await.status, 200);
    assert_eq!(answer(of_a_day()).await.status, 200);
    server.case.clock.advance(Duration::from_secs(400 * 24 * 60 * 60));
    server.store.operations().prune_idempotency_keys().await.unwrap();
    let again = answer(append()).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.body, json!({"data": []}), "its message was replaced since");
    assert!(is_replayed(swap()).await);
    assert!(!is_replayed(of_a_day()).await, "another key is forgotten");
    let delete =
        async |query: &str| answer(server.request(&ada, "DELETE", &format!("{messages}{query}"))).await;
    assert_eq!(delete("?from=2").await.status, 200);
    assert!(is_replayed(append()).await, "a range is no clear");
    assert_eq!(delete("").await.status, 200);
    assert!(!is_replayed(append()).await);
    assert!(!is_replayed(swap()).await);
    assert_eq!(left(&server, &ada, &path).await, [(5, json!(3))]);
}

async fn a_key_of_a_history_outlives_its_messages_but_not_its_conversation(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let target = "/api/v1/threads/session/messages";
    let batch = r#"{"messages": [{"parts": [{"n": 1}]}]}"#;
    let append = || kept(server.send(&ada, "POST", target, batch), "op-1");
    let pop = async || answer(server.request(&ada, "DELETE", &format!("{target}/last"))).await;
    assert_eq!(answer(append()).await.status, 201);
    assert_eq!(pop().await.body["data"].as_array().unwrap().len(), 1);
    let again = answer(append()).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.body, json!({"data": []}));
    let one = || kept(server.send(&ada, "POST", target, r#"{"parts": [{"n": 2}]}"#), "op-2");
    assert_eq!(answer(one()).await.status, 201);
    assert_eq!(answer(one()).await.body["seq"], 2);
    pop().await;
    assert_eq!(answer(one()).await.status, 409, "there is no message to answer");
    let deleted = server.request(&ada, "DELETE", "/api/v1/threads/session").send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    let anew = answer(append()).await;
    assert_eq!((anew.status, anew.header("idempotency-replayed")), (201, ""), "a new history");
}

async fn a_history_with_more_keys_than_a_piece_forgets_all_of_them(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let append = |number: usize| {
        let request = server.send(&ada, "POST", &format!("{path}/messages"), r#"{"content": "x"}"#);
        kept(request, &format!("op-{number}"))
    };
    for numbers in (0..1_050).collect::<Vec<_>>().chunks(16) {
        let appended = at_once(numbers.iter().map(|number| append(*number))).await;
        assert!(appended.iter().all(|answer| answer.status == 201));
    }
    let cleared = answer(server.request(&ada, "DELETE", &format!("{path}/messages"))).await;
    assert_eq!(cleared.body, json!({"deleted": 1_050}));
    for number in [0, 500, 1_049] {
        assert_eq!(answer(append(number)).await.header("idempotency-replayed"), "", "{number}");
    }
}

async fn everything_wrong_with_a_replacement_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = conversation(&server, &ada, &[r#"{"n":1}"#]).await;
    let many = vec!["1"; 1_001].join(",");
    let nothing = r#"{"expected": [], "messages": []}"#;
    let send = |body: &str| replacing(&server, &ada, &path, body);
    let of_day = |method: &str, below: &str, body: &str| {
        kept(server.send(&ada, method, &format!("{path}{below}"), body), "k")
    };
    let absent = "/api/v1/threads/absent/messages/replace-suffix";
    let text = outlines([
        send("{}"),
        send(r#"{"expected": [], "expected_seqs": [], "messages": []}"#),
        send(r#"{"expected": [{}, {"parts": [1]}, {"parts": null}], "messages": [{"content": 1}]}"#),
        send(r#"{"expected": [{"content": "x", "parts": []}], "messages": []}"#),
        send(r#"{"expected_seqs": [-1], "messages": []}"#),
        send(r#"{"expected_seqs": ["1"], "messages": {}}"#),
        send(&format!(r#"{{"messages": [], "expected_seqs": [{many}]}}"#)),
        send(nothing).header("Idempotency-Retention", "conversation"),
        send(nothing).header("Idempotency-Key", "k").header("Idempotency-Retention", "week"),
        of_day("POST", "/replies", r#"{"content": "x"}"#),
        of_day("DELETE", "/messages/last", ""),
        server.send(&ada, "POST", absent, nothing),
    ])
    .await
    .replace(&path, "");
    allow_duplicates! { assert_snapshot!(text, @r#"
    POST /messages/replace-suffix {} → 422 validation (expected: required) (messages: required)
    POST /messages/replace-suffix {"expected": [], "expected_seqs": [], "messages": []} → 422 validation (expected_seqs: not_allowed)
    POST /messages/replace-suffix {"expected": [{}, {"parts": [1]}, {"parts": null}], "messages": [{"content": 1}]} → 422 validation (expected[0].parts: required) (expected[2].parts: wrong_type) (messages[0].content: wrong_type) (expected[1].parts: wrong_type)
    POST /messages/replace-suffix {"expected": [{"content": "x", "parts": []}], "messages": []} → 422 validation (expected[0].content: unknown_field)
    POST /messages/replace-suffix {"expected_seqs": [-1], "messages": []} → 422 validation (expected_seqs: out_of_range)
    POST /messages/replace-suffix {"expected_seqs": ["1"], "messages": {}} → 422 validation (expected_seqs: wrong_type) (messages: wrong_type)
    POST /messages/replace-suffix {"messages": [], "expected_seqs": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1… → 422 validation (expected_seqs: too_long)
    POST /messages/replace-suffix {"expected": [], "messages": []} → 422 validation (Idempotency-Retention: not_allowed)
    POST /messages/replace-suffix [idempotency-key: k] {"expected": [], "messages": []} → 422 validation (Idempotency-Retention: not_allowed)
    POST /replies [idempotency-key: k] {"content": "x"} → 422 validation (Idempotency-Retention: not_allowed)
    DELETE /messages/last [idempotency-key: k] → 422 validation (Idempotency-Retention: not_allowed)
    POST /api/v1/threads/absent/messages/replace-suffix {"expected": [], "messages": []} → 404 not-found
    "#) }
}
