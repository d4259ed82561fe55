//! What belongs to the application comes back as it was sent: parts byte for byte, numbers exactly.

use std::collections::BTreeMap;

use chatstore::json_on_one_line;
use chatstore_testkit::{JsonGenerator, TestDatabase, conformance};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::{CONVERSATIONS, Person, Server, answer, refusal};

conformance!(
    parts_come_back_byte_for_byte,
    generated_parts_come_back_byte_for_byte_from_appends_batches_pages_and_exports,
    parts_of_five_megabytes_come_back_byte_for_byte,
    content_beside_parts_may_be_left_out_or_null,
    parts_are_a_list_of_objects,
    a_format_says_what_the_parts_are,
    a_number_that_64_bits_do_not_hold_is_refused_with_its_field,
    an_answer_says_the_model_that_answered,
);

const PARTS: &str = r#"[ {"zebra":1.0,"alpha":-0.0 , "big":12345678901234567890123,"huge":1E400,"zebra":2},
  {"type":"text","text":"a\u0000b \ud800"},{"type":"tool_result","output":"\u001b[0m \/ it's é \u00e9"} ]"#;

async fn text(server: &Server, person: &Person, target: &str) -> String {
    let answer = server.request(person, "GET", target).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{target}");
    answer.text().await.unwrap()
}

