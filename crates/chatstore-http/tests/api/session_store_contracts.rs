//! What the Claude Agent SDK requires of a `SessionStore`, over plain HTTP.
//!
//! The thread of a key is `claude|PROJECT|SESSION|SUBPATH`, whose subpath is empty for the session itself, so that the
//! threads of a session and those of a project begin alike.

use std::cell::Cell;

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::adapters::{Adapter, named, stored};
use crate::support::{Person, Server, answer, at_once};

conformance!(
    entries_are_appended_in_the_order_of_calls_and_loaded_whole,
    an_entry_whose_uuid_was_stored_is_ignored_and_one_without_is_not,
    concurrent_appenders_of_repeated_entries_store_none_twice,
    the_sessions_of_a_project_are_listed_with_their_summaries_by_one_request,
    a_summary_is_folded_with_the_append_and_never_from_an_old_state,
    a_session_is_deleted_with_its_subpaths_and_a_subpath_alone,
    a_late_append_does_not_bring_back_what_was_deleted,
);

fn thread(session: &str, subpath: &str) -> String {
    format!("claude%7Cp1%7C{session}%7C{subpath}")
}

fn entry(number: usize) -> Value {
    json!({"type": "user", "uuid": format!("u-{number}"), "message": {"content": number.to_string()}})
}

async fn append(store: &Adapter<'_>, entries: &[Value]) -> u16 {
    store.send("POST", "/messages?on_conflict=ignore", &named(entries, "uuid")).await.status
}

async fn entries_are_appended_in_the_order_of_calls_and_loaded_whole(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let store = Adapter::new(&server, &ada, &thread("s1", ""));
    assert_eq!(store.load_all().await, None, "load of what was never written");
    let entries: Vec<Value> = (0..1_200).map(entry).collect();
    for part in entries.chunks(500) {
        assert_eq!(append(&store, part).await, 201);
    }
    assert_eq!(store.load_all().await, Some(entries));
    assert_eq!(store.requests(), 5);
}

async fn an_entry_whose_uuid_was_stored_is_ignored_and_one_without_is_not(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let store = Adapter::new(&server, &ada, &thread("s1", ""));
    let (first, second) = (entry(1), entry(2));
    let mut changed = entry(1);
    changed["message"]["content"] = json!("another content");
    let unnamed = json!({"type": "summary", "summary": "no uuid"});
    assert_eq!(append(&store, std::slice::from_ref(&first)).await, 201);
    assert_eq!(append(&store, &[changed, second.clone()]).await, 201, "the first one counts");
    for _ in 0..2 {
        let body = json!({"messages": [stored(&unnamed)]});
        assert_eq!(store.send("POST", "/messages?on_conflict=ignore", &body).await.status, 201);
    }
    assert_eq!(store.load_all().await, Some(vec![first, second, unnamed.clone(), unnamed]));
    assert_eq!(store.requests(), 5);
}

async fn concurrent_appenders_of_repeated_entries_store_none_twice(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let store = Adapter::new(&server, &ada, &thread("s1", ""));
    let appends = (0..8).flat_map(|appender| (0..8).map(move |call| (appender, call)));
    let requests = appends.map(|(appender, call)| {
        let entries: Vec<Value> = (0..5).map(|place| entry(call * 3 + place + appender % 2)).collect();
        store.request("POST", "/messages?on_conflict=ignore", &named(&entries, "uuid"))
    });
    for answers in requests.collect::<Vec<_>>().chunks_mut(16) {
        let requests: Vec<_> = answers.iter().map(|request| request.try_clone().unwrap()).collect();
        assert!(at_once(requests).await.iter().all(|answer| answer.status == 201));
    }
    let found = store.load_all().await.unwrap();
    let mut uuids: Vec<&str> = found.iter().map(|entry| entry["uuid"].as_str().unwrap()).collect();
    uuids.sort_unstable();
    uuids.dedup();
    assert_eq!((found.len(), uuids.len()), (27, 27), "none twice and none lost");
}

/// The threads of a list that begin with a prefix, by one request.
async fn list(server: &Server, person: &Person, query: &str, requests: &Cell<usize>) -> Vec<Value> {
    requests.set(requests.get() + 1);
    let request = server.request(person, "GET", &format!("/api/v1/conversations?{query}"));
    let listed = request.header("Accept", "application/x-ndjson").send().await.unwrap();
    let text = listed.text().await.unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.pop().unwrap()["end"]["count"], lines.len());
    lines
}

/// The append of a session's own entries, with what is known about it.
fn with_summary(entries: &[Value], summary: &str) -> Value {
    let mut body = named(entries, "uuid");
    body["conversation"] = json!({"metadata_patch": {"is_session": true, "summary": summary}});
    body
}

