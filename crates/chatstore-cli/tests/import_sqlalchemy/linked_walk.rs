//! Rows K2, K3, K5, B1, C3 and C4 of the contract on imported data: chatcore, Coach Bot and Chatter go on where they were.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::json;

use crate::old::{Maker, digests};
use crate::support::{Application, column};

conformance!(
    k_a_database_of_chatcore_is_recognized_and_imported_once,
    b_a_database_of_coach_bot_is_recognized_and_imported_once,
    c_a_database_of_chatter_is_recognized_and_imported_once,
);

async fn k_a_database_of_chatcore_is_recognized_and_imported_once(case: TestDatabase) {
    let (old, _) = Maker::Linked.make(&case, "chatcore").await;
    let report = old.import_into(&case.url, &[]);
    assert_eq!(report.schema, "chatcore");
    let added = ["users", "conversations", "messages", "documents", "sessions"];
    assert_eq!(added.map(|table| report.tables[table].added), [2, 3, 6, 1, 0]);
    assert_eq!(report.tables["sessions"].left_out, 2);
    let before = digests(&case.url);
    let second = old.import_into(&case.url, &[]);
    assert!(second.tables.values().all(|counted| counted.added == 0), "{second:?}");
    assert_eq!(digests(&case.url), before);

    let application = Application::start(case);
    let [ada, grace] = ["ada", "grace"].map(|name| application.service().acting_for(&format!("name:{name}")));
    let talk = application.get(&grace, "/threads/short1").await.data(200);
    assert_eq!((&talk["title"], &talk["message_count"]), (&json!("Talk 1"), &json!(2)));
    application.get(&ada, "/threads/short1").await.refused(404, "not-found");
    let messages = application.get(&grace, "/threads/short1/messages").await.data(200);
    assert_eq!(column(&messages, "content"), ["line 0", "line 1"]);
    assert_eq!(messages["data"][1]["used_documents"], json!(["guide", {"page": 1}]));
    assert_eq!(messages["data"][1]["token_count"], 1);
    let documents = application.get(&ada, "/documents").await.data(200);
    assert_eq!(column(&documents, "title"), ["Guide"]);
}

async fn b_a_database_of_coach_bot_is_recognized_and_imported_once(case: TestDatabase) {
    let (old, _) = Maker::Linked.make(&case, "coach-bot").await;
    let report = old.import_into(&case.url, &[]);
    assert_eq!(report.schema, "coach-bot");
    assert_eq!(["users", "conversations", "messages"].map(|table| report.tables[table].added), [1, 1, 4]);
    let unread = report.reported.iter().find(|reported| reported.table == "tables").unwrap();
    assert_eq!(unread.problem, "the table logs is not read: it has 1 rows");
    let before = digests(&case.url);
    old.import_into(&case.url, &[]);
    assert_eq!(digests(&case.url), before);

    let application = Application::start(case);
    let users = application.get(&application.service(), "/users").await.data(200);
    let id =
        users["data"].as_array().unwrap().iter().find(|user| user["email"] == "ada@example.org").unwrap();
    let ada = application.service().acting_for(id["id"].as_str().unwrap());
    let chats = application.get(&ada, "/conversations").await.data(200);
    assert_eq!(column(&chats, "title"), ["Running"]);
    let path = format!("/conversations/{}/messages", chats["data"][0]["id"].as_str().unwrap());
    let messages = application.get(&ada, &path).await.data(200);
    assert_eq!(column(&messages, "content"), ["step 0", "step 1", "step 2", "step 3"]);
}

async fn c_a_database_of_chatter_is_recognized_and_imported_once(case: TestDatabase) {
    let (old, _) = Maker::Linked.make(&case, "chatter").await;
    let report = old.import_into(&case.url, &[]);
    assert_eq!(report.schema, "chatter");
    assert_eq!(["users", "conversations", "messages"].map(|table| report.tables[table].added), [3, 1, 4]);
    let before = digests(&case.url);
    old.import_into(&case.url, &[]);
    assert_eq!(digests(&case.url), before);

    let application = Application::start(case);
    let people = ["ada", "grace", "joan"];
    let [ada, grace, joan] = people.map(|name| application.service().acting_for(&format!("name:{name}")));
    let shared = application.get(&ada, "/conversations").await.data(200);
    assert_eq!(column(&shared, "title"), ["Lunch"]);
    let path = format!("/conversations/{}", shared["data"][0]["id"].as_str().unwrap());
    let me = application.get(&ada, "/users/me").await.data(200);
    let her = application.get(&grace, "/users/me").await.data(200);
    let messages = application.get(&grace, &format!("{path}/messages")).await.data(200);
    assert_eq!(column(&messages, "content"), ["said 0", "said 1", "said 2", "said 3"]);
    assert_eq!(column(&messages, "role"), ["user"; 4]);
    let senders = [&me["id"], &her["id"], &me["id"], &her["id"]].map(Clone::clone);
    assert_eq!(column(&messages, "sender_id"), senders);
    application.say(&grace, &path, "said here").await;
    application.get(&joan, &path).await.refused(404, "not-found");
}
