//! What operators do with users, keys, sessions and conversations.

use chatstore::{
    ConversationPatch, MessageName, MessageRole, NewConversation, NewHead, NewMessage, Parent, Store,
    VerbatimJson,
};
use chatstore_testkit::{TestDatabase, conformance};

use crate::commands::{Commands, tokens};
use crate::program::run;

conformance!(
    a_user_is_disabled_enabled_renamed_and_given_a_role,
    users_are_filtered_and_the_first_hundred_are_listed,
    a_key_is_rotated_and_revoked_without_naming_its_owner,
    sessions_are_listed_and_ended,
    conversations_are_listed_shown_exported_and_deleted,
    the_branches_of_a_conversation_are_exported_and_imported,
    what_cannot_be_undone_is_confirmed_first,
);

const PASSWORD: &str = "correct horse battery";

async fn a_user_is_disabled_enabled_renamed_and_given_a_role(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["user", "create", "--username", "ada"]).data();
    let key = commands.run(&["key", "create", "--user", "ada"]).data().to_owned();
    let is_good = async || {
        let store = Store::connect(&commands.case.url).await.unwrap();
        let found = store.keys().verify(&key).await.unwrap();
        store.close().await;
        found.is_some()
    };
    let disabled = commands.run(&["user", "disable", "ada"]);
    assert_eq!((disabled.code, disabled.stdout.as_str()), (0, ""));
    assert!(disabled.stderr.contains("ada is disabled"), "{}", disabled.stderr);
    assert!(!is_good().await);
    assert_eq!(commands.run(&["user", "enable", "ada", "--json"]).json()["is_active"], true);
    assert!(is_good().await);
    assert_eq!(commands.run(&["user", "rename", "ada", "Countess", "--json"]).json()["username"], "Countess");
    assert_eq!(commands.run(&["user", "role", "countess", "admin", "--json"]).json()["role"], "admin");
    assert!(!is_good().await, "who becomes an administrator gets other keys");
    commands.run(&["user", "rename", "countess", "no"]).assert_failed(65, "must have at least 3 characters");
    commands.run(&["user", "create", "--username", "bob"]).data();
    commands.run(&["user", "rename", "bob", "COUNTESS"]).assert_failed(1, "already exists");
    commands.run(&["user", "disable", "eve"]).assert_failed(1, "there is no user \"eve\"");
}

async fn users_are_filtered_and_the_first_hundred_are_listed(case: TestDatabase) {
    let commands = Commands::on(case);
    let store = Store::connect(&commands.case.url).await.unwrap();
    for number in 0..205 {
        store.users().get_or_create_by_email(&format!("user{number}@example.org")).await.unwrap();
    }
    store.close().await;
    commands.run(&["user", "create", "--username", "ada", "--role", "admin"]).data();
    commands.run(&["user", "disable", "user7@example.org"]).data();
    let count = |arguments: &[&str]| {
        let listed = commands.run(&[&["user", "list", "--json"], arguments].concat());
        (listed.json().as_array().unwrap().len(), listed.stderr)
    };
    let more = |count| format!("only the first {count} are listed: --limit COUNT lists more, --all all\n");
    assert_eq!(count(&[]), (100, more(100)));
    assert_eq!(count(&["--limit", "200"]), (200, more(200)));
    assert_eq!(count(&["--limit", "206"]), (206, String::new()));
    assert_eq!(count(&["--all"]), (206, String::new()));
    assert_eq!(count(&["--role", "admin"]), (1, String::new()));
    assert_eq!(count(&["--state", "disabled"]), (1, String::new()));
    let newest = commands.run(&["user", "list", "--newest", "--limit", "1", "--json"]).json();
    assert_eq!(newest[0]["username"], "ada");
    assert_eq!(commands.run(&["user", "list", "--limit", "0"]).code, 2);
}

async fn a_key_is_rotated_and_revoked_without_naming_its_owner(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["user", "create", "--username", "ada"]).data();
    for create in
        [&["key", "create", "--user", "ada", "--json"][..], &["key", "create", "--service", "--json"]]
    {
        let key = commands.run(create).json();
        let id = key["id"].as_str().unwrap();
        assert_eq!(commands.run(&["key", "rotate", id, "--json"]).json()["id"], id);
        assert_eq!(commands.run(&["key", "list", "--limit", "1", "--json"]).json()[0]["id"], id);
        assert_eq!(commands.run(&["key", "revoke", id]).data(), "");
    }
    assert_eq!(commands.run(&["key", "list", "--json"]).data(), "[]");
    let absent = commands.run(&["key", "revoke", "1111111111111111111112"]);
    absent.assert_failed(1, "no user has a key");
}

