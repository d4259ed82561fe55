//! Coach Bot: generic create, read, update and delete with validation, and migrations that go both ways.

use chatstore_testkit::{Backend, TestDatabase, conformance};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::program::{chatstore, finish};
use crate::server::Server;
use crate::support::{Answer, Application, Caller, TOKEN_KEY, assert_uuid, fields, text, with_query};

conformance!(
    b1_users_chats_and_messages_have_a_uuid_and_times,
    b1_a_log_has_a_uuid_and_its_time_and_is_read_by_whom_it_is_about,
    b1_what_happens_to_users_is_logged_by_the_server,
    b2_concurrent_requests_leave_no_gap_in_a_chat,
    b3_create_read_update_and_delete_are_consistent_for_every_object,
    b3_a_change_leaves_what_it_does_not_name_and_clears_what_is_null,
    b4_requests_and_responses_have_separate_shapes,
    b4_every_wrong_field_is_named_at_once,
    b4_the_shapes_are_described,
    b5_the_tables_go_down_and_up_and_a_server_refuses_a_database_without_them,
    b5_concurrent_upgrades_all_succeed,
    b6_metadata_is_any_json_object,
    b6_a_document_is_any_json_and_is_found_by_what_it_contains,
    b7_the_url_is_a_setting_of_the_environment,
);

/// The kinds of objects: the path of their list, the body that creates one, a change of it.
async fn objects(application: &Application) -> (Caller, Vec<(String, Value, Value)>) {
    let admin = application.person_with("coach", &["--role", "admin"]);
    let chat = application.conversation(&admin, json!({})).await;
    let objects = vec![
        ("/users".to_owned(), json!({"email": "ada@example.org"}), json!({"full_name": "Ada"})),
        ("/conversations".to_owned(), json!({"title": "Plan"}), json!({"title": "New plan"})),
        (format!("{chat}/messages"), json!({"content": "Run!"}), json!({"content": "Walk!"})),
        (
            "/documents".to_owned(),
            json!({"content": {"km": 5}}),
            json!({"title": "Log", "content": [5, 7.5]}),
        ),
    ];
    (admin, objects)
}

async fn b1_users_chats_and_messages_have_a_uuid_and_times(case: TestDatabase) {
    let application = Application::start(case);
    let (admin, objects) = objects(&application).await;
    for (path, new, _) in objects {
        let created = application.post(&admin, &path, new).await.data(201);
        assert_uuid(&created["id"]);
        assert!(created["created_at"].is_string(), "{created}");
        assert!(
            fields(&created).contains("updated_at") || fields(&created).contains("edited_at"),
            "{created}"
        );
    }
}

async fn b1_a_log_has_a_uuid_and_its_time_and_is_read_by_whom_it_is_about(case: TestDatabase) {
    let application = Application::start(case);
    let (ada, ben) = (application.person("ada"), application.person("ben"));
    let admin = application.person_with("coach", &["--role", "admin"]);
    let chat = application.conversation(&ada, json!({})).await;
    let new = json!({
        "level": "warn", "event": "plan.failed", "conversation_id": chat.rsplit('/').next(), "data": {"km": [5, 7.5]}
    });
    let answer = application.post(&ada, "/logs", new.clone()).await;
    let log = answer.data(201);
    assert_uuid(&log["id"]);
    assert!(text(&log["at"]).ends_with('Z'), "{log}");
    for (field, value) in new.as_object().unwrap() {
        assert_eq!(&log[field], value);
    }
    let place = format!("/logs/{}", text(&log["id"]));
    assert_eq!(answer.headers["location"], format!("/api/v1{place}"));
    assert_eq!(application.get(&ada, &place).await.data(200), log);
    application.get(&ben, &place).await.refused(404, "not-found");
    application.patch(&ada, &place, json!({"level": "info"})).await.refused(405, "method-not-allowed");
    application.delete(&ada, &place).await.refused(405, "method-not-allowed");
    application.post(&ada, "/logs", json!({"level": "fatal", "text": "x"})).await.invalid(&[
        ("level", "not_allowed"),
        ("event", "required"),
        ("text", "unknown_field"),
    ]);

    let list = with_query("/logs", &[("event", "plan.failed"), ("level", "warn"), ("limit", "1")]);
    assert_eq!(application.get(&ada, &list).await.data(200), json!({"data": [log], "next_cursor": null}));
    let all = with_query("/admin/logs", &[("event", "plan.failed"), ("user_id", &ada.id)]);
    assert_eq!(application.get(&admin, &all).await.data(200)["data"], json!([log]));
    application.get(&ada, &all).await.refused(403, "forbidden");

    let printed = application.run(&["logs", "tail", "--event", "plan.failed", "--json"]);
    let printed: Value = serde_json::from_str(printed.data()).unwrap();
    for field in fields(&printed) {
        assert_eq!(printed[field], log[field], "{field}");
    }
    assert_eq!(application.run(&["logs", "prune", "--json"]).json()["deleted"], 0);
    application.delete(&admin, &format!("/users/{}", ada.id)).await.done();
    let left =
        application.get(&admin, &with_query("/admin/logs", &[("event", "plan.failed")])).await.data(200);
    let left = &left["data"][0];
    assert_eq!((&left["id"], &left["data"], &left["actor_id"]), (&log["id"], &json!({}), &Value::Null));
    assert_eq!(left["user_id"], "00000000-0000-0000-0000-000000000000");
}

