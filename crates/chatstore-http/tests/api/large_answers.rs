//! Large answers: in pieces, page by page, and never more than a page at a time.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::support::{CONVERSATIONS, Person, Server};

conformance!(
    a_list_of_large_messages_ends_by_bytes_and_goes_on_with_its_cursor,
    the_messages_included_in_a_conversation_end_by_bytes,
    an_export_of_large_messages_is_complete,
    parts_are_answered_as_they_are_stored,
    a_batch_is_refused_by_its_length_before_its_items,
    a_problem_names_a_hundred_wrong_fields_at_most,
);

const MILLION: usize = 1_000_000;

/// A conversation of `count` messages of a million characters.
async fn large_conversation(server: &Server, person: &Person, count: usize) -> String {
    let conversation = server.conversation(person).await;
    for _ in 0..count {
        let body = json!({ "content": "x".repeat(MILLION) }).to_string();
        server.post(person, &format!("{conversation}/messages"), &body).await;
    }
    conversation
}

fn seqs(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

async fn a_list_of_large_messages_ends_by_bytes_and_goes_on_with_its_cursor(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = large_conversation(&server, &ada, 7).await;
    for (order, expected) in
        [("asc", [vec![1, 2, 3], vec![4, 5, 6], vec![7]]), ("desc", [vec![7, 6, 5], vec![4, 3, 2], vec![1]])]
    {
        let list = format!("{conversation}/messages?limit=200&order={order}");
        let mut target = list.clone();
        for page in expected {
            let answer = server.get(&ada, &target).await;
            assert_eq!(seqs(&answer["data"]), page);
            assert_eq!(answer["data"][0]["content"].as_str().unwrap().len(), MILLION);
            match answer["next_cursor"].as_str() {
                Some(cursor) => target = format!("{list}&cursor={cursor}"),
                None => assert_eq!(page.len(), 1, "the last page"),
            }
        }
    }
}

async fn the_messages_included_in_a_conversation_end_by_bytes(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = large_conversation(&server, &ada, 5).await;
    let answer = server.get(&ada, &format!("{conversation}?include=messages")).await;
    assert_eq!(seqs(&answer["messages"]), [3, 4, 5]);
}

async fn an_export_of_large_messages_is_complete(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    large_conversation(&server, &ada, 5).await;
    let answer = server.request(&ada, "GET", "/api/v1/users/me/export").send().await.unwrap();
    let text = answer.text().await.unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let messages: Vec<i64> =
        lines.filter(|line| line["type"] == "message").map(|line| line["seq"].as_i64().unwrap()).collect();
    assert_eq!(messages, [1, 2, 3, 4, 5]);
}

async fn parts_are_answered_as_they_are_stored(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let parts = format!("[{}]", vec![r#"{"":0}"#; 100_000].join(","));
    let body = format!(r#"{{"content":"a","parts":{parts},"metadata":{{"b":[1.0,"é"],"a":{{}}}}}}"#);
    server.post(&ada, &format!("{conversation}/messages"), &body).await;
    let answer = server.request(&ada, "GET", &format!("{conversation}/messages")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(text.contains(&format!(r#""parts":{parts},"#)));
    assert!(text.contains(r#""metadata":{"a":{},"b":[1,"é"]},"#));
}

async fn a_batch_is_refused_by_its_length_before_its_items(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    let body = format!(r#"{{"messages":[{}]}}"#, vec!["0"; 400_000].join(","));
    let answer = server.send(&ada, "POST", &messages, &body).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(
        problem["errors"],
        json!([{ "field": "messages", "code": "too_long", "message": "must have 1 to 1000 messages" }])
    );
}

async fn a_problem_names_a_hundred_wrong_fields_at_most(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let fields: Vec<String> = (0..10_000).map(|number| format!(r#""u{number}":0"#)).collect();
    let body = format!("{{{}}}", fields.join(","));
    let answer = server.send(&ada, "POST", CONVERSATIONS, &body).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["errors"].as_array().unwrap().len(), 100);
}
