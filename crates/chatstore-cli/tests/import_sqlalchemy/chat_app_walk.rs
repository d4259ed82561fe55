//! Rows A1 to A6 of the contract on imported data: chat_app goes on where it was.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::old::{Maker, OldDatabase};
use crate::program::run;
use crate::support::{Answer, Application, Caller, column, text};

conformance!(
    a1_an_imported_user_has_name_address_full_name_and_an_active_flag,
    a1_an_imported_name_or_address_is_taken,
    a2_an_imported_conversation_has_its_default_model,
    a2_an_imported_conversation_without_a_user_is_managed_by_the_service,
    a3_an_imported_messages_model_wins_over_the_conversations_and_that_over_the_servers,
    a4_an_imported_answer_has_one_response_with_tokens_and_time,
    a5_imported_messages_come_in_order_and_are_found_by_their_old_uuid,
    a5_an_imported_conversation_goes_on,
    a6_an_import_goes_where_the_database_url_says,
);

/// An imported plain database, its server, and who asks.
struct ChatApp {
    old: OldDatabase,
    application: Application,
    service: Caller,
    ada: Caller,
}

impl ChatApp {
    async fn on(case: TestDatabase) -> Self {
        Self::with(case, &[]).await
    }

    async fn with(case: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let (old, manifest) = Maker::ChatApp.make(&case, "plain").await;
        old.import_into(&case.url, &[]).assert_complete(&manifest);
        let application = Application::start_with(case, settings);
        let service = application.service();
        let ada = service.acting_for("name:ada");
        Self { old, application, service, ada }
    }

    /// The path of the conversation with this title, by the uuid that the old application gave it.
    fn path(&self, title: &str) -> String {
        let rows = self.old.look("select title, uuid from conversations");
        let row = rows.iter().find(|row| row[0] == title).expect("a conversation");
        format!("/conversations/{}", text(&row[1]))
    }
}

async fn a1_an_imported_user_has_name_address_full_name_and_an_active_flag(case: TestDatabase) {
    let ChatApp { application, service, ada, .. } = ChatApp::on(case).await;
    let me = application.get(&ada, "/users/me").await.data(200);
    for (field, value) in [
        ("username", json!("ada")),
        ("email", json!("ada@example.org")),
        ("full_name", json!("Ada Lovelace")),
        ("is_active", json!(true)),
        ("role", json!("user")),
    ] {
        assert_eq!(me[field], value, "{field}");
    }
    assert!(!me.to_string().contains("$2b$"), "the hash is not shown");
    application
        .get(&service.acting_for("email:ada@example.org"), "/users/me")
        .await
        .refused(404, "unknown-user");
    application.run(&["user", "verify-email", "ada", "ada@example.org"]);
    let me = application.get(&ada, "/users/me").await.data(200);
    for reference in ["email:ADA@example.org", "name:Ada", text(&me["id"]), text(&me["short_id"])] {
        assert_eq!(
            application.get(&service.acting_for(reference), "/users/me").await.data(200),
            me,
            "{reference}"
        );
    }

    let dora = service.acting_for("name:dora");
    application.get(&dora, "/conversations").await.refused(404, "unknown-user");
    let found = application.get(&service, "/users?username=dora").await.data(200);
    assert_eq!(column(&found, "is_active"), [false]);
    let path = format!("/users/{}", text(&found["data"][0]["id"]));
    application.patch(&service, &path, json!({"is_active": true})).await.data(200);
    application.get(&dora, "/conversations").await.data(200);

    let key = application.run(&["key", "create", "--user", "ada"]).data().to_owned();
    let herself = Caller { key: Some(key), ..Caller::default() };
    assert_eq!(application.get(&herself, "/users/me").await.data(200), me, "a key of her own");
}

async fn a1_an_imported_name_or_address_is_taken(case: TestDatabase) {
    let ChatApp { application, service, .. } = ChatApp::on(case).await;
    for (new, field) in [
        (json!({"username": " ADA "}), "username"),
        (json!({"username": "ada2", "email": "Ada@Example.org", "email_verified": false}), "email"),
    ] {
        let taken = application.post(&service, "/users", new).await.refused(409, "already-exists");
        assert_eq!(taken["errors"][0]["field"], field);
    }
}

