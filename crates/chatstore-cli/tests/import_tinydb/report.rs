//! What is said about rows that do not fit.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::json;

use crate::file::{OldFile, assert_complete, report, said};
use crate::support::{Application, column};

conformance!(
    rows_that_do_not_fit_are_reported_and_the_rest_is_imported,
    ids_above_64_bits_name_what_they_name,
    users_with_one_name_are_one_with_what_both_had,
    conversations_of_one_id_are_one_with_the_messages_of_both,
    a_message_that_is_in_a_table_and_in_its_conversation_is_imported_once,
    what_json_does_not_know_is_reported_by_row,
);

async fn rows_that_do_not_fit_are_reported_and_the_rest_is_imported(case: TestDatabase) {
    let old = OldFile::make("oddities");
    let imported = old.import(&case.url, &[]);
    assert_eq!(imported.code, 3, "{imported:?}");
    let report = report(&imported);
    let mut rows = old.rows.clone();
    rows.remove("feedback");
    *rows.get_mut("messages").unwrap() += 2;
    assert_complete(&report, &rows);
    let expected = [
        ("messages", "3", "there is no conversation \"absent\""),
        ("messages", "4", "\"someday\" is not a time"),
        ("messages", "7", "another row has the same id and says the same"),
        ("messages", "6", "another row has the same id"),
        ("users", "2", "it is the user of row \"1\""),
        ("conversations", "3", "it is the conversation of row \"2\""),
        ("conversations", "36893488147419103232", "it says 99"),
        ("conversations", "stranger", "there is no user \"Zoë\""),
    ];
    for (table, key, problem) in expected {
        let told = said(&report, table, key);
        assert!(told.iter().any(|told| told.starts_with(problem)), "{table} {key}: {told:?}");
    }
    let reported = report["reported"].as_array().unwrap();
    let unread = reported.iter().find(|issue| issue["table"] == "tables").unwrap();
    assert_eq!(unread["problem"], "the table feedback is not read: it has 2 rows");
}

async fn ids_above_64_bits_name_what_they_name(case: TestDatabase) {
    OldFile::make("oddities").import(&case.url, &[]);
    let application = Application::start(case);
    let ada = application.service().acting_for("name:ada");
    let messages = application.get(&ada, "/threads/36893488147419103232/messages").await.data(200);
    let mut found = column(&messages, "content");
    found.sort_by_key(std::string::ToString::to_string);
    let expected = ["", "another six", "four", "half \u{fffd} pair", "one", "two"];
    assert_eq!(found, expected);
    let of = |content: &str| {
        let all = messages["data"].as_array().unwrap();
        let message = all.iter().find(|message| message["content"] == content).unwrap();
        (message["role"].clone(), message["created_at"].clone())
    };
    assert_eq!(of("one"), (json!("user"), json!("2024-03-01T10:00:00.000000Z")));
    assert_eq!(of("two"), (json!("assistant"), json!("2024-03-01T10:00:01.500000Z")));
}

async fn users_with_one_name_are_one_with_what_both_had(case: TestDatabase) {
    OldFile::make("oddities").import(&case.url, &[]);
    let application = Application::start(case);
    let ada = application.service().acting_for("name:ada");
    let me = application.get(&ada, "/users/me").await.data(200);
    assert_eq!((&me["username"], &me["email"]), (&json!("ada"), &json!("ada@example.org")));
}

async fn conversations_of_one_id_are_one_with_the_messages_of_both(case: TestDatabase) {
    OldFile::make("oddities").import(&case.url, &[]);
    let application = Application::start(case);
    let ada = application.service().acting_for("name:ada");
    let messages = application.get(&ada, "/threads/again/messages").await.data(200);
    assert_eq!(column(&messages, "content"), ["a", "b"]);
}

async fn a_message_that_is_in_a_table_and_in_its_conversation_is_imported_once(case: TestDatabase) {
    let old = OldFile::of_text(
        json!({
            "messages": {
                "1": {"conversation_id": "c", "role": "user", "content": "hi"},
                "2": {"conversation_id": "c", "role": "user", "content": "hi"},
                "3": {"conversation_id": "c", "role": "user", "content": "bye"},
            },
            "conversations": {"1": {"id": "c", "user_id": "ada", "messages": [{"role": "user", "content": "hi"}]}},
            "users": {"1": {"username": "ada"}},
        })
        .to_string(),
    );
    let report = report(&old.import(&case.url, &[]));
    assert_eq!(said(&report, "messages", "1"), ["the row of its conversation has the same message"]);
    let application = Application::start(case);
    let ada = application.service().acting_for("name:ada");
    let messages = application.get(&ada, "/threads/c/messages").await.data(200);
    assert_eq!(column(&messages, "content"), ["hi", "hi", "bye"]);
}

async fn what_json_does_not_know_is_reported_by_row(case: TestDatabase) {
    let report = report(&OldFile::make("oddities").import(&case.url, &[]));
    assert!(said(&report, "messages", "5").contains(&"it holds NaN or an infinity"), "{report}");
    assert!(said(&report, "messages", "6").contains(&"it holds half a surrogate pair"), "{report}");
}
