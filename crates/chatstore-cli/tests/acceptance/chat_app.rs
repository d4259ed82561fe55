//! chat_app: many models, and what they used. From an empty folder to a server of PostgreSQL.

use chatstore_testkit::{Backend, TestDatabase, conformance};
use serde_json::{Value, json};

use crate::program::run;
use crate::server::Server;
use crate::support::{Answer, Application, Caller, assert_uuid, column, text};

conformance!(
    a1_a_user_has_name_address_full_name_and_an_active_flag,
    a2_a_conversation_has_a_default_model,
    a2_a_conversation_without_a_user_is_created_where_that_is_enabled,
    a2_a_service_keeps_anonymous_conversations,
    a3_a_messages_model_wins_over_the_conversations_and_that_over_the_servers,
    a4_an_assistants_message_has_one_response_with_tokens_and_time,
    a4_omitted_fields_of_a_response_are_derived,
    a5_messages_come_in_order_and_are_found_by_uuid,
    a6_the_database_is_chosen_by_its_url_alone,
    a7_a_migration_is_applied_by_a_command_and_shown_as_applied,
    a8_usage_is_added_up_by_day_and_model,
    a8_an_administrator_sees_the_usage_of_all_users,
    a8_usage_is_kept_when_the_message_is_deleted,
);

async fn a1_a_user_has_name_address_full_name_and_an_active_flag(case: TestDatabase) {
    let application = Application::start(case);
    let admin = application.person_with("root", &["--role", "admin"]);
    let ada = application.person_with("ada", &["--email", "ada@example.org", "--full-name", "Ada Lovelace"]);
    let me = application.get(&ada, "/users/me").await.data(200);
    for (field, value) in [
        ("username", json!("ada")),
        ("email", json!("ada@example.org")),
        ("full_name", json!("Ada Lovelace")),
        ("is_active", json!(true)),
        ("role", json!("user")),
        ("created_at", me["updated_at"].clone()),
    ] {
        assert_eq!(me[field], value, "{field}");
    }
    let secret = me.as_object().unwrap().keys().find(|field| field.contains("hash"));
    assert_eq!(secret, None);

    let path = format!("/users/{}", ada.id);
    let disabled = application.patch(&admin, &path, json!({"is_active": false})).await.data(200);
    assert!(text(&disabled["updated_at"]) > text(&disabled["created_at"]));
    application.get(&ada, "/users/me").await.refused(401, "unauthenticated");
    let listed = application.get(&admin, "/users?is_active=false").await.data(200);
    assert_eq!(column(&listed, "username"), ["ada"]);
    application.patch(&admin, &path, json!({"is_active": true})).await.data(200);
    application.get(&ada, "/users/me").await.data(200);
}

async fn a2_a_conversation_has_a_default_model(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({"default_model": "openai/gpt-3.5-turbo"})).await;
    let created = application.get(&ada, &path).await.data(200);
    assert_eq!(created["default_model"], "openai/gpt-3.5-turbo");
    let changed = application.patch(&ada, &path, json!({"default_model": "small-1"})).await.data(200);
    assert_eq!(changed["default_model"], "small-1");
    let cleared = application.patch(&ada, &path, json!({"default_model": null})).await.data(200);
    assert_eq!(cleared["default_model"], Value::Null);
    let wrong = application.post(&ada, "/conversations", json!({"default_model": ""})).await;
    wrong.invalid(&[("default_model", "too_short")]);
}

