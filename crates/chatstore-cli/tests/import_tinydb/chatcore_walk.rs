//! Rows K1 to K5 and K9 of the contract on imported data: chatcore goes on where it was.

use chatstore_testkit::{TestDatabase, conformance};
use serde_json::{Value, json};

use crate::file::{OldFile, assert_complete, report};
use crate::support::{Application, Caller, column, text};

conformance!(
    k1_an_imported_user_logs_in_with_the_old_password_and_any_spelling_of_the_name,
    k1_a_user_without_a_password_gets_one_that_the_report_tells,
    k2_an_imported_conversation_is_found_by_its_id_and_counts_its_messages,
    k3_imported_messages_are_in_order_with_documents_and_tokens,
    k5_imported_documents_belong_to_their_user,
    k9_a_row_of_every_table_is_accounted_for,
);

/// An imported plain file, its server, and its two users.
struct Chatcore {
    application: Application,
    report: Value,
    ada: Caller,
    grace: Caller,
}

impl Chatcore {
    fn on(case: TestDatabase) -> Self {
        let old = OldFile::make("plain");
        let imported = old.import(&case.url, &[]);
        assert_eq!(imported.code, 0, "{imported:?}");
        let report = report(&imported);
        let mut rows = old.rows.clone();
        // Those in the row of their conversation.
        *rows.get_mut("messages").unwrap() += 2;
        assert_complete(&report, &rows);
        let application = Application::start(case);
        let service = application.service();
        let [ada, grace] = ["ada", "grace"].map(|name| service.acting_for(&format!("name:{name}")));
        Self { application, report, ada, grace }
    }

    async fn login(&self, name: &str, password: &str) -> Value {
        let body = json!({"username": name, "password": password});
        self.application.post(&Caller::default(), "/auth/login", body).await.data(200)
    }
}

async fn k1_an_imported_user_logs_in_with_the_old_password_and_any_spelling_of_the_name(case: TestDatabase) {
    let chatcore = Chatcore::on(case);
    for name in ["Ada", "ada", " ADA ", "ada@example.org"] {
        let tokens = chatcore.login(name, "correct horse").await;
        assert!(tokens["access_token"].is_string(), "{tokens}");
    }
}

async fn k1_a_user_without_a_password_gets_one_that_the_report_tells(case: TestDatabase) {
    let chatcore = Chatcore::on(case);
    let reported = chatcore.report["reported"].as_array().unwrap();
    let told = reported.iter().find(|issue| issue["key"] == "u-grace").unwrap();
    let done = told["done"].as_str().unwrap();
    let password = done.strip_prefix("generated the password ").unwrap().split(',').next().unwrap();
    chatcore.login("grace", password).await;
    let me = chatcore.application.get(&chatcore.grace, "/users/me").await.data(200);
    assert_eq!(me["must_change_password"], true, "{me}");
}

async fn k2_an_imported_conversation_is_found_by_its_id_and_counts_its_messages(case: TestDatabase) {
    let Chatcore { application, ada, grace, .. } = Chatcore::on(case);
    let trip = application.get(&ada, "/threads/trip").await.data(200);
    assert_eq!((&trip["title"], &trip["message_count"]), (&json!("Trip"), &json!(3)));
    assert_eq!(trip["created_at"], "2024-03-01T10:00:00.000000Z");
    let chess = application.get(&grace, "/threads/chess").await.data(200);
    assert_eq!((&chess["title"], &chess["message_count"]), (&json!("Chess"), &json!(2)));
    assert_eq!(chess["metadata"]["source"]["colour"], "white");
    application.get(&grace, "/threads/trip").await.refused(404, "not-found");
}

async fn k3_imported_messages_are_in_order_with_documents_and_tokens(case: TestDatabase) {
    let Chatcore { application, ada, grace, .. } = Chatcore::on(case);
    let listed = application.get(&ada, "/threads/trip/messages").await.data(200);
    assert_eq!(column(&listed, "content"), ["Where is it warm in March?", "In Málaga.", "谢谢"]);
    assert_eq!(column(&listed, "role"), ["user", "assistant", "user"]);
    let answer = &listed["data"][1];
    assert_eq!(
        (&answer["token_count"], &answer["used_documents"]),
        (&json!(4), &json!(["guide", {"page": 7}]))
    );
    assert_eq!(listed["data"][0]["created_at"], "2024-03-01T10:00:00.250000Z");
    assert_eq!(listed["data"][2]["created_at"], "2024-03-01T10:00:02.000000Z");
    let embedded = application.get(&grace, "/threads/chess/messages").await.data(200);
    assert_eq!(column(&embedded, "content"), ["e4", "e5"]);
}

async fn k5_imported_documents_belong_to_their_user(case: TestDatabase) {
    let Chatcore { application, ada, grace, .. } = Chatcore::on(case);
    let listed = application.get(&ada, "/documents").await.data(200);
    assert_eq!(column(&listed, "title"), ["Guide"]);
    let path = format!("/documents/{}", text(&listed["data"][0]["id"]));
    let guide = application.get(&ada, &path).await.data(200);
    assert_eq!(guide["content"], json!({"places": ["Málaga"]}));
    application.get(&grace, &path).await.refused(404, "not-found");
}

async fn k9_a_row_of_every_table_is_accounted_for(case: TestDatabase) {
    let Chatcore { report, .. } = Chatcore::on(case);
    let added = |table: &str| report["tables"][table]["added"].as_u64().unwrap();
    assert_eq!(["users", "conversations", "messages", "documents", "sessions"].map(added), [2, 2, 5, 1, 0]);
    assert_eq!(report["tables"]["sessions"]["left_out"], 3);
}
