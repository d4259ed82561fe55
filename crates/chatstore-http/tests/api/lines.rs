//! Whole lists as lines of JSON.

use chatstore::{ConversationId, MemberRole, MessageRole, NewConversation, NewMessage, VerbatimJson};
use chatstore_testkit::{TestDatabase, conformance};
use futures_util::future::join_all;
use insta::{allow_duplicates, assert_snapshot};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::{CONVERSATIONS, Person, Server, outlines};

conformance!(
    all_messages_are_lines_in_either_order_and_end_with_what_they_were,
    a_member_and_a_thread_get_the_same_lines,
    lines_follow_the_branch_that_is_asked_for,
    lines_of_parts_are_one_line_each_whatever_the_parts_look_like,
    pages_and_lines_are_filtered_by_role_and_time,
    what_messages_come_with_is_in_their_lines,
    slow_clients_hold_nothing_and_see_that_a_conversation_changed_meanwhile,
    lines_of_a_conversation_that_is_deleted_meanwhile_are_cut_off_without_an_end,
    all_conversations_are_lines,
    parameters_of_pages_are_refused_beside_lines,
    an_export_is_one_line_for_each_object_whatever_their_parts_look_like,
);

const NDJSON: &str = "application/x-ndjson";

fn request(server: &Server, person: &Person, target: &str) -> RequestBuilder {
    server.request(person, "GET", target).header("Accept", NDJSON)
}

/// The lines of an answer before the last one, and what that says.
async fn lines(server: &Server, person: &Person, target: &str) -> (Vec<Value>, Value) {
    let answer = request(server, person, target).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &NDJSON.parse().unwrap())
    );
    parsed(&answer.text().await.unwrap())
}

fn parsed(text: &str) -> (Vec<Value>, Value) {
    assert!(text.ends_with('\n'));
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = lines.pop().unwrap()["end"].take();
    (lines, end)
}

fn seqs(lines: &[Value]) -> Vec<i64> {
    lines.iter().map(|line| line["seq"].as_i64().unwrap()).collect()
}

/// A conversation of messages with these numbers as content, and its path.
async fn numbered(server: &Server, person: &Person, count: usize) -> String {
    let path = server.conversation(person).await;
    let new: Vec<NewMessage> = (1..=count).map(|number| NewMessage::user(number.to_string())).collect();
    for batch in new.chunks(1_000) {
        append(server, person, &path, batch.to_vec()).await;
    }
    path
}

async fn append(server: &Server, person: &Person, path: &str, batch: Vec<NewMessage>) {
    let id: ConversationId = path.rsplit('/').next().unwrap().parse().unwrap();
    server.store.as_user(person.id).messages().append_many(id, batch).await.unwrap();
}

async fn all_messages_are_lines_in_either_order_and_end_with_what_they_were(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = numbered(&server, &ada, 450).await;
    let revision = server.get(&ada, &path).await["revision"].clone();
    let end = |count: i64, first: Value, last: Value| {
        json!({"count": count, "first_seq": first, "last_seq": last,
            "revision_at_start": revision, "revision_at_end": revision})
    };
    let (up, last) = lines(&server, &ada, &format!("{path}/messages")).await;
    assert_eq!(seqs(&up), (1..=450).collect::<Vec<_>>());
    assert_eq!(last, end(450, 1.into(), 450.into()));
    let page = server.get(&ada, &format!("{path}/messages?limit=200")).await;
    assert_eq!(up[..200], page["data"].as_array().unwrap()[..], "a line is what a page has");
    let (down, last) = lines(&server, &ada, &format!("{path}/messages?order=desc")).await;
    assert_eq!(seqs(&down), (1..=450).rev().collect::<Vec<_>>());
    assert_eq!(last, end(450, 450.into(), 1.into()));
    let (some, last) = lines(&server, &ada, &format!("{path}/messages?after=100&before=401")).await;
    assert_eq!((seqs(&some), last), ((101..=400).collect(), end(300, 101.into(), 400.into())));
    let (none, last) = lines(&server, &ada, &format!("{path}/messages?after=450")).await;
    assert_eq!((none.len(), last), (0, end(0, Value::Null, Value::Null)));
    let answer = request(&server, &ada, &format!("{path}/messages")).send().await.unwrap();
    assert_eq!(answer.headers()["etag"], format!("\"{revision}\""));
}

