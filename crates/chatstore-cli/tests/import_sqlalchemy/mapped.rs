//! A database that no schema describes, by a mapping file that does.

use chatstore_testkit::{ExternalDatabase, TestDatabase, conformance};
use serde_json::json;

use crate::old::{Report, backend_of, counts, digests};
use crate::program::{Finished, chatstore, finish};
use crate::support::{Application, column};

conformance!(
    a_database_of_any_shape_arrives_by_its_mapping,
    what_a_mapping_leaves_out_is_named,
    a_mapping_that_the_database_does_not_fit_is_refused_with_its_line,
    times_are_read_in_the_form_that_the_mapping_names,
    rows_whose_columns_hold_no_json_are_reported_and_kept,
);

/// A helpdesk, whose messages belong to a run, which belongs to a ticket.
const HELPDESK: &str = r#"
create table customers (nr integer primary key, handle text, mail text, since bigint, vip integer);
create table tickets (nr integer primary key, "customerNr" integer, subject text, opened bigint);
create table runs (nr integer primary key, ticket integer);
create table lines (nr integer primary key, run integer, payload text, tokens integer, secret text, kind text);
create table watchers (ticket integer, customer integer);
create table settings (nr integer primary key, name text);
insert into customers values (1, 'ada', 'ada@example.org', 1700000000000, 1), (2, 'grace', null, 1700000001000, null);
insert into tickets values (10, 1, 'Printer', 1700000002000), (11, 2, 'Mouse', 1700000003000), (12, null, 'Lost', 1700000004000);
insert into runs values (100, 10), (101, 10), (102, 11);
insert into lines values
    (1, 100, '{"from": "customer", "said": {"text": "It smokes"}, "at": 1700000010}', 3, 's1', 'said'),
    (2, 100, '{"from": "bot", "said": {"text": "Unplug it"}, "at": 1700000009}', 4, 's2', 'said'),
    (3, 101, '{"from": "customer", "said": [{"type": "text", "text": "Done"}], "at": 1700000011}', null, null, 'said'),
    (4, 102, '{"from": "customer", "said": {"text": "It squeaks"}, "at": 1700000012}', 2, null, 'said'),
    (5, 102, '{"from": "customer", "said": {"text": "typing"}, "at": 1700000013}', 0, null, 'typing'),
    (6, 999, '{"from": "customer", "said": {"text": "orphan"}, "at": 1700000014}', 0, null, 'said');
insert into watchers values (10, 2);
insert into settings values (1, 'dark');
"#;

const MAP: &str = r#"[users]
table = "customers"
id = "nr"
username = "handle"
email = "mail"
created_at = { column = "since", time = "milliseconds" }

[conversations]
table = "tickets"
id = "nr"
external_id = { columns = [{ constant = "ticket" }, "nr"], separator = "-" }
user_id = "customerNr"
title = "subject"
created_at = { column = "opened", time = "milliseconds" }

[messages]
table = "lines"
joins = [{ table = "runs", column = "nr", equals = "run" }]
order = ["nr"]
skip = { column = "kind", values = ["typing"] }
ignore = ["secret"]
id = "nr"
conversation_id = "runs.ticket"
role = { column = "payload", path = "from", values = { customer = "user" }, otherwise = "assistant" }
content = { first = [{ column = "payload", path = "said.text" }, { column = "payload", path = "said" }] }
token_count = "tokens"
model = { constant = "helper-1" }
created_at = { column = "payload", path = "at", time = "seconds" }

[members]
table = "watchers"
conversation_id = "ticket"
user_id = "customer"
"#;

struct Helpdesk {
    place: ExternalDatabase,
    folder: tempfile::TempDir,
}

impl Helpdesk {
    async fn new(case: &TestDatabase) -> Self {
        let place = backend_of(case).external_database().await;
        place.run_script(HELPDESK).await;
        Self { place, folder: tempfile::tempdir().unwrap() }
    }

    fn import(&self, target: &str, map: &str) -> Finished {
        let path = self.folder.path().join("desk.toml");
        std::fs::write(&path, map).unwrap();
        let url = self.place.url.replacen("sqlite://", "sqlite:///", 1);
        let mut command = chatstore(self.folder.path());
        command
            .args(["import", "sqlalchemy", &url, "--json", "--map"])
            .arg(&path)
            .env("DATABASE_URL", target);
        finish(&mut command)
    }
}

