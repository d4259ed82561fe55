//! Documents: created, read, changed, deleted, listed, filtered and counted.

use std::time::Duration;

use chatstore::{FileLock, Store};
use chatstore_testkit::{TestDatabase, conformance};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Person, Server, answer, at_once, outlines, refusal};

conformance!(
    a_document_is_created_read_changed_and_deleted,
    the_content_of_a_document_is_any_json_and_metadata_an_object,
    documents_of_a_batch_are_created_all_or_none,
    documents_are_listed_newest_first_and_page_by_page,
    filters_of_documents_are_those_of_lists_and_counts,
    a_filter_that_is_no_json_is_refused,
    a_change_of_a_document_may_be_conditional,
    a_document_is_created_once_for_each_idempotency_key,
    what_is_wrong_with_a_document_is_answered_field_by_field,
    a_document_may_be_as_large_as_the_limit_says,
    a_message_refers_to_documents_of_the_conversations_owner_alone,
    messages_are_answered_with_the_documents_they_refer_to,
);

const DOCUMENTS: &str = "/api/v1/documents";

fn path(document: &Value) -> String {
    format!("{DOCUMENTS}/{}", document["id"].as_str().unwrap())
}

/// A list or count with percent-encoded parameters.
fn target(below: &str, parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{DOCUMENTS}{below}?{query}")
}

async fn titles(server: &Server, person: &Person, parameters: &[(&str, &str)]) -> Vec<Value> {
    let page = server.get(person, &target("", parameters)).await;
    page["data"].as_array().unwrap().iter().map(|one| one["title"].clone()).collect()
}

async fn a_document_is_created_read_changed_and_deleted(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let body =
        r#"{"title": "Manual", "content": {"b": [1.0, {"a": null}]}, "metadata": {"source": "upload"}}"#;
    let created = answer(server.send(&ada, "POST", DOCUMENTS, body)).await;
    assert_eq!((created.status, created.header("etag")), (201, "\"1\""));
    let document = created.body.clone();
    assert_eq!(created.header("location"), path(&document));
    let short = document["short_id"].as_str().unwrap();
    let expected = json!({
        "id": document["id"], "short_id": short, "title": "Manual", "content": {"b": [1, {"a": null}]},
        "metadata": {"source": "upload"}, "revision": 1, "created_at": "2026-03-01T12:00:00.000000Z",
        "updated_at": "2026-03-01T12:00:00.000000Z"
    });
    assert_eq!(document, expected);
    for name in [document["id"].as_str().unwrap(), short] {
        let found = answer(server.request(&ada, "GET", &format!("{DOCUMENTS}/{name}"))).await;
        assert_eq!((found.status, found.header("etag"), &found.body), (200, "\"1\"", &expected));
    }
    let known = server.request(&ada, "GET", &path(&document)).header("If-None-Match", "\"1\"");
    assert_eq!(answer(known).await.status, 304);

    server.case.clock.advance(Duration::from_secs(60));
    let change = r#"{"title": null, "content": null}"#;
    let changed = answer(server.send(&ada, "PATCH", &path(&document), change)).await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""));
    assert_eq!((&changed.body["title"], &changed.body["content"]), (&Value::Null, &Value::Null));
    assert_eq!(changed.body["metadata"], json!({"source": "upload"}));
    assert_eq!(changed.body["updated_at"], "2026-03-01T12:01:00.000000Z");
    assert_eq!(changed.body["created_at"], document["created_at"]);
    let same = answer(server.send(&ada, "PATCH", &path(&document), "{}")).await;
    assert_eq!((same.status, same.body), (200, changed.body), "no change, no new revision");

    let gone = answer(server.request(&ada, "DELETE", &path(&document))).await;
    assert_eq!((gone.status, gone.body), (204, Value::Null));
    for method in ["GET", "PATCH", "DELETE"] {
        assert_eq!(answer(server.send(&ada, method, &path(&document), "{}")).await.status, 404, "{method}");
    }
}

