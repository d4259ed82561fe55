//! Rows P1 to P7 of the contract on imported data: PAKTON goes on where it was.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::old::Maker;
use crate::support::{Answer, Application, Caller, column, fields, text};

conformance!(
    p1_an_imported_user_is_found_by_email_address,
    p2_an_imported_conversation_is_found_by_its_thread_id,
    p2_an_imported_title_and_last_message_are_changed_and_the_conversation_is_deleted_by_thread_id,
    p3_a_users_imported_conversations_are_listed_with_limit_and_offset_and_counted,
    p4_an_imported_title_is_optional_and_last_message_is_what_it_was_until_a_message_comes,
    p5_an_imported_conversation_is_one_flat_object,
    p6_of_a_request_on_an_imported_conversation_everything_is_done_or_nothing,
    p7_every_failure_has_the_same_form,
);

/// An imported plain database, its server with its one key, and its two users with conversations.
struct Pakton {
    application: Application,
    service: Caller,
    dora: Caller,
    emil: Caller,
}

impl Pakton {
    async fn on(case: TestDatabase) -> Self {
        let (old, manifest) = Maker::Pakton.make(&case, "plain").await;
        old.import_into(&case.url, &[]).assert_complete(&manifest);
        let application = Application::start(case);
        let service = application.service();
        let [dora, emil] = ["dora@example.org", "emil@example.org"]
            .map(|email| service.acting_for(&format!("email:{email}")));
        Self { application, service, dora, emil }
    }
}

async fn p1_an_imported_user_is_found_by_email_address(case: TestDatabase) {
    let Pakton { application, service, dora, .. } = Pakton::on(case).await;
    let path = "/users/by-email/dora%40example.ORG";
    let found = application.put(&service, path, json!({"full_name": "Someone else"})).await.data(200);
    assert_eq!((&found["email"], &found["username"]), (&json!("Dora@Example.org"), &Value::Null));
    assert_eq!(found["full_name"], Value::Null, "an existing user is not changed by the request");
    assert_eq!(application.get(&dora, "/users/me").await.data(200), found);
    application.put(&service, "/users/by-email/fritz%2Blaw%40sub.example.org", json!({})).await.data(200);
    application.put(&service, "/users/by-email/new%40example.org", json!({})).await.data(201);
    let listed = application.get(&service, "/users").await.data(200);
    let emails = ["Dora@Example.org", "emil@example.org", "fritz+law@sub.example.org", "new@example.org"];
    assert_eq!(column(&listed, "email"), emails);
}

async fn p2_an_imported_conversation_is_found_by_its_thread_id(case: TestDatabase) {
    let Pakton { application, dora, emil, .. } = Pakton::on(case).await;
    let found = application.get(&dora, "/threads/t1").await.data(200);
    assert_eq!((&found["thread_id"], &found["title"]), (&json!("t1"), &json!("Contract 1")));
    let other = json!({"title": "Another title", "last_message": "Another message"});
    let again = application.put(&dora, "/threads/t1", other).await.data(200);
    assert_eq!(again, found, "an existing conversation is not changed by the request");
    let by_id = application.get(&dora, &format!("/conversations/{}", text(&found["id"]))).await.data(200);
    assert_eq!(by_id, found);
    let taken = application.post(&dora, "/conversations", json!({"thread_id": "t1"})).await;
    assert_eq!(taken.refused(409, "already-exists")["errors"][0]["field"], "thread_id");

    let odd = application.get(&emil, "/threads/2024%2F07%20%C3%A4%3F").await.data(200);
    assert_eq!((&odd["thread_id"], &odd["title"]), (&json!("2024/07 ä?"), &json!("Miete")));
    let uuid = "/threads/0f6a3c1e-8d7b-4b7e-9b53-2f1f3c9c7a10";
    application.get(&emil, uuid).await.data(200);
    for path in ["/threads/t1", "/threads/absent"] {
        application.get(&emil, path).await.refused(404, "not-found");
    }
    application.put(&emil, "/threads/t1", json!({})).await.data(201);
}

async fn p2_an_imported_title_and_last_message_are_changed_and_the_conversation_is_deleted_by_thread_id(
    case: TestDatabase,
) {
    let Pakton { application, dora, .. } = Pakton::on(case).await;
    let path = "/threads/t3";
    let found = application.get(&dora, path).await.data(200);
    let changed = application.patch(&dora, path, json!({"last_message": "Signed"})).await.data(200);
    assert_eq!((&changed["title"], &changed["last_message"]), (&json!("Contract 3"), &json!("Signed")));
    let changed = application.patch(&dora, path, json!({"title": "Deal"})).await.data(200);
    assert_eq!((&changed["title"], &changed["last_message"]), (&json!("Deal"), &json!("Signed")));
    assert!(text(&changed["updated_at"]) > text(&found["updated_at"]));
    assert_eq!(changed["created_at"], found["created_at"]);

    application.delete(&dora, path).await.done();
    application.get(&dora, path).await.refused(404, "not-found");
    application.delete(&dora, path).await.refused(404, "not-found");
    let recreated = application.put(&dora, path, json!({})).await.data(201);
    assert_ne!(recreated["id"], found["id"]);
    assert_eq!(recreated["title"], Value::Null);
}

