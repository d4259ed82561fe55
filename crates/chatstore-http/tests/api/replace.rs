//! Replacing the messages of a conversation by a list.

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answer, Person, Server, answer, at_once};

conformance!(
    a_chat_is_saved_whole_and_only_what_changed_is_written,
    messages_without_ids_are_found_by_what_they_say,
    without_a_condition_two_tabs_lose_nothing_of_each_other,
    a_shorter_list_moves_the_head_and_removes_nothing,
    with_a_condition_messages_that_the_list_does_not_name_are_removed,
    new_messages_may_come_before_stored_ones_under_a_condition,
    a_repeated_replacement_of_all_changes_nothing,
    a_list_that_cannot_be_stored_changes_nothing,
);

const CHAT: &str = "/api/v1/threads/chat/messages";

fn put(server: &Server, person: &Person, target: &str, list: &Value) -> RequestBuilder {
    server.send(person, "PUT", target, &json!({"messages": list}).to_string())
}

fn message(id: &str, role: &str, text: &str) -> Value {
    json!({"external_id": id, "role": role, "parts": [{"type": "text", "text": text}]})
}

/// What became of the messages: kept, edited, added, removed.
fn counts(answer: &Answer) -> [i64; 4] {
    ["kept", "edited", "added", "removed"].map(|name| answer.body[name].as_i64().unwrap())
}

/// The same, and how many stay on another branch.
fn all_counts(answer: &Answer) -> ([i64; 4], i64) {
    (counts(answer), answer.body["branched"].as_i64().unwrap())
}

/// The numbers, external ids and contents of the messages.
async fn stored(server: &Server, person: &Person, target: &str) -> Vec<(i64, String, String)> {
    let list = server.get(person, &format!("{target}?last=1000")).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |one: &Value| (one["seq"].as_i64().unwrap(), text(&one["external_id"]), text(&one["content"]));
    list["data"].as_array().unwrap().iter().map(row).collect()
}

fn row(seq: i64, id: &str, text: &str) -> (i64, String, String) {
    (seq, id.to_owned(), text.to_owned())
}

async fn a_chat_is_saved_whole_and_only_what_changed_is_written(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let mut list = vec![message("m1", "user", "hello"), message("m2", "assistant", "")];
    let save = async |list: &Vec<Value>| answer(put(&server, &ada, CHAT, &json!(list))).await;
    let first = save(&list).await;
    assert_eq!((first.status, counts(&first)), (200, [0, 0, 2, 0]), "the thread is created");
    let same = save(&list).await;
    assert_eq!((counts(&same), &same.body["revision"]), ([2, 0, 0, 0], &first.body["revision"]));
    list[1] = message("m2", "assistant", "good day");
    list.push(message("m3", "user", "thanks"));
    let changed = save(&list).await;
    assert_eq!(counts(&changed), [1, 1, 1, 0]);
    assert_eq!(changed.header("etag"), format!("\"{}\"", changed.body["revision"]));
    let expected = [row(1, "m1", "hello"), row(2, "m2", "good day"), row(3, "m3", "thanks")];
    assert_eq!(stored(&server, &ada, CHAT).await, expected);
    list[1]["parts"] = serde_json::from_str("[ {\"text\":\"good day\", \"type\":\"text\"} ]").unwrap();
    assert_eq!(counts(&save(&list).await), [3, 0, 0, 0], "equal as JSON");
    server.settle(&ada).await;
    let long: Vec<Value> = (0..500).map(|number| message(&format!("l{number}"), "user", "x")).collect();
    let target = "/api/v1/threads/long/messages";
    answer(put(&server, &ada, target, &json!(long))).await;
    let mut longer = long.clone();
    longer.push(message("l500", "user", "x"));
    let before = server.store.operations().statements();
    assert_eq!(counts(&answer(put(&server, &ada, target, &json!(longer))).await), [500, 0, 1, 0]);
    assert!(server.store.operations().statements() - before < 30, "one of 501 messages is written");
}

async fn messages_without_ids_are_found_by_what_they_say(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let say = |texts: &[&str]| texts.iter().map(|text| json!({"content": text})).collect::<Value>();
    let save = async |texts: &[&str]| answer(put(&server, &ada, CHAT, &say(texts))).await;
    assert_eq!(counts(&save(&["a", "b"]).await), [0, 0, 2, 0]);
    assert_eq!(counts(&save(&["a", "b", "c"]).await), [2, 0, 1, 0]);
    let under = put(&server, &ada, CHAT, &say(&["a", "x"])).header("If-Match", "*");
    assert_eq!(counts(&answer(under).await), [1, 0, 1, 2]);
}