async fn b1_what_happens_to_users_is_logged_by_the_server(case: TestDatabase) {
    let mut application = Application::start(case);
    let admin = application.person_with("coach", &["--role", "admin"]);
    let ada = application.person("ada");
    application
        .patch(&admin, &format!("/users/{}", ada.id), json!({"full_name": "Ada", "role": "admin"}))
        .await;
    application.stop();
    let events = application.run(&["logs", "tail", "--user", "ada", "--json"]);
    let events: Vec<Value> = events.data().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| text(&event["event"])).collect();
    assert!(names.contains(&"security.user_created"), "{names:?}");
    let changed = events.iter().find(|event| event["event"] == "security.role_changed").unwrap();
    assert_eq!((&changed["actor_id"], &changed["user_id"]), (&json!(admin.id), &json!(ada.id)));
    assert_eq!(changed["data"]["changed"], json!(["role"]));
    let table = application.run(&["logs", "tail", "--event", "security.role_changed"]).data().to_owned();
    assert!(table.contains(&format!("security.role_changed user={} actor={}", ada.id, admin.id)), "{table}");
}

async fn b2_concurrent_requests_leave_no_gap_in_a_chat(case: TestDatabase) {
    let application = Application::start_with(case, &[("CHATSTORE_POOL", "3")]);
    let callers = ["ada", "ben", "cleo"].map(|name| application.person(name));
    let chat = application.conversation(&callers[0], json!({})).await;
    for member in &callers[1..] {
        application.put(&callers[0], &format!("{chat}/members/{}", member.id), json!({})).await.data(201);
    }
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..45 {
        let request = application.request(&callers[number % 3], "POST", &format!("{chat}/messages"));
        requests.spawn(Answer::to(request.json(&json!({ "content": number.to_string() }))));
    }
    let answers = requests.join_all().await;
    let mut seqs: Vec<i64> = answers.iter().filter_map(|answer| answer.data(201)["seq"].as_i64()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=45).collect::<Vec<i64>>());
    assert_eq!(application.get(&callers[2], &chat).await.data(200)["message_count"], 45);
}

async fn b3_create_read_update_and_delete_are_consistent_for_every_object(case: TestDatabase) {
    let application = Application::start(case);
    let (admin, objects) = objects(&application).await;
    for (path, new, change) in objects {
        let answer = application.post(&admin, &path, new).await;
        let created = answer.data(201);
        let place = format!("{path}/{}", text(&created["id"]));
        assert_eq!(answer.headers["location"], format!("/api/v1{place}"));
        assert_eq!(application.get(&admin, &place).await.data(200), created);
        let listed = application.get(&admin, &path).await.data(200);
        assert!(listed["data"].as_array().unwrap().contains(&created), "{listed}");
        let changed = application.patch(&admin, &place, change.clone()).await.data(200);
        for (field, value) in change.as_object().unwrap() {
            assert_eq!(&changed[field], value);
        }
        assert_eq!(application.get(&admin, &place).await.data(200), changed);

        application
            .patch(&admin, &place, json!({"nonsense": 1}))
            .await
            .invalid(&[("nonsense", "unknown_field")]);
        let unread = application.request(&admin, "PATCH", &place).header("Content-Type", "application/json");
        Answer::to(unread.body("{")).await.refused(400, "malformed-request");
        let plain = application.request(&admin, "PATCH", &place).header("Content-Type", "text/plain");
        Answer::to(plain.body("{}")).await.refused(415, "unsupported-media-type");
        application.get(&admin, &format!("{path}?limit=0")).await.invalid(&[("limit", "out_of_range")]);
        application.get(&Caller::default(), &place).await.refused(401, "unauthenticated");

        application.delete(&admin, &place).await.done();
        for answer in [
            application.get(&admin, &place).await,
            application.patch(&admin, &place, change).await,
            application.delete(&admin, &place).await,
        ] {
            answer.refused(404, "not-found");
        }
    }
}