fn said(report: &Report) -> Vec<(String, String)> {
    report.reported.iter().map(|said| (said.table.clone(), said.problem.clone())).collect()
}

async fn a_database_of_any_shape_arrives_by_its_mapping(case: TestDatabase) {
    let desk = Helpdesk::new(&case).await;
    let report = desk.import(&case.url, MAP).any_report();
    assert_eq!(report.schema, "mapping");
    assert_eq!(["users", "conversations", "messages"].map(|table| report.tables[table].added), [2, 3, 4]);
    assert_eq!(report.tables["messages"].left_out, 2);
    let before = digests(&case.url);
    let second = desk.import(&case.url, MAP).any_report();
    assert!(second.tables.values().all(|counted| counted.added == 0), "{second:?}");
    assert_eq!(digests(&case.url), before);

    let application = Application::start(case);
    let service = application.service();
    let [ada, grace] = ["ada", "grace"].map(|name| service.acting_for(&format!("name:{name}")));
    let ticket = application.get(&ada, "/threads/ticket-10").await.data(200);
    assert_eq!((&ticket["title"], &ticket["message_count"]), (&json!("Printer"), &json!(3)));
    assert_eq!(ticket["created_at"], "2023-11-14T22:13:22.000000Z");
    let messages = application.get(&ada, "/threads/ticket-10/messages?order=asc").await.data(200);
    assert_eq!(column(&messages, "content"), ["It smokes", "Unplug it", "Done"]);
    assert_eq!(column(&messages, "role"), ["user", "assistant", "user"]);
    assert_eq!(column(&messages, "token_count"), [json!(3), json!(4), json!(null)]);
    assert_eq!(column(&messages, "model"), ["helper-1"; 3]);
    assert_eq!(messages["data"][1]["created_at"], "2023-11-14T22:13:29.000000Z");
    let shared = format!("/conversations/{}", ticket["id"].as_str().unwrap());
    application.get(&grace, &shared).await.data(200);
    let lost = service.acting_for("anonymous");
    assert_eq!(application.get(&lost, "/threads/ticket-12").await.data(200)["title"], "Lost");
    let me = application.get(&ada, "/users/me").await.data(200);
    assert_eq!((&me["email"], &me["metadata"]["source"]["vip"]), (&json!("ada@example.org"), &json!(1)));
}

async fn what_a_mapping_leaves_out_is_named(case: TestDatabase) {
    let desk = Helpdesk::new(&case).await;
    let report = desk.import(&case.url, MAP).any_report();
    let said = said(&report);
    for (table, problem) in [
        ("tables", "the table settings is not read: it has 1 rows"),
        ("messages", "1 rows have a kind of typing"),
        ("messages", "the column of lines is not read"),
        ("users", "the column has no equivalent (1 rows)"),
        ("messages", "it names no conversation"),
    ] {
        assert!(said.contains(&(table.to_owned(), problem.to_owned())), "{problem}: {said:?}");
    }
    assert!(!said.iter().any(|(_, problem)| problem.contains("password")), "{said:?}");
}