async fn a_member_and_a_thread_get_the_same_lines(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, grace) = (server.person("ada").await, server.person("grace").await);
    let new: Vec<Value> = (0..300).map(|number| json!({"content": number.to_string()})).collect();
    let target = "/api/v1/threads/talk/messages";
    server.post(&ada, target, &json!({"messages": new}).to_string()).await;
    let path = format!("{CONVERSATIONS}/{}", {
        let conversation = server.get(&ada, "/api/v1/threads/talk").await;
        conversation["id"].as_str().unwrap().to_owned()
    });
    server.share(&path, &ada, &grace, MemberRole::Viewer).await;
    let of_owner = lines(&server, &ada, &format!("{path}/messages")).await;
    assert_eq!(of_owner.0.len(), 300);
    assert_eq!(lines(&server, &grace, &format!("{path}/messages")).await, of_owner);
    assert_eq!(lines(&server, &ada, target).await, of_owner);
    let stranger = request(&server, &grace, target).send().await.unwrap();
    assert_eq!(stranger.status(), 404);
}

async fn lines_follow_the_branch_that_is_asked_for(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, grace) = (server.person("ada").await, server.person("grace").await);
    let path = numbered(&server, &ada, 450).await;
    server.share(&path, &ada, &grace, MemberRole::Viewer).await;
    server.post(&ada, &format!("{path}/messages"), r#"{"content": "another answer", "parent": 300}"#).await;
    let head: Vec<i64> = (1..=300).chain([451]).collect();
    for person in [&ada, &grace] {
        let (up, end) = lines(&server, person, &format!("{path}/messages")).await;
        assert_eq!((seqs(&up), &end["last_seq"]), (head.clone(), &json!(451)));
        let (down, _) = lines(&server, person, &format!("{path}/messages?order=desc")).await;
        assert_eq!(seqs(&down), head.iter().rev().copied().collect::<Vec<_>>());
        let (other, _) = lines(&server, person, &format!("{path}/messages?branch=450")).await;
        assert_eq!(seqs(&other), (1..=450).collect::<Vec<_>>());
        let (all, _) = lines(&server, person, &format!("{path}/messages?branch=all")).await;
        assert_eq!(all.len(), 451);
    }
}

/// Parts whose text has breaks of lines, and a line that readers take for several.
const BROKEN: &str = "[\r\n {\"zebra\":1.0,\n\"alpha\":\"a\\nb\u{2028}c\",\"nul\":\"\\u0000\"}\n]";