async fn sessions_are_listed_and_ended(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.person("ada", PASSWORD);
    let server = commands.serve(&[]);
    for _ in 0..3 {
        tokens(&server, "ada", PASSWORD).await;
    }
    let sessions = || commands.run(&["session", "list", "--user", "ada", "--json"]).json();
    let listed = sessions();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    let id = listed[0]["id"].as_str().unwrap();
    assert!(commands.run(&["session", "list", "--user", "ada"]).data().contains(id));
    assert_eq!(commands.run(&["session", "revoke", id, "--user", "ada"]).data(), "");
    commands.run(&["session", "revoke", id, "--user", "ada"]).assert_failed(1, "ada has no session");
    assert_eq!(sessions().as_array().unwrap().len(), 2);
    commands.run(&["session", "revoke", "--all", "--user", "ada"]).data();
    assert_eq!(sessions().as_array().unwrap().len(), 0);
    assert_eq!(commands.run(&["session", "revoke", "--user", "ada"]).code, 2);
    assert_eq!(server.stop(), Some(0));
}

async fn conversations_are_listed_shown_exported_and_deleted(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["user", "create", "--username", "ada"]).data();
    commands.run(&["user", "create", "--username", "bob"]).data();
    let store = Store::connect(&commands.case.url).await.unwrap();
    let ada = store.users().find_by_username("ada").await.unwrap().unwrap().id;
    let chat = store.as_user(ada);
    let id = chat.conversations().create(NewConversation::titled("a \"trip\"")).await.unwrap().id;
    for number in 0..400 {
        chat.messages().append(id, NewMessage::user(format!("line {number}"))).await.unwrap();
    }
    let parts = VerbatimJson::parse("[\n{\"text\":\"line 400\"}\r\n]").unwrap();
    chat.messages().append(id, NewMessage::of_parts(MessageRole::User, parts)).await.unwrap();
    let empty = chat.conversations().create(NewConversation::titled("empty")).await.unwrap().id;
    store.close().await;
    let (id, empty) = (id.to_string(), empty.to_string());

    let listed = commands.run(&["conversation", "list", "--user", "ada", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(commands.run(&["conversation", "list", "--user", "ada"]).data().contains("a \"trip\""));
    assert_eq!(
        commands.run(&["conversation", "list", "--user", "ada", "--archived", "only", "--json"]).data(),
        "[]"
    );
    let shown = commands.run(&["conversation", "show", &id, "--user", "ada", "--json"]).json();
    assert_eq!((&shown["message_count"], &shown["role"]), (&401.into(), &"owner".into()));
    assert!(commands.run(&["conversation", "show", &id, "--user", "ada"]).data().contains("messages  401"));
    commands.run(&["conversation", "show", &id, "--user", "bob"]).assert_failed(1, "bob has no conversation");

    let exported = commands.run(&["conversation", "export", &id, "--user", "ada"]).data().to_owned();
    let line: serde_json::Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(exported.lines().count(), 1, "parts with breaks of lines do not break it");
    assert_eq!(line["turns"].as_array().unwrap().len(), 401);
    assert_eq!(line["turns"][400]["content"], "line 400");
    let nothing = commands.run(&["conversation", "export", &empty, "--user", "ada"]).json();
    assert_eq!(nothing["turns"], serde_json::json!([]));
    std::fs::write(commands.folder.path().join("trip.jsonl"), format!("{exported}\n")).unwrap();
    let imported = commands.run(&["import", "jsonl", "trip.jsonl", "--user", "bob", "--json"]).json();
    assert_eq!(imported["imported"]["messages"], 401, "{imported}");
    let copied = commands.run(&["conversation", "list", "--user", "bob", "--json"]).json();
    assert_eq!((&copied[0]["title"], &copied[0]["message_count"]), (&line["title"], &401.into()));

    let delete = ["conversation", "delete", &id, "--user", "ada", "--yes"];
    assert_eq!(commands.run(&delete).data(), "");
    commands.run(&delete).assert_failed(1, "ada has no conversation");
}

async fn the_branches_of_a_conversation_are_exported_and_imported(case: TestDatabase) {
    let commands = Commands::on(case);
    for name in ["ada", "bob"] {
        commands.run(&["user", "create", "--username", name]).data();
    }
    let store = Store::connect(&commands.case.url).await.unwrap();
    let ada = store.users().find_by_username("ada").await.unwrap().unwrap().id;
    let chat = store.as_user(ada);
    let id = chat.conversations().create(NewConversation::titled("tree")).await.unwrap().id;
    let after = |text: &str, parent| NewMessage { parent, ..NewMessage::user(text) };
    let of = |seq| Some(Parent::Message(MessageName::Seq(seq)));
    let new = vec![
        after("one", None),
        after("two", None),
        after("gone", None),
        after("root", Some(Parent::Root)),
        after("three", of(2)),
        after("four", None),
        after("five", of(1)),
    ];
    let appended = chat.messages().append_many(id, new).await.unwrap();
    chat.messages().delete(id, appended[2].id).await.unwrap();
    let head = Some(NewHead::Message(MessageName::Id(appended[5].id)));
    chat.conversations()
        .update(id, ConversationPatch { head, ..ConversationPatch::default() })
        .await
        .unwrap();
    store.close().await;

    let exported =
        commands.run(&["conversation", "export", &id.to_string(), "--user", "ada"]).data().to_owned();
    let line: serde_json::Value = serde_json::from_str(&exported).unwrap();
    let parents: Vec<_> =
        line["turns"].as_array().unwrap().iter().map(|turn| turn["parent"].as_i64()).collect();
    assert_eq!(parents, [None, None, Some(0), Some(2), Some(4), Some(1)]);
    assert_eq!(line["head"], 5);
    std::fs::write(commands.folder.path().join("tree.jsonl"), format!("{exported}\n")).unwrap();
    let imported = commands.run(&["import", "jsonl", "tree.jsonl", "--user", "bob", "--json"]).json();
    assert_eq!(imported["imported"]["messages"], 6, "{imported}");
    let copied = commands.run(&["conversation", "list", "--user", "bob", "--json"]).json();
    let copy = copied[0]["id"].as_str().unwrap();
    let again: serde_json::Value =
        serde_json::from_str(commands.run(&["conversation", "export", copy, "--user", "bob"]).data())
            .unwrap();
    assert_eq!((&again["turns"], &again["head"]), (&line["turns"], &line["head"]));
}

async fn what_cannot_be_undone_is_confirmed_first(case: TestDatabase) {
    let commands = Commands::on(case);
    commands.run(&["user", "create", "--username", "ada"]).data();
    let refused = commands.run(&["user", "delete", "ada"]);
    refused.assert_failed(2, "not confirmed: delete the user ada");
    assert!(refused.stderr.contains("hint: repeat the command with --yes"), "{}", refused.stderr);
    let (code, _) = commands.run_at_terminal(&["user", "delete", "ada"], &[("Type yes", "no")]);
    assert_eq!(code, Some(1));
    commands.run(&["user", "show", "ada"]).data();
    let (code, screen) = commands.run_at_terminal(&["user", "delete", "ada"], &[("Type yes", "yes")]);
    assert_eq!(code, Some(0), "{screen}");
    commands.run(&["user", "show", "ada"]).assert_failed(1, "there is no user");
}

#[test]
fn commands_say_what_they_do_and_log_only_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let created = run(folder.path(), &["user", "create", "--username", "ada"]);
    assert_eq!((created.code, created.stderr.as_str()), (0, ""));
    let mut command = crate::program::chatstore(folder.path());
    command.env("CHATSTORE_LOG", "info").args(["user", "create", "--username", "bob"]);
    let created = crate::program::finish(&mut command);
    assert!(created.stderr.contains("user_created"), "{}", created.stderr);
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["man", "pages"]).assert_failed(66, "pages is no directory");
    std::fs::create_dir(folder.path().join("pages")).unwrap();
    assert_eq!(run(folder.path(), &["man", "pages"]).data(), "pages");
    for page in [
        "chatstore.1",
        "chatstore-user-disable.1",
        "chatstore-migrate-upgrade.1",
        "chatstore-backup-verify.1",
    ] {
        let text = std::fs::read_to_string(folder.path().join("pages").join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(".SH OPTIONS"), "{page}: {text}");
    }
}
