use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use chatstore_testkit::{Backend, TestDatabase, conformance};
use serde_json::json;

use crate::program::{chatstore, finish_with_input, finished, run};

conformance!(
    an_import_adds_everything_once,
    a_conversation_that_differs_is_reported_and_left,
    a_bad_line_stops_the_import_before_it,
    bad_lines_are_skipped_when_asked,
    a_dry_run_writes_nothing,
    what_has_no_field_of_ours_is_kept_as_source,
    what_a_line_says_of_title_model_times_and_metadata_is_taken,
    messages_are_taken_as_turns_with_roles_of_other_frameworks_and_calls_without_content,
    a_field_whose_value_does_not_fit_is_kept_as_source,
    an_import_belongs_to_the_user_it_names,
    standard_input_is_imported_like_a_file,
    a_line_with_a_turn_that_is_too_long_is_bad_data,
    an_interrupted_import_says_what_to_do,
);

const TWO: &str = concat!(
    r#"{"id": "one", "turns": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "你好"}]}"#,
    "\n",
    r#"{"id": "two", "turns": [{"role": "user", "content": "bye"}]}"#,
    "\n",
);

fn folder_with(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dialogs.jsonl");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

fn import(folder: &Path, url: &str, more: &[&str]) -> crate::program::Finished {
    let mut arguments = vec!["import", "jsonl", "dialogs.jsonl", "--database-url", url, "--json"];
    arguments.extend(more);
    run(folder, &arguments)
}

fn counts(folder: &Path, url: &str) -> (i64, i64) {
    let stats = run(folder, &["stats", "--json", "--database-url", url]).json();
    (stats["conversations"].as_i64().unwrap(), stats["messages"].as_i64().unwrap())
}

async fn an_import_adds_everything_once(case: TestDatabase) {
    let (folder, _) = folder_with(TWO);
    let first = import(folder.path(), &case.url, &[]).json();
    assert_eq!(
        first,
        json!({"read": 2, "imported": {"conversations": 2, "messages": 3}, "unchanged": 0, "skipped": []})
    );
    let second = import(folder.path(), &case.url, &[]).json();
    assert_eq!(
        second,
        json!({"read": 2, "imported": {"conversations": 0, "messages": 0}, "unchanged": 2, "skipped": []})
    );
    assert_eq!(counts(folder.path(), &case.url), (2, 3));
    let told = run(folder.path(), &["import", "jsonl", "dialogs.jsonl", "--database-url", &case.url]);
    assert!(told.data().contains("2 were there already"));
    assert!(told.stderr.contains("nothing was added"));
}

async fn a_conversation_that_differs_is_reported_and_left(case: TestDatabase) {
    let (folder, file) = folder_with(TWO);
    import(folder.path(), &case.url, &[]).json();
    std::fs::write(&file, TWO.replace("bye", "good bye")).unwrap();
    let stopped = import(folder.path(), &case.url, &[]);
    stopped.assert_failed(65, "line 2: a conversation with this id already exists and differs at turn 1");
    let skipped = import(folder.path(), &case.url, &["--on-error", "skip"]);
    assert_eq!(skipped.code, 3);
    assert_eq!(counts(folder.path(), &case.url), (2, 3));
}

async fn a_bad_line_stops_the_import_before_it(case: TestDatabase) {
    let long_id = "x".repeat(256);
    let bad_lines = [
        ("{\"id\": \"three\", \"turns\": [".to_owned(), "not a conversation"),
        (r#"{"turns": []}"#.to_owned(), "no turns"),
        (r#"{"id": "three", "turns": []}"#.to_owned(), "no turns"),
        (
            r#"{"id": "three", "turns": [{"role": "robot", "content": ""}]}"#.to_owned(),
            "turns[0].role \"robot\"",
        ),
        (
            r#"{"id": "three", "turns": [{"role": "user", "content": "a\u0000b"}]}"#.to_owned(),
            "NUL character",
        ),
        (format!(r#"{{"id": "{long_id}", "turns": [{{"role": "user", "content": ""}}]}}"#), "thread_id"),
    ];
    for (line, reason) in bad_lines {
        let (folder, _) = folder_with(&format!("{TWO}{line}\n{}", TWO.replace("one", "four")));
        let stopped = import(folder.path(), &case.url, &[]);
        stopped.assert_failed(65, "dialogs.jsonl: line 3:");
        assert!(stopped.stderr.contains(reason), "{reason}: {}", stopped.stderr);
        assert_eq!(counts(folder.path(), &case.url), (2, 3), "{line}");
    }
}

async fn bad_lines_are_skipped_when_asked(case: TestDatabase) {
    let (folder, _) = folder_with(&format!("not json\n\n{TWO}"));
    let skipped = import(folder.path(), &case.url, &["--on-error", "skip"]);
    assert_eq!(skipped.code, 3);
    let report: serde_json::Value = serde_json::from_str(&skipped.stdout).unwrap();
    assert_eq!(report["imported"], json!({"conversations": 2, "messages": 3}));
    assert_eq!(report["skipped"][0]["line"], 1);
}

async fn a_dry_run_writes_nothing(case: TestDatabase) {
    let (folder, _) = folder_with(TWO);
    let report = import(folder.path(), &case.url, &["--dry-run"]).json();
    assert_eq!(report["imported"], json!({"conversations": 2, "messages": 3}));
    assert_eq!(counts(folder.path(), &case.url), (0, 0));
}

async fn what_has_no_field_of_ours_is_kept_as_source(case: TestDatabase) {
    let line = r#"{"id": "one", "lang": "de", "turns": [{"role": "user", "content": "", "speaker": 7}]}"#;
    let (folder, _) = folder_with(line);
    import(folder.path(), &case.url, &[]).json();
    let store = chatstore::Store::connect(case.url.as_str()).await.unwrap();
    let chat = store.as_user(chatstore::UserId::ANONYMOUS);
    let conversation = chat.conversations().get_by_thread("one").await.unwrap();
    assert_eq!(conversation.metadata.to_string(), r#"{"source":{"lang":"de"}}"#);
    let message = chat.messages().get_by_seq(conversation.id, 1).await.unwrap();
    assert_eq!(message.metadata.to_string(), r#"{"source":{"speaker":7}}"#);
}

async fn what_a_line_says_of_title_model_times_and_metadata_is_taken(case: TestDatabase) {
    let line = json!({
        "id": "one", "title": "Trip", "model": "gpt-4o", "created_at": "2024-03-01T10:00:00Z",
        "updated_at": 1_709_290_800, "metadata": {"plan": "pro"}, "lang": "de",
        "turns": [
            {"role": "user", "content": "hi", "created_at": "2024-03-01T11:00:00+01:00"},
            {"role": "assistant", "content": "hello", "model": "gpt-4", "token_count": 2, "used_documents": ["guide"],
             "metadata": {"score": 1}, "timestamp": 1_709_287_201_500_i64},
        ],
    });
    let (folder, _) = folder_with(&line.to_string());
    import(folder.path(), &case.url, &[]).json();
    let store = chatstore::Store::connect(case.url.as_str()).await.unwrap();
    let chat = store.as_user(chatstore::UserId::ANONYMOUS);
    let conversation = chat.conversations().get_by_thread("one").await.unwrap();
    assert_eq!(conversation.title.as_deref(), Some("Trip"));
    assert_eq!(conversation.default_model.as_deref(), Some("gpt-4o"));
    assert_eq!(conversation.created_at.to_string(), "2024-03-01T10:00:00.000000Z");
    assert_eq!(conversation.updated_at.to_string(), "2024-03-01T11:00:00.000000Z");
    assert_eq!(conversation.metadata.to_string(), r#"{"plan":"pro","source":{"lang":"de"}}"#);
    let first = chat.messages().get_by_seq(conversation.id, 1).await.unwrap();
    assert_eq!(first.created_at.to_string(), "2024-03-01T10:00:00.000000Z");
    let second = chat.messages().get_by_seq(conversation.id, 2).await.unwrap();
    assert_eq!((second.model.as_deref(), second.token_count), (Some("gpt-4"), Some(2)));
    assert_eq!(second.used_documents.to_string(), r#"["guide"]"#);
    assert_eq!(second.metadata.to_string(), r#"{"score":1}"#);
    assert_eq!(second.created_at.to_string(), "2024-03-01T10:00:01.500000Z");
    assert_eq!(import(folder.path(), &case.url, &[]).json()["unchanged"], 1);
}

async fn messages_are_taken_as_turns_with_roles_of_other_frameworks_and_calls_without_content(
    case: TestDatabase,
) {
    let line = json!({
        "thread_id": "one",
        "messages": [
            {"role": "human", "content": [{"type": "text", "text": "what time is it?"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "function": {"name": "clock"}}]},
            {"role": "tool", "tool_call_id": "c1", "name": "clock", "content": "noon"},
            {"role": "ai", "content": "It is noon."},
        ],
    });
    let (folder, _) = folder_with(&line.to_string());
    let imported = import(folder.path(), &case.url, &[]).json();
    assert_eq!(imported["imported"], json!({"conversations": 1, "messages": 4}));
    let store = chatstore::Store::connect(case.url.as_str()).await.unwrap();
    let chat = store.as_user(chatstore::UserId::ANONYMOUS);
    let conversation = chat.conversations().get_by_thread("one").await.unwrap();
    let mut said = Vec::new();
    for seq in 1..=4 {
        let message = chat.messages().get_by_seq(conversation.id, seq).await.unwrap();
        said.push((message.role.as_str().to_owned(), message.content, message.parts.is_some()));
    }
    let expected = [
        ("user", "what time is it?", true),
        ("assistant", "", false),
        ("tool", "noon", false),
        ("assistant", "It is noon.", false),
    ];
    assert_eq!(said, expected.map(|(role, content, parts)| (role.to_owned(), content.to_owned(), parts)));
    let call = chat.messages().get_by_seq(conversation.id, 2).await.unwrap();
    assert!(call.metadata.to_string().contains(r#""tool_calls":[{"function":{"name":"clock"}"#));
}

async fn a_field_whose_value_does_not_fit_is_kept_as_source(case: TestDatabase) {
    let line = json!({
        "id": "one", "title": 7, "created_at": "someday", "metadata": "none",
        "turns": [{"role": "user", "content": "hi", "token_count": -1, "used_documents": "guide"}],
    });
    let (folder, _) = folder_with(&line.to_string());
    import(folder.path(), &case.url, &[]).json();
    let store = chatstore::Store::connect(case.url.as_str()).await.unwrap();
    let chat = store.as_user(chatstore::UserId::ANONYMOUS);
    let conversation = chat.conversations().get_by_thread("one").await.unwrap();
    let source = r#"{"source":{"created_at":"someday","metadata":"none","title":7}}"#;
    assert_eq!(conversation.metadata.to_string(), source);
    let message = chat.messages().get_by_seq(conversation.id, 1).await.unwrap();
    assert_eq!(message.metadata.to_string(), r#"{"source":{"token_count":-1,"used_documents":"guide"}}"#);
}

async fn an_import_belongs_to_the_user_it_names(case: TestDatabase) {
    let (folder, _) = folder_with(TWO);
    let url = case.url.as_str();
    let ada = run(folder.path(), &["user", "create", "--username", "ada", "--database-url", url]);
    import(folder.path(), url, &["--user", "ADA"]).json();
    let store = chatstore::Store::connect(url).await.unwrap();
    let ada: chatstore::UserId = ada.data().parse().unwrap();
    let conversation = store.as_user(ada).conversations().get_by_thread("one").await.unwrap();
    let first = store.as_user(ada).messages().get_by_seq(conversation.id, 1).await.unwrap();
    assert_eq!(first.sender_id, Some(ada));
    import(folder.path(), url, &["--user", "nobody"]).assert_failed(1, "there is no user \"nobody\"");
}

async fn standard_input_is_imported_like_a_file(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = chatstore(folder.path());
    command.args(["import", "jsonl", "-", "--json", "--database-url", &case.url]);
    let imported = finish_with_input(&mut command, TWO).json();
    assert_eq!(imported["imported"], json!({"conversations": 2, "messages": 3}));
    assert_eq!(finish_with_input(&mut command, TWO).json()["unchanged"], 2);
}

async fn a_line_with_a_turn_that_is_too_long_is_bad_data(case: TestDatabase) {
    let long = "a".repeat(17 * 1024 * 1024);
    let line = format!(r#"{{"id": "long", "turns": [{{"role": "user", "content": "{long}"}}]}}"#);
    let (folder, _) = folder_with(&format!("{TWO}{line}\n"));
    let stopped = import(folder.path(), &case.url, &[]);
    stopped.assert_failed(65, "dialogs.jsonl: line 3: turns[0] is longer than 16 MiB");
    assert!(stopped.stderr.contains("hint: lines before it are stored"), "{}", stopped.stderr);
    assert_eq!(counts(folder.path(), &case.url), (2, 3));
}

async fn an_interrupted_import_says_what_to_do(case: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["TERM", "INT"] {
        let mut command = chatstore(folder.path());
        command.args(["import", "jsonl", "-", "--database-url", &case.url]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // More than one batch, and no end: the import waits for the next line.
        for number in 0..2_500 {
            writeln!(input, r#"{{"id": "{signal}{number}", "turns": [{{"role": "user", "content": ""}}]}}"#)
                .unwrap();
        }
        let first = format!("{signal}0");
        let store = chatstore::Store::connect(case.url.as_str()).await;
        while let Ok(store) = &store
            && store
                .as_user(chatstore::UserId::ANONYMOUS)
                .conversations()
                .get_by_thread(&first)
                .await
                .is_err()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let kill = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let ended = finished(child.wait_with_output().unwrap());
        drop(input);
        ended.assert_failed(75, &format!("the import was interrupted by SIG{signal}"));
        assert!(ended.stderr.contains("hint: import again"), "{}", ended.stderr);
    }
}

/// The promise behind moving between databases: the same file gives the same rows.
#[tokio::test(flavor = "multi_thread")]
async fn one_file_gives_equal_digests_on_both_databases() {
    let mut text = TWO.to_owned();
    for number in 0..300 {
        let content = "wort ".repeat(number % 90);
        writeln!(text, r#"{{"id": "n{number}", "turns": [{{"role": "user", "content": "{content}"}}]}}"#)
            .unwrap();
    }
    let (folder, _) = folder_with(&text);
    assert_equal_digests(folder.path(), "dialogs.jsonl").await;
}

/// 2,000 real conversations, when the test command was told where they are.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_dialogs_are_imported_once_and_alike() {
    #[expect(clippy::disallowed_methods, reason = "the test command says where the dialogs are")]
    let Ok(file) = std::env::var("CHATSTORE_DIALOGS") else {
        println!("not run: CHATSTORE_DIALOGS does not name a file of real conversations");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let counted = assert_equal_digests(folder.path(), &file).await;
    assert_eq!(counted, (2_000, 24_056));
}

async fn assert_equal_digests(folder: &Path, file: &str) -> (i64, i64) {
    let mut digests = Vec::new();
    let mut counted = (0, 0);
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = backend.database().await;
        let arguments = ["import", "jsonl", file, "--database-url", &case.url, "--json"];
        let first = run(folder, &arguments).json();
        let second = run(folder, &arguments).json();
        assert_eq!(second["imported"], json!({"conversations": 0, "messages": 0}));
        assert_eq!(second["unchanged"], first["read"]);
        let stats = run(folder, &["stats", "--digest", "--json", "--database-url", &case.url]).json();
        counted = (stats["conversations"].as_i64().unwrap(), stats["messages"].as_i64().unwrap());
        digests.push(stats["digests"].clone());
    }
    assert_eq!(digests[0], digests[1]);
    counted
}