async fn parts_come_back_byte_for_byte(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let messages = format!("{conversation}/messages");
    let one = format!(r#"{{"role":"tool","parts": {PARTS} ,"content":"x"}}"#);
    let many = format!(r#"{{"messages":[{one},{{"content":"y"}},{one}]}}"#);
    let reply = one.replace(r#""role":"tool","#, "");
    let shown = format!(r#""parts":{PARTS},"#);
    for (target, body, count) in [
        (messages.clone(), one.as_str(), 1),
        (messages.clone(), many.as_str(), 2),
        (format!("{conversation}/replies"), reply.as_str(), 1),
    ] {
        let answer = server.send(&ada, "POST", &target, body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{target}");
        assert_eq!(answer.text().await.unwrap().matches(&shown).count(), count, "{target}");
    }
    let edit = format!(r#"{{"parts":{PARTS}}}"#);
    let edited = server.send(&ada, "PATCH", &format!("{messages}/3"), &edit).send().await.unwrap();
    assert!(edited.text().await.unwrap().contains(&shown));
    for (target, count) in
        [(messages.clone(), 5), (format!("{messages}/1"), 1), (format!("{conversation}?include=messages"), 5)]
    {
        assert_eq!(text(&server, &ada, &target).await.matches(&shown).count(), count, "{target}");
    }
    let export = text(&server, &ada, "/api/v1/users/me/export").await;
    assert_eq!(export.matches(&*json_on_one_line(&shown)).count(), 5);
}

/// The parts of each message of a list, as they were sent.
fn parts_of(list: &str, name: &str) -> Vec<String> {
    let fields: BTreeMap<&str, &RawValue> = serde_json::from_str(list).unwrap();
    let messages: Vec<BTreeMap<&str, &RawValue>> = serde_json::from_str(fields[name].get()).unwrap();
    messages.iter().map(|message| message["parts"].get().to_owned()).collect()
}

async fn generated_parts_come_back_byte_for_byte_from_appends_batches_pages_and_exports(case: TestDatabase) {
    const BATCHES: usize = 11;
    const BATCH: usize = 900;
    const ALONE: usize = 100;
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    let mut generator = JsonGenerator::seeded(16);
    let mut sent: Vec<String> = Vec::new();
    for count in [BATCH; BATCHES].into_iter().chain([1; ALONE]) {
        let parts: Vec<String> = (0..count).map(|_| generator.parts()).collect();
        let body = match &parts[..] {
            [alone] => format!(r#"{{"role":"tool","parts":{alone}}}"#),
            many => {
                let many: Vec<String> =
                    many.iter().map(|one| format!(r#"{{"role":"tool","parts":{one}}}"#)).collect();
                format!(r#"{{"messages":[{}]}}"#, many.join(","))
            }
        };
        let answer = server.send(&ada, "POST", &messages, &body).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let answer = answer.text().await.unwrap();
        for one in &parts {
            assert!(answer.contains(&format!(r#""parts":{one},"#)), "{one}");
        }
        sent.extend(parts);
    }
    assert_eq!(sent.len(), 10_000);
    let mut read: Vec<String> = Vec::new();
    while read.len() < sent.len() {
        let page = text(&server, &ada, &format!("{messages}?limit=200&after={}", read.len())).await;
        let page = parts_of(&page, "data");
        assert!(!page.is_empty());
        read.extend(page);
    }
    assert_eq!(read, sent);
    let export = text(&server, &ada, "/api/v1/users/me/export").await;
    let mut rest = export.as_str();
    for one in &sent {
        let exported = format!(r#""parts":{},"#, json_on_one_line(one));
        rest = rest.split_once(&exported).map(|(_, rest)| rest).unwrap_or_else(|| panic!("{one}"));
    }
}

async fn parts_of_five_megabytes_come_back_byte_for_byte(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let image = format!(r#"[{{"image": "data:image/png;base64,{}"}}]"#, "iVBORw0KGgo".repeat(1 << 19));
    let body = format!(r#"{{"messages":[{{"parts":{image}}},{{"parts":{image}}}]}}"#);
    assert!(image.len() > 5 << 20);
    let sent = server.send(&ada, "POST", &format!("{conversation}/messages"), &body).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    for (target, name, count) in [
        (format!("{conversation}/messages"), "data", 1),
        (format!("{conversation}/messages?after=1"), "data", 1),
        (format!("{conversation}?include=messages&last=1"), "messages", 1),
    ] {
        let read = parts_of(&text(&server, &ada, &target).await, name);
        assert_eq!(read.len(), count, "{target}");
        assert!(read.iter().all(|parts| *parts == image), "{target}");
    }
    let export = text(&server, &ada, "/api/v1/users/me/export").await;
    assert_eq!(export.matches(&image).count(), 2);
}

async fn content_beside_parts_may_be_left_out_or_null(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let messages = format!("{conversation}/messages");
    let parts =
        r#"[{"type":"text","text":"a\u0000"},{"type":"image"},{"type":"output_text","text":"\udc00b"}]"#;
    for (body, content) in [
        (format!(r#"{{"parts":{parts}}}"#), "a\u{fffd}\u{fffd}b"),
        (format!(r#"{{"content":null,"parts":{parts}}}"#), "a\u{fffd}\u{fffd}b"),
        (format!(r#"{{"content":"","parts":{parts}}}"#), ""),
        (r#"{"content":null,"parts":[]}"#.to_owned(), ""),
        (r#"{"content":"a","parts":null}"#.to_owned(), "a"),
    ] {
        let stored = server.send(&ada, "POST", &messages, &body).send().await.unwrap();
        // No program has to take the escape of half a character.
        let stored = stored.text().await.unwrap().replace(r"\udc00", "");
        let stored: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored["content"], content, "{body}");
        assert_eq!(server.get(&ada, &conversation).await["last_message"], content, "{body}");
    }
    for (body, code) in [
        ("{}", "required"),
        (r#"{"parts":null}"#, "required"),
        (r#"{"content":null}"#, "wrong_type"),
        (r#"{"content":null,"parts":null}"#, "wrong_type"),
        (r#"{"content":"a\u0000","parts":[]}"#, "nul_character"),
    ] {
        let expected = (422, vec![("content".to_owned(), code.to_owned())]);
        assert_eq!(refusal(server.send(&ada, "POST", &messages, body)).await, expected, "{body}");
    }
    let batch = r#"{"messages":[{"parts":[{"text":"in a batch"}]},{"content":null}]}"#;
    let expected = (422, vec![("messages[1].content".to_owned(), "wrong_type".to_owned())]);
    assert_eq!(refusal(server.send(&ada, "POST", &messages, batch)).await, expected);
    let edit = async |seq: i64, body: &str| {
        answer(server.send(&ada, "PATCH", &format!("{messages}/{seq}"), body)).await
    };
    assert_eq!(edit(1, r#"{"parts":[{"text":"other"}]}"#).await.body["content"], "other");
    assert_eq!(edit(3, r#"{"parts":[{"text":"other"}]}"#).await.body["content"], "");
    assert_eq!(edit(3, r#"{"content":null,"parts":[{"text":"other"}]}"#).await.body["content"], "other");
    assert_eq!(edit(3, r#"{"content":null}"#).await.status, 422);
    assert_eq!(edit(3, r#"{"content":null,"parts":null}"#).await.status, 422);
}

async fn parts_are_a_list_of_objects(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    for parts in ["{}", "\"[]\"", "[1]", "[[]]", "[{},null]", "0"] {
        let body = format!(r#"{{"content":"a","parts":{parts}}}"#);
        let expected = (422, vec![("parts".to_owned(), "wrong_type".to_owned())]);
        assert_eq!(refusal(server.send(&ada, "POST", &messages, &body)).await, expected, "{parts}");
    }
    let deep = format!("[{{\"a\":{}{}}}]", "[".repeat(126), "]".repeat(126));
    for parts in ["[{]", "[{\"a\":01}]", "[{\"a\":\"\\x\"}]", "[{\"a\" 1}]", deep.as_str()] {
        let body = format!(r#"{{"content":"a","parts":{parts}}}"#);
        assert_eq!(refusal(server.send(&ada, "POST", &messages, &body)).await, (400, vec![]), "{parts}");
    }
    let twice = r#"{"content":"a","parts":[],"parts":[]}"#;
    assert_eq!(refusal(server.send(&ada, "POST", &messages, twice)).await, (400, vec![]));
}

async fn a_format_says_what_the_parts_are(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    let message = server.post(&ada, &messages, r#"{"parts":[],"format":"openai-agents/1"}"#).await;
    assert_eq!(message["format"], "openai-agents/1");
    assert_eq!(server.post(&ada, &messages, r#"{"content":"a"}"#).await["format"], Value::Null);
    let edited = answer(server.send(&ada, "PATCH", &format!("{messages}/1"), r#"{"format":null}"#)).await;
    assert_eq!((edited.status, &edited.body["format"]), (200, &Value::Null));
    for (format, code) in [("\"\"", "too_short"), ("1", "wrong_type"), ("\"\\u0000\"", "nul_character")] {
        let body = format!(r#"{{"content":"a","format":{format}}}"#);
        let expected = (422, vec![("format".to_owned(), code.to_owned())]);
        assert_eq!(refusal(server.send(&ada, "POST", &messages, &body)).await, expected);
    }
}

async fn a_number_that_64_bits_do_not_hold_is_refused_with_its_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let messages = format!("{}/messages", server.conversation(&ada).await);
    for number in [
        "12345678901234567890123",
        "18446744073709551616",
        "-9223372036854775809",
        "1e400",
        "-1e400",
        "1e-400",
        "3.14159265358979323846",
        "9007199254740993.0",
    ] {
        let metadata = format!(r#"{{"a":[{{"n":{number}}}]}}"#);
        for (target, body, field) in [
            (CONVERSATIONS, format!(r#"{{"metadata":{metadata}}}"#), "metadata"),
            (messages.as_str(), format!(r#"{{"content":"a","metadata":{metadata}}}"#), "metadata"),
            (
                messages.as_str(),
                format!(r#"{{"content":"a","used_documents":[{metadata}]}}"#),
                "used_documents",
            ),
            (
                messages.as_str(),
                format!(r#"{{"messages":[{{"content":"a","metadata":{metadata}}}]}}"#),
                "messages[0].metadata",
            ),
        ] {
            let expected = (422, vec![(field.to_owned(), "out_of_range".to_owned())]);
            assert_eq!(refusal(server.send(&ada, "POST", target, &body)).await, expected, "{body}");
        }
    }
    let exact =
        r#"{"a":[18446744073709551615,-9223372036854775808,1e22,0.1,0.10000000000000001,5e-324,1e300]}"#;
    let body = format!(r#"{{"metadata":{exact}}}"#);
    let created = server.post(&ada, CONVERSATIONS, &body).await;
    assert_eq!(created["metadata"], serde_json::from_str::<Value>(exact).unwrap());
    let path = format!("{CONVERSATIONS}/{}", created["id"].as_str().unwrap());
    let body = json!({ "metadata": server.get(&ada, &path).await["metadata"] }).to_string();
    assert_eq!(answer(server.send(&ada, "PATCH", &path, &body)).await.status, 200, "an echo is taken");
    for body in [r#"{"token_count":1e400,"content":"a"}"#, r#"{"model":"\ud800","metadata":{"n":1e400}}"#] {
        assert_eq!(refusal(server.send(&ada, "POST", &messages, body)).await, (400, vec![]), "{body}");
    }
}

async fn an_answer_says_the_model_that_answered(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let conversation = server.conversation(&ada).await;
    let replies = format!("{conversation}/replies");
    let mut seqs = Vec::new();
    for (body, model) in [
        (r#"{"content":"a","response":{"model_used":"used"}}"#, "used"),
        (r#"{"content":"a","model":"named","response":{"model_used":"used"}}"#, "named"),
        (r#"{"content":"a","model":"named"}"#, "named"),
        (r#"{"content":"a"}"#, "echo"),
    ] {
        let reply = server.post(&ada, &replies, body).await;
        assert_eq!((&reply["model"], &reply["effective_model"]), (&model.into(), &model.into()), "{body}");
        seqs.push((reply["seq"].clone(), model));
    }
    let later = answer(server.send(&ada, "PATCH", &conversation, r#"{"default_model":"later"}"#)).await;
    assert_eq!(later.status, 200);
    for (seq, model) in seqs {
        let message = server.get(&ada, &format!("{conversation}/messages/{seq}")).await;
        assert_eq!(message["effective_model"], model, "the conversation's later default does not count");
    }
}