async fn a2_an_imported_conversation_has_its_default_model(case: TestDatabase) {
    let chat_app = ChatApp::on(case).await;
    let path = chat_app.path("Relativity");
    let ChatApp { application, service, ada, .. } = chat_app;
    let found = application.get(&ada, &path).await.data(200);
    assert_eq!(found["default_model"], "openai/gpt-3.5-turbo");
    let changed = application.patch(&ada, &path, json!({"default_model": "small-1"})).await.data(200);
    assert_eq!(changed["default_model"], "small-1");
    let ben = service.acting_for("name:ben");
    application.get(&ben, &path).await.refused(404, "not-found");
}

async fn a2_an_imported_conversation_without_a_user_is_managed_by_the_service(case: TestDatabase) {
    let chat_app = ChatApp::with(case, &[("CHATSTORE_ANONYMOUS", "on")]).await;
    let path = chat_app.path("A visitor");
    let ChatApp { application, service, ada, .. } = chat_app;
    let anonymous = service.acting_for("anonymous");
    let listed = application.get(&anonymous, "/conversations").await.data(200);
    assert_eq!(column(&listed, "title"), ["A visitor"]);
    assert_eq!(column(&listed, "owner_id"), ["00000000-0000-0000-0000-000000000000"]);
    let read = application.get(&Caller::default(), &format!("{path}?include=messages")).await.data(200);
    assert_eq!(column(&json!({"data": read["messages"]}), "content"), ["hello", "hi"]);
    application.get(&ada, &path).await.refused(404, "not-found");
    application.say(&anonymous, &path, "and again").await;
    application.delete(&anonymous, &path).await.done();
}

async fn a3_an_imported_messages_model_wins_over_the_conversations_and_that_over_the_servers(
    case: TestDatabase,
) {
    let chat_app = ChatApp::with(case, &[("CHATSTORE_DEFAULT_MODEL", "of-the-server")]).await;
    let path = chat_app.path("Relativity");
    let ChatApp { application, ada, .. } = chat_app;
    let models = async || {
        let messages = application.get(&ada, &format!("{path}/messages")).await.data(200);
        column(&messages, "effective_model")
    };
    let of_conversation = json!("openai/gpt-3.5-turbo");
    let asked = models().await;
    assert_eq!(
        (&asked[0], &asked[2], &asked[4]),
        (&of_conversation, &json!("openai/gpt-4"), &of_conversation)
    );
    let reply = async |content: &str| {
        let reply =
            application.post(&ada, &format!("{path}/replies"), json!({"content": content})).await.data(201);
        text(&reply["response"]["model_used"]).to_owned()
    };
    assert_eq!(reply("of the newest question").await, "openai/gpt-3.5-turbo");
    // What was asked with a model of its own is now the newest.
    for seq in [5, 6, 7] {
        application.delete(&ada, &format!("{path}/messages/{seq}")).await.done();
    }
    assert_eq!(reply("of the imported override").await, "openai/gpt-4");
    application.patch(&ada, &path, json!({"default_model": null})).await.data(200);
    let asked = models().await;
    assert_eq!((&asked[0], &asked[2]), (&json!("of-the-server"), &json!("openai/gpt-4")));
}

async fn a4_an_imported_answer_has_one_response_with_tokens_and_time(case: TestDatabase) {
    let chat_app = ChatApp::on(case).await;
    let path = chat_app.path("Relativity");
    let rows = chat_app.old.look(
        "select m.uuid, r.model_used, r.tokens_prompt, r.tokens_completion, r.tokens_total, r.completion_time_ms \
         from responses r join messages m on m.id = r.message_id join conversations c on c.id = m.conversation_id \
         where c.title = 'Relativity' order by m.id",
    );
    let ChatApp { application, ada, .. } = chat_app;
    assert_eq!(rows.len(), 3);
    for row in rows {
        let found =
            application.get(&ada, &format!("{path}/messages/{}/response", text(&row[0]))).await.data(200);
        let fields = ["message_id", "model_used", "tokens_prompt", "tokens_completion", "tokens_total"];
        for (field, value) in fields.iter().chain(&["completion_time_ms"]).zip(&row) {
            assert_eq!(&found[field], value, "{field}");
        }
    }
    application.get(&ada, &format!("{path}/messages/1/response")).await.refused(404, "not-found");
    application.delete(&ada, &format!("{path}/messages/2")).await.done();
    application.get(&ada, &format!("{path}/messages/2/response")).await.refused(404, "not-found");
    assert_eq!(application.run(&["stats", "--json"]).json()["responses"], 5);
}

