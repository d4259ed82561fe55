//! chatcore: an assistant with retrieval. Names, short ids, counts, order, ownership, erasure, imports, times.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::support::{Answer, Application, Caller, assert_uuid, column, text, with_query};

conformance!(
    k1_names_are_unique_after_case_folding_and_trimming,
    k2_a_short_id_is_accepted_in_every_path,
    k2_the_message_count_is_maintained,
    k3_a_message_keeps_its_documents_and_its_token_count,
    k3_a_message_refers_to_documents_of_its_owner,
    k3_messages_have_a_stable_order,
    k5_documents_are_json_and_found_by_what_they_contain,
    k5_a_document_is_its_owners_alone,
    k6_deleting_a_user_deletes_all_of_their_data_and_nothing_else,
    k6_users_who_delete_themselves_are_gone_with_their_keys,
    k6_names_addresses_and_thread_ids_are_unique,
    k7_in_every_path_a_foreign_object_looks_absent,
    k8_the_command_for_migrations_says_where_the_tables_are,
    k9_an_import_beside_the_running_server_adds_everything_once,
    k9_documents_of_an_export_are_imported_once,
    k13_every_time_is_utc_with_its_zone,
);

async fn k1_names_are_unique_after_case_folding_and_trimming(case: TestDatabase) {
    let application = Application::start(case);
    let admin = application.person_with("root", &["--role", "admin"]);
    let created = application.post(&admin, "/users", json!({"username": "Straße"})).await.data(201);
    assert_eq!(created["username"], "Straße", "kept as it was typed");
    for spelled in ["straße", "STRASSE", "  Straße  "] {
        let taken = application.post(&admin, "/users", json!({ "username": spelled })).await;
        let taken = taken.refused(409, "already-exists");
        assert_eq!(taken["errors"][0]["field"], "username", "{spelled:?}");
        let command = application.run(&["user", "create", "--username", spelled]);
        command.assert_failed(1, "user with this username already exists");
    }
    let found = application.get(&admin, "/users?username=STRASSE").await.data(200);
    assert_eq!(found["data"], json!([created]));
    let service = application.service();
    application.get(&service.acting_for("name:strasse"), "/conversations").await.data(200);
}