async fn lines_of_parts_are_one_line_each_whatever_the_parts_look_like(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let plain = r#"[{"type":"text","text":"plain","big":12345678901234567890123}]"#;
    for parts in [plain, BROKEN] {
        server.post(&ada, &format!("{path}/messages"), &format!("{{\"parts\":{parts}}}")).await;
    }
    server.post(&ada, &format!("{path}/messages"), r#"{"content":"no parts"}"#).await;
    let answer = request(&server, &ada, &format!("{path}/messages?view=parts")).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let found: Vec<&str> = text.split('\n').collect();
    let unbroken = "[   {\"zebra\":1.0, \"alpha\":\"a\\nb\\u2028c\",\"nul\":\"\\u0000\"} ]";
    assert_eq!(found[..3], [plain, unbroken, "null"]);
    assert!(found[3].starts_with(r#"{"end":{"count":3,"first_seq":1,"last_seq":3,"#), "{}", found[3]);
    assert_eq!(found[4..], [""]);
    let (whole, _) = lines(&server, &ada, &format!("{path}/messages")).await;
    assert_eq!(whole[1]["parts"], serde_json::from_str::<Value>(BROKEN).unwrap());
    let page = server.request(&ada, "GET", &format!("{path}/messages")).send().await.unwrap();
    assert!(page.text().await.unwrap().contains(BROKEN), "a page has the text as it was sent");
}

async fn pages_and_lines_are_filtered_by_role_and_time(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let roles = ["user", "assistant", "tool"];
    let new: Vec<Value> = (0..9)
        .map(|number| {
            let format = if number == 4 { json!("aui/v0") } else { Value::Null };
            json!({"role": roles[number % 3], "content": number.to_string(), "parts": [{}], "format": format,
                "created_at": format!("2026-02-0{}T00:00:00Z", number + 1)})
        })
        .collect();
    server.post(&ada, &format!("{path}/messages"), &json!({"messages": new}).to_string()).await;
    for (query, expected) in [
        ("role=assistant", vec![2, 5, 8]),
        ("role=system", vec![]),
        ("since=2026-02-03T00:00:00Z", vec![3, 4, 5, 6, 7, 8, 9]),
        ("until=2026-02-03T00:00:00Z", vec![1, 2]),
        ("since=2026-02-03T00:00:00Z&until=2026-02-06T00:00:00Z&role=tool", vec![3]),
        ("role=assistant&format=aui/v0", vec![5]),
        ("role=user&format=aui/v0", vec![]),
        ("role=user&after=1&before=7", vec![4]),
    ] {
        let (found, end) = lines(&server, &ada, &format!("{path}/messages?{query}&order=asc")).await;
        assert_eq!((seqs(&found), &end["count"]), (expected.clone(), &json!(expected.len())), "{query}");
        let page = server.get(&ada, &format!("{path}/messages?{query}&order=asc")).await;
        assert_eq!(seqs(page["data"].as_array().unwrap()), expected, "{query}");
        let newest = server.get(&ada, &format!("{path}/messages?{query}&last=1")).await;
        assert_eq!(seqs(newest["data"].as_array().unwrap()).last(), expected.last(), "{query}");
    }
    let around = server.get(&ada, &format!("{path}/messages?around=5&limit=2&role=assistant")).await;
    assert_eq!(seqs(around["data"].as_array().unwrap()), [2, 5]);
    let first = server.get(&ada, &format!("{path}/messages?role=user&limit=1")).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = server.get(&ada, &format!("{path}/messages?role=user&limit=1&cursor={cursor}")).await;
    assert_eq!(seqs(next["data"].as_array().unwrap()), [4]);
    let other = server.request(&ada, "GET", &format!("{path}/messages?role=tool&limit=1&cursor={cursor}"));
    assert_eq!(other.send().await.unwrap().status(), 422, "a cursor is bound to the filters");
}

async fn what_messages_come_with_is_in_their_lines(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = numbered(&server, &ada, 250).await;
    server
        .post(
            &ada,
            &format!("{path}/replies"),
            r#"{"content":"hi","model":"m","response":{"tokens_total":7}}"#,
        )
        .await;
    let (found, _) = lines(&server, &ada, &format!("{path}/messages?include=response")).await;
    assert_eq!(found.len(), 251);
    assert_eq!((&found[0]["response"], &found[250]["response"]["tokens_total"]), (&Value::Null, &json!(7)));
}

/// A conversation of 18 MB, which fits into no buffer of a connection.
async fn large(server: &Server, person: &Person) -> String {
    let path = server.conversation(person).await;
    for _ in 0..3 {
        let batch = vec![NewMessage::new(MessageRole::Assistant, "x".repeat(60_000)); 100];
        append(server, person, &path, batch).await;
    }
    path
}

/// Reads what is left of an answer.
async fn rest(mut answer: Response, mut read: Vec<u8>) -> reqwest::Result<String> {
    while let Some(bytes) = answer.chunk().await? {
        read.extend_from_slice(&bytes);
    }
    Ok(String::from_utf8(read).unwrap())
}

async fn slow_clients_hold_nothing_and_see_that_a_conversation_changed_meanwhile(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = large(&server, &ada).await;
    let before = server.store.operations().statements();
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut answer = request(&server, &ada, &format!("{path}/messages")).send().await.unwrap();
        let read = answer.chunk().await.unwrap().unwrap().to_vec();
        slow.push((answer, read));
    }
    // More than there are connections to the database.
    for number in 0..20 {
        append(&server, &ada, &path, vec![NewMessage::user(number.to_string())]).await;
        server.get(&ada, &format!("{path}/messages?last=1")).await;
    }
    assert_eq!(
        server.request(&ada, "DELETE", &format!("{path}/messages/300")).send().await.unwrap().status(),
        204
    );
    let read = server.store.operations().statements() - before;
    assert!(read < 5 * 55, "no more is read than the connections take: {read} statements");
    for whole in join_all(slow.into_iter().map(|(answer, read)| rest(answer, read))).await {
        let (found, end) = parsed(&whole.unwrap());
        assert_eq!(seqs(&found), (1..=299).collect::<Vec<_>>());
        assert_eq!((&end["count"], &end["last_seq"]), (&json!(299), &json!(299)));
        let revisions = ["revision_at_start", "revision_at_end"].map(|name| end[name].as_i64().unwrap());
        assert_eq!(revisions[1] - revisions[0], 21, "twenty appends and a deletion");
    }
}

async fn lines_of_a_conversation_that_is_deleted_meanwhile_are_cut_off_without_an_end(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = large(&server, &ada).await;
    let mut answer = request(&server, &ada, &format!("{path}/messages")).send().await.unwrap();
    let mut read = answer.chunk().await.unwrap().unwrap().to_vec();
    assert_eq!(server.request(&ada, "DELETE", &path).send().await.unwrap().status(), 204);
    let cut = loop {
        match answer.chunk().await {
            Ok(Some(bytes)) => read.extend_from_slice(&bytes),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(cut, "the connection is cut");
    let text = String::from_utf8_lossy(&read);
    let last = text.lines().last().unwrap();
    assert!(text.lines().count() < 300 && !last.starts_with("{\"end\""), "{} lines", text.lines().count());
}

async fn all_conversations_are_lines(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, ben, root) =
        (server.person("ada").await, server.person("ben").await, server.admin("root").await);
    for number in 0..250 {
        let new = NewConversation::thread(format!("p|{number:03}"));
        server.store.as_user(ada.id).conversations().create(new).await.unwrap();
    }
    let shared = server.conversation(&ben).await;
    server.share(&shared, &ben, &ada, MemberRole::Viewer).await;
    for (query, expected) in [
        ("", 251),
        ("?sort=created_at&order=asc", 251),
        ("?order=asc&sort=updated_at", 251),
        ("?offset=51", 200),
        ("?membership=shared", 1),
        ("?thread_prefix=p%7C1", 100),
        ("?q=nothing", 0),
    ] {
        let (found, end) = lines(&server, &ada, &format!("{CONVERSATIONS}{query}")).await;
        assert_eq!((found.len(), end), (expected, json!({"count": expected})), "{query}");
    }
    let (found, _) = lines(&server, &ada, &format!("{CONVERSATIONS}?sort=created_at")).await;
    let page = server.get(&ada, &format!("{CONVERSATIONS}?sort=created_at&limit=200")).await;
    assert_eq!(found[..200], page["data"].as_array().unwrap()[..]);
    let (every, end) = lines(&server, &root, &format!("{CONVERSATIONS}?owner=any")).await;
    assert_eq!((every.len(), end), (251, json!({"count": 251})));
}

async fn parameters_of_pages_are_refused_beside_lines(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let absent = format!("{CONVERSATIONS}/{}/messages", ada.id);
    let text = outlines([
        request(&server, &ada, &format!("{path}/messages?limit=1&cursor=c")),
        request(&server, &ada, &format!("{path}/messages?last=1")),
        request(&server, &ada, &format!("{path}/messages?around=1")),
        request(&server, &ada, &format!("{path}/messages?view=whole")),
        request(&server, &ada, &format!("{path}/messages?view=parts&include=response")),
        server.request(&ada, "GET", &format!("{path}/messages?view=parts")),
        request(&server, &ada, &format!("{path}/messages?since=today&until=1&role=bot")),
        request(&server, &ada, &absent),
        request(&server, &ada, &format!("{CONVERSATIONS}?limit=1&cursor=c")),
    ])
    .await
    .replace(&path, "")
    .replace(&absent, "/absent");
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /messages?limit=1&cursor=c → 422 validation (limit: not_allowed) (cursor: not_allowed)
    GET /messages?last=1 → 422 validation (last: not_allowed)
    GET /messages?around=1 → 422 validation (around: not_allowed)
    GET /messages?view=whole → 422 validation (view: not_allowed)
    GET /messages?view=parts&include=response → 422 validation (include: not_allowed)
    GET /messages?view=parts → 422 validation (view: not_allowed)
    GET /messages?since=today&until=1&role=bot → 422 validation (role: not_allowed) (since: invalid_format) (until: invalid_format)
    GET /absent → 404 not-found
    GET /api/v1/conversations?limit=1&cursor=c → 422 validation (limit: not_allowed) (cursor: not_allowed)
    "#) }
}

async fn an_export_is_one_line_for_each_object_whatever_their_parts_look_like(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let path = server.conversation(&ada).await;
    let parts = VerbatimJson::parse(BROKEN).unwrap();
    append(&server, &ada, &path, vec![NewMessage::of_parts(MessageRole::User, parts)]).await;
    let answer = server.request(&ada, "GET", "/api/v1/users/me/export").send().await.unwrap();
    let text = answer.text().await.unwrap();
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = found.iter().find(|line| line["type"] == "message").unwrap();
    assert_eq!(message["parts"], serde_json::from_str::<Value>(BROKEN).unwrap());
}
