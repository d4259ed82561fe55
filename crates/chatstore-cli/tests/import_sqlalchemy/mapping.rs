//! Databases whose tables and columns have other names.

use chatstore_testkit::{TestDatabase, conformance};

use crate::old::{Maker, Reported, backend_of, counts, digests};

conformance!(
    a_renamed_database_arrives_by_a_mapping_file_as_it_would_have_without,
    the_mapping_file_may_name_the_schema,
    a_mapping_that_does_not_fit_is_refused_and_nothing_is_written,
);

const CHAT_APP: &str = r#"
[users]
table = "accounts"
username = "login"
hashed_password = "pw"
full_name = "display name"

[conversations]
table = "chats"
uuid = "public_id"
user_id = "account"
default_model = "llm"

[messages]
table = "Chat Lines"
conversation_id = "chat"
content = "text"
created_at = "sent_at"

[responses]
table = "completions"
message_id = "line"
tokens_total = "tokens"
"#;

const PAKTON: &str = r#"
[users]
table = "people"
email = "mail"
created_at = "since"

[conversations]
table = "threads"
thread_id = "key"
user_email = "owner"
last_message = "preview"
"#;

fn mapping_of(maker: Maker) -> &'static str {
    match maker {
        Maker::ChatApp => CHAT_APP,
        Maker::Pakton => PAKTON,
        Maker::Linked => "",
    }
}

/// A mapping file in a folder of its own.
struct MappingFile(tempfile::TempDir);

impl MappingFile {
    fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("names.toml"), text).unwrap();
        Self(folder)
    }

    fn path(&self) -> String {
        self.0.path().join("names.toml").display().to_string()
    }
}

async fn a_renamed_database_arrives_by_a_mapping_file_as_it_would_have_without(case: TestDatabase) {
    for maker in Maker::ALL {
        let [mapped, plain] = [backend_of(&case).database().await, backend_of(&case).database().await];
        let (renamed, manifest) = maker.make(&case, "renamed").await;
        let file = MappingFile::of(mapping_of(maker));
        let report = renamed.import_into(&mapped.url, &["--schema", maker.schema(), "--map", &file.path()]);
        report.assert_complete(&manifest);
        assert_eq!(report.of_rows(), Vec::<&Reported>::new(), "{maker:?}");
        let (old, _) = maker.make(&case, "plain").await;
        let without = old.import_into(&plain.url, &[]);
        assert_eq!(report.tables, without.tables, "{maker:?}");
        assert_eq!(digests(&mapped.url), digests(&plain.url), "{maker:?}");
    }
}

async fn the_mapping_file_may_name_the_schema(case: TestDatabase) {
    for maker in Maker::ALL {
        let case = backend_of(&case).database().await;
        let (renamed, manifest) = maker.make(&case, "renamed").await;
        let file = MappingFile::of(&format!("schema = \"{}\"\n{}", maker.schema(), mapping_of(maker)));
        let report = renamed.import_into(&case.url, &["--map", &file.path()]);
        report.assert_complete(&manifest);
        assert_eq!(report.schema, maker.schema());
    }
}

async fn a_mapping_that_does_not_fit_is_refused_and_nothing_is_written(case: TestDatabase) {
    let (old, _) = Maker::ChatApp.make(&case, "renamed").await;
    for (text, reason) in [
        (format!("[persons]\ntable = \"accounts\"\n{CHAT_APP}"), "persons"),
        (CHAT_APP.replace("\"accounts\"", "\"people\""), "people"),
        (CHAT_APP.replace("\"login\"", "\"nickname\""), "nickname"),
        (CHAT_APP.replace("username =", "nick ="), "nick"),
        (CHAT_APP.replace("[users]", "[users"), "names.toml"),
        (CHAT_APP.replace("\"pw\"", "7"), "hashed_password"),
        (format!("schema = \"chat_apps\"\n{CHAT_APP}"), "chat_apps"),
    ] {
        let file = MappingFile::of(&text);
        let refused = old.try_import_into(&case.url, &["--schema", "chat-app", "--map", &file.path()]);
        refused.assert_failed(65, reason);
    }
    let absent = old.try_import_into(&case.url, &["--map", "absent.toml"]);
    absent.assert_failed(66, "absent.toml");
    assert!(counts(&case.url).values().all(|count| *count == 0));
}