async fn a2_a_conversation_without_a_user_is_created_where_that_is_enabled(case: TestDatabase) {
    let mut application = Application::start_with(case, &[("CHATSTORE_ANONYMOUS", "on")]);
    let visitor = Caller::default();
    let path = application.conversation(&visitor, json!({"default_model": "small-1"})).await;
    let service = application.service().acting_for("anonymous");
    application.say(&service, &path, "Welcome!").await;
    let read = application.get(&visitor, &format!("{path}?include=messages")).await.data(200);
    assert_eq!(read["owner_id"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(read["messages"][0]["effective_model"], "small-1");
    assert_eq!(application.get(&visitor, &format!("{path}/messages/1")).await.data(200), read["messages"][0]);
    application.get(&visitor, "/conversations").await.refused(401, "unauthenticated");
    let ada = application.person("ada");
    application.get(&ada, &path).await.refused(404, "not-found");

    application.stop();
    application.serve(&[]);
    application.get(&visitor, &path).await.refused(401, "unauthenticated");
    application.post(&visitor, "/conversations", json!({})).await.refused(401, "unauthenticated");
}

async fn a2_a_service_keeps_anonymous_conversations(case: TestDatabase) {
    let application = Application::start(case);
    let visitor = application.service().acting_for("anonymous");
    let path = application.conversation(&visitor, json!({"title": "A visitor"})).await;
    application.say(&visitor, &path, "hello").await;
    let listed = application.get(&visitor, "/conversations").await.data(200);
    assert_eq!(column(&listed, "title"), ["A visitor"]);
    assert_eq!(column(&listed, "owner_id"), ["00000000-0000-0000-0000-000000000000"]);
    assert_eq!(
        application.run(&["user", "list", "--json"]).json(),
        json!([]),
        "the built-in user is not listed"
    );
    application.delete(&visitor, &path).await.done();
}

async fn a3_a_messages_model_wins_over_the_conversations_and_that_over_the_servers(case: TestDatabase) {
    let application = Application::start_with(case, &[("CHATSTORE_DEFAULT_MODEL", "of-the-server")]);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    let ask = async |body: Value| {
        let asked = application.post(&ada, &format!("{path}/messages"), body).await.data(201);
        text(&asked["effective_model"]).to_owned()
    };
    let answer = async |body: Value| {
        let reply = application.post(&ada, &format!("{path}/replies"), body).await.data(201);
        text(&reply["response"]["model_used"]).to_owned()
    };
    assert_eq!(ask(json!({"content": "a"})).await, "of-the-server");
    assert_eq!(answer(json!({"content": "b"})).await, "of-the-server");
    application.patch(&ada, &path, json!({"default_model": "of-the-conversation"})).await.data(200);
    assert_eq!(ask(json!({"content": "c"})).await, "of-the-conversation");
    assert_eq!(answer(json!({"content": "d"})).await, "of-the-conversation");
    assert_eq!(ask(json!({"content": "e", "model": "of-the-message"})).await, "of-the-message");
    assert_eq!(answer(json!({"content": "f"})).await, "of-the-message");
    assert_eq!(answer(json!({"content": "g", "model": "of-the-reply"})).await, "of-the-reply");
    let known = json!({"content": "h", "model": "of-the-reply", "response": {"model_used": "exact-1"}});
    assert_eq!(answer(known).await, "exact-1");
    assert_eq!(ask(json!({"content": "i"})).await, "of-the-conversation", "an override is for one message");
}

async fn a4_an_assistants_message_has_one_response_with_tokens_and_time(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    application.say(&ada, &path, "Explain relativity").await;
    let response = json!({
        "model_used": "openai/gpt-4-turbo", "tokens_prompt": 20, "tokens_completion": 150, "tokens_total": 170,
        "completion_time_ms": 2500, "finish_reason": "stop",
    });
    let reply = json!({"content": "Einstein's theory …", "response": response});
    let answer = application.post(&ada, &format!("{path}/replies"), reply).await;
    let reply = answer.data(201);
    let place = format!("{path}/messages/{}", text(&reply["id"]));
    assert_eq!(answer.headers["location"], format!("/api/v1{place}"));
    assert_eq!((&reply["role"], &reply["sender_id"]), (&json!("assistant"), &Value::Null));
    for (field, value) in response.as_object().unwrap() {
        assert_eq!(&reply["response"][field], value, "{field}");
    }
    let found = application.get(&ada, &format!("{place}/response")).await.data(200);
    assert_eq!(found, reply["response"]);
    assert_eq!(found["message_id"], reply["id"]);
    application.get(&ada, &format!("{path}/messages/1/response")).await.refused(404, "not-found");

    application.delete(&ada, &place).await.done();
    application.get(&ada, &format!("{place}/response")).await.refused(404, "not-found");
    assert_eq!(application.run(&["stats", "--json"]).json()["responses"], 0);
}

async fn a4_omitted_fields_of_a_response_are_derived(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({"default_model": "small-1"})).await;
    let replies = format!("{path}/replies");
    let record = async |response: Value| {
        let body = json!({"content": "", "response": response});
        application.post(&ada, &replies, body).await
    };
    let known = record(json!({"tokens_prompt": 3, "tokens_completion": 4})).await.data(201);
    assert_eq!(known["response"]["tokens_total"], 7);
    let unknown = application.post(&ada, &replies, json!({"content": ""})).await.data(201);
    let response = &unknown["response"];
    assert_eq!((&response["model_used"], &response["tokens_total"]), (&json!("small-1"), &Value::Null));
    let wrong = record(json!({"tokens_prompt": 3, "tokens_completion": 4, "tokens_total": 6})).await;
    wrong.invalid(&[("response.tokens_total", "out_of_range")]);
}

async fn a5_messages_come_in_order_and_are_found_by_uuid(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    for content in ["one", "two", "three"] {
        application.say(&ada, &path, content).await;
    }
    let listed = application.get(&ada, &format!("{path}/messages")).await.data(200);
    assert_eq!(column(&listed, "content"), ["one", "two", "three"]);
    for message in listed["data"].as_array().unwrap() {
        assert_uuid(&message["id"]);
        let found = application.get(&ada, &format!("{path}/messages/{}", text(&message["id"]))).await;
        assert_eq!(&found.data(200), message);
    }
    let absent = format!("{path}/messages/00000000-0000-7000-8000-000000000001");
    application.get(&ada, &absent).await.refused(404, "not-found");
}

async fn a6_the_database_is_chosen_by_its_url_alone(case: TestDatabase) {
    let kind = if case.url.starts_with("sqlite") { "sqlite" } else { "postgres" };
    let application = Application::start(case);
    let ready = Answer::to(application.request_to(&Caller::default(), "GET", "/readyz")).await.data(200);
    let named = text(&ready["dependencies"]["database"]["kind"]).to_owned();
    assert!(named.starts_with(kind), "{ready}");
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({"title": "My Chat"})).await;
    assert_eq!(application.say(&ada, &path, "hello").await["seq"], 1);
    assert!(!application.folder.path().join("chatstore.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a6_without_settings_a_server_creates_its_database_in_the_working_directory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    assert!(folder.path().join("chatstore.db").is_file());
    run(folder.path(), &["user", "create", "--username", "ada"]).data();
    let key = run(folder.path(), &["key", "create", "--user", "ada"]).data().to_owned();

    // An application of its own database lends its client.
    let mut application = Application::start(Backend::Sqlite.database().await);
    application.serve_on(server);
    let ada = Caller { key: Some(key), ..Caller::default() };
    let path = application.conversation(&ada, json!({"title": "My Chat"})).await;
    application.say(&ada, &path, "hello").await;
    let stats = run(folder.path(), &["stats", "--json"]).json();
    assert_eq!((&stats["users"], &stats["messages"]), (&json!(1), &json!(1)), "{stats}");
    application.stop();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("chatstore.db")), "{left:?}");
}

