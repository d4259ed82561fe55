//! What the OpenAI Agents SDK requires of a `Session`, in Python and JavaScript, over plain HTTP.

use chatstore_testkit::{SeededIds, TestDatabase, conformance};
use serde_json::{Value, json};

use crate::adapters::{Adapter, parts, stored};
use crate::support::{Answer, Person, Server, answer, at_once, open_with};

conformance!(
    items_come_back_as_they_were_added_in_the_order_of_calls,
    a_limit_takes_the_newest_items_in_chronological_order,
    concurrent_first_writers_all_succeed_and_each_batch_stays_together,
    a_failed_attempt_is_rewound_only_if_its_items_are_the_newest,
    of_concurrent_compactions_one_wins,
    a_cancelled_call_has_an_effect_at_most_once_and_is_repeated_safely,
    a_history_transaction_takes_effect_once_after_restarts_too,
    the_ids_of_transactions_are_forgotten_on_clear,
    two_sessions_of_one_service_never_see_each_other,
);

/// The batch that adds items.
fn batch(items: &[Value]) -> Value {
    json!({"messages": items.iter().map(stored).collect::<Vec<_>>()})
}

/// Items with their keys in an order of their own, numbers that no float holds, and characters that databases refuse.
fn odd_items() -> Vec<Value> {
    [
        r#"{"type":"message","role":"user","content":"first"}"#,
        r#"{"zebra":1.0,"alpha":-0.0,"big":12345678901234567890123,"type":"reasoning"}"#,
        r#"{"type":"function_call_output","output":"a\u0000b\nc","call_id":"c1"}"#,
        r#"{"type":"custom","nested":[[{}],null,true],"id":"msg_1"}"#,
    ]
    .iter()
    .map(|text| serde_json::from_str(text).unwrap())
    .collect()
}

async fn items_come_back_as_they_were_added_in_the_order_of_calls(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = Adapter::new(&server, &ada, "s-1");
    assert_eq!(session.load_all().await, None, "get_items of a new session");
    let items = odd_items();
    for part in items.chunks(2) {
        assert_eq!(session.send("POST", "/messages", &batch(part)).await.status, 201, "add_items");
    }
    assert_eq!(session.load_all().await, Some(items), "get_items, without ids of the store");
    assert_eq!(session.requests(), 4);
    let many: Vec<Value> = (0..1_000).map(|number| json!({"role": "user", "n": number})).collect();
    let long = Adapter::new(&server, &ada, "s-2");
    assert_eq!(long.send("POST", "/messages", &batch(&many)).await.status, 201, "a thousand, all or none");
    assert_eq!(long.load_all().await, Some(many));
    assert_eq!(long.requests(), 2);
}

async fn a_limit_takes_the_newest_items_in_chronological_order(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = Adapter::new(&server, &ada, "s-1");
    let items: Vec<Value> = (0..7).map(|number| json!({"role": "user", "n": number})).collect();
    session.send("POST", "/messages", &batch(&items)).await;
    for (limit, expected) in [(0, &items[7..]), (1, &items[6..]), (3, &items[4..]), (50, &items[..])] {
        assert_eq!(session.load(&format!("last={limit}")).await, expected, "get_items({limit})");
    }
    assert_eq!(session.requests(), 5);
}

