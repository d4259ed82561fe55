//! Everything of a plain database arrives, and where.

use std::collections::BTreeMap;

use chatstore_testkit::{Backend, TestDatabase, conformance};
use serde_json::{Value, json};

use crate::old::{Maker, Reported, backend_of, counts, digests, look, sources};
use crate::support::{Application, Caller, column, text};

conformance!(
    a_plain_database_arrives_whole_and_without_an_issue,
    users_arrive_with_names_addresses_flags_and_times,
    a_password_hash_arrives_byte_for_byte,
    conversations_arrive_under_their_uuid_with_all_they_had,
    messages_arrive_in_order_with_their_models_times_and_uuids,
    responses_arrive_with_their_tokens_and_their_time,
    usage_is_counted_once_by_the_day_of_the_response,
    integer_ids_uuids_and_unknown_columns_are_kept_as_source,
    conversations_of_pakton_arrive_under_their_thread_id,
    every_row_of_many_conversations_arrives_word_for_word,
);

/// The first time of the makers of databases, at which minute 0 is.
const BEGIN: i64 = 1_704_189_600_250_000;
const DAYS: &str = "from=2024-01-01&to=2024-01-31";

/// A server over an imported plain database of chat_app.
async fn imported(case: TestDatabase) -> (Application, Caller) {
    let (old, _) = Maker::ChatApp.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    let application = Application::start(case);
    let service = application.service();
    (application, service)
}

/// A conversation of one by its title, with its messages.
async fn conversation(application: &Application, caller: &Caller, title: &str) -> Value {
    let listed = application.get(caller, "/conversations").await.data(200);
    let rows = listed["data"].as_array().unwrap();
    let found = rows.iter().find(|row| row["title"] == title).unwrap_or_else(|| panic!("{title}: {listed}"));
    let path = format!("/conversations/{}?include=messages", text(&found["id"]));
    application.get(caller, &path).await.data(200)
}

fn time(minute: i64, microseconds: i64) -> String {
    let micros = BEGIN + minute * 60_000_000 + microseconds;
    let (day, of_day) = ((micros / 86_400_000_000) - 19_723, micros % 86_400_000_000);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("2024-01-{:02}T{hours:02}:{minutes:02}:{seconds:02}.{fraction:06}Z", day + 1)
}

async fn a_plain_database_arrives_whole_and_without_an_issue(case: TestDatabase) {
    for maker in Maker::ALL {
        let case = backend_of(&case).database().await;
        let (old, manifest) = maker.make(&case, "plain").await;
        let report = old.import_into(&case.url, &[]);
        report.assert_complete(&manifest);
        assert_eq!((report.schema.as_str(), report.dry_run), (maker.schema(), false));
        assert_eq!(report.of_rows(), Vec::<&Reported>::new());
        for said in &report.reported {
            assert!(said.problem.ends_with("have no zone") && said.done == "taken as UTC", "{said:?}");
        }
        for (table, counted) in &report.tables {
            assert_eq!(counted.added, counted.read, "{table}");
            assert_eq!(counts(&case.url)[table.as_str()], counted.added, "{table}");
        }
    }
}

async fn users_arrive_with_names_addresses_flags_and_times(case: TestDatabase) {
    let (application, service) = imported(case).await;
    let listed = application.get(&service, "/users").await.data(200);
    assert_eq!(column(&listed, "username"), ["ada", "ben", "chen", "dora", "emil"], "the oldest first");
    let names = [json!("Ada Lovelace"), Value::Null, json!("陈伟"), json!("Dora"), json!("Émile")];
    assert_eq!(column(&listed, "full_name"), names);
    assert_eq!(column(&listed, "is_active"), [true, true, true, false, true]);
    for (minute, user) in (0..).zip(listed["data"].as_array().unwrap()) {
        assert_eq!(user["email"], format!("{}@example.org", text(&user["username"])));
        assert_eq!((&user["role"], &user["must_change_password"]), (&json!("user"), &json!(false)));
        assert_eq!(
            (text(&user["created_at"]), text(&user["updated_at"])),
            (&*time(minute, 0), &*time(minute + 1, 0))
        );
    }
}

async fn a_password_hash_arrives_byte_for_byte(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    let before = old.look("select username, hashed_password from users order by username");
    let after = look(
        &case.url,
        "select username, password_hash from users where username is not null and password_hash is not null \
         order by username",
    );
    assert_eq!(before.len(), 5);
    assert_eq!(after, before);
}

async fn conversations_arrive_under_their_uuid_with_all_they_had(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    let before = old
        .look("select uuid, title, default_model, created_at, updated_at from conversations order by uuid");
    let after = look(
        &case.url,
        "select id, title, default_model, created_at, updated_at from conversations order by id",
    );
    assert_eq!(before.len(), 6);
    assert_eq!(after, before);

    let application = Application::start(case);
    let service = application.service();
    for (owner, titles) in [
        ("name:ada", vec![Value::Null, json!("Relativity")]),
        ("name:ben", vec![json!("Late"), json!("Ties")]),
        ("name:chen", vec![json!("音乐")]),
        ("name:emil", vec![]),
        ("anonymous", vec![json!("A visitor")]),
    ] {
        let caller = service.acting_for(owner);
        let listed = application.get(&caller, "/conversations").await.data(200);
        assert_eq!(column(&listed, "title"), titles, "{owner}, the newest first");
    }
}