async fn a7_a_migration_is_applied_by_a_command_and_shown_as_applied(case: TestDatabase) {
    let mut application = Application::start(case);
    application.stop();
    let shown = |application: &Application| application.run(&["migrate", "current"]).data().to_owned();
    assert!(!shown(&application).contains("pending"));
    application.run(&["migrate", "downgrade", "--allow-data-loss"]).data();
    assert!(shown(&application).contains("pending"));
    application.run(&["migrate", "upgrade"]).data();
    assert!(!shown(&application).contains("pending"));
    application.serve(&[]);
    let ada = application.person("ada");
    application.conversation(&ada, json!({})).await;
}

/// Ada with three replies of two models, Ben with one.
async fn used(application: &Application) -> (Caller, String) {
    let [ada, ben] = ["ada", "ben"].map(|name| application.person(name));
    let record = async |caller: &Caller, path: &str, model: &str, prompt: i64, time: i64| {
        let response = json!({
            "model_used": model, "tokens_prompt": prompt, "tokens_completion": 10, "completion_time_ms": time,
        });
        let reply = json!({"content": "", "response": response});
        application.post(caller, &format!("{path}/replies"), reply).await.data(201);
    };
    let path = application.conversation(&ada, json!({})).await;
    record(&ada, &path, "large-1", 100, 2_000).await;
    record(&ada, &path, "large-1", 200, 1_000).await;
    record(&ada, &path, "small-1", 5, 50).await;
    let other = application.conversation(&ben, json!({})).await;
    record(&ben, &other, "small-1", 7, 70).await;
    (ada, path)
}