async fn without_a_condition_two_tabs_lose_nothing_of_each_other(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let base = message("m1", "user", "hello");
    answer(put(&server, &ada, CHAT, &json!([base]))).await;
    let tabs = (0..16).map(|tab| {
        let own = message(&format!("t{tab}"), "user", "of a tab");
        put(&server, &ada, CHAT, &json!([base, own]))
    });
    let answers = at_once(tabs).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let branched: Vec<i64> = answers.iter().map(|answer| all_counts(answer).1).collect();
    assert_eq!(branched.iter().filter(|count| **count == 0).count(), 1, "the first one: {branched:?}");
    let head = stored(&server, &ada, CHAT).await;
    assert_eq!((head.len(), &head[0]), (2, &row(1, "m1", "hello")));
    let all = server.get(&ada, &format!("{CHAT}?branch=all&limit=200")).await;
    let mut names: Vec<&str> =
        all["data"].as_array().unwrap().iter().map(|one| one["external_id"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 17, "every tab's message is there");
}

async fn a_shorter_list_moves_the_head_and_removes_nothing(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let list: Vec<Value> =
        (1..=4).map(|number| message(&format!("m{number}"), "user", &number.to_string())).collect();
    answer(put(&server, &ada, CHAT, &json!(list))).await;
    let shorter = answer(put(&server, &ada, CHAT, &json!(list[..2]))).await;
    assert_eq!(all_counts(&shorter), ([2, 0, 0, 0], 2));
    assert_eq!(stored(&server, &ada, CHAT).await, [row(1, "m1", "1"), row(2, "m2", "2")]);
    let other = json!([list[0], list[1], message("m5", "assistant", "5")]);
    assert_eq!(all_counts(&answer(put(&server, &ada, CHAT, &other)).await), ([2, 0, 1, 0], 0));
    let whole = json!(list);
    let taken = answer(put(&server, &ada, CHAT, &whole)).await;
    assert_eq!((taken.status, &taken.body["errors"][0]["field"]), (409, &json!("messages[2].external_id")));
    let all = server.get(&ada, &format!("{CHAT}?branch=all")).await;
    assert_eq!(all["data"].as_array().unwrap().len(), 5);
}

async fn with_a_condition_messages_that_the_list_does_not_name_are_removed(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let list: Vec<Value> =
        (1..=5).map(|number| message(&format!("m{number}"), "user", &number.to_string())).collect();
    let first = answer(put(&server, &ada, CHAT, &json!(list))).await;
    let tag = first.header("etag").to_owned();
    let some = json!([list[0], list[3], message("m6", "assistant", "6")]);
    let under = |tag: &str| put(&server, &ada, CHAT, &some).header("If-Match", tag);
    assert_eq!(answer(under("\"1\"")).await.status, 412);
    assert_eq!(counts(&answer(under(&tag)).await), [2, 0, 1, 3]);
    let expected = [row(1, "m1", "1"), row(4, "m4", "4"), row(6, "m6", "6")];
    assert_eq!(stored(&server, &ada, CHAT).await, expected);
    assert_eq!(answer(under(&tag)).await.status, 412, "the conversation has another revision");
    let none = put(&server, &ada, CHAT, &json!([]));
    assert_eq!(answer(none.try_clone().unwrap()).await.status, 409);
    assert_eq!(counts(&answer(none.header("If-Match", "*")).await), [0, 0, 0, 3]);
    let absent = put(&server, &ada, "/api/v1/threads/absent/messages", &some).header("If-Match", "*");
    assert_eq!(answer(absent).await.status, 412, "a condition creates no thread");
}

async fn new_messages_may_come_before_stored_ones_under_a_condition(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let (one, two) = (message("m1", "user", "1"), message("m2", "user", "2"));
    answer(put(&server, &ada, CHAT, &json!([one, two]))).await;
    let list = json!([one, message("m3", "user", "3"), two]);
    assert_eq!(answer(put(&server, &ada, CHAT, &list)).await.status, 409);
    let under = answer(put(&server, &ada, CHAT, &list).header("If-Match", "*")).await;
    assert_eq!(counts(&under), [1, 0, 2, 1]);
    let expected = [row(1, "m1", "1"), row(3, "m3", "3"), row(4, "m2", "2")];
    assert_eq!(stored(&server, &ada, CHAT).await, expected);
}

async fn a_repeated_replacement_of_all_changes_nothing(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let list = json!([message("m1", "user", "1")]);
    let once = || {
        let request = put(&server, &ada, CHAT, &list).header("Idempotency-Key", "k");
        request.header("Idempotency-Retention", "conversation")
    };
    assert_eq!(counts(&answer(once()).await), [0, 0, 1, 0]);
    let more = json!([message("m1", "user", "edited"), message("m2", "user", "2")]);
    answer(put(&server, &ada, CHAT, &more)).await;
    let again = answer(once()).await;
    assert_eq!((again.header("idempotency-replayed"), counts(&again)), ("true", [0, 0, 1, 0]));
    assert_eq!(stored(&server, &ada, CHAT).await, [row(1, "m1", "edited"), row(2, "m2", "2")]);
}

async fn a_list_that_cannot_be_stored_changes_nothing(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = server.conversation(&ada).await;
    server.share(&path, &ada, &eve, MemberRole::Editor).await;
    let target = format!("{path}/messages");
    let (one, two) = (message("m1", "user", "1"), message("m2", "user", "2"));
    answer(put(&server, &ada, &target, &json!([one, two]))).await;
    let before = server.get(&ada, &path).await;
    let refused = async |person: &Person, list: Value| {
        let refused = answer(put(&server, person, &target, &list)).await;
        (refused.status, refused.body["errors"][0]["field"].as_str().unwrap_or_default().to_owned())
    };
    let of = |status: u16, field: &str| (status, field.to_owned());
    assert_eq!(refused(&eve, json!([one, two])).await, of(403, ""), "only the owner");
    let other_role = json!([one, message("m2", "assistant", "2")]);
    assert_eq!(refused(&ada, other_role).await, of(422, "messages[1].role"));
    let twice = json!([one, two, message("m3", "user", "3"), message("m3", "user", "3")]);
    assert_eq!(refused(&ada, twice).await, of(409, "messages[3].external_id"));
    assert_eq!(refused(&ada, json!([one, two, {"content": 1}])).await, of(422, "messages[2].content"));
    assert_eq!(server.get(&ada, &path).await, before);
}
