//! PAKTON: conversations by e-mail address and thread id. One backend, one key; its users never log in.

use std::collections::BTreeSet;

use chatstore_testkit::{TestDatabase, conformance};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answer, Application, Caller, column, fields, text};

conformance!(
    p1_a_user_is_found_or_created_by_email_address,
    p1_of_many_concurrent_requests_one_creates_the_user,
    p2_a_conversation_is_found_or_created_by_thread_id,
    p2_a_conversation_is_created_once_with_its_thread_id,
    p2_title_and_last_message_are_changed_and_the_conversation_is_deleted_by_thread_id,
    p2_of_many_concurrent_requests_one_creates_the_conversation,
    p3_a_users_conversations_are_listed_with_limit_and_offset_and_counted,
    p4_title_is_optional_and_last_message_can_be_set_until_a_message_is_appended,
    p5_a_conversation_is_one_flat_object,
    p6_a_request_takes_effect_completely_or_not_at_all,
    p7_every_failure_has_the_same_form_and_reveals_nothing_of_the_database,
    x4_one_key_serves_two_users_and_neither_sees_the_others,
);

const DORA: &str = "dora@example.org";
const EMIL: &str = "emil@example.org";

/// The backend, with its one key, and its two users.
struct Backend {
    application: Application,
    service: Caller,
    dora: Caller,
    emil: Caller,
}

impl Backend {
    async fn on(case: TestDatabase) -> Self {
        let application = Application::start(case);
        let service = application.service();
        for email in [DORA, EMIL] {
            application.put(&service, &format!("/users/by-email/{email}"), json!({})).await.data(201);
        }
        let [dora, emil] = [DORA, EMIL].map(|email| service.acting_for(&format!("email:{email}")));
        Self { application, service, dora, emil }
    }
}

/// The statuses of requests that are sent at once, and the ids of what they were answered with.
async fn at_once(requests: impl Iterator<Item = RequestBuilder>) -> (Vec<u16>, BTreeSet<String>) {
    let mut sent = tokio::task::JoinSet::new();
    for request in requests {
        sent.spawn(Answer::to(request));
    }
    let answers = sent.join_all().await;
    let ids = answers.iter().map(|answer| text(&answer.data(answer.status)["id"]).to_owned()).collect();
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    (statuses, ids)
}

async fn p1_a_user_is_found_or_created_by_email_address(case: TestDatabase) {
    let application = Application::start(case);
    let service = application.service();
    let path = "/users/by-email/Dora%40Example.org";
    let created = application.put(&service, path, json!({"full_name": "Dora"})).await;
    let dora = created.data(201);
    assert_eq!((&dora["email"], &dora["username"]), (&json!("Dora@Example.org"), &Value::Null));
    assert_eq!(created.headers["location"], format!("/api/v1/users/{}", text(&dora["id"])));

    let path = "/users/by-email/dora%40example.ORG";
    let found = application.put(&service, path, json!({"full_name": "Someone else"})).await.data(200);
    assert_eq!(found, dora, "an existing user is not changed by the request");
    let listed = application.get(&service, "/users?email=DORA%40example.org").await.data(200);
    assert_eq!(listed["data"], json!([dora]));
}

async fn p1_of_many_concurrent_requests_one_creates_the_user(case: TestDatabase) {
    let application = Application::start(case);
    let service = application.service();
    let request = |_| application.request(&service, "PUT", "/users/by-email/dora%40example.org");
    let (statuses, ids) = at_once((0..12).map(request)).await;
    assert_eq!(statuses, [vec![200; 11], vec![201]].concat());
    assert_eq!(ids.len(), 1);
}

async fn p2_a_conversation_is_found_or_created_by_thread_id(case: TestDatabase) {
    let Backend { application, dora, .. } = Backend::on(case).await;
    application.get(&dora, "/threads/thread-1").await.refused(404, "not-found");
    let new = json!({"title": "Contract", "last_message": "Please read it"});
    let created = application.put(&dora, "/threads/thread-1", new).await.data(201);
    assert_eq!((&created["thread_id"], &created["title"]), (&json!("thread-1"), &json!("Contract")));

    let other = json!({"title": "Another title", "last_message": "Another message"});
    let found = application.put(&dora, "/threads/thread-1", other).await.data(200);
    assert_eq!(found, created, "an existing conversation is not changed by the request");
    assert_eq!(application.get(&dora, "/threads/thread-1").await.data(200), created);

    let odd = "/threads/2024%2F07%20%C3%A4%3F";
    assert_eq!(application.put(&dora, odd, json!({})).await.data(201)["thread_id"], "2024/07 ä?");
    assert_eq!(application.get(&dora, odd).await.data(200)["thread_id"], "2024/07 ä?");
}

