//! Promises to all five systems: relations on request, the schema as a diagram, one key for all users, and a
//! server that starts and stops as an operator expects.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use chatstore_testkit::{Backend, TestDatabase, conformance};
use serde_json::{Value, json};

use crate::program::run;
use crate::server::Server;
use crate::support::{Answer, Application, Caller, column, text};

conformance!(
    x1_messages_come_with_their_conversation_when_asked,
    x4_a_service_key_names_the_user_it_acts_for,
    x4_only_a_service_key_may_act_for_a_user,
    x4_a_revoked_service_key_is_refused,
    a_stopping_server_finishes_the_requests_in_progress,
    a_repeated_request_happens_once,
);

async fn x1_messages_come_with_their_conversation_when_asked(case: TestDatabase) {
    let application = Application::start(case);
    let ada = application.person("ada");
    let created = application.post(&ada, "/conversations", json!({"thread_id": "t"})).await.data(201);
    let [by_id, by_short_id] = ["id", "short_id"].map(|id| format!("/conversations/{}", text(&created[id])));
    let batch: Vec<Value> = (1..=60).map(|number| json!({ "content": number.to_string() })).collect();
    application.post(&ada, &format!("{by_id}/messages"), json!({ "messages": batch })).await.data(201);

    let newest = application.get(&ada, &format!("{by_id}/messages?order=desc&limit=50")).await.data(200);
    let mut newest = newest["data"].as_array().unwrap().clone();
    newest.reverse();
    for path in [by_id.as_str(), &by_short_id, "/threads/t"] {
        let with = application.get(&ada, &format!("{path}?include=messages")).await.data(200);
        assert_eq!(with["messages"], json!(newest), "{path}: the newest 50, in order");
        let without = application.get(&ada, path).await.data(200);
        assert_eq!(without.get("messages"), None, "{path}");
        assert_eq!(with["message_count"], without["message_count"]);
    }
    let other = application.get(&ada, &format!("{by_id}?include=members")).await;
    other.invalid(&[("include", "not_allowed")]);
}

#[test]
fn x3_the_schema_is_drawn_from_its_declaration() {
    let folder = tempfile::tempdir().unwrap();
    let diagram = run(folder.path(), &["schema", "--mermaid"]).data().to_owned();
    assert_eq!(diagram.lines().next(), Some("erDiagram"));
    let drawn: BTreeSet<&str> = diagram.lines().filter_map(|line| line.trim().strip_suffix(" {")).collect();
    for table in ["users", "conversations", "conversation_members", "messages", "responses", "api_keys"] {
        assert!(drawn.contains(table), "{table} is not drawn in\n{diagram}");
    }
    let ends = diagram.lines().filter_map(|line| line.split_once(" : ")?.0.trim().split_once(' '));
    for (parent, rest) in ends {
        let child = rest.rsplit(' ').next().unwrap();
        assert!(drawn.contains(parent) && drawn.contains(child), "{parent} and {child} are drawn");
    }
}

async fn x4_a_service_key_names_the_user_it_acts_for(case: TestDatabase) {
    let application = Application::start(case);
    let service = application.service();
    let ada = application.person_with("ada", &["--email", "ada@example.org"]);
    application.get(&service, "/conversations").await.invalid(&[("Chatstore-User", "required")]);
    let me = application.get(&ada, "/users/me").await.data(200);
    let names =
        [text(&me["id"]), text(&me["short_id"]), "name:ADA", "email:Ada@Example.org"].map(str::to_owned);
    for name in &names {
        let acting = service.acting_for(name);
        assert_eq!(application.get(&acting, "/users/me").await.data(200), me, "{name}");
    }
    for (name, status, slug) in [
        ("name:nobody", 404, "unknown-user"),
        ("00000000-0000-7000-8000-000000000001", 404, "unknown-user"),
        ("who?", 422, "validation"),
    ] {
        let acting = service.acting_for(name);
        application.get(&acting, "/conversations").await.refused(status, slug);
    }
    application.patch(&service, &format!("/users/{}", ada.id), json!({"is_active": false})).await.data(200);
    let acting = service.acting_for("name:ada");
    application.get(&acting, "/conversations").await.refused(404, "unknown-user");
}

