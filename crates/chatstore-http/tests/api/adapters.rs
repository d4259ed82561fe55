//! The stores of frameworks over plain HTTP: each of their calls is one request.

use std::cell::Cell;

use chatstore_testkit::{TestDatabase, conformance};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answer, Person, Server, answer, at_once};

conformance!(
    a_session_of_the_openai_agents_sdk_is_one_request_a_call,
    a_history_of_langchain_is_one_request_a_call,
    an_event_of_the_adk_is_appended_with_its_state,
    a_session_store_of_the_claude_agent_sdk_repeats_entries_without_effect,
    a_chat_of_the_ai_sdk_is_saved_whole_by_one_request,
    sixty_four_sessions_of_one_thread_pop_no_item_twice,
);

/// An adapter of one thread, which counts its requests.
pub(crate) struct Adapter<'s> {
    server: &'s Server,
    person: Person,
    thread: String,
    requests: Cell<usize>,
}

impl<'s> Adapter<'s> {
    pub(crate) fn new(server: &'s Server, person: &Person, session: &str) -> Self {
        let thread = format!("/api/v1/threads/{session}");
        Self { server, person: person.clone(), thread, requests: Cell::new(0) }
    }

    /// A request below the thread, which is counted.
    pub(crate) fn request(&self, method: &str, below: &str, body: &Value) -> RequestBuilder {
        self.requests.set(self.requests.get() + 1);
        let target = format!("{}{below}", self.thread);
        match body {
            Value::Null => self.server.request(&self.person, method, &target),
            body => self.server.send(&self.person, method, &target, &body.to_string()),
        }
    }

    pub(crate) async fn send(&self, method: &str, below: &str, body: &Value) -> Answer {
        answer(self.request(method, below, body)).await
    }

    /// Everything that was stored, by one request; `None` when there is no thread.
    pub(crate) async fn load_all(&self) -> Option<Vec<Value>> {
        let request = self.request("GET", "/messages?view=parts", &Value::Null);
        let loaded = request.header("Accept", "application/x-ndjson").send().await.unwrap();
        if loaded.status() == 404 {
            return None;
        }
        let text = loaded.text().await.unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let end = lines.pop().unwrap();
        assert_eq!(end["end"]["count"], lines.len(), "the answer is whole");
        Some(lines.into_iter().map(|mut parts| parts[0].take()).collect())
    }

    /// How many requests were sent.
    pub(crate) fn requests(&self) -> usize {
        self.requests.get()
    }

    /// The parts of messages, or none when there is no thread.
    pub(crate) async fn load(&self, query: &str) -> Vec<Value> {
        let loaded = self.send("GET", &format!("/messages?{query}"), &Value::Null).await;
        assert!([200, 404].contains(&loaded.status), "{}", loaded.status);
        parts(&loaded.body["data"])
    }
}

/// The first part of each message.
pub(crate) fn parts(messages: &Value) -> Vec<Value> {
    messages.as_array().into_iter().flatten().map(|message| message["parts"][0].clone()).collect()
}

/// An item as the adapters store it: one part, kept as it is.
pub(crate) fn stored(item: &Value) -> Value {
    let role = item["role"].as_str().unwrap_or("assistant");
    json!({"role": role, "content": item["content"].as_str().unwrap_or_default(), "parts": [item]})
}

async fn a_session_of_the_openai_agents_sdk_is_one_request_a_call(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let session = Adapter::new(&server, &ada, "session-1");
    let items: Vec<Value> = (0..5)
        .map(|number| json!({"role": "user", "content": format!("item {number}"), "n": number}))
        .chain([json!({"type": "function_call", "call_id": "c1", "arguments": "{}"})])
        .collect();

    assert_eq!(session.load("last=2147483647").await, Vec::<Value>::new(), "get_items of a new session");
    let messages: Vec<Value> = items.iter().map(stored).collect();
    assert_eq!(
        session.send("POST", "/messages", &json!({"messages": messages})).await.status,
        201,
        "add_items"
    );
    assert_eq!(session.load("last=2147483647").await, items, "get_items()");
    assert_eq!(session.load("last=2").await, items[4..], "get_items(limit=2)");
    let popped = session.send("DELETE", "/messages/last", &Value::Null).await;
    assert_eq!(parts(&popped.body["data"]), items[5..], "pop_item");
    let cleared = session.send("DELETE", "/messages", &Value::Null).await;
    assert_eq!((cleared.status, &cleared.body), (200, &json!({"deleted": 5})), "clear_session");
    let popped = session.send("DELETE", "/messages/last", &Value::Null).await;
    assert_eq!(popped.body["data"], json!([]), "pop_item of an empty session");
    assert_eq!(session.requests(), 7);
}

async fn a_history_of_langchain_is_one_request_a_call(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let history = Adapter::new(&server, &ada, "history-1");
    let messages: Vec<Value> = ["user", "assistant", "tool"]
        .iter()
        .map(|role| json!({"role": role, "type": "message", "data": {"additional_kwargs": {}, "id": null}}))
        .collect();
    let body = json!({"messages": messages.iter().map(stored).collect::<Vec<_>>()});
    assert_eq!(history.send("POST", "/messages", &body).await.status, 201, "add_messages");
    assert_eq!(history.load("last=2147483647").await, messages, "messages");
    assert_eq!(history.send("DELETE", "/messages", &Value::Null).await.status, 200, "clear");
    assert_eq!(history.load("last=2147483647").await, Vec::<Value>::new());
    assert_eq!(history.requests(), 4);
}

