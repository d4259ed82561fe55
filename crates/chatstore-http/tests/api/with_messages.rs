//! Messages of one format, and what is known about the answers among them.

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::support::{Person, Server, answer, refusal};

conformance!(
    answers_come_with_what_is_known_about_them,
    a_conversation_comes_with_messages_and_what_belongs_to_them,
    only_messages_of_one_format_are_listed,
    an_answer_beside_messages_of_other_formats_keeps_its_model,
    a_cursor_belongs_to_its_format,
    a_position_that_no_answer_had_is_refused_after_credentials,
);

fn seqs(messages: &Value) -> Vec<i64> {
    messages.as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

/// A question, two replies, and an answer that nothing is known about.
async fn answered(server: &Server, person: &Person) -> String {
    let path = server.conversation(person).await;
    server.post(person, &format!("{path}/messages"), r#"{"content": "a"}"#).await;
    for tokens in [3, 5] {
        let response = json!({"model_used": "large", "tokens_completion": tokens, "finish_reason": "stop"});
        let reply = json!({"content": "b", "response": response});
        server.post(person, &format!("{path}/replies"), &reply.to_string()).await;
    }
    server.post(person, &format!("{path}/messages"), r#"{"role": "assistant", "content": "c"}"#).await;
    path
}

async fn answers_come_with_what_is_known_about_them(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = answered(&server, &ada).await;
    server.share(&path, &ada, &eve, MemberRole::Viewer).await;
    let responses = [
        server.get(&ada, &format!("{path}/messages/2/response")).await,
        server.get(&ada, &format!("{path}/messages/3/response")).await,
    ];
    assert_eq!(responses[1]["tokens_completion"], 5);
    let expected = json!([null, responses[0], responses[1], null]);
    let of = |list: &Value| {
        list.as_array().unwrap().iter().map(|message| message["response"].clone()).collect::<Value>()
    };
    for person in [&ada, &eve] {
        server.settle(person).await;
        let counted = async |target: &str| {
            let before = server.store.operations().statements();
            let read = server.get(person, target).await;
            (read, server.store.operations().statements() - before)
        };
        let (plain, statements) = counted(&format!("{path}/messages")).await;
        assert_eq!(plain["data"][1].get("response"), None, "only when it is asked for");
        let (list, with_responses) = counted(&format!("{path}/messages?include=response")).await;
        assert_eq!(
            (of(&list["data"]), with_responses),
            (expected.clone(), statements + 1),
            "one statement more"
        );
        let (_, without_answers) = counted(&format!("{path}/messages?include=response&before=2")).await;
        assert_eq!(without_answers, statements, "none when there are no answers");
        for query in
            ["last=4&include=documents,response", "include=response,documents", "around=2&include=response"]
        {
            assert_eq!(
                of(&server.get(person, &format!("{path}/messages?{query}")).await["data"]),
                expected,
                "{query}"
            );
        }
        let one = server.get(person, &format!("{path}/messages/2?include=response")).await;
        assert_eq!(one["response"], responses[0]);
        let question = server.get(person, &format!("{path}/messages/1?include=response")).await;
        assert_eq!(question.get("response"), Some(&Value::Null));
    }
    for include in ["response,", "response,x", "response&include=documents"] {
        let wrong = refusal(server.request(&ada, "GET", &format!("{path}/messages?include={include}"))).await;
        assert_eq!(wrong, (422, vec![("include".to_owned(), "not_allowed".to_owned())]), "{include}");
    }
}

async fn a_conversation_comes_with_messages_and_what_belongs_to_them(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = answered(&server, &ada).await;
    let list = server.get(&ada, &format!("{path}/messages?include=response,documents")).await;
    let included = server.get(&ada, &format!("{path}?include=messages,response,documents")).await;
    assert_eq!(included["messages"], list["data"]);
    assert_eq!(included["messages"][1]["response"]["model_used"], "large");
    for include in ["response", "documents", "documents,response"] {
        let wrong = refusal(server.request(&ada, "GET", &format!("{path}?include={include}"))).await;
        assert_eq!(wrong, (422, vec![("include".to_owned(), "not_allowed".to_owned())]), "{include}");
    }
}

/// Messages of two formats in turn and of none: `a/1` has the numbers 1, 4, 7 …
async fn of_formats(server: &Server, person: &Person, count: usize) -> String {
    let path = server.conversation(person).await;
    let messages: Vec<Value> = (0..count)
        .map(|number| match number % 3 {
            0 => json!({"content": "x", "format": "a/1"}),
            1 => json!({"content": "x", "format": "b/1"}),
            _ => json!({"content": "x"}),
        })
        .collect();
    server.post(person, &format!("{path}/messages"), &json!({"messages": messages}).to_string()).await;
    path
}

async fn only_messages_of_one_format_are_listed(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = of_formats(&server, &ada, 30).await;
    server.share(&path, &ada, &eve, MemberRole::Viewer).await;
    for person in [&ada, &eve] {
        for (query, expected) in [
            ("format=a/1", (1..=28).step_by(3).collect::<Vec<i64>>()),
            ("format=b%2F1&limit=2", vec![2, 5]),
            ("format=a/1&order=desc&limit=3", vec![28, 25, 22]),
            ("format=a/1&after=4&before=13", vec![7, 10]),
            ("format=a/1&last=2", vec![25, 28]),
            ("format=a/1&last=2&before=20", vec![16, 19]),
            ("format=a/1&around=15&limit=4", vec![10, 13, 16, 19]),
            ("format=A/1", vec![]),
            ("format=a", vec![]),
        ] {
            let read = answer(server.request(person, "GET", &format!("{path}/messages?{query}"))).await;
            assert_eq!((read.status, seqs(&read.body["data"])), (200, expected), "{query}");
            assert_eq!(read.header("etag"), "\"2\"", "{query}");
        }
    }
    for (format, code) in
        [(String::new(), "too_short"), ("x".repeat(65), "too_long"), ("a%00".to_owned(), "nul_character")]
    {
        let wrong = refusal(server.request(&ada, "GET", &format!("{path}/messages?format={format}"))).await;
        assert_eq!(wrong, (422, vec![("format".to_owned(), code.to_owned())]), "{format}");
    }
}

async fn an_answer_beside_messages_of_other_formats_keeps_its_model(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let messages = json!({"messages": [
        {"content": "a", "format": "f", "model": "first"},
        {"role": "assistant", "content": "b", "format": "f"},
        {"content": "c", "model": "second"},
        {"role": "assistant", "content": "d", "format": "f"},
        {"content": "e"},
        {"role": "assistant", "content": "f", "format": "f"},
    ]});
    server.post(&ada, &format!("{path}/messages"), &messages.to_string()).await;
    let models = async |query: &str| {
        let list = server.get(&ada, &format!("{path}/messages?{query}")).await;
        let list = list["data"].as_array().unwrap().clone();
        list.iter().map(|message| message["effective_model"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(models("").await, ["first", "first", "second", "second", "echo", "echo"]);
    assert_eq!(models("format=f").await, ["first", "first", "second", "echo"]);
    assert_eq!(models("format=f&order=desc&limit=2").await, ["echo", "second"]);
    assert_eq!(models("format=f&last=3").await, ["first", "second", "echo"]);
}

async fn a_cursor_belongs_to_its_format(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = of_formats(&server, &ada, 30).await;
    let list = |query: &str| format!("{path}/messages?{query}");
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&ada, &list(&format!("format=a/1&limit=4{cursor}"))).await;
        found.extend(seqs(&page["data"]));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        for other in ["limit=4", "format=b/1&limit=4"] {
            let wrong = refusal(server.request(&ada, "GET", &list(&format!("{other}{cursor}")))).await;
            assert_eq!(wrong, (422, vec![("cursor".to_owned(), "invalid_format".to_owned())]), "{other}");
        }
    }
    assert_eq!(found, (1..=28).step_by(3).collect::<Vec<i64>>());
}

async fn a_position_that_no_answer_had_is_refused_after_credentials(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = of_formats(&server, &ada, 3).await;
    let list = format!("{path}/messages");
    let read = |position: &str| server.request(&ada, "GET", &list).header("Chatstore-Position", position);
    assert_eq!(answer(read("00000000016b3748")).await.status, 200, "without standbys it says nothing");
    let expected = (422, vec![("Chatstore-Position".to_owned(), "invalid_format".to_owned())]);
    for wrong in ["", "first", "16b3748", "00000000016B374G"] {
        assert_eq!(refusal(read(wrong)).await, expected, "{wrong}");
    }
    let twice = read("00000000016b3748").header("Chatstore-Position", "00000000016b3748");
    assert_eq!(refusal(twice).await, expected);
    let stranger = server.anonymous("GET", "/api/v1/documents").header("Chatstore-Position", "first");
    assert_eq!(answer(stranger).await.status, 401);
}