async fn x4_only_a_service_key_may_act_for_a_user(case: TestDatabase) {
    let application = Application::start(case);
    let admin = application.person_with("root", &["--role", "admin"]);
    let [ada, ben] = ["ada", "ben"].map(|name| application.person(name));
    for caller in [&admin, &ben] {
        let acting = caller.acting_for(&ada.id);
        application.get(&acting, "/conversations").await.refused(403, "forbidden");
    }
    let service = application.service();
    let as_admin = service.acting_for(&admin.id);
    application.get(&as_admin, "/conversations").await.refused(403, "forbidden");
    application
        .post(&service, "/users", json!({"username": "king", "role": "admin"}))
        .await
        .refused(403, "forbidden");
    application.delete(&service, &format!("/users/{}", admin.id)).await.refused(403, "forbidden");
    application.get(&service, "/auth/api-keys").await.refused(403, "forbidden");
    let listed = application.get(&service, "/users").await.data(200);
    assert_eq!(column(&listed, "username"), ["root", "ada", "ben"]);
}

async fn x4_a_revoked_service_key_is_refused(case: TestDatabase) {
    let application = Application::start(case);
    let admin = application.person_with("root", &["--role", "admin"]);
    let keys = format!("/users/{}/api-keys", admin.id);
    application.post(&admin, &keys, json!({"scope": "service"})).await.refused(403, "forbidden");
    let created = application.run(&["key", "create", "--service", "--user", "root", "--json"]).json();
    let service = Caller { key: Some(text(&created["key"]).to_owned()), ..Caller::default() };
    application.get(&service, "/users").await.data(200);
    application.delete(&admin, &format!("{keys}/{}", text(&created["id"]))).await.done();
    application.get(&service, "/users").await.refused(401, "unauthenticated");
}

/// A request whose body is still to come, though the server waits for it already.
struct UnderWay(BufReader<TcpStream>);

impl UnderWay {
    const BODY: &str = r#"{"content": "said at the last moment"}"#;

    fn begin(application: &Application, caller: &Caller, path: &str) -> Self {
        let host = application.server().origin.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "POST /api/v1{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            caller.key.as_ref().unwrap(),
            Self::BODY.len(),
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
        reader.read_line(&mut line).unwrap();
        Self(reader)
    }

    /// Sends the rest; the status of the answer, when the connection has ended.
    fn finish(mut self) -> String {
        self.0.get_mut().write_all(Self::BODY.as_bytes()).unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }
}