async fn k2_a_short_id_is_accepted_in_every_path(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let conversation = application.post(&ada, "/conversations", json!({"title": "Short"})).await.data(201);
    let short = text(&conversation["short_id"]);
    assert_eq!(short.len(), 22);
    assert!(short.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{short} needs no escaping");
    assert_uuid(&conversation["id"]);
    let path = format!("/conversations/{short}");
    assert_eq!(application.get(&ada, &path).await.data(200), conversation);

    let message = application.say(&ada, &path, "hello").await;
    assert_eq!(message["conversation_id"], conversation["id"]);
    for name in [text(&message["short_id"]), text(&message["id"]), "1"] {
        let found = application.get(&ada, &format!("{path}/messages/{name}")).await.data(200);
        assert_eq!(found, message, "{name}");
    }
    let me = application.get(&ada, "/users/me").await.data(200);
    let service = application.service();
    let found = application.get(&service, &format!("/users/{}", text(&me["short_id"]))).await.data(200);
    assert_eq!(found, me);
    let acting = service.acting_for(text(&me["short_id"]));
    assert_eq!(application.get(&acting, &path).await.data(200)["id"], conversation["id"]);
    application.delete(&ada, &path).await.done();
}

async fn k2_the_message_count_is_maintained(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    let messages = format!("{path}/messages");
    let counted = async |count: i64, last_seq: i64, last_message: Value| {
        let now = application.get(&ada, &path).await.data(200);
        assert_eq!((&now["message_count"], &now["last_seq"]), (&json!(count), &json!(last_seq)), "{now}");
        assert_eq!(now["last_message"], last_message);
    };
    counted(0, 0, Value::Null).await;
    application.say(&ada, &path, "one").await;
    counted(1, 1, json!("one")).await;
    let batch = json!({"messages": [{"content": "two"}, {"content": "three"}]});
    application.post(&ada, &messages, batch).await.data(201);
    application.post(&ada, &format!("{path}/replies"), json!({"content": "four"})).await.data(201);
    counted(4, 4, json!("four")).await;
    application.delete(&ada, &format!("{messages}/4")).await.done();
    application.delete(&ada, &format!("{messages}/1")).await.done();
    counted(2, 4, json!("three")).await;
    let said = application.say(&ada, &path, "five").await;
    assert_eq!(said["seq"], 5, "a number is not used again");
    counted(3, 5, json!("five")).await;
}

async fn k3_a_message_keeps_its_documents_and_its_token_count(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    let documents = json!(["manual.pdf", {"id": "doc-7", "score": 0.83, "page": 12}]);
    let reply = json!({"content": "See page 12.", "used_documents": documents, "token_count": 5});
    let reply = application.post(&ada, &format!("{path}/replies"), reply).await.data(201);
    assert_eq!((&reply["used_documents"], &reply["token_count"]), (&documents, &json!(5)));
    let asked = application.say(&ada, &path, "thanks").await;
    assert_eq!((&asked["used_documents"], &asked["token_count"]), (&json!([]), &Value::Null));

    let change = json!({"used_documents": [], "token_count": 6});
    let changed = application.patch(&ada, &format!("{path}/messages/1"), change).await.data(200);
    assert_eq!((&changed["used_documents"], &changed["token_count"]), (&json!([]), &json!(6)));
    let wrong = json!({"content": "", "used_documents": "manual.pdf", "token_count": -1});
    let wrong = application.post(&ada, &format!("{path}/messages"), wrong).await;
    wrong.invalid(&[("used_documents", "wrong_type"), ("token_count", "out_of_range")]);
}

async fn k3_a_message_refers_to_documents_of_its_owner(case: TestDatabase) {
    let application = Application::start(case);
    let [ada, ben] = ["ada", "ben"].map(|name| application.person(name));
    let manual = application.post(&ada, "/documents", json!({"content": {"page": 12}})).await.data(201);
    let foreign = application.post(&ben, "/documents", json!({"content": 1})).await.data(201);
    let messages = format!("{}/messages", application.conversation(&ada, json!({})).await);
    let used = json!(["manual.pdf", {"document_id": manual["id"]}]);
    let message = json!({"content": "See page 12.", "role": "assistant", "used_documents": used});
    let message = application.post(&ada, &messages, message).await.data(201);
    assert_eq!(message["used_documents"], used);
    let wrong = json!({"content": "", "used_documents": [{"document_id": foreign["id"]}]});
    application
        .post(&ada, &messages, wrong)
        .await
        .invalid(&[("used_documents[0].document_id", "not_allowed")]);
    let resolved = async || {
        let list = application.get(&ada, &format!("{messages}?include=documents")).await.data(200);
        list["data"][0]["used_documents"][1]["document"].clone()
    };
    assert_eq!(resolved().await, manual);
    application.delete(&ada, &format!("/documents/{}", text(&manual["id"]))).await.done();
    assert_eq!(resolved().await, Value::Null);
    assert_eq!(application.get(&ada, &format!("{messages}/1")).await.data(200)["used_documents"], used);
}

async fn k3_messages_have_a_stable_order(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    let messages = format!("{path}/messages");
    // One batch: all of the same instant.
    let batch: Vec<Value> = (1..=25).map(|number| json!({ "content": number.to_string() })).collect();
    application.post(&ada, &messages, json!({ "messages": batch })).await.data(201);
    application.patch(&ada, &format!("{messages}/3"), json!({"content": "edited"})).await.data(200);

    let mut seqs = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = application.get(&ada, &format!("{messages}?limit=10{cursor}")).await.data(200);
        seqs.extend(column(&page, "seq"));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        application.say(&ada, &path, "meanwhile").await;
    }
    let expected: Vec<i64> = (1..=27).collect();
    assert_eq!(json!(seqs), json!(expected));
    let newest = application.get(&ada, &format!("{messages}?order=desc&limit=2")).await.data(200);
    assert_eq!(column(&newest, "seq"), [27, 26]);
    let before = application.get(&ada, &format!("{messages}?before=4&limit=2")).await.data(200);
    assert_eq!(column(&before, "seq"), [3, 2]);
}