async fn p2_a_conversation_is_created_once_with_its_thread_id(case: TestDatabase) {
    let Backend { application, dora, emil, .. } = Backend::on(case).await;
    let new = json!({"thread_id": "thread-1", "title": "Contract"});
    let created = application.post(&dora, "/conversations", new.clone()).await.data(201);
    assert_eq!(application.get(&dora, "/threads/thread-1").await.data(200), created);
    let taken = application.post(&dora, "/conversations", new.clone()).await.refused(409, "already-exists");
    assert_eq!(taken["errors"][0]["field"], "thread_id");
    application.post(&emil, "/conversations", new).await.data(201);
}

async fn p2_title_and_last_message_are_changed_and_the_conversation_is_deleted_by_thread_id(
    case: TestDatabase,
) {
    let Backend { application, dora, .. } = Backend::on(case).await;
    let path = "/threads/thread-1";
    application.patch(&dora, path, json!({"title": "x"})).await.refused(404, "not-found");
    let created = application.put(&dora, path, json!({"title": "Contract"})).await.data(201);
    let changed = application.patch(&dora, path, json!({"last_message": "Signed"})).await.data(200);
    assert_eq!((&changed["title"], &changed["last_message"]), (&json!("Contract"), &json!("Signed")));
    let changed = application.patch(&dora, path, json!({"title": "Deal"})).await.data(200);
    assert_eq!((&changed["title"], &changed["last_message"]), (&json!("Deal"), &json!("Signed")));
    assert!(text(&changed["updated_at"]) > text(&created["updated_at"]));

    application.delete(&dora, path).await.done();
    application.get(&dora, path).await.refused(404, "not-found");
    application.delete(&dora, path).await.refused(404, "not-found");
    let recreated = application.put(&dora, path, json!({})).await.data(201);
    assert_ne!(recreated["id"], created["id"]);
    assert_eq!(recreated["title"], Value::Null);
}

async fn p2_of_many_concurrent_requests_one_creates_the_conversation(case: TestDatabase) {
    let Backend { application, dora, .. } = Backend::on(case).await;
    let request = |number: usize| {
        application.request(&dora, "PUT", "/threads/thread-1").json(&json!({ "title": number.to_string() }))
    };
    let (statuses, ids) = at_once((0..12).map(request)).await;
    assert_eq!(statuses, [vec![200; 11], vec![201]].concat());
    assert_eq!(ids.len(), 1);
    assert_eq!(application.get(&dora, "/conversations/count").await.data(200), json!({"count": 1}));
}

async fn p3_a_users_conversations_are_listed_with_limit_and_offset_and_counted(case: TestDatabase) {
    let Backend { application, dora, emil, .. } = Backend::on(case).await;
    for number in 1..=7 {
        application.put(&dora, &format!("/threads/t{number}"), json!({})).await.data(201);
    }
    application.put(&emil, "/threads/other", json!({})).await.data(201);
    let page = async |query: &str| {
        let listed = application.get(&dora, &format!("/conversations{query}")).await.data(200);
        column(&listed, "thread_id")
    };
    assert_eq!(page("?limit=3").await, ["t7", "t6", "t5"], "the newest first");
    assert_eq!(page("?limit=3&offset=3").await, ["t4", "t3", "t2"]);
    assert_eq!(page("?limit=3&offset=6").await, ["t1"]);
    assert!(page("?offset=7").await.is_empty());
    assert_eq!(application.get(&dora, "/conversations/count").await.data(200), json!({"count": 7}));
    assert_eq!(application.get(&emil, "/conversations/count").await.data(200), json!({"count": 1}));

    application.patch(&dora, "/threads/t7", json!({"archived": true})).await.data(200);
    let count =
        async |query: &str| application.get(&dora, &format!("/conversations/count{query}")).await.data(200);
    assert_eq!(count("").await, json!({"count": 6}), "what is archived is left out");
    assert_eq!(count("?archived=all").await, json!({"count": 7}));
    assert_eq!(
        (page("?limit=1").await, page("?archived=true").await),
        (vec![json!("t6")], vec![json!("t7")])
    );
    application.patch(&dora, "/threads/t7", json!({"archived": false})).await.data(200);

    application.patch(&dora, "/threads/t2", json!({"last_message": "news"})).await.data(200);
    assert_eq!(page("?limit=2").await, ["t2", "t7"], "what was changed comes first");
    let wrong = application.get(&dora, "/conversations?limit=0&offset=-1").await;
    wrong.invalid(&[("limit", "out_of_range"), ("offset", "out_of_range")]);
}

async fn p4_title_is_optional_and_last_message_can_be_set_until_a_message_is_appended(case: TestDatabase) {
    let Backend { application, dora, .. } = Backend::on(case).await;
    let created = application.put(&dora, "/threads/t", json!({})).await.data(201);
    assert_eq!((&created["title"], &created["last_message"]), (&Value::Null, &Value::Null));
    let preview = "ü".repeat(3_000);
    let set = application.patch(&dora, "/threads/t", json!({ "last_message": preview })).await.data(200);
    assert_eq!(set["last_message"], preview, "what is set is kept as it is");

    let long = "ä".repeat(500);
    application.say(&dora, &format!("/conversations/{}", text(&created["id"])), &long).await;
    let now = application.get(&dora, "/threads/t").await.data(200);
    assert_eq!(now["last_message"], "ä".repeat(200), "the beginning of the newest message");
    let cleared = application.patch(&dora, "/threads/t", json!({"last_message": null})).await.data(200);
    assert_eq!(cleared["last_message"], Value::Null);
}