async fn the_sessions_of_a_project_are_listed_with_their_summaries_by_one_request(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for number in 0..3 {
        let session = Adapter::new(&server, &ada, &thread(&format!("s{number}"), ""));
        let body = with_summary(&[entry(number)], &format!("summary {number}"));
        session.send("POST", "/messages?on_conflict=ignore", &body).await;
        append(&Adapter::new(&server, &ada, &thread(&format!("s{number}"), "agents")), &[entry(9)]).await;
    }
    let requests = Cell::new(0);
    let is_session = "metadata_contains=%7B%22is_session%22:true%7D";
    let sessions =
        list(&server, &ada, &format!("thread_prefix=claude%7Cp1%7C&{is_session}"), &requests).await;
    let found: Vec<(&str, &str)> = sessions
        .iter()
        .map(|one| (one["thread_id"].as_str().unwrap(), one["metadata"]["summary"].as_str().unwrap()))
        .collect();
    let expected =
        [("claude|p1|s0|", "summary 0"), ("claude|p1|s1|", "summary 1"), ("claude|p1|s2|", "summary 2")];
    assert_eq!(found, expected, "list_sessions and list_session_summaries");
    assert!(sessions.iter().all(|one| one["updated_at"].is_string()), "mtime");
    let subkeys = list(&server, &ada, "thread_prefix=claude%7Cp1%7Cs1%7C", &requests).await;
    let names: Vec<&str> = subkeys.iter().map(|one| one["thread_id"].as_str().unwrap()).collect();
    assert_eq!(names, ["claude|p1|s1|", "claude|p1|s1|agents"], "list_subkeys");
    assert_eq!(requests.get(), 2);
}

async fn a_summary_is_folded_with_the_append_and_never_from_an_old_state(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let store = Adapter::new(&server, &ada, &thread("s1", ""));
    let first = store.send("POST", "/messages?on_conflict=ignore", &with_summary(&[entry(1)], "one")).await;
    let tag = first.header("etag").to_owned();
    let fold = |summary: &str, number: usize| {
        let body = with_summary(&[entry(number)], summary);
        store.request("POST", "/messages?on_conflict=ignore", &body).header("If-Match", &tag)
    };
    assert_eq!(answer(fold("one, two", 2)).await.status, 201);
    assert_eq!(answer(fold("one, three", 3)).await.status, 412, "folded from an old summary");
    let thread = store.send("GET", "", &Value::Null).await;
    assert_eq!(thread.body["metadata"]["summary"], "one, two");
    assert_eq!(store.load_all().await, Some(vec![entry(1), entry(2)]), "and its entry is not stored");
    assert_eq!(store.requests(), 5);
}

async fn a_session_is_deleted_with_its_subpaths_and_a_subpath_alone(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let requests = Cell::new(0);
    for (session, subpath) in [("s1", ""), ("s1", "a"), ("s1", "b"), ("s12", ""), ("s2", "")] {
        append(&Adapter::new(&server, &ada, &thread(session, subpath)), &[entry(1)]).await;
    }
    let subpath = Adapter::new(&server, &ada, &thread("s1", "a"));
    assert_eq!(subpath.send("DELETE", "", &Value::Null).await.status, 204, "delete of a subpath");
    let left = list(&server, &ada, "thread_prefix=claude%7Cp1%7Cs1%7C", &requests).await;
    assert_eq!(left.len(), 2);
    let prefix = "/api/v1/conversations?thread_prefix=claude%7Cp1%7Cs1%7C";
    let deleted = answer(server.request(&ada, "DELETE", prefix)).await;
    assert_eq!(deleted.body, json!({"deleted": 2}), "delete of a session");
    let left = list(&server, &ada, "thread_prefix=claude%7Cp1%7C", &requests).await;
    let names: Vec<&str> = left.iter().map(|one| one["thread_id"].as_str().unwrap()).collect();
    assert_eq!(names, ["claude|p1|s12|", "claude|p1|s2|"]);
}

async fn a_late_append_does_not_bring_back_what_was_deleted(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let store = Adapter::new(&server, &ada, &thread("s1", ""));
    append(&store, &[entry(1)]).await;
    assert_eq!(store.send("DELETE", "", &Value::Null).await.status, 204);
    let body = named(&[entry(2)], "uuid");
    let late = store.send("POST", "/messages?on_conflict=ignore&create=false", &body).await;
    assert_eq!(late.status, 404);
    assert_eq!(store.load_all().await, None);
    assert_eq!(store.requests(), 4);
}
