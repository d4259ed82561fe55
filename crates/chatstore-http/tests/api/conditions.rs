//! Requests that depend on the revision of a conversation.

use chatstore::MemberRole;
use chatstore_testkit::{TestDatabase, conformance};
use insta::{allow_duplicates, assert_snapshot};
use reqwest::RequestBuilder;

use crate::operations::{Operation, operations};
use crate::support::{CONVERSATIONS, Person, Server, answer, exchange, outlines, refusal};

conformance!(
    every_change_of_a_conversation_can_be_conditional,
    a_stale_condition_changes_nothing,
    only_one_strong_tag_is_a_condition,
    the_condition_is_checked_after_every_other_rule,
    every_answer_with_a_conversation_has_its_entity_tag,
    every_answer_below_a_conversation_has_its_entity_tag,
    a_condition_without_quotes_is_named,
    an_unmodified_conversation_is_not_sent_again,
    one_of_sixteen_concurrent_conditional_changes_is_applied,
);

/// The operations on conversations that take a condition, with this header.
fn conditional(header: &str) -> Vec<Operation> {
    let is_of_conversation = |one: &Operation| {
        !one.path.starts_with("/api/v1/messages/") && !one.path.starts_with("/api/v1/documents")
    };
    let takes = |one: &Operation| one.parameters.iter().any(|name| name == header);
    operations().into_iter().filter(|one| takes(one) && is_of_conversation(one)).collect()
}

/// A conversation with a thread id and one message, at revision 2.
struct Fresh {
    id: String,
    thread: String,
}