async fn messages_arrive_in_order_with_their_models_times_and_uuids(case: TestDatabase) {
    let (application, service) = imported(case).await;
    let ada = service.acting_for("name:ada");
    let relativity = conversation(&application, &ada, "Relativity").await;
    assert_eq!((&relativity["message_count"], &relativity["last_seq"]), (&json!(6), &json!(6)));
    assert_eq!(
        (&relativity["last_message"], &relativity["last_message_at"]),
        (&json!("Welcome"), &json!(time(15, 0)))
    );
    let messages = json!({"data": relativity["messages"]});
    assert_eq!(column(&messages, "seq"), [1, 2, 3, 4, 5, 6]);
    let roles = ["user", "assistant", "user", "assistant", "user", "assistant"];
    assert_eq!(column(&messages, "role"), roles);
    // An answer that named no model has the one that answered; a question has only what it named.
    let [small, large] = ["openai/gpt-3.5-turbo", "openai/gpt-4"].map(|model| json!(model));
    let models = [Value::Null, small, large.clone(), large.clone(), Value::Null, large];
    assert_eq!(column(&messages, "model"), models);
    for (message, minute) in relativity["messages"].as_array().unwrap().iter().zip(10..) {
        assert_eq!(message["created_at"], time(minute, 0));
        assert_eq!(message["edited_at"], Value::Null);
    }
    assert_eq!(column(&messages, "sender_id")[0], relativity["owner_id"], "the owner asked");

    let ben = service.acting_for("name:ben");
    let late = conversation(&application, &ben, "Late").await;
    let contents = |conversation: &Value| column(&json!({"data": conversation["messages"]}), "content");
    assert_eq!(contents(&late), ["first", "second"], "time decides, not the id");
    let ties = conversation(&application, &ben, "Ties").await;
    assert_eq!(contents(&ties), ["tie 0", "tie 1", "tie 2"], "the id decides where times are equal");
    let chen = service.acting_for("name:chen");
    let chinese = conversation(&application, &chen, "音乐").await;
    assert_eq!(contents(&chinese)[0], "知道《开始懂了》这首歌吗？");
}

async fn responses_arrive_with_their_tokens_and_their_time(case: TestDatabase) {
    let (application, service) = imported(case).await;
    let ada = service.acting_for("name:ada");
    let relativity = conversation(&application, &ada, "Relativity").await;
    let path = format!("/conversations/{}/messages", text(&relativity["id"]));
    for (seq, model, tokens, milliseconds, at) in [
        (2, "openai/gpt-3.5-turbo", [json!(20), json!(150), json!(170)], json!(2500), time(11, 5)),
        (4, "openai/gpt-4", [json!(200), json!(100), json!(300)], json!(3200), time(13, 7)),
        (6, "openai/gpt-4", [json!(300), Value::Null, Value::Null], Value::Null, time(15, 9)),
    ] {
        let response = application.get(&ada, &format!("{path}/{seq}/response")).await.data(200);
        assert_eq!((&response["model_used"], &response["created_at"]), (&json!(model), &json!(at)));
        let found =
            ["tokens_prompt", "tokens_completion", "tokens_total"].map(|field| response[field].clone());
        assert_eq!(found, tokens, "{seq}");
        assert_eq!(response["completion_time_ms"], milliseconds);
        assert_eq!(response["from_cache"], false);
    }
    application.get(&ada, &format!("{path}/1/response")).await.refused(404, "not-found");
}

async fn usage_is_counted_once_by_the_day_of_the_response(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    old.import_into(&case.url, &[]);
    let application = Application::start(case);
    let admin = application.person_with("root", &["--role", "admin"]);
    let usage =
        application.get(&admin, &format!("/usage?scope=all&group_by=day,model&{DAYS}")).await.data(200);
    let rows: BTreeMap<(&str, &str), [i64; 5]> = usage["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let fields =
                ["requests", "tokens_prompt", "tokens_completion", "tokens_total", "completion_time_ms_sum"];
            ((text(&row["day"]), text(&row["model"])), fields.map(|field| row[field].as_i64().unwrap()))
        })
        .collect();
    let expected = BTreeMap::from([
        (("2024-01-02", "openai/gpt-3.5-turbo"), [1, 20, 150, 170, 2500]),
        (("2024-01-02", "openai/gpt-4"), [2, 500, 100, 300, 3200]),
        (("2024-01-02", "small-1"), [2, 8, 12, 20, 73]),
        (("2024-01-03", "通义/qwen-max"), [1, 5, 10, 15, 50]),
    ]);
    assert_eq!(rows, expected);
    let service = application.service();
    let of_ada = application.get(&service.acting_for("name:ada"), &format!("/usage?{DAYS}")).await.data(200);
    assert_eq!(of_ada["total"]["requests"], 3, "the owner of the conversation is billed");
}