async fn b3_a_change_leaves_what_it_does_not_name_and_clears_what_is_null(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let new = json!({"title": "Plan", "default_model": "small-1", "metadata": {"week": 1}});
    let path = application.conversation(&ada, new).await;
    let changed = application.patch(&ada, &path, json!({"title": null})).await.data(200);
    assert_eq!(changed["title"], Value::Null);
    assert_eq!((&changed["default_model"], &changed["metadata"]), (&json!("small-1"), &json!({"week": 1})));
    let same = application.patch(&ada, &path, json!({})).await.data(200);
    assert_eq!(same, changed, "no change, no new revision");

    let tag = format!("\"{}\"", changed["revision"]);
    let conditional = |tag: &str| {
        let request = application.request(&ada, "PATCH", &path).header("If-Match", tag);
        Answer::to(request.json(&json!({"title": "Mine"})))
    };
    conditional(&tag).await.data(200);
    conditional(&tag).await.refused(412, "precondition-failed");
}

async fn b4_requests_and_responses_have_separate_shapes(case: TestDatabase) {
    let application = Application::start(case);
    let (admin, objects) = objects(&application).await;
    for (path, new, _) in objects {
        let created = application.post(&admin, &path, new.clone()).await.data(201);
        let is_message = path.ends_with("/messages");
        let changed = if is_message { "edited_at" } else { "updated_at" };
        for field in ["id", "short_id", "created_at", changed] {
            assert!(created[field].is_string() || field == "edited_at", "{field} in {created}");
            let mut written = new.clone();
            written[field] = created[field].clone();
            let answer = application.post(&admin, &path, written).await;
            match field {
                // Clients may name their messages and date them; a backend may name conversations.
                "id" if is_message => drop(answer.refused(409, "already-exists")),
                "created_at" if is_message => assert_eq!(answer.data(201)[field], created[field]),
                "id" if path == "/conversations" => drop(answer.refused(403, "forbidden")),
                _ => answer.invalid(&[(field, "unknown_field")]),
            }
        }
        if is_message {
            for field in ["conversation_id", "seq", "sender_id", "effective_model"] {
                let mut written = new.clone();
                written[field] = created[field].clone();
                application.post(&admin, &path, written).await.invalid(&[(field, "unknown_field")]);
            }
        }
        let place = format!("{path}/{}", text(&created["id"]));
        application
            .patch(&admin, &place, json!({"id": created["id"]}))
            .await
            .invalid(&[("id", "unknown_field")]);
    }
}

async fn b4_every_wrong_field_is_named_at_once(case: TestDatabase) {
    let application = Application::start(case);
    let admin = application.person_with("coach", &["--role", "admin"]);
    let wrong = json!({"username": "al", "full_name": 7, "role": "king", "metadata": [], "email": "a@b"});
    application.post(&admin, "/users", wrong).await.invalid(&[
        ("username", "too_short"),
        ("full_name", "wrong_type"),
        ("role", "not_allowed"),
        ("metadata", "wrong_type"),
    ]);
    let nameless = application.post(&admin, "/users", json!({"full_name": "Ada"})).await;
    nameless.refused(422, "validation");
    application.post(&admin, "/users", json!({})).await.refused(422, "validation");
    let wrong = json!({"title": "t".repeat(513), "thread_id": "", "default_model": "a\u{0}b"});
    application.post(&admin, "/conversations", wrong).await.invalid(&[
        ("title", "too_long"),
        ("thread_id", "too_short"),
        ("default_model", "nul_character"),
    ]);
    let chat = application.conversation(&admin, json!({})).await;
    let wrong = json!({"role": "coach", "parts": {}, "token_count": 1.5});
    application.post(&admin, &format!("{chat}/messages"), wrong).await.invalid(&[
        ("role", "not_allowed"),
        ("parts", "wrong_type"),
        ("token_count", "wrong_type"),
    ]);
    let wrong = json!({"role": "coach", "token_count": 1.5});
    application.post(&admin, &format!("{chat}/messages"), wrong).await.invalid(&[
        ("content", "required"),
        ("role", "not_allowed"),
        ("token_count", "wrong_type"),
    ]);
    let count = application.get(&admin, "/conversations/count").await.data(200);
    assert_eq!(count, json!({"count": 1}), "nothing wrong was stored");
}