async fn an_event_of_the_adk_is_appended_with_its_state(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let service = Adapter::new(&server, &ada, "app%2Fsession-1");
    let created = service.send("PUT", "", &json!({"metadata": {"topic": "travel"}})).await;
    assert_eq!(created.status, 201, "create_session");
    for number in 0..3 {
        let event = json!({"role": "user", "author": "agent", "invocation_id": format!("e-{number}")});
        let mut body = stored(&event);
        body["conversation"] = json!({"metadata_patch": {"turn": number, "draft": null}});
        assert_eq!(service.send("POST", "/messages", &body).await.status, 201, "append_event");
    }
    let session = service.send("GET", "?include=messages&last=2", &Value::Null).await;
    assert_eq!(session.body["metadata"], json!({"topic": "travel", "turn": 2}), "get_session: its state");
    let events = parts(&session.body["messages"]);
    let ids: Vec<&str> = events.iter().map(|event| event["invocation_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["e-1", "e-2"], "get_session(num_recent_events=2)");
    assert_eq!(service.send("DELETE", "", &Value::Null).await.status, 204, "delete_session");
    assert_eq!(service.requests(), 6);
}

/// Messages under the ids that the framework gave to them.
pub(crate) fn named(items: &[Value], id: &str) -> Value {
    let named = items.iter().map(|item| {
        let mut message = stored(item);
        message["external_id"] = item[id].clone();
        message
    });
    json!({"messages": named.collect::<Vec<_>>()})
}

async fn a_session_store_of_the_claude_agent_sdk_repeats_entries_without_effect(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let store = Adapter::new(&server, &ada, "project%2Fsession-1");
    let entries: Vec<Value> = (0..4)
        .map(|number| json!({"type": "user", "role": "user", "uuid": format!("u-{number}"), "n": number}))
        .collect();
    assert_eq!(store.load("last=2147483647").await, Vec::<Value>::new(), "load of a new session");
    for part in [&entries[..2], &entries[..2], &entries[1..]] {
        let appended = store.send("POST", "/messages?on_conflict=ignore", &named(part, "uuid")).await;
        assert_eq!(appended.status, 201, "append, and append again after a lost answer");
    }
    assert_eq!(store.load("last=2147483647").await, entries, "load");
    assert_eq!(store.send("DELETE", "", &Value::Null).await.status, 204, "delete");
    let late =
        store.send("POST", "/messages?on_conflict=ignore&create=false", &named(&entries, "uuid")).await;
    assert_eq!(late.status, 404, "a late append does not bring it back");
    assert_eq!(store.requests(), 7);
}

async fn a_chat_of_the_ai_sdk_is_saved_whole_by_one_request(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let chat = Adapter::new(&server, &ada, "chat-1");
    let message = |id: &str, role: &str, text: &str| json!({"id": id, "role": role, "parts": [{"type": "text", "text": text}]});
    let mut messages = vec![message("m1", "user", "hello"), message("m2", "assistant", "")];
    for save in 0..3 {
        messages[1] = message("m2", "assistant", &"good day ".repeat(save));
        let saved = chat.send("POST", "/messages?on_conflict=replace", &named(&messages, "id")).await;
        assert_eq!(saved.status, 201, "saveChat");
        assert_eq!(chat.load("last=2147483647").await, messages, "loadChat");
    }
    assert_eq!(chat.requests(), 6);
}

async fn sixty_four_sessions_of_one_thread_pop_no_item_twice(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = "/api/v1/threads/shared/messages";
    let add = (0..64).map(|number| {
        let items = [0, 1].map(|place| stored(&json!({"role": "user", "n": number * 2 + place})));
        server.send(&ada, "POST", path, &json!({"messages": items}).to_string())
    });
    let added = at_once(add).await.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(server.get(&ada, "/api/v1/conversations/count").await["count"], 1);
    let pop = (0..64).map(|_| server.request(&ada, "DELETE", &format!("{path}/last?count=2")));
    let mut popped: Vec<i64> = Vec::new();
    for answer in at_once(pop).await.iter().filter(|answer| answer.status == 200) {
        let numbers: Vec<i64> =
            parts(&answer.body["data"]).iter().map(|part| part["n"].as_i64().unwrap()).collect();
        if let [first, second] = numbers[..] {
            assert_eq!((first % 2, second), (0, first + 1), "each batch is whole");
        }
        popped.extend(numbers);
    }
    let left = server.get(&ada, &format!("{path}?last=1000")).await;
    popped.extend(parts(&left["data"]).iter().map(|part| part["n"].as_i64().unwrap()));
    let found = popped.len();
    popped.sort_unstable();
    popped.dedup();
    assert_eq!((found, popped.len()), (added * 2, added * 2), "none twice and none lost");
}