fn sums(requests: i64, prompt: i64, completion: i64, time: i64) -> Value {
    json!({
        "requests": requests, "cached_requests": 0, "tokens_prompt": prompt, "tokens_completion": completion,
        "tokens_total": prompt + completion, "completion_time_ms_sum": time, "cost_micros": 0,
    })
}

fn with(mut sums: Value, field: &str, value: Value) -> Value {
    sums[field] = value;
    sums
}

async fn a8_usage_is_added_up_by_day_and_model(case: TestDatabase) {
    let application = Application::start(case);
    let (ada, _) = used(&application).await;
    let by_model = application.get(&ada, "/usage?group_by=model").await.data(200);
    let expected = json!({
        "data": [
            with(sums(2, 300, 20, 3_000), "model", json!("large-1")),
            with(sums(1, 5, 10, 50), "model", json!("small-1")),
        ],
        "total": sums(3, 305, 30, 3_050),
    });
    assert_eq!(by_model, expected);
    let usual = application.get(&ada, "/usage").await.data(200);
    assert_eq!(column(&usual, "model"), ["large-1", "small-1"]);
    let day = text(&usual["data"][0]["day"]);
    assert_eq!(day.len(), "2026-03-01".len());
    let that_day = application.get(&ada, &format!("/usage?from={day}&to={day}")).await.data(200);
    assert_eq!(that_day, usual);
    let long_ago = application.get(&ada, "/usage?from=2001-01-01&to=2001-12-31").await.data(200);
    assert_eq!(long_ago, json!({"data": [], "total": sums(0, 0, 0, 0)}));
}

async fn a8_an_administrator_sees_the_usage_of_all_users(case: TestDatabase) {
    let application = Application::start(case);
    let (ada, _) = used(&application).await;
    let admin = application.person_with("root", &["--role", "admin"]);
    let by_user = application.get(&admin, "/usage?scope=all&group_by=user").await.data(200);
    assert_eq!(by_user["total"], sums(4, 312, 40, 3_120));
    assert_eq!(column(&by_user, "requests"), [3, 1]);
    assert_eq!(by_user["data"][0]["user_id"], json!(ada.id));
    let of_ada = application.get(&admin, &format!("/usage?user_id={}", ada.id)).await.data(200);
    assert_eq!(of_ada, application.get(&ada, "/usage").await.data(200));
    application.get(&ada, "/usage?scope=all").await.refused(403, "forbidden");
}

async fn a8_usage_is_kept_when_the_message_is_deleted(case: TestDatabase) {
    let application = Application::start(case);
    let (ada, path) = used(&application).await;
    let before = application.get(&ada, "/usage").await.data(200);
    application.delete(&ada, &format!("{path}/messages/1")).await.done();
    application.delete(&ada, &path).await.done();
    assert_eq!(application.get(&ada, "/usage").await.data(200), before);
}