async fn b4_the_shapes_are_described(case: TestDatabase) {
    let application = Application::start(case);
    let served = application.request_to(&Caller::default(), "GET", "/openapi.json");
    let description = Answer::to(served).await.data(200);
    assert!(text(&description["openapi"]).starts_with("3.1"));
    let schemas = &description["components"]["schemas"];
    // Clients may name conversations and messages, and date messages.
    for (written, read, given, only_read) in [
        ("CreateUser", "User", &[][..], &["id", "short_id", "created_at", "updated_at"][..]),
        ("CreateConversation", "Conversation", &["id"], &["short_id", "created_at", "updated_at"]),
        ("AppendMessage", "Message", &["id", "created_at"], &["short_id", "seq", "sender_id", "edited_at"]),
        ("CreateDocument", "Document", &[], &["id", "short_id", "created_at", "updated_at"]),
    ] {
        let properties = |name: &str| fields(&schemas[name]["properties"]);
        for &field in given {
            assert!(properties(read).contains(field), "{field} in {read}");
            assert!(properties(written).contains(field), "{field} in {written}");
        }
        for &field in only_read {
            assert!(properties(read).contains(field), "{field} in {read}");
            assert!(!properties(written).contains(field), "{field} in {written}");
        }
    }
    let ada = application.person("ada");
    let created = application.post(&ada, "/conversations", json!({})).await.data(201);
    let described = fields(&schemas["Conversation"]["properties"]);
    assert!(fields(&created).is_subset(&described), "every field of an answer is described");
}

async fn b5_the_tables_go_down_and_up_and_a_server_refuses_a_database_without_them(case: TestDatabase) {
    let mut application = Application::start(case);
    let ada = application.person("ada");
    application.conversation(&ada, json!({})).await;
    application.stop();
    let refused = application.run(&["migrate", "downgrade"]);
    refused.assert_failed(1, "deletes what its tables hold");
    let kept = application.run(&["stats", "--json"]).json();
    assert_eq!(kept["conversations"], 1);

    application.run(&["migrate", "downgrade", "base", "--allow-data-loss"]).data();
    let current = application.run(&["migrate", "current", "--json"]).json();
    assert_eq!(current["revisions"].as_array().unwrap().last().unwrap()["applied_at"], Value::Null);
    if !application.is_sqlite() {
        let (code, said) = Server::refused(application.folder.path(), &application.case.url);
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains("run `chatstore migrate upgrade` first"), "{said}");
    }
    application.run(&["migrate", "upgrade"]).data();
    application.serve(&[]);
    application.get(&ada, "/users/me").await.refused(401, "unauthenticated");
    let ada = application.person("ada");
    application.conversation(&ada, json!({})).await;
}

async fn b5_concurrent_upgrades_all_succeed(case: TestDatabase) {
    let mut application = Application::start(case);
    application.stop();
    application.run(&["migrate", "downgrade", "base", "--allow-data-loss"]).data();
    let (folder, case) = (application.folder.path(), &application.case);
    let (url, direct_url) = (&case.url, &case.direct_url);
    let told: Vec<String> = std::thread::scope(|scope| {
        let upgrade = || {
            let direct = direct_url.iter().map(|url| ("DATABASE_DIRECT_URL", url));
            let mut command = chatstore(folder);
            let upgraded = finish(command.env("DATABASE_URL", url).envs(direct).args(["migrate", "upgrade"]));
            upgraded.data();
            upgraded.stderr
        };
        let running: Vec<_> = (0..4).map(|_| scope.spawn(upgrade)).collect();
        running.into_iter().map(|upgrade| upgrade.join().unwrap()).collect()
    });
    let current = application.run(&["migrate", "current", "--json"]).json();
    for revision in current["revisions"].as_array().unwrap() {
        let applied = format!("applied {} ", text(&revision["id"]));
        assert_eq!(told.concat().matches(&applied).count(), 1, "{told:?}");
    }
}