async fn a_stopping_server_finishes_the_requests_in_progress(case: TestDatabase) {
    let mut application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    let messages = format!("{path}/messages");
    let under_way: Vec<UnderWay> = (0..5).map(|_| UnderWay::begin(&application, &ada, &messages)).collect();

    application.server().terminate();
    application.server().wait_for("stopping");
    for request in under_way {
        assert_eq!(request.finish(), "HTTP/1.1 201 Created");
    }
    assert_eq!(application.take_server().wait(), Some(0));
    application.serve(&[]);
    assert_eq!(application.get(&ada, &path).await.data(200)["message_count"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_file_is_refused_until_the_first_ends() {
    let mut application = Application::start(Backend::Sqlite.database().await);
    let ada = application.person("ada");
    let (code, said) = Server::refused(application.folder.path(), &application.case.url);
    assert_eq!(code, Some(75), "{said}");
    assert!(said.contains("already serves this database"), "{said}");
    assert_eq!(application.get(&ada, "/users/me").await.data(200)["username"], "ada");
    application.stop();
    application.serve(&[]);
    assert_eq!(application.get(&ada, "/users/me").await.data(200)["username"], "ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_postgresql_database_count_together() {
    let mut application = Application::start(Backend::Postgres.database().await);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    application.say(&ada, &path, "to the first").await;
    let second = application.another_server(&[]);
    let first = application.take_server();
    application.serve_on(second);
    assert_eq!(application.say(&ada, &path, "to the second").await["seq"], 2);
    application.serve_on(first);
    assert_eq!(application.say(&ada, &path, "to the first again").await["seq"], 3);
}

async fn a_repeated_request_happens_once(case: TestDatabase) {
    let mut application = Application::start(case);
    let ada = application.person("ada");
    let path = application.conversation(&ada, json!({})).await;
    let send = async |application: &Application, content: &str| {
        let request = application.request(&ada, "POST", &format!("{path}/messages"));
        let request = request.header("Idempotency-Key", "once");
        Answer::to(request.json(&json!({ "content": content }))).await
    };
    let first = send(&application, "hello").await.data(201);
    application.stop();
    application.serve(&[]);
    let again = send(&application, "hello").await;
    assert_eq!(again.data(201), first, "also by the next server");
    assert_eq!(again.headers["idempotency-replayed"], "true");
    send(&application, "other").await.refused(422, "idempotency-mismatch");
    assert_eq!(application.get(&ada, &path).await.data(200)["message_count"], 1);
}

#[test]
fn c5_the_http_layer_knows_services_and_no_sql() {
    let manifest = include_str!("../../../chatstore-http/Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<&str> =
        dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).collect();
    assert!(names.contains(&"chatstore"), "{names:?}");
    for of_storage in ["chatstore-sql", "tokio-postgres", "deadpool-postgres", "rusqlite"] {
        assert!(!names.contains(&of_storage), "{of_storage} is none of the HTTP layer's business");
    }
}

const WALKS: [(&str, &str); 8] = [
    ("across", include_str!("across.rs")),
    ("chat_app", include_str!("chat_app.rs")),
    ("chatcore", include_str!("chatcore.rs")),
    ("chatter", include_str!("chatter.rs")),
    ("coach_bot", include_str!("coach_bot.rs")),
    ("identity", include_str!("identity.rs")),
    ("pakton", include_str!("pakton.rs")),
    ("redis", include_str!("redis.rs")),
];

/// The names of the tests in a file of walks.
fn tests(source: &str) -> BTreeSet<&str> {
    let listed = source.split_once("conformance!(").and_then(|(_, rest)| rest.split_once(')'));
    let listed = listed.map_or("", |(names, _)| names).split(',').map(str::trim);
    let alone = source.split("\n#[t").skip(1).filter_map(|rest| rest.split_once("fn ")?.1.split('(').next());
    listed.chain(alone).filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_coverage_page_names_every_row_and_every_test() {
    let page = include_str!("coverage.md");
    for (letter, rows) in [("C", 8), ("K", 14), ("A", 8), ("B", 7), ("P", 7), ("X", 4)] {
        for row in 1..=rows {
            assert!(page.contains(&format!("\n| {letter}{row} ")), "{letter}{row} is missing");
        }
    }
    for (walk, source) in WALKS {
        let prefix = format!("`{walk}::");
        let named: BTreeSet<&str> = page
            .split(&prefix)
            .skip(1)
            .filter_map(|rest| rest.split('`').next())
            .filter(|name| *name != "…")
            .collect();
        let mut there = tests(source);
        there.remove("the_coverage_page_names_every_row_and_every_test");
        there.remove("the_security_page_names_existing_tests");
        assert_eq!(named, there, "{walk}");
    }
}

/// The names of all functions in the Rust files below a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let names = source.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn the_security_page_names_existing_tests() {
    let page = include_str!("../../../../docs/security.md");
    let (_, rules) = page.split_once("## Rules and their tests").unwrap();
    let mut there = BTreeSet::new();
    functions(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut there);
    let rows: Vec<&str> = rules.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 30, "{} rules", rows.len());
    for row in rows {
        let (_, tests) = row.trim_matches('|').split_once(" | ").unwrap();
        let named: Vec<&str> =
            tests.split('`').skip(1).step_by(2).filter(|name| name.contains('_')).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for name in named {
            assert!(there.contains(name), "{name} does not exist: {row}");
        }
    }
}