async fn p3_a_users_imported_conversations_are_listed_with_limit_and_offset_and_counted(case: TestDatabase) {
    let Pakton { application, service, dora, emil } = Pakton::on(case).await;
    let page = async |query: &str| {
        let listed = application.get(&dora, &format!("/conversations{query}")).await.data(200);
        column(&listed, "thread_id")
    };
    assert_eq!(page("?limit=3").await, ["t7", "t6", "t5"], "the newest first");
    assert_eq!(page("?limit=3&offset=3").await, ["t4", "t3", "t2"]);
    assert_eq!(page("?limit=3&offset=6").await, ["t1"]);
    assert!(page("?offset=7").await.is_empty());
    assert_eq!(page("?sort=created_at&order=asc&limit=2").await, ["t1", "t2"]);
    let fritz = service.acting_for("email:fritz+law@sub.example.org");
    for (caller, count) in [(&dora, 7), (&emil, 2), (&fritz, 0)] {
        let counted = application.get(caller, "/conversations/count").await.data(200);
        assert_eq!(counted, json!({ "count": count }));
    }
    application.patch(&dora, "/threads/t2", json!({"last_message": "news"})).await.data(200);
    assert_eq!(page("?limit=2").await, ["t2", "t7"], "what was changed comes first");
}

async fn p4_an_imported_title_is_optional_and_last_message_is_what_it_was_until_a_message_comes(
    case: TestDatabase,
) {
    let Pakton { application, dora, .. } = Pakton::on(case).await;
    let untitled = application.get(&dora, "/threads/t4").await.data(200);
    assert_eq!((&untitled["title"], &untitled["last_message"]), (&Value::Null, &json!("Clause 4 …")));
    let unseen = application.get(&dora, "/threads/t5").await.data(200);
    assert_eq!((&unseen["title"], &unseen["last_message"]), (&json!("Contract 5"), &Value::Null));
    assert_eq!((&unseen["message_count"], &unseen["last_seq"]), (&json!(0), &json!(0)));

    let path = format!("/conversations/{}", text(&untitled["id"]));
    let long = "ä".repeat(500);
    assert_eq!(application.say(&dora, &path, &long).await["seq"], 1);
    let now = application.get(&dora, "/threads/t4").await.data(200);
    assert_eq!(now["last_message"], "ä".repeat(200), "the beginning of the newest message");
}

async fn p5_an_imported_conversation_is_one_flat_object(case: TestDatabase) {
    let Pakton { application, emil, .. } = Pakton::on(case).await;
    let found = application.get(&emil, "/threads/2024%2F07%20%C3%A4%3F").await.data(200);
    let created = application.put(&emil, "/threads/new", json!({})).await.data(201);
    assert_eq!(fields(&found), fields(&created), "as a conversation that was created here");
    assert_eq!(found["created_at"], "2024-01-02T11:40:00.250000Z");
    assert_eq!(found["updated_at"], "2024-01-02T11:45:00.250000Z");
    let listed = application.get(&emil, "/conversations").await.data(200);
    assert!(listed["data"].as_array().unwrap().contains(&found), "the same object in a list");
}

async fn p6_of_a_request_on_an_imported_conversation_everything_is_done_or_nothing(case: TestDatabase) {
    let Pakton { application, dora, .. } = Pakton::on(case).await;
    let found = application.get(&dora, "/threads/t1").await.data(200);
    let path = format!("/conversations/{}", text(&found["id"]));
    let messages = format!("{path}/messages");
    let half = json!({"messages": [{"content": "one"}, {"content": "two", "role": "robot"}]});
    application.post(&dora, &messages, half).await.invalid(&[("messages[1].role", "not_allowed")]);
    let both = json!({"title": "New", "thread_id": "t2"});
    application.patch(&dora, &path, both).await.refused(409, "already-exists");
    assert_eq!(application.get(&dora, &path).await.data(200), found, "nothing was written");
    let whole = json!({"messages": [{"content": "one"}, {"content": "two", "role": "assistant"}]});
    let appended = application.post(&dora, &messages, whole).await.data(201);
    assert_eq!(column(&appended, "seq"), [1, 2]);
}

async fn p7_every_failure_has_the_same_form(case: TestDatabase) {
    let Pakton { application, service, dora, .. } = Pakton::on(case).await;
    application.get(&Caller::default(), "/conversations").await.refused(401, "unauthenticated");
    application.get(&dora, "/auth/sessions").await.refused(403, "forbidden");
    application.get(&dora, "/threads/absent").await.refused(404, "not-found");
    application.post(&dora, "/threads/t1", json!({})).await.refused(405, "method-not-allowed");
    let nowhere = application.put(&service, "/users/by-email/nobody", json!({})).await;
    nowhere.invalid(&[("email", "invalid_format")]);
    let gone = service.acting_for("email:gone@example.org");
    application.get(&gone, "/conversations").await.refused(404, "unknown-user");
    let stale = application.request(&dora, "PATCH", "/threads/t1").header("If-Match", "\"99\"");
    Answer::to(stale.json(&json!({"title": "x"}))).await.refused(412, "precondition-failed");
}