/// The contents of the documents that a filter finds.
async fn found(application: &Application, caller: &Caller, parameters: &[(&str, &str)]) -> Vec<Value> {
    let list = application.get(caller, &with_query("/documents", parameters)).await.data(200);
    let count = application.get(caller, &with_query("/documents/count", parameters)).await.data(200);
    let contents = column(&list, "content");
    assert_eq!(count["count"], contents.len(), "{parameters:?}");
    contents
}

async fn k5_documents_are_json_and_found_by_what_they_contain(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let manual =
        json!({"kind": "manual", "pages": [{"number": 12, "tags": ["button", "知"]}], "price": 1.50});
    let note = json!({"kind": "note", "pages": [], "price": 15});
    let batch = json!({"documents": [
        {"title": "Manual", "content": manual, "metadata": {"source": "upload"}},
        {"title": "Note", "content": note, "metadata": {"source": "mail"}},
        {"content": ["x", ["y"]]},
    ]});
    let created = application.post(&ada, "/documents", batch).await.data(201);
    assert_eq!(column(&created, "content"), [manual.clone(), note.clone(), json!(["x", ["y"]])]);
    for (filter, expected) in [
        (r#"{"kind": "note"}"#, vec![&note]),
        (r#"{"pages": [{"tags": ["知"]}]}"#, vec![&manual]),
        (r#"{"price": 1.5}"#, vec![&manual]),
        (r#"{"price": 15e0}"#, vec![&note]),
        (r#"{"kind": "manual", "pages": []}"#, vec![&manual]),
        (r#"{"pages": {"number": 12}}"#, vec![]),
    ] {
        let found = found(&application, &ada, &[("contains", filter)]).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    assert_eq!(found(&application, &ada, &[("contains", r#""x""#)]).await, [json!(["x", ["y"]])]);
    assert_eq!(
        found(&application, &ada, &[("metadata_contains", r#"{"source": "upload"}"#)]).await,
        [manual]
    );
    assert_eq!(found(&application, &ada, &[("title", "Note"), ("contains", "{}")]).await, [note]);
    assert_eq!(found(&application, &ada, &[]).await.len(), 3);
    let refused = application.get(&ada, &with_query("/documents", &[("contains", "{kind: note}")])).await;
    refused.invalid(&[("contains", "invalid_format")]);
    let stats = application.run(&["stats", "--json"]).json();
    assert_eq!(stats["documents"], 3, "{stats}");
}

async fn k5_a_document_is_its_owners_alone(case: TestDatabase) {
    let application = Application::start(case);
    let [ada, ben] = ["ada", "ben"].map(|name| application.person(name));
    let document = application.post(&ada, "/documents", json!({"content": {"secret": 1}})).await.data(201);
    let path = format!("/documents/{}", text(&document["short_id"]));
    assert_eq!(application.get(&ada, &path).await.data(200), document);
    application.get(&ben, &path).await.refused(404, "not-found");
    application.patch(&ben, &path, json!({"content": 1})).await.refused(404, "not-found");
    application.delete(&ben, &path).await.refused(404, "not-found");
    assert_eq!(found(&application, &ben, &[("contains", r#"{"secret": 1}"#)]).await, [] as [Value; 0]);
    let service = application.service();
    assert_eq!(found(&application, &service.acting_for("name:ada"), &[]).await.len(), 1);
    application.delete(&ada, "/users/me").await.done();
    let stats = application.run(&["stats", "--json"]).json();
    assert_eq!(stats["documents"], 0, "{stats}");
}

/// All kinds of rows of a user, and another user's conversation in which they wrote.
async fn full_life(application: &Application, ada: &Caller, ben: &Caller) -> (String, String) {
    let own = application.conversation(ada, json!({"thread_id": "t"})).await;
    application.say(ada, &own, "mine").await;
    let response = json!({"content": "yes", "response": {"tokens_prompt": 1, "tokens_completion": 1}});
    application.post(ada, &format!("{own}/replies"), response).await.data(201);
    application.put(ada, &format!("{own}/members/{}", ben.id), json!({})).await.data(201);
    let shared = application.conversation(ben, json!({})).await;
    application.put(ben, &format!("{shared}/members/{}", ada.id), json!({})).await.data(201);
    application.say(ben, &shared, "by ben").await;
    application.say(ada, &shared, "by ada").await;
    (own, shared)
}

async fn k6_deleting_a_user_deletes_all_of_their_data_and_nothing_else(case: TestDatabase) {
    let application = Application::start(case);
    let admin = application.person_with("root", &["--role", "admin"]);
    let [ada, ben] = ["ada", "ben"].map(|name| application.person(name));
    let (own, shared) = full_life(&application, &ada, &ben).await;

    application.delete(&admin, &format!("/users/{}", ada.id)).await.done();
    application.get(&ada, "/users/me").await.refused(401, "unauthenticated");
    application.get(&admin, &format!("/users/{}", ada.id)).await.refused(404, "not-found");
    application.get(&ben, &own).await.refused(404, "not-found");
    let left = application.get(&ben, &shared).await.data(200);
    assert_eq!((&left["message_count"], &left["last_message"]), (&json!(1), &json!("by ben")));
    let members = application.get(&ben, &format!("{shared}/members")).await.data(200);
    assert_eq!(column(&members, "username"), ["ben"]);
    let usage = application.get(&admin, "/usage?scope=all&group_by=user").await.data(200);
    assert_eq!(usage["data"], json!([]));

    let stats = application.run(&["stats", "--json"]).json();
    for (rows, count) in
        [("users", 2), ("conversations", 1), ("messages", 1), ("responses", 0), ("members", 0)]
    {
        assert_eq!(stats[rows], count, "{rows} in {stats}");
    }
    let again = application.post(&admin, "/users", json!({"username": "ada"})).await.data(201);
    assert_ne!(again["id"], json!(ada.id), "the name is free");
}

async fn k6_users_who_delete_themselves_are_gone_with_their_keys(case: TestDatabase) {
    let application = Application::start(case);
    let [ada, ben] = ["ada", "ben"].map(|name| application.person(name));
    full_life(&application, &ada, &ben).await;
    application.delete(&ada, "/users/me").await.done();
    application.get(&ada, "/users/me").await.refused(401, "unauthenticated");
    let stats = application.run(&["stats", "--json"]).json();
    assert_eq!((&stats["users"], &stats["conversations"]), (&json!(1), &json!(1)), "{stats}");
    let keys = application.run(&["key", "list", "--json"]).json();
    assert_eq!(keys.as_array().unwrap().len(), 1, "{keys}");
}

async fn k6_names_addresses_and_thread_ids_are_unique(case: TestDatabase) {
    let application = Application::start(case);
    let admin = application.person_with("root", &["--role", "admin"]);
    let user = json!({"username": "ada", "email": "ada@example.org"});
    application.post(&admin, "/users", user).await.data(201);
    application.post(&admin, "/conversations", json!({"thread_id": "t"})).await.data(201);
    for (path, body, field) in [
        ("/users", json!({"username": "ADA", "email": "other@example.org"}), "username"),
        ("/users", json!({"username": "other", "email": "ADA@example.org"}), "email"),
        ("/conversations", json!({"thread_id": "t"}), "thread_id"),
    ] {
        let taken = application.post(&admin, path, body).await.refused(409, "already-exists");
        assert_eq!(taken["errors"][0]["field"], field);
    }
}

async fn k7_in_every_path_a_foreign_object_looks_absent(case: TestDatabase) {
    let application = Application::start(case);
    let [ada, ben] = ["ada", "ben"].map(|name| application.person(name));
    let own = application.conversation(&ada, json!({"thread_id": "t"})).await;
    let reply = application.post(&ada, &format!("{own}/replies"), json!({"content": "yes"})).await.data(201);
    let absent_message = "00000000-0000-7000-8000-000000000001";
    let absent = format!("/conversations/{absent_message}");
    let below = [
        ("GET", String::new(), None),
        ("GET", "?include=messages".to_owned(), None),
        ("PATCH", String::new(), Some(json!({"title": "x"}))),
        ("GET", "/members".to_owned(), None),
        ("PUT", format!("/members/{}", ben.id), Some(json!({}))),
        ("DELETE", format!("/members/{}", ben.id), None),
        ("GET", "/messages".to_owned(), None),
        ("GET", "/messages?around=1".to_owned(), None),
        ("POST", "/messages".to_owned(), Some(json!({"content": "x"}))),
        ("POST", "/messages".to_owned(), Some(json!({"messages": [{"content": "x"}]}))),
        ("POST", "/replies".to_owned(), Some(json!({"content": "x"}))),
        ("GET", "/messages/1".to_owned(), None),
        ("GET", format!("/messages/{}", text(&reply["id"])), None),
        ("PATCH", "/messages/1".to_owned(), Some(json!({"content": "x"}))),
        ("DELETE", "/messages/1".to_owned(), None),
        ("GET", "/messages/1/response".to_owned(), None),
        ("DELETE", String::new(), None),
    ];
    for (method, rest, body) in below {
        let answer = async |path: &str| {
            let request = application.request(&ben, method, &format!("{path}{rest}"));
            let request = if let Some(body) = &body { request.json(body) } else { request };
            Answer::to(request).await
        };
        let (foreign, nothing) = (answer(&own).await, answer(&absent).await);
        foreign.refused(404, "not-found");
        assert_eq!(foreign.body, nothing.body, "{method} {rest}");
    }
    for method in ["GET", "DELETE"] {
        Answer::to(application.request(&ben, method, "/threads/t")).await.refused(404, "not-found");
    }
    application.patch(&ben, "/threads/t", json!({"title": "x"})).await.refused(404, "not-found");
    for list in ["/conversations", "/conversations?membership=shared"] {
        assert_eq!(application.get(&ben, list).await.data(200)["data"], json!([]), "{list}");
    }
    assert_eq!(application.get(&ben, "/usage").await.data(200)["data"], json!([]));
    let now = application.get(&ada, &own).await.data(200);
    assert_eq!((&now["message_count"], &now["title"]), (&json!(1), &Value::Null), "nothing came of it");
}

async fn k8_the_command_for_migrations_says_where_the_tables_are(case: TestDatabase) {
    let application = Application::start(case);
    let revisions = application.run(&["migrate", "current", "--json"]).json()["revisions"].clone();
    let revisions = revisions.as_array().unwrap();
    assert!(!revisions.is_empty());
    for revision in revisions {
        assert!(revision["applied_at"].is_string() && revision["slug"].is_string(), "{revision}");
    }
    let stats = application.run(&["stats", "--json"]).json();
    assert_eq!(stats["database"]["revision"], revisions.last().unwrap()["id"]);
}

async fn k9_an_import_beside_the_running_server_adds_everything_once(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let lines = [
        json!({"id": "old-1", "turns": [
            {"role": "user", "content": "Where is it warm?"}, {"role": "assistant", "content": "In Seville."}
        ]}),
        json!({"id": "old-2", "turns": [{"role": "user", "content": "谢谢"}]}),
    ];
    let file = application.folder.path().join("old.jsonl");
    std::fs::write(&file, lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let base_time = "2021-03-04T05:06:07Z";
    let import = || {
        let command = ["import", "jsonl", "old.jsonl", "--user", "ada", "--base-time", base_time, "--json"];
        application.run(&command).json()
    };
    let added = json!({"conversations": 2, "messages": 3});
    assert_eq!(import(), json!({"read": 2, "imported": added, "unchanged": 0, "skipped": []}));
    let first = application.get(&ada, "/threads/old-1?include=messages").await.data(200);
    assert_eq!((&first["message_count"], &first["last_message"]), (&json!(2), &json!("In Seville.")));
    let messages = json!({"data": first["messages"]});
    assert_eq!(column(&messages, "role"), ["user", "assistant"]);
    assert_eq!(column(&messages, "sender_id"), [json!(ada.id), Value::Null]);
    for time in column(&messages, "created_at") {
        assert!(text(&time).starts_with("2021-03-04T05:06:07."), "{time}");
    }
    let nothing = json!({"conversations": 0, "messages": 0});
    assert_eq!(import(), json!({"read": 2, "imported": nothing, "unchanged": 2, "skipped": []}));
    assert_eq!(application.get(&ada, "/threads/old-1?include=messages").await.data(200), first);
    let said = application.say(&ada, &format!("/conversations/{}", text(&first["id"])), "And now?").await;
    assert_eq!(said["seq"], 3, "an imported conversation goes on");
}

async fn k9_documents_of_an_export_are_imported_once(case: TestDatabase) {
    let application = Application::start(case);
    let [ada, ben] = ["ada", "ben"].map(|name| application.person(name));
    let batch = json!({"documents": [
        {"title": "Manual", "content": {"page": 12.5}, "metadata": {"source": "upload"}}, {"content": null}
    ]});
    let created = application.post(&ada, "/documents", batch).await.data(201);
    let export = application.get(&ada, "/users/me/export").await;
    let lines = export.body.lines().filter(|line| line.contains(r#""type":"document""#));
    let file = application.folder.path().join("documents.jsonl");
    std::fs::write(&file, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let import =
        || application.run(&["import", "jsonl", "documents.jsonl", "--user", "ben", "--json"]).json();
    let imported = |documents: u64| json!({"conversations": 0, "messages": 0, "documents": documents});
    assert_eq!(import(), json!({"read": 2, "imported": imported(2), "unchanged": 0, "skipped": []}));
    for document in created["data"].as_array().unwrap() {
        let path = format!("/documents/{}", text(&document["id"]));
        assert_eq!(application.get(&ben, &path).await.data(200), *document);
    }
    assert_eq!(import(), json!({"read": 2, "imported": imported(0), "unchanged": 2, "skipped": []}));
    let path = format!("/documents/{}", text(&created["data"][0]["id"]));
    application.patch(&ben, &path, json!({"content": "other"})).await.data(200);
    let command = ["import", "jsonl", "documents.jsonl", "--user", "ben"];
    application.run(&command).assert_failed(65, "is stored with other content");
    assert_eq!(application.get(&ben, &path).await.data(200)["content"], "other", "left as it is");
}

/// Checks every time in a value; how many there are.
fn assert_times(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(assert_times).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value {
                Value::String(time) if name.ends_with("_at") => {
                    let form: String =
                        time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
                    assert_eq!(form, "0000-00-00T00:00:00.000000Z", "{name}: {time}");
                    1
                }
                value => assert_times(value),
            })
            .sum(),
        _ => 0,
    }
}

async fn k13_every_time_is_utc_with_its_zone(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    application.say(&ada, &path, "hello").await;
    let edited = application.patch(&ada, &format!("{path}/messages/1"), json!({"content": "hi"})).await;
    assert_eq!(assert_times(&edited.data(200)), 2);
    let reply = application.post(&ada, &format!("{path}/replies"), json!({"content": "yes"})).await;
    assert_eq!(assert_times(&reply.data(201)), 2);
    for (path, times) in [
        (path.clone(), 3),
        (format!("{path}/members"), 1),
        ("/users/me".to_owned(), 2),
        ("/conversations".to_owned(), 3),
    ] {
        assert_eq!(assert_times(&application.get(&ada, &path).await.data(200)), times, "{path}");
    }
    assert_times(
        &application.run(&["key", "create", "--user", "ada", "--expires-in", "90d", "--json"]).json(),
    );
    assert!(assert_times(&application.get(&ada, "/auth/api-keys").await.data(200)) > 0);
    assert!(assert_times(&application.run(&["user", "list", "--json"]).json()) > 0);
    assert!(assert_times(&application.run(&["migrate", "current", "--json"]).json()) > 0);
}