async fn b6_metadata_is_any_json_object(case: TestDatabase) {
    let application = Application::start(case);
    let (admin, objects) = objects(&application).await;
    let metadata = json!({
        "goal": {"sport": "läuft 🏃", "weeks": [1, 2.5, -3e-7, 9_007_199_254_740_993_i64, u64::MAX]},
        "": null, "nested": [[[{"deep": true}]]], "quotes": "\"'\\\u{7f}\n",
    });
    for (path, mut new, _) in objects {
        new["metadata"] = metadata.clone();
        let created = application.post(&admin, &path, new).await.data(201);
        let place = format!("{path}/{}", text(&created["id"]));
        assert_eq!(application.get(&admin, &place).await.data(200)["metadata"], metadata);
        let replaced = application.patch(&admin, &place, json!({"metadata": {"goal": null}})).await.data(200);
        assert_eq!(replaced["metadata"], json!({"goal": null}), "it is replaced whole");
    }
}

async fn b6_a_document_is_any_json_and_is_found_by_what_it_contains(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let contents = [
        json!({"goal": {"sport": "läuft 🏃", "weeks": [1, 2.5, -3e-7, 9_007_199_254_740_993_i64, u64::MAX]}}),
        json!({"goal": {"weeks": [9_007_199_254_740_992_i64]}, "": null}),
        json!([[[{"deep": true}]]]),
        json!("\"'\\\u{7f}\n"),
        json!(null),
    ];
    for content in &contents {
        let created = application.post(&ada, "/documents", json!({ "content": content })).await.data(201);
        assert_eq!(created["content"], *content);
        let place = format!("/documents/{}", text(&created["id"]));
        assert_eq!(application.get(&ada, &place).await.data(200), created);
    }
    for (filter, found) in [
        (json!({"goal": {"weeks": [9_007_199_254_740_993_i64, 1.0]}}), vec![&contents[0]]),
        (json!({"goal": {"weeks": [u64::MAX]}}), vec![&contents[0]]),
        (json!({"": null}), vec![&contents[1]]),
        (json!([[[{"deep": true}], []]]), vec![&contents[2]]),
        (contents[3].clone(), vec![&contents[3]]),
        (json!(null), vec![&contents[4]]),
        (json!({"goal": {"sport": "LÄUFT 🏃"}}), vec![]),
    ] {
        let list = with_query("/documents", &[("contains", &filter.to_string())]);
        let list = application.get(&ada, &list).await.data(200);
        assert_eq!(
            list["data"].as_array().unwrap().iter().map(|one| &one["content"]).collect::<Vec<_>>(),
            found
        );
    }
}

async fn b7_the_url_is_a_setting_of_the_environment(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let me = application.get(&ada, "/users/me").await.data(200);
    // The spelling that SQLAlchemy wants is taken as well.
    if !application.is_sqlite() {
        let url = application.case.url.replacen("postgresql://", "postgresql+asyncpg://", 1);
        let mut command = chatstore(application.folder.path());
        let users = finish(command.env("DATABASE_URL", &url).args(["user", "list", "--json"])).json();
        assert_eq!(users[0]["id"], me["id"]);
    }
    let shown = application.run(&["config", "show", "--json"]).json();
    assert_eq!(shown["DATABASE_URL"]["source"], "environment");
}

/// The parts of a server's URL, by the names of their settings.
fn parts(url: &str) -> Vec<(&'static str, String)> {
    let url: reqwest::Url = url.parse().unwrap();
    let plain = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let mut parts = vec![
        ("POSTGRES_USER", plain(url.username())),
        ("POSTGRES_DB", plain(url.path().trim_start_matches('/'))),
        ("POSTGRES_HOST", url.host_str().unwrap().to_owned()),
        ("POSTGRES_PORT", url.port().unwrap_or(5432).to_string()),
    ];
    parts.extend(url.password().map(|password| ("POSTGRES_PASSWORD", plain(password))));
    parts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_user_password_and_database_are_settings_of_their_own() {
    let mut application = Application::start(Backend::Postgres.database().await);
    let ada = application.person("ada");
    application.stop();
    let parts = parts(&application.case.url);
    let mut settings: Vec<(&str, &str)> = parts.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("CHATSTORE_TOKEN_KEY", TOKEN_KEY));
    let server = Server::start(application.folder.path(), &settings);
    application.serve_on(server);
    assert_eq!(application.get(&ada, "/users/me").await.data(200)["username"], "ada");
    let mut command = chatstore(application.folder.path());
    let shown = finish(command.envs(settings).args(["config", "show"]));
    let password = parts.iter().find(|(name, _)| *name == "POSTGRES_PASSWORD");
    if let Some((_, password)) = password {
        assert!(!shown.data().contains(password), "the password is not shown");
    }
}