async fn the_content_of_a_document_is_any_json_and_metadata_an_object(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    for content in [
        "null",
        "true",
        "0.5",
        "\"\"",
        "[]",
        "{}",
        "18446744073709551615",
        r#"{"documents": {"a": 1, "a": 2}}"#,
    ] {
        let created = server.post(&ada, DOCUMENTS, &format!(r#"{{"content": {content}}}"#)).await;
        let expected: Value = serde_json::from_str(content).unwrap();
        assert_eq!((&created["content"], &created["metadata"]), (&expected, &json!({})), "{content}");
        assert_eq!(server.get(&ada, &path(&created)).await, created);
    }
    let refused = outlines([
        server.send(&ada, "POST", DOCUMENTS, r#"{"content": 1, "metadata": []}"#),
        server.send(&ada, "POST", DOCUMENTS, r#"{"content": 1, "metadata": null}"#),
        server.send(&ada, "POST", DOCUMENTS, r#"{"content": "\u0000"}"#),
        server.send(&ada, "POST", DOCUMENTS, r#"{"content": 1e400}"#),
        server.send(&ada, "POST", DOCUMENTS, r#"{"content": "\ud800"}"#),
        server.send(&ada, "POST", DOCUMENTS, r#"{"content": 1, "content": 2}"#),
    ])
    .await;
    let statuses: Vec<&str> = refused.lines().map(|line| line.split(" → ").nth(1).unwrap()).collect();
    assert_eq!(
        statuses,
        [
            "422 validation (metadata: wrong_type)",
            "422 validation (metadata: wrong_type)",
            "422 validation (content: nul_character)",
            "422 validation (content: out_of_range)",
            "400 malformed-request",
            "400 malformed-request",
        ]
    );
}

async fn documents_of_a_batch_are_created_all_or_none(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let body = r#"{"documents": [{"content": 1}, {"title": "two", "content": [2], "metadata": {"a": 1}}]}"#;
    let created = answer(server.send(&ada, "POST", DOCUMENTS, body)).await;
    let data = created.body["data"].as_array().unwrap();
    assert_eq!((created.status, created.header("location")), (201, path(&data[0]).as_str()));
    assert_eq!((&data[0]["content"], &data[1]["content"]), (&json!(1), &json!([2])));
    for document in data {
        assert_eq!(server.get(&ada, &path(document)).await, *document);
    }
    let many = |count: usize| json!({ "documents": vec![json!({"content": 1}); count] }).to_string();
    assert_eq!(answer(server.send(&ada, "POST", DOCUMENTS, &many(200))).await.status, 201);
    for (body, field, code) in [
        (many(0).as_str(), "documents", "too_short"),
        (many(201).as_str(), "documents", "too_long"),
        (r#"{"documents": 1}"#, "documents", "wrong_type"),
        (r#"{"documents": [{"content": 1}, {}]}"#, "documents[1].content", "required"),
        (r#"{"documents": [{"content": 1}, 2]}"#, "documents[1]", "wrong_type"),
        (r#"{"documents": [{"content": 1, "id": "x"}]}"#, "documents[0].id", "unknown_field"),
        (r#"{"documents": [{"content": 1}], "title": "x"}"#, "title", "unknown_field"),
    ] {
        let expected = (422, vec![(field.to_owned(), code.to_owned())]);
        assert_eq!(refusal(server.send(&ada, "POST", DOCUMENTS, body)).await, expected, "{field}");
    }
    let twice = r#"{"documents": [{"content": 1, "content": 2}]}"#;
    assert_eq!(refusal(server.send(&ada, "POST", DOCUMENTS, twice)).await.0, 400);
    assert_eq!(server.get(&ada, &target("/count", &[])).await, json!({"count": 202}));
}

async fn documents_are_listed_newest_first_and_page_by_page(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    for number in 0..5 {
        server.case.clock.advance(Duration::from_secs(1));
        server
            .post(&ada, DOCUMENTS, &json!({"title": number.to_string(), "content": number}).to_string())
            .await;
    }
    assert_eq!(titles(&server, &ada, &[]).await, ["4", "3", "2", "1", "0"]);
    assert_eq!(titles(&server, &ada, &[("order", "asc"), ("limit", "2")]).await, ["0", "1"]);
    let (mut met, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut parameters = vec![("limit", "2")];
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = server.get(&ada, &target("", &parameters)).await;
        met.extend(page["data"].as_array().unwrap().iter().map(|one| one["title"].clone()));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(met, ["4", "3", "2", "1", "0"]);
    let first = server.get(&ada, &target("", &[("limit", "2")])).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    for (person, parameters) in [
        (&eve, vec![("limit", "2")]),
        (&ada, vec![("order", "asc")]),
        (&ada, vec![("title", "1")]),
        (&ada, vec![("contains", "{}")]),
        (&ada, vec![("metadata_contains", "{}")]),
    ] {
        let parameters = [parameters, vec![("cursor", cursor)]].concat();
        let refused = refusal(server.request(person, "GET", &target("", &parameters))).await;
        assert_eq!(refused, (422, vec![("cursor".to_owned(), "invalid_format".to_owned())]));
    }
    assert_eq!(titles(&server, &eve, &[]).await, [] as [Value; 0]);
}

async fn filters_of_documents_are_those_of_lists_and_counts(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    for (title, content, metadata) in [
        ("a", json!({"kind": "note", "tags": ["x", ["y"]]}), json!({"source": "web"})),
        ("b", json!({"kind": "note", "n": 1.0}), json!({})),
        ("a", json!(["x", 1]), json!({"source": "web"})),
    ] {
        server.case.clock.advance(Duration::from_secs(1));
        let body = json!({"title": title, "content": content, "metadata": metadata});
        server.post(&ada, DOCUMENTS, &body.to_string()).await;
    }
    for (parameters, expected) in [
        (vec![("contains", r#"{"kind": "note"}"#)], vec!["b", "a"]),
        (vec![("contains", r#"{"n": 1e0}"#)], vec!["b"]),
        (vec![("contains", r#"{"tags": [["y"]]}"#)], vec!["a"]),
        (vec![("contains", "1.0")], vec!["a"]),
        (vec![("contains", "[1, 1, \"x\"]")], vec!["a"]),
        (vec![("metadata_contains", r#"{"source": "web"}"#)], vec!["a", "a"]),
        (vec![("metadata_contains", "{}")], vec!["a", "b", "a"]),
        (vec![("metadata_contains", r#"{"source": "web"}"#), ("contains", "{}")], vec!["a"]),
        (vec![("title", "a")], vec!["a", "a"]),
        (vec![("title", "a"), ("contains", r#"{"kind": "note"}"#)], vec!["a"]),
        (vec![("title", "")], vec![]),
    ] {
        assert_eq!(titles(&server, &ada, &parameters).await, expected, "{parameters:?}");
        let count = server.get(&ada, &target("/count", &parameters)).await;
        assert_eq!(count, json!({ "count": expected.len() }), "{parameters:?}");
        assert_eq!(titles(&server, &eve, &parameters).await, [] as [Value; 0]);
    }
}

async fn a_filter_that_is_no_json_is_refused(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let large = format!("[{}1]", "1,".repeat(256));
    let long = "x".repeat(513);
    for below in ["", "/count"] {
        for (parameters, code) in [
            (vec![("contains", "{")], "invalid_format"),
            (vec![("contains", "")], "invalid_format"),
            (vec![("contains", "note")], "invalid_format"),
            (vec![("contains", "1e400")], "out_of_range"),
            (vec![("contains", r#""\u0000""#)], "nul_character"),
            (vec![("metadata_contains", "{'a': 1}")], "invalid_format"),
            (vec![("contains", large.as_str())], "too_long"),
            (vec![("title", long.as_str())], "too_long"),
            (vec![("contains", "1"), ("contains", "2")], "not_allowed"),
        ] {
            let field = parameters[0].0.to_owned();
            let refused = refusal(server.request(&ada, "GET", &target(below, &parameters))).await;
            assert_eq!(refused, (422, vec![(field, code.to_owned())]), "{parameters:?}");
        }
    }
}

async fn a_change_of_a_document_may_be_conditional(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let document = server.post(&ada, DOCUMENTS, r#"{"content": 1}"#).await;
    let path = path(&document);
    let change = |tag: &str, body: &str| server.send(&ada, "PATCH", &path, body).header("If-Match", tag);
    assert_eq!(answer(change("\"1\"", r#"{"content": 2}"#)).await.body["revision"], 2);
    for tag in ["\"1\"", "\"3\"", "W/\"2\"", "\"x\""] {
        let refused = answer(change(tag, r#"{"content": 3}"#)).await;
        assert_eq!(refused.status, 412, "{tag}");
        assert_eq!(refused.body["type"], "urn:chatstore:problem:precondition-failed");
        let kept = answer(server.request(&ada, "DELETE", &path).header("If-Match", tag)).await;
        assert_eq!(kept.status, 412, "{tag}");
    }
    assert_eq!(server.get(&ada, &path).await["content"], 2);
    let racing = (0..8).map(|number| change("\"2\"", &format!(r#"{{"content": {number}}}"#)));
    let statuses: Vec<u16> =
        at_once(racing.collect::<Vec<RequestBuilder>>()).await.iter().map(|one| one.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(answer(change("*", r#"{"title": "t"}"#)).await.body["revision"], 4);
    assert_eq!(answer(server.request(&ada, "DELETE", &path).header("If-Match", "\"4\"")).await.status, 204);
    assert_eq!(answer(change("\"4\"", "{}")).await.status, 404);
}

async fn a_document_is_created_once_for_each_idempotency_key(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let post = |person: &Person, key: &str, body: &str| {
        server.send(person, "POST", DOCUMENTS, body).header("Idempotency-Key", key)
    };
    let body = r#"{"content": {"a": 1}}"#;
    let answers = at_once((0..6).map(|_| post(&ada, "k", body))).await;
    let ids: Vec<&Value> = answers.iter().map(|one| &one.body["id"]).collect();
    assert!(answers.iter().all(|one| one.status == 201) && ids.iter().all(|id| *id == ids[0]));
    let first = answers.iter().filter(|one| one.header("idempotency-replayed").is_empty()).count();
    assert_eq!(first, 1);
    assert_eq!(answer(post(&ada, "k", r#"{"content": 2}"#)).await.status, 422);
    assert_ne!(answer(post(&eve, "k", body)).await.body["id"], *ids[0], "keys are each user's own");
    let batch = r#"{"documents": [{"content": 1}, {"content": 2}]}"#;
    let (one, two) = (answer(post(&ada, "b", batch)).await, answer(post(&ada, "b", batch)).await);
    assert_eq!((one.status, two.status, &one.body), (201, 201, &two.body));
    assert_eq!(
        (two.header("idempotency-replayed"), two.header("location")),
        ("true", one.header("location"))
    );
    assert_eq!(server.get(&ada, &target("/count", &[])).await, json!({"count": 3}));

    let path = format!("{DOCUMENTS}/{}", ids[0].as_str().unwrap());
    answer(server.send(&ada, "PATCH", &path, r#"{"content": 9}"#)).await;
    assert_eq!(answer(post(&ada, "k", body)).await.body["content"], 9, "as it is now");
    answer(server.request(&ada, "DELETE", &path)).await;
    let gone = answer(post(&ada, "k", body)).await;
    assert_eq!((gone.status, &gone.body["type"]), (409, &json!("urn:chatstore:problem:conflict")));
}

async fn what_is_wrong_with_a_document_is_answered_field_by_field(case: TestDatabase) {
    let server = Server::start(case).await;
    let ada = server.person("ada").await;
    let long =
        json!({"title": "x".repeat(513), "content": 1, "metadata": {"a": "x".repeat(65_536)}, "owner_id": 1});
    let (status, errors) = refusal(server.send(&ada, "POST", DOCUMENTS, &long.to_string())).await;
    let fields: Vec<(&str, &str)> =
        errors.iter().map(|(field, code)| (field.as_str(), code.as_str())).collect();
    assert_eq!(status, 422);
    assert_eq!(fields, [("title", "too_long"), ("metadata", "too_long"), ("owner_id", "unknown_field")]);
    let missing = refusal(server.send(&ada, "POST", DOCUMENTS, r#"{"title": "x"}"#)).await;
    assert_eq!(missing, (422, vec![("content".to_owned(), "required".to_owned())]));
}

async fn a_document_may_be_as_large_as_the_limit_says(case: TestDatabase) {
    let mut server = Server::start(case).await;
    let ada = server.person("ada").await;
    let body = |bytes: usize| format!(r#"{{"content": "{}"}}"#, "x".repeat(bytes - 15));
    let status = async |server: &Server, target: &str, bytes: usize| {
        answer(server.send(&ada, "POST", target, &body(bytes))).await.status
    };
    assert_eq!(status(&server, DOCUMENTS, 1024 * 1024).await, 201);
    assert_eq!(status(&server, DOCUMENTS, 1024 * 1024 + 1).await, 413);
    let builder = Store::builder(server.case.url.clone()).file_lock(FileLock::Share).pool(4);
    let limit = 1280 * 1024;
    server.serve(builder.document_limit(limit).connect().await.unwrap()).await;
    let created = server.post(&ada, DOCUMENTS, &body(limit)).await;
    assert_eq!(server.get(&ada, &path(&created)).await["content"].as_str().unwrap().len(), limit - 15);
    let refused = answer(server.send(&ada, "PATCH", &path(&created), &body(limit + 1))).await;
    let detail = "the body must have at most 1310720 bytes";
    assert_eq!((refused.status, refused.body["detail"].as_str()), (413, Some(detail)));
    assert_eq!(status(&server, "/api/v1/conversations", 1024 * 1024 + 1).await, 413);
    assert_eq!(server.get(&ada, &target("/count", &[])).await, json!({"count": 2}));
}

async fn a_message_refers_to_documents_of_the_conversations_owner_alone(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let own = server.post(&ada, DOCUMENTS, r#"{"content": 1}"#).await;
    let foreign = server.post(&eve, DOCUMENTS, r#"{"content": 2}"#).await;
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, chatstore::MemberRole::Editor).await;
    let used =
        |document: &Value| json!({"content": "a", "used_documents": [{"document_id": document}]}).to_string();
    for name in ["id", "short_id"] {
        for (person, route) in [(&ada, "messages"), (&ada, "replies"), (&eve, "messages")] {
            let target = format!("{conversation}/{route}");
            let message = server.post(person, &target, &used(&own[name])).await;
            assert_eq!(message["used_documents"], json!([{"document_id": own[name]}]), "kept as it was sent");
        }
    }
    let absent = json!("00000000-0000-7000-8000-000000000001");
    for (document, code) in
        [(&foreign["id"], "not_allowed"), (&absent, "not_allowed"), (&json!(7), "invalid_format")]
    {
        let expected = (422, vec![("used_documents[0].document_id".to_owned(), code.to_owned())]);
        for (method, route) in [("POST", "messages"), ("POST", "replies"), ("PATCH", "messages/1")] {
            let target = format!("{conversation}/{route}");
            let request = || server.send(&ada, method, &target, &used(document));
            assert_eq!(refusal(request()).await, expected, "{method} {route}");
            assert_eq!(
                refusal(request().header("Idempotency-Key", "k")).await,
                expected,
                "{method} {route} once"
            );
        }
        assert_eq!(
            refusal(server.send(&eve, "POST", &format!("{conversation}/messages"), &used(document))).await,
            expected
        );
        let batch = format!(r#"{{"messages": [{{"content": "a"}}, {}]}}"#, used(document));
        let field = "messages[1].used_documents[0].document_id".to_owned();
        let refused = refusal(server.send(&ada, "POST", &format!("{conversation}/messages"), &batch)).await;
        assert_eq!(refused, (422, vec![(field, code.to_owned())]));
    }
    let free = json!(["x", {"id": foreign["id"]}, {"document_id": foreign["id"], "score": 1}, {}]);
    let body = json!({"content": "a", "used_documents": free}).to_string();
    let message = server.post(&ada, &format!("{conversation}/messages"), &body).await;
    assert_eq!(message["used_documents"], free, "texts and other objects are no references");
    assert_eq!(server.get(&ada, &conversation).await["message_count"], 7, "nothing else was stored");
    let elsewhere = server.send(
        &eve,
        "POST",
        "/api/v1/conversations/00000000-0000-7000-8000-000000000001/messages",
        &used(&json!(7)),
    );
    assert_eq!(answer(elsewhere).await.status, 404, "absent before anything about its owner");
}

async fn messages_are_answered_with_the_documents_they_refer_to(case: TestDatabase) {
    let server = Server::start(case).await;
    let (ada, eve) = (server.person("ada").await, server.person("eve").await);
    let mut documents = Vec::new();
    for content in ["1", r#"{"b": "x"}"#] {
        documents.push(server.post(&ada, DOCUMENTS, &format!(r#"{{"content": {content}}}"#)).await);
    }
    let conversation = server.conversation(&ada).await;
    server.share(&conversation, &ada, &eve, chatstore::MemberRole::Viewer).await;
    let [first, second] = [0, 1].map(|number| json!({"document_id": documents[number]["id"]}));
    let used = json!(["x", first, second, {"document_id": documents[0]["short_id"]}]);
    let body = json!({"content": "a", "used_documents": used}).to_string();
    server.post(&ada, &format!("{conversation}/messages"), &body).await;
    server.post(&ada, &format!("{conversation}/messages"), r#"{"content": "none"}"#).await;
    answer(server.request(&ada, "DELETE", &path(&documents[1]))).await;
    let expected = json!([
        "x",
        {"document_id": documents[0]["id"], "document": documents[0]},
        {"document_id": documents[1]["id"], "document": null},
        {"document_id": documents[0]["short_id"], "document": documents[0]},
    ]);
    for person in [&ada, &eve] {
        server.settle(person).await;
        let before = server.store.operations().statements();
        let list = server.get(person, &format!("{conversation}/messages")).await;
        let plain = server.store.operations().statements() - before;
        assert_eq!(list["data"][0]["used_documents"], used);
        let list = server.get(person, &format!("{conversation}/messages?include=documents")).await;
        assert_eq!(server.store.operations().statements() - before - plain, plain + 1, "one statement more");
        assert_eq!(list["data"][0]["used_documents"], expected);
        assert_eq!(list["data"][1]["used_documents"], json!([]));
        let one = server.get(person, &format!("{conversation}/messages/1?include=documents")).await;
        assert_eq!(one["used_documents"], expected);
    }
    let wrong = refusal(server.request(&ada, "GET", &format!("{conversation}/messages?include=x"))).await;
    assert_eq!(wrong, (422, vec![("include".to_owned(), "not_allowed".to_owned())]));
}