async fn p5_a_conversation_is_one_flat_object(case: TestDatabase) {
    let Backend { application, dora, .. } = Backend::on(case).await;
    let created = application.put(&dora, "/threads/t", json!({})).await.data(201);
    let names = "id short_id owner_id thread_id title default_model role message_count last_seq last_message \
                 last_message_at revision metadata created_at updated_at";
    let found = fields(&created);
    assert!(names.split_whitespace().all(|name| found.contains(name)), "{found:?}");
    let nested: Vec<_> = found.into_iter().filter(|name| created[*name].is_object()).collect();
    assert_eq!(nested, ["metadata"]);
    let listed = application.get(&dora, "/conversations").await.data(200);
    assert_eq!(listed["data"], json!([created]), "the same object in a list");
}

async fn p6_a_request_takes_effect_completely_or_not_at_all(case: TestDatabase) {
    let Backend { application, dora, .. } = Backend::on(case).await;
    let created = application.put(&dora, "/threads/t", json!({})).await.data(201);
    let path = format!("/conversations/{}", text(&created["id"]));
    let messages = format!("{path}/messages");
    let half = json!({"messages": [{"content": "one"}, {"content": "two", "role": "robot"}]});
    application.post(&dora, &messages, half).await.invalid(&[("messages[1].role", "not_allowed")]);
    assert_eq!(application.get(&dora, &path).await.data(200), created, "nothing was written");

    let whole = json!({"messages": [{"content": "one"}, {"content": "two", "role": "assistant"}]});
    let appended = application.post(&dora, &messages, whole).await.data(201);
    assert_eq!(column(&appended, "seq"), [1, 2]);
    // The name of another thread is taken, so the title stays, too.
    application.put(&dora, "/threads/other", json!({})).await.data(201);
    let both = json!({"title": "New", "thread_id": "other"});
    application.patch(&dora, &path, both).await.refused(409, "already-exists");
    assert_eq!(application.get(&dora, &path).await.data(200)["title"], Value::Null);
}

async fn p7_every_failure_has_the_same_form_and_reveals_nothing_of_the_database(case: TestDatabase) {
    let Backend { application, service, dora, .. } = Backend::on(case).await;
    application.put(&dora, "/threads/t", json!({})).await.data(201);
    application.get(&Caller::default(), "/conversations").await.refused(401, "unauthenticated");
    application.get(&dora, "/auth/sessions").await.refused(403, "forbidden");
    application.get(&dora, "/threads/absent").await.refused(404, "not-found");
    application.post(&dora, "/threads/t", json!({})).await.refused(405, "method-not-allowed");
    let taken = application.post(&dora, "/conversations", json!({"thread_id": "t"})).await;
    taken.refused(409, "already-exists");
    application
        .put(&service, "/users/by-email/nobody", json!({}))
        .await
        .invalid(&[("email", "invalid_format")]);
    let stale = application.request(&dora, "PATCH", "/threads/t").header("If-Match", "\"99\"");
    Answer::to(stale.json(&json!({"title": "x"}))).await.refused(412, "precondition-failed");
    for word in ["sql", "constraint", "conversations_", "users_"] {
        assert!(!taken.body.to_lowercase().contains(word), "{word}: {taken:?}");
    }
}

async fn x4_one_key_serves_two_users_and_neither_sees_the_others(case: TestDatabase) {
    let Backend { application, service, dora, emil } = Backend::on(case).await;
    let of_dora = application.put(&dora, "/threads/t", json!({"title": "Dora's"})).await.data(201);
    let of_emil = application.put(&emil, "/threads/t", json!({"title": "Emil's"})).await.data(201);
    assert_ne!(of_dora["owner_id"], of_emil["owner_id"]);
    for (caller, own, foreign) in [(&dora, &of_dora, &of_emil), (&emil, &of_emil, &of_dora)] {
        let listed = application.get(caller, "/conversations").await.data(200);
        assert_eq!(listed["data"], json!([own]));
        assert_eq!(&application.get(caller, "/threads/t").await.data(200), own);
        let path = format!("/conversations/{}", text(&foreign["id"]));
        application.get(caller, &path).await.refused(404, "not-found");
        application.delete(caller, &path).await.refused(404, "not-found");
    }
    let path = format!("/conversations/{}", text(&of_dora["id"]));
    let said = application.say(&dora, &path, "hello").await;
    assert_eq!(said["sender_id"], of_dora["owner_id"], "the user speaks, not the service");

    application.delete(&service, &format!("/users/{}", text(&of_dora["owner_id"]))).await.done();
    application.get(&dora, "/threads/t").await.refused(404, "unknown-user");
    assert_eq!(application.get(&emil, "/threads/t").await.data(200), of_emil);
}