async fn integer_ids_uuids_and_unknown_columns_are_kept_as_source(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "oddities").await;
    old.import_into(&case.url, &[]);
    let mut found: BTreeMap<&str, Vec<Value>> =
        ["users", "conversations", "messages"].map(|table| (table, sources(&case.url, table))).into();
    let responses = found["messages"].iter().map(|source| source["response"].clone()).collect();
    found.insert("responses", responses);
    for kept in &manifest.kept {
        let key: i64 = kept.key.parse().unwrap();
        let source = found[kept.table.as_str()].iter().find(|source| source["id"] == key);
        let source = source.unwrap_or_else(|| panic!("nothing of {kept:?}"));
        if kept.field == "response" {
            // Ours is called so, too.
            assert!(source.to_string().contains(text(&kept.value)), "{kept:?}: {source}");
        } else {
            assert_eq!(source[&kept.field], kept.value, "{kept:?}: {source}");
        }
        assert!(source["extra"].to_string().contains("deep"), "{source}");
        assert!(!source["raw"].is_null(), "{source}");
    }
    assert!(!manifest.kept.is_empty());

    let (plain, _) = Maker::ChatApp.make(&case, "plain").await;
    let target = backend_of(&case).database().await;
    plain.import_into(&target.url, &[]);
    let ids = |table: &str| {
        let mut ids: Vec<Value> =
            plain.look(&format!("select id, uuid from {table}")).into_iter().map(|row| json!(row)).collect();
        ids.sort_by_key(ToString::to_string);
        ids
    };
    for table in ["conversations", "messages"] {
        let mut kept: Vec<Value> = sources(&target.url, table)
            .into_iter()
            .map(|source| json!([source["id"], source["uuid"]]))
            .collect();
        kept.sort_by_key(ToString::to_string);
        assert_eq!(kept, ids(table), "{table}");
    }
}

async fn conversations_of_pakton_arrive_under_their_thread_id(case: TestDatabase) {
    let (old, _) = Maker::Pakton.make(&case, "plain").await;
    old.import_into(&case.url, &[]);
    let before = old.look(
        "select c.thread_id, c.user_email, c.title, c.last_message, c.created_at, c.updated_at \
         from conversations c order by c.thread_id",
    );
    let after = look(
        &case.url,
        "select c.thread_id, u.email, c.title, c.last_message, c.created_at, c.updated_at \
         from conversations c join users u on u.id = c.owner_id order by c.thread_id",
    );
    assert_eq!(before.len(), 9);
    assert_eq!(after, before);
    let users = "select email, created_at, updated_at from users where email is not null order by email";
    assert_eq!(look(&case.url, users), old.look(users));
}

async fn every_row_of_many_conversations_arrives_word_for_word(case: TestDatabase) {
    let (old, manifest) = Maker::ChatApp.make(&case, "dialogs").await;
    let report = old.import_into(&case.url, &[]);
    report.assert_complete(&manifest);
    assert_eq!(report.of_rows(), Vec::<&Reported>::new());
    let before = old.look(
        "select c.uuid, m.uuid, m.role, m.content, coalesce(m.model, r.model_used), m.created_at, r.model_used, \
         r.tokens_prompt, r.tokens_completion, r.tokens_total, r.completion_time_ms, r.created_at, u.username \
         from messages m join conversations c on c.id = m.conversation_id \
         left join responses r on r.message_id = m.id left join users u on u.id = c.user_id \
         order by c.uuid, m.created_at, m.id",
    );
    let after = look(
        &case.url,
        "select c.id, m.id, m.role, m.content, m.model, m.created_at, r.model_used, r.tokens_prompt, \
         r.tokens_completion, r.tokens_total, r.completion_time_ms, r.created_at, \
         case when u.email is null then null else u.username end \
         from messages m join conversations c on c.owner_id = m.owner_id and c.id = m.conversation_id \
         left join responses r on r.owner_id = m.owner_id and r.message_id = m.id \
         join users u on u.id = c.owner_id order by c.id, m.seq",
    );
    assert_eq!(before.len() as u64, manifest.rows["messages"]);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after, before);
    }
    assert_eq!(after.len(), before.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_application_gives_equal_digests_from_and_to_either_database() {
    for maker in Maker::ALL {
        let mut found = Vec::new();
        for from in [Backend::Sqlite, Backend::Postgres] {
            let (old, manifest) = maker.make_on(from, "plain").await;
            for to in [Backend::Sqlite, Backend::Postgres] {
                let target = to.database().await;
                old.import_into(&target.url, &[]).assert_complete(&manifest);
                found.push((from, to, digests(&target.url)));
            }
        }
        for (from, to, digests) in &found {
            assert_eq!(*digests, found[0].2, "{maker:?} from {from:?} to {to:?}");
        }
    }
}