async fn a_mapping_that_the_database_does_not_fit_is_refused_with_its_line(case: TestDatabase) {
    let desk = Helpdesk::new(&case).await;
    for (from, to, line, said) in [
        ("\"customers\"", "\"people\"", 2, "there is no table people; the database has customers"),
        ("\"handle\"", "\"login\"", 4, "the table customers has no column login; its columns are nr"),
        ("\"runs.ticket\"", "\"runs.tickets\"", 23, "the table runs has no column tickets"),
        ("table = \"runs\"", "table = \"walks\"", 18, "there is no table walks"),
        ("equals = \"run\"", "equals = \"walk\"", 18, "the table lines has no column walk"),
        ("order = [\"nr\"]", "order = [\"nummer\"]", 19, "the table lines has no column nummer"),
        ("token_count =", "tokens =", 26, "there is no field messages.tokens"),
        ("path = \"from\"", "paths = \"from\"", 24, "messages.role has paths"),
        ("column = \"payload\", path = \"from\"", "column = \"nr\", path = \"from\"", 24, "holds no JSON"),
        ("\"milliseconds\" }\n\n[conv", "\"hours\" }\n\n[conv", 6, "time is \"hours\""),
        ("[members]", "[member]", 30, "there is no section member"),
        ("role = {", "model = {", 27, "duplicate key"),
        ("conversation_id = \"runs.ticket\"\n", "", 16, "[messages] does not say what conversation_id is"),
        ("title = \"subject\"", "title = 7", 13, "conversations.title is the name of a column"),
        (
            "title = \"subject\"",
            "title = { constant = \"a\", column = \"b\" }",
            13,
            "conversations.title has one of",
        ),
    ] {
        let map = MAP.replacen(from, to, 1);
        assert_ne!(map, MAP, "{from}");
        let refused = desk.import(&case.url, &map);
        refused.assert_failed(65, said);
        assert!(refused.stderr.contains("desk.toml"), "{refused:?}");
        assert!(refused.stderr.contains(&format!("line {line}")), "line {line}: {refused:?}");
    }
    let mistyped =
        MAP.replace("created_at = { column = \"since\", time", "created_at = { column = \"handle\", zone");
    desk.import(&case.url, &mistyped).assert_failed(65, "zone is \"milliseconds\"");
    let unordered = MAP
        .replace("order = [\"nr\"]\n", "")
        .replace("created_at = { column = \"payload\", path = \"at\", time = \"seconds\" }\n", "");
    desk.import(&case.url, &unordered).assert_failed(65, "in which order");
    assert!(counts(&case.url).values().all(|count| *count == 0));
}

async fn times_are_read_in_the_form_that_the_mapping_names(case: TestDatabase) {
    let place = backend_of(&case).external_database().await;
    place
        .run_script(
            "create table talks (id integer primary key, german text, local text, nanos text, bad text);
             insert into talks values
                 (1, '01.02.2024 10:00', '2024-02-01 10:00:00', '1706781600000000000', '2024-02-30');",
        )
        .await;
    let desk = Helpdesk { place, folder: tempfile::tempdir().unwrap() };
    let ten = "2024-02-01T10:00:00.000000Z";
    let forms = [
        ("{ column = \"german\", time = \"%d.%m.%Y %H:%M\" }", Some(ten)),
        (
            "{ column = \"german\", time = \"%d.%m.%Y %H:%M\", zone = \"+02:00\" }",
            Some("2024-02-01T08:00:00.000000Z"),
        ),
        ("{ column = \"local\", zone = \"-05:30\" }", Some("2024-02-01T15:30:00.000000Z")),
        ("{ column = \"nanos\", time = \"nanoseconds\" }", Some(ten)),
        ("{ column = \"bad\", time = \"%Y-%m-%d\" }", None),
    ];
    for (index, (form, expected)) in forms.into_iter().enumerate() {
        let map = format!(
            "[conversations]\ntable = \"talks\"\nid = {{ columns = [\"id\", {{ constant = \"{index}\" }}] }}\n\
             user_id = {{ constant = \"ada\" }}\ncreated_at = {form}\n"
        );
        let report = desk.import(&case.url, &map).any_report();
        assert_eq!(report.tables["conversations"].added, 1, "{report:?}");
        let unusable = report.reported.iter().any(|said| said.column.as_deref() == Some("created_at"));
        assert_eq!(unusable, expected.is_none(), "{form}: {report:?}");
    }
    let application = Application::start(case);
    let ada = application.service().acting_for("name:ada");
    for (index, (form, expected)) in forms.into_iter().enumerate() {
        let Some(expected) = expected else { continue };
        let talk = application.get(&ada, &format!("/threads/1%2F{index}")).await.data(200);
        assert_eq!(talk["created_at"], expected, "{form}");
    }
}

async fn rows_whose_columns_hold_no_json_are_reported_and_kept(case: TestDatabase) {
    let desk = Helpdesk::new(&case).await;
    desk.place.run_script("update lines set payload = 'not json' where nr = 4").await;
    let report = desk.import(&case.url, MAP).any_report();
    assert_eq!(report.tables["messages"].added, 4);
    let broken = report.reported.iter().find(|said| said.problem == "it holds no JSON").unwrap();
    assert_eq!((broken.key.as_deref(), broken.column.as_deref()), (Some("4"), Some("payload")));
    let application = Application::start(case);
    let grace = application.service().acting_for("name:grace");
    let messages = application.get(&grace, "/threads/ticket-11/messages").await.data(200);
    assert_eq!(messages["data"][0]["metadata"]["source"]["lines.payload"], "not json");
}