impl Fresh {
    async fn make(server: &Server, owner: &Person, number: usize) -> Self {
        let thread = format!("t{number}");
        let created = server.post(owner, CONVERSATIONS, &format!(r#"{{"thread_id": "{thread}"}}"#)).await;
        let id = created["id"].as_str().unwrap().to_owned();
        let fresh = Self { id, thread };
        server.post(owner, &format!("{}/messages", fresh.path()), r#"{"content": "first"}"#).await;
        fresh
    }

    fn path(&self) -> String {
        format!("{CONVERSATIONS}/{}", self.id)
    }

    /// A request of this operation that changes something.
    fn request(&self, server: &Server, person: &Person, operation: &Operation) -> RequestBuilder {
        let target = operation.target(&[("id", &self.id), ("message_id", "1"), ("thread_id", &self.thread)]);
        let body = if operation.body() == "{}" { r#"{"title": "changed"}"# } else { operation.body() };
        server.send(person, &operation.method, &target, body)
    }
}

async fn every_change_of_a_conversation_can_be_conditional(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let operations = conditional("If-Match");
    let mut text = String::new();
    for (number, operation) in operations.iter().enumerate() {
        let one = Fresh::make(&server, &ada, 2 * number).await;
        let other = Fresh::make(&server, &ada, 2 * number + 1).await;
        let stale = answer(one.request(&server, &ada, operation).header("If-Match", "\"1\"")).await.status;
        let matching = answer(one.request(&server, &ada, operation).header("If-Match", "\"2\"")).await.status;
        let any = answer(other.request(&server, &ada, operation).header("If-Match", "*")).await.status;
        assert!(operation.statuses.contains(&412), "{}", operation.name());
        text.push_str(&format!("{}: stale {stale}, matching {matching}, any {any}\n", operation.name()));
    }
    allow_duplicates! { assert_snapshot!(text, @"
    PATCH /api/v1/conversations/{id}: stale 412, matching 200, any 200
    DELETE /api/v1/conversations/{id}: stale 412, matching 204, any 204
    PUT /api/v1/conversations/{id}/messages: stale 412, matching 200, any 200
    POST /api/v1/conversations/{id}/messages: stale 412, matching 201, any 201
    DELETE /api/v1/conversations/{id}/messages: stale 412, matching 200, any 200
    DELETE /api/v1/conversations/{id}/messages/last: stale 412, matching 200, any 200
    POST /api/v1/conversations/{id}/messages/replace-suffix: stale 412, matching 200, any 200
    PUT /api/v1/conversations/{id}/messages/{message_id}: stale 412, matching 201, any 201
    PATCH /api/v1/conversations/{id}/messages/{message_id}: stale 412, matching 200, any 200
    DELETE /api/v1/conversations/{id}/messages/{message_id}: stale 412, matching 204, any 204
    POST /api/v1/conversations/{id}/replies: stale 412, matching 201, any 201
    PATCH /api/v1/threads/{thread_id}: stale 412, matching 200, any 200
    DELETE /api/v1/threads/{thread_id}: stale 412, matching 204, any 204
    PUT /api/v1/threads/{thread_id}/messages: stale 412, matching 200, any 200
    POST /api/v1/threads/{thread_id}/messages: stale 412, matching 201, any 201
    DELETE /api/v1/threads/{thread_id}/messages: stale 412, matching 200, any 200
    DELETE /api/v1/threads/{thread_id}/messages/last: stale 412, matching 200, any 200
    POST /api/v1/threads/{thread_id}/messages/replace-suffix: stale 412, matching 200, any 200
    PUT /api/v1/threads/{thread_id}/messages/{message_id}: stale 412, matching 201, any 201
    PATCH /api/v1/threads/{thread_id}/messages/{message_id}: stale 412, matching 200, any 200
    DELETE /api/v1/threads/{thread_id}/messages/{message_id}: stale 412, matching 204, any 204
    POST /api/v1/threads/{thread_id}/replies: stale 412, matching 201, any 201
    ") }
}

async fn a_stale_condition_changes_nothing(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let fresh = Fresh::make(&server, &ada, 0).await;
    let before = server.get(&ada, &format!("{}?include=messages", fresh.path())).await;
    for operation in conditional("If-Match") {
        for tag in ["\"1\"", "\"3\"", "\"0\""] {
            let refused = answer(fresh.request(&server, &ada, &operation).header("If-Match", tag)).await;
            assert_eq!(refused.status, 412, "{} {tag}", operation.name());
        }
        let after = server.get(&ada, &format!("{}?include=messages", fresh.path())).await;
        assert_eq!(after, before, "{}", operation.name());
    }
    let batch = r#"{"messages": [{"content": "a"}]}"#;
    let request = server.send(&ada, "POST", &format!("{}/messages", fresh.path()), batch);
    let refused = exchange(request.header("If-Match", "\"1\"")).await;
    allow_duplicates! { assert_snapshot!(refused, @r#"
    POST /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43/messages
    {"messages": [{"content": "a"}]}

    412 Precondition Failed
    content-type: application/problem+json

    {
      "detail": "it was changed since the revision that the request names",
      "request_id": "r-1",
      "status": 412,
      "title": "Precondition failed",
      "type": "urn:chatstore:problem:precondition-failed"
    }
    "#) }
    assert_eq!(server.get(&ada, "/api/v1/usage").await["total"]["requests"], 0);
}

async fn only_one_strong_tag_is_a_condition(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let fresh = Fresh::make(&server, &ada, 0).await;
    for operation in conditional("If-Match") {
        for tag in ["W/\"2\"", "\"2\", \"3\"", "\"2\",\"2\"", "\"02\"", "\"\"", "\"x\"", "\"é\""] {
            let refused = answer(fresh.request(&server, &ada, &operation).header("If-Match", tag)).await;
            assert_eq!(refused.status, 412, "{} {tag}", operation.name());
        }
        for tag in ["2", "\"2", "", "*, \"2\"", "'2'", "2, \"2\""] {
            let refused = refusal(fresh.request(&server, &ada, &operation).header("If-Match", tag)).await;
            let expected = (422, vec![("If-Match".to_owned(), "invalid_format".to_owned())]);
            assert_eq!(refused, expected, "{} {tag}", operation.name());
        }
        let request = fresh.request(&server, &ada, &operation);
        let twice = answer(request.header("If-Match", "\"2\"").header("If-Match", "\"2\"")).await;
        assert_eq!(twice.status, 412, "{} twice", operation.name());
    }
    assert_eq!(server.get(&ada, &fresh.path()).await["revision"], 2);
}

async fn the_condition_is_checked_after_every_other_rule(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve, vic, zoe) = (
        server.person("ada").await,
        server.person("eve").await,
        server.person("vic").await,
        server.person("zoe").await,
    );
    let fresh = Fresh::make(&server, &ada, 0).await;
    let taken = Fresh::make(&server, &ada, 1).await.thread;
    let path = fresh.path();
    server.share(&path, &ada, &eve, MemberRole::Editor).await;
    server.share(&path, &ada, &vic, MemberRole::Viewer).await;
    for operation in conditional("If-Match") {
        let stale = |person: &Person| fresh.request(&server, person, &operation).header("If-Match", "\"1\"");
        let name = operation.name();
        // An append or a list would create a thread of their own, which a condition keeps it from.
        let creates = ["POST", "PUT"]
            .iter()
            .any(|method| name == format!("{method} /api/v1/threads/{{thread_id}}/messages"));
        let absent = if creates { 412 } else { 404 };
        assert_eq!(answer(stale(&zoe)).await.status, absent, "{name}");
        let of_thread = operation.path.contains("{thread_id}");
        assert_eq!(answer(stale(&vic)).await.status, if of_thread { absent } else { 403 }, "{name}");
        if operation.takes_body {
            let wrong = |body: &str| {
                let target = stale(&ada).build().unwrap().url().path().to_owned();
                server.send(&ada, &operation.method, &target, body).header("If-Match", "\"1\"")
            };
            assert_eq!(answer(wrong("{")).await.status, 400, "{name}");
            assert_eq!(answer(wrong(r#"{"unknown": 1}"#)).await.status, 422, "{name}");
        }
    }
    let body = format!(r#"{{"thread_id": "{taken}"}}"#);
    let text = outlines([
        server.send(&eve, "PATCH", &path, r#"{"thread_id": "x"}"#).header("If-Match", "\"1\""),
        server
            .send(&eve, "PATCH", &format!("{path}/messages/1"), r#"{"content": "x"}"#)
            .header("If-Match", "\"1\""),
        server.request(&eve, "DELETE", &path).header("If-Match", "\"1\""),
        server.request(&ada, "DELETE", &format!("{path}/messages/9")).header("If-Match", "\"1\""),
        server.send(&ada, "PATCH", &path, &body).header("If-Match", "\"1\""),
        server.send(&ada, "PATCH", &path, &body).header("If-Match", "\"2\""),
        server.send(&ada, "PATCH", &path, "{}").header("If-Match", "\"1\""),
        server.send(&ada, "PATCH", &path, "{}").header("If-Match", "\"2\""),
    ])
    .await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    PATCH /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061 [if-match: "1"] {"thread_id": "x"} → 403 forbidden
    PATCH /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/messages/1 [if-match: "1"] {"content": "x"} → 403 forbidden
    DELETE /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061 [if-match: "1"] → 403 forbidden
    DELETE /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061/messages/9 [if-match: "1"] → 404 not-found
    PATCH /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061 [if-match: "1"] {"thread_id": "t1"} → 412 precondition-failed
    PATCH /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061 [if-match: "2"] {"thread_id": "t1"} → 409 already-exists (thread_id: not_allowed)
    PATCH /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061 [if-match: "1"] {} → 412 precondition-failed
    PATCH /api/v1/conversations/019ca945-0a00-75ac-a268-5a072c6d7061 [if-match: "2"] {} → 200
    "#) }
}

async fn every_answer_with_a_conversation_has_its_entity_tag(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let fresh = Fresh::make(&server, &ada, 0).await;
    let thread = format!("/api/v1/threads/{}", fresh.thread);
    for (method, target, body, tag) in [
        ("POST", CONVERSATIONS.to_owned(), "{}", "\"1\""),
        ("PUT", "/api/v1/threads/new".to_owned(), "{}", "\"1\""),
        ("PUT", thread.clone(), "{}", "\"2\""),
        ("GET", fresh.path(), "", "\"2\""),
        ("GET", thread.clone(), "", "\"2\""),
        ("PATCH", fresh.path(), r#"{"title": "a"}"#, "\"3\""),
        ("PATCH", thread, r#"{"title": "b"}"#, "\"4\""),
    ] {
        let answered = answer(server.send(&ada, method, &target, body)).await;
        assert_eq!(answered.header("etag"), tag, "{method} {target}");
        assert_eq!(tag, format!("\"{}\"", answered.body["revision"]), "{method} {target}");
    }
}

async fn every_answer_below_a_conversation_has_its_entity_tag(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let path = server.conversation(&ada).await;
    server.share(&path, &ada, &eve, MemberRole::Editor).await;
    let (messages, replies) = (format!("{path}/messages"), format!("{path}/replies"));
    let mut tag = "\"1\"".to_owned();
    for person in [&ada, &eve] {
        let empty = answer(server.request(person, "GET", &messages)).await;
        assert_eq!((empty.status, empty.header("etag")), (200, "\"1\""), "an empty page has one too");
    }
    for (person, method, target, body) in [
        (&ada, "POST", messages.clone(), r#"{"content":"a"}"#),
        (&eve, "POST", messages.clone(), r#"{"content":"b"}"#),
        (&ada, "POST", messages.clone(), r#"{"messages":[{"content":"c"},{"content":"d"}]}"#),
        (&ada, "POST", replies.clone(), r#"{"content":"e","response":{"model_used":"m"}}"#),
        (&ada, "POST", replies.clone(), r#"{"content":"f"}"#),
        (&eve, "POST", replies.clone(), r#"{"content":"f"}"#),
        (&ada, "PATCH", format!("{messages}/1"), r#"{"content":"g"}"#),
        (&eve, "PATCH", format!("{messages}/2"), r#"{"content":"h"}"#),
        (&ada, "PATCH", format!("{messages}/1"), "{}"),
        (&ada, "PUT", format!("{messages}/ext:x"), r#"{"content":"x"}"#),
        (&ada, "PUT", format!("{messages}/ext:x"), r#"{"content":"y"}"#),
        (&ada, "PUT", format!("{messages}/ext:x"), r#"{"content":"y"}"#),
        (&ada, "POST", format!("{messages}?on_conflict=ignore"), r#"{"external_id":"x","content":"z"}"#),
        (&ada, "POST", messages.clone(), r#"{"messages":[{"content":"i"}],"conversation":{"title":"t"}}"#),
        (
            &ada,
            "POST",
            format!("{messages}?on_conflict=ignore"),
            r#"{"messages":[{"external_id":"x","content":"z"}],"conversation":{"title":"u"}}"#,
        ),
        (&ada, "DELETE", format!("{messages}/6"), ""),
        (&ada, "DELETE", format!("{messages}/last?count=2"), ""),
        (&ada, "DELETE", format!("{messages}?from=3&to=3"), ""),
        (&ada, "DELETE", format!("{messages}?from=3&to=3"), ""),
    ] {
        let changed = answer(server.send(person, method, &target, body).header("If-Match", &tag)).await;
        assert!(changed.status < 300, "{method} {target} {body}: {}", changed.body);
        tag = changed.header("etag").to_owned();
        for person in [&ada, &eve] {
            let reads = [
                "",
                "/messages",
                "/messages?after=99",
                "/messages?last=2",
                "/messages?last=0",
                "/messages/1",
            ];
            for read in reads.map(|read| format!("{path}{read}")) {
                let seen = answer(server.request(person, "GET", &read)).await;
                let seen = (seen.status, seen.header("etag").to_owned());
                assert_eq!(seen, (200, tag.clone()), "{method} {target} {body}: {read}");
            }
        }
    }
    let first = server.get(&ada, &format!("{messages}/1")).await["id"].as_str().unwrap().to_owned();
    let own = answer(server.request(&ada, "GET", &format!("/api/v1/messages/{first}"))).await;
    assert_eq!((own.status, own.header("etag")), (200, tag.as_str()));
    let own = format!("/api/v1/messages/{first}");
    let send =
        |tag: &str| server.send(&ada, "PATCH", &own, r#"{"content":"by its id"}"#).header("If-Match", tag);
    let changed = answer(send(&tag)).await;
    let now = answer(server.request(&ada, "GET", &path)).await;
    assert_eq!((changed.status, changed.header("etag")), (200, now.header("etag")));
    assert_eq!(answer(send(&tag)).await.status, 412);
    tag = changed.header("etag").to_owned();
    let response = answer(server.request(&eve, "GET", &format!("{messages}/5/response"))).await;
    assert_eq!((response.status, response.header("etag")), (200, tag.as_str()));
    let text = r#"{"content":"once"}"#;
    for (method, target, body) in [
        ("POST", &messages, text),
        ("POST", &replies, text),
        ("DELETE", &format!("{messages}/last"), ""),
        ("DELETE", &messages, ""),
    ] {
        let key = format!("{method}:{target}");
        let send = || server.send(&ada, method, target, body).header("Idempotency-Key", &key);
        let first = answer(send()).await;
        let now = answer(server.request(&ada, "GET", &path)).await;
        assert_eq!(first.header("etag"), now.header("etag"), "{method} {target}");
        let again = answer(send()).await;
        let replayed = (again.header("idempotency-replayed"), again.header("etag"));
        assert_eq!(replayed, ("true", now.header("etag")), "{method} {target}");
    }
    let last = server.post(&ada, &messages, text).await["id"].as_str().unwrap().to_owned();
    let deleted = answer(server.request(&ada, "DELETE", &format!("/api/v1/messages/{last}"))).await;
    let now = answer(server.request(&ada, "GET", &path)).await;
    assert_eq!((deleted.status, deleted.header("etag")), (204, now.header("etag")));
    let empty = answer(server.request(&ada, "DELETE", &format!("{messages}/last"))).await;
    let now = answer(server.request(&ada, "GET", &path)).await;
    assert_eq!((empty.status, empty.header("etag")), (200, now.header("etag")), "nothing is left to remove");
    let absent = answer(server.request(&ada, "GET", &format!("{messages}/99"))).await;
    assert_eq!((absent.status, absent.header("etag")), (404, ""));
}

async fn a_condition_without_quotes_is_named(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let fresh = Fresh::make(&server, &ada, 0).await;
    for operation in conditional("If-None-Match") {
        for tags in ["2", "\"2", "", "*, \"2\"", "2, \"2\"", "w/\"2\""] {
            let refused =
                refusal(fresh.request(&server, &ada, &operation).header("If-None-Match", tags)).await;
            let expected = (422, vec![("If-None-Match".to_owned(), "invalid_format".to_owned())]);
            assert_eq!(refused, expected, "{} {tags}", operation.name());
        }
    }
}

async fn an_unmodified_conversation_is_not_sent_again(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let fresh = Fresh::make(&server, &ada, 0).await;
    for operation in conditional("If-None-Match") {
        let name = operation.name();
        let target = operation.target(&[("id", &fresh.id), ("thread_id", &fresh.thread)]);
        let ask = |tag: &str| server.request(&ada, "GET", &target).header("If-None-Match", tag);
        for tag in ["\"2\"", "W/\"2\"", "*", "\"1\", \"2\"", "\"1\",W/\"2\""] {
            let spared = answer(ask(tag)).await;
            assert_eq!((spared.status, spared.header("etag")), (304, "\"2\""), "{name} {tag}");
            assert!(spared.body.is_null(), "{name} {tag}");
        }
        let twice = answer(ask("\"1\"").header("If-None-Match", "\"2\"")).await;
        assert_eq!(twice.status, 304, "{name}");
        for tag in ["\"1\"", "W/\"1\"", "\"1\", \"3\"", "\"12\""] {
            assert_eq!(answer(ask(tag)).await.status, 200, "{name} {tag}");
        }
        let absent =
            answer(server.request(&ada, "GET", &operation.target(&[])).header("If-None-Match", "*")).await;
        assert_eq!(absent.status, 404, "{name}");
        let wrong =
            answer(server.request(&ada, "GET", &format!("{target}?x=1")).header("If-None-Match", "*")).await;
        assert_eq!(wrong.status, 422, "{name}");
        assert!(operation.statuses.contains(&304), "{name}");
    }
    let text = exchange(server.request(&ada, "GET", &fresh.path()).header("If-None-Match", "\"2\"")).await;
    allow_duplicates! { assert_snapshot!(text, @r#"
    GET /api/v1/conversations/019ca945-0a00-7917-98de-357e3da8cb43

    304 Not Modified
    etag: "2"
    "#) }
}

async fn one_of_sixteen_concurrent_conditional_changes_is_applied(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for (number, operation) in conditional("If-Match").iter().enumerate() {
        let fresh = Fresh::make(&server, &ada, number).await;
        let request = |_| fresh.request(&server, &ada, operation).header("If-Match", "\"2\"");
        let answers = crate::support::at_once((0..16).map(request)).await;
        let created = answers.iter().filter(|answer| answer.status < 300).count();
        assert_eq!(created, 1, "{}", operation.name());
        let is_delete = operation.method == "DELETE";
        let refused = |status: u16| status == 412 || is_delete && status == 404;
        let others = answers.iter().filter(|answer| refused(answer.status)).count();
        assert_eq!(others, 15, "{}", operation.name());
    }
}