async fn a5_imported_messages_come_in_order_and_are_found_by_their_old_uuid(case: TestDatabase) {
    let chat_app = ChatApp::on(case).await;
    let path = chat_app.path("Relativity");
    let rows = chat_app.old.look(
        "select m.uuid, m.content from messages m join conversations c on c.id = m.conversation_id \
         where c.title = 'Relativity' order by m.created_at, m.id",
    );
    let ChatApp { application, ada, .. } = chat_app;
    let listed = application.get(&ada, &format!("{path}/messages")).await.data(200);
    let found: Vec<Value> = column(&listed, "id")
        .into_iter()
        .zip(column(&listed, "content"))
        .map(|(id, content)| json!([id, content]))
        .collect();
    assert_eq!(found, rows.iter().map(|row| json!(row)).collect::<Vec<_>>());
    for message in listed["data"].as_array().unwrap() {
        let by_id = application.get(&ada, &format!("{path}/messages/{}", text(&message["id"]))).await;
        assert_eq!(&by_id.data(200), message);
    }
    let newest = application.get(&ada, &format!("{path}/messages?limit=2&order=desc")).await.data(200);
    assert_eq!(column(&newest, "content"), ["Welcome", "Thanks"]);
    let around = application.get(&ada, &format!("{path}/messages?limit=3&around=3")).await.data(200);
    assert_eq!(column(&around, "seq"), [2, 3, 4]);
}

async fn a5_an_imported_conversation_goes_on(case: TestDatabase) {
    let chat_app = ChatApp::on(case).await;
    let path = chat_app.path("Relativity");
    let ChatApp { application, ada, .. } = chat_app;
    let before = application.get(&ada, &path).await.data(200);
    assert_eq!(application.say(&ada, &path, "What about gravity?").await["seq"], 7);
    let response = json!({"model_used": "openai/gpt-4", "tokens_prompt": 1, "tokens_completion": 2});
    let reply = json!({"content": "It bends.", "response": response});
    let reply = application.post(&ada, &format!("{path}/replies"), reply).await.data(201);
    assert_eq!((&reply["seq"], &reply["response"]["tokens_total"]), (&json!(8), &json!(3)));
    let after = application.get(&ada, &path).await.data(200);
    assert_eq!((&after["message_count"], &after["last_message"]), (&json!(8), &json!("It bends.")));
    assert!(after["revision"].as_i64() > before["revision"].as_i64());
    assert!(text(&after["updated_at"]) > text(&before["updated_at"]));
    let listed = application.get(&ada, "/conversations").await.data(200);
    assert_eq!(column(&listed, "title")[0], "Relativity", "what was written to comes first");
}

async fn a6_an_import_goes_where_the_database_url_says(case: TestDatabase) {
    let kind = if case.url.starts_with("sqlite") { "sqlite" } else { "postgres" };
    let (old, manifest) = Maker::ChatApp.make(&case, "plain").await;
    let url = old.url();
    let arguments = ["import", "sqlalchemy", &url, "--json"];

    let unset = tempfile::tempdir().unwrap();
    run(unset.path(), &["migrate", "upgrade"]).data();
    run(unset.path(), &arguments).report().assert_complete(&manifest);
    let stats = run(unset.path(), &["stats", "--json"]).json();
    assert_eq!(
        stats["messages"], manifest.rows["messages"],
        "without any setting, into a file of this folder"
    );

    old.import_into(&case.url, &[]).assert_complete(&manifest);
    let application = Application::start(case);
    let ready = Answer::to(application.request_to(&Caller::default(), "GET", "/readyz")).await.data(200);
    assert!(text(&ready["dependencies"]["database"]["kind"]).starts_with(kind), "{ready}");
    let ada = application.service().acting_for("name:ada");
    assert_eq!(application.get(&ada, "/conversations/count").await.data(200), json!({"count": 2}));
    assert!(!application.folder.path().join("chatstore.db").exists());
}