async fn concurrent_first_writers_all_succeed_and_each_batch_stays_together(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = Adapter::new(&server, &ada, "s-1");
    let add = (0..16).map(|writer| {
        let items: Vec<Value> =
            (0..3).map(|place| json!({"role": "user", "w": writer, "p": place})).collect();
        session.request("POST", "/messages", &batch(&items))
    });
    assert!(at_once(add).await.iter().all(|answer| answer.status == 201));
    assert_eq!(session.requests(), 16);
    let found = session.load_all().await.unwrap();
    assert_eq!(found.len(), 48);
    for together in found.chunks(3) {
        assert!(together.iter().all(|item| item["w"] == together[0]["w"]));
        assert_eq!(together.iter().map(|item| item["p"].as_i64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    }
    assert_eq!(server.get(&ada, "/api/v1/conversations/count").await["count"], 1);
}

/// The request that replaces the newest items.
fn suffix(expected: &[Value], items: &[Value]) -> Value {
    let expected: Vec<Value> = expected.iter().map(|item| json!({"parts": [item]})).collect();
    json!({"expected": expected, "messages": items.iter().map(stored).collect::<Vec<_>>()})
}

async fn a_failed_attempt_is_rewound_only_if_its_items_are_the_newest(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = Adapter::new(&server, &ada, "s-1");
    let items = odd_items();
    session.send("POST", "/messages", &batch(&items)).await;
    let rewind = async |expected: &[Value]| {
        session.send("POST", "/messages/replace-suffix", &suffix(expected, &[])).await.status
    };
    assert_eq!(rewind(&items[1..3]).await, 412, "another item is the newest");
    assert_eq!(session.load_all().await, Some(items.clone()), "nothing was removed");
    assert_eq!(rewind(&items[2..]).await, 200);
    assert_eq!(session.load_all().await, Some(items[..2].to_vec()));
    assert_eq!(session.requests(), 5);
}

async fn of_concurrent_compactions_one_wins(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = Adapter::new(&server, &ada, "s-1");
    let items = odd_items();
    session.send("POST", "/messages", &batch(&items)).await;
    let summary = |number: usize| json!({"type": "compaction", "n": number});
    let compact = (0..16).map(|number| {
        let body = suffix(&items[1..], &[summary(number)]);
        session.request("POST", "/messages/replace-suffix", &body)
    });
    let statuses: Vec<u16> = at_once(compact).await.iter().map(|answer| answer.status).collect();
    let winners: Vec<usize> = (0..16).filter(|number| statuses[*number] == 200).collect();
    assert_eq!((winners.len(), statuses.iter().filter(|status| **status == 412).count()), (1, 15));
    assert_eq!(session.load_all().await, Some(vec![items[0].clone(), summary(winners[0])]));
}

async fn a_cancelled_call_has_an_effect_at_most_once_and_is_repeated_safely(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = Adapter::new(&server, &ada, "s-1");
    let items: Vec<Value> = (0..200).map(|number| json!({"role": "user", "n": number})).collect();
    for call in 0..8 {
        let add = || {
            let request = session.request("POST", "/messages", &batch(&items));
            request.header("Idempotency-Key", format!("call-{call}"))
        };
        let sent = tokio::spawn(add().send());
        for _ in 0..call * 4 {
            tokio::task::yield_now().await;
        }
        sent.abort();
        assert_eq!(answer(add()).await.status, 201, "the call that waits for the outcome");
    }
    let found = session.load_all().await.unwrap();
    let expected: Vec<Value> = std::iter::repeat_n(items, 8).flatten().collect();
    assert_eq!(found, expected);
}

/// A transaction of the JavaScript history.
async fn transact(session: &Adapter<'_>, operation_id: &str, below: &str, body: &Value) -> Answer {
    let request = session.request("POST", below, body).header("Idempotency-Key", operation_id);
    answer(request.header("Idempotency-Retention", "conversation")).await
}

async fn a_history_transaction_takes_effect_once_after_restarts_too(case: TestDatabase) {
    let mut server = Server::start(case).await;
    let ada = server.person("ada").await;
    let items = odd_items();
    let append = batch(&items[..2]);
    let replace = suffix(&items[1..2], &items[2..]);
    let (appending, replacing) = ("/messages", "/messages/replace-suffix");
    {
        let session = Adapter::new(&server, &ada, "s-1");
        assert_eq!(transact(&session, "op-1", appending, &append).await.status, 201);
        assert_eq!(transact(&session, "op-2", replacing, &replace).await.status, 200);
        assert_eq!(session.requests(), 2);
    }
    let store = open_with(&server.case, SeededIds::new(99)).await;
    server.serve(store).await;
    server.case.clock.advance(std::time::Duration::from_secs(30 * 24 * 60 * 60));
    server.store.operations().prune_idempotency_keys().await.unwrap();
    let session = Adapter::new(&server, &ada, "s-1");
    let expected = vec![items[0].clone(), items[2].clone(), items[3].clone()];
    for (id, below, body, status) in [
        ("op-1", appending, &append, 201),
        ("op-2", replacing, &replace, 200),
        ("op-1", appending, &append, 201),
    ] {
        let again = transact(&session, id, below, body).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (status, "true"), "{id}");
        assert_eq!(session.load_all().await, Some(expected.clone()), "{id} has no second effect");
    }
    let other = transact(&session, "op-1", appending, &batch(&items)).await;
    assert_eq!(other.status, 422, "the same id with other content");
    let stale = transact(&session, "op-3", replacing, &replace).await;
    assert_eq!(stale.status, 412, "another suffix");
    assert_eq!(session.load_all().await, Some(expected), "neither changed anything");
}

async fn the_ids_of_transactions_are_forgotten_on_clear(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = Adapter::new(&server, &ada, "s-1");
    let items = odd_items();
    assert_eq!(transact(&session, "op-1", "/messages", &batch(&items)).await.status, 201);
    assert_eq!(session.send("DELETE", "/messages", &Value::Null).await.status, 200, "clear_session");
    assert_eq!(session.load_all().await, Some(Vec::new()));
    let again = transact(&session, "op-1", "/messages", &batch(&items[..1])).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, ""));
    assert_eq!(parts(&again.body["data"]), items[..1]);
    assert_eq!(session.load_all().await, Some(items[..1].to_vec()));
}

async fn two_sessions_of_one_service_never_see_each_other(case: TestDatabase) {
    let server = Server::start(case).await;
    let root = server.admin("root").await;
    let (ada, ben) = (server.person("ada").await, server.person("ben").await);
    let service = server.service(&root).await;
    let act = |user: &Person, method: &str, body: &Value| {
        let request = server.act(&service, &user.id.to_string(), method, "/api/v1/threads/same/messages");
        request.header("Content-Type", "application/json").body(body.to_string())
    };
    for (user, number) in [(&ada, 1), (&ben, 2)] {
        let items = [json!({"role": "user", "n": number})];
        assert_eq!(answer(act(user, "POST", &batch(&items))).await.status, 201);
    }
    for (user, number) in [(&ada, 1), (&ben, 2)] {
        let found = answer(act(user, "GET", &Value::Null)).await;
        assert_eq!(parts(&found.body["data"]), [json!({"role": "user", "n": number})]);
    }
}
