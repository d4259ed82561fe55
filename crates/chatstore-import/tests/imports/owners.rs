//! Lines that name their owners, and lines that name nothing.

use chatstore::{DatabaseKind, NewUser, Store, Timestamp, UserId, UserName};
use chatstore_import::jsonl::{Jsonl, JsonlError, OnError};
use chatstore_import::{ImportOptions, ImportReport, import};
use chatstore_testkit::{TestDatabase, conformance};

conformance!(
    lines_belong_to_the_owners_that_they_name,
    a_line_that_names_an_unknown_id_is_refused,
    a_line_without_an_id_is_known_by_what_it_says,
    external_ids_of_turns_are_kept_once,
    many_lines_of_several_owners_take_few_statements,
);

async fn import_lines(store: &Store, lines: &str, dry_run: bool) -> Result<ImportReport, JsonlError> {
    let base_time = Timestamp::from_microseconds(1_772_366_400_000_000).unwrap();
    let (input, size) = (lines.as_bytes(), lines.len() as u64);
    let source = Jsonl { input, size, owner: UserId::ANONYMOUS, on_error: OnError::Stop };
    import(source, store, ImportOptions { base_time, dry_run, restore_deleted: false }, |_| {}).await
}

fn line(id: &str, owner: &str) -> String {
    format!(r#"{{"id": "{id}", "turns": [{{"role": "user", "content": "hello"}}]{owner}}}"#)
}

async fn lines_belong_to_the_owners_that_they_name(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let username = Some(UserName::new("ada").unwrap());
    let ada = store.users().create(NewUser { username, ..NewUser::default() }).await.unwrap();
    let lines = [
        line("a", r#", "owner": "Ada""#),
        line("a", r#", "user": "grace""#),
        line("b", r#", "user_email": "joan@example.org""#),
        line("c", &format!(r#", "user_id": "{}""#, ada.id)),
        line("d", ""),
        r#"{"type": "document", "id": "e", "content": {}, "owner": "grace"}"#.to_owned(),
    ]
    .join("\n");
    let expected = import_lines(&store, &lines, true).await.unwrap();
    let report = import_lines(&store, &lines, false).await.unwrap();
    assert_eq!(report, expected);
    assert_eq!((report.table("users").added, report.table("conversations").added), (2, 5));
    let again = import_lines(&store, &lines, false).await.unwrap();
    assert_eq!((again.added(), again.table("conversations").unchanged), (0, 5));

    let grace = store.users().find_by_username("grace").await.unwrap().unwrap();
    let joan = store.users().find_by_email("joan@example.org").await.unwrap().unwrap();
    for (owner, thread) in
        [(ada.id, "a"), (grace.id, "a"), (joan.id, "b"), (ada.id, "c"), (UserId::ANONYMOUS, "d")]
    {
        let found = store.as_user(owner).conversations().get_by_thread(thread).await.unwrap();
        assert!(!found.metadata.as_str().contains("grace"), "{found:?}");
    }
}

async fn a_line_that_names_an_unknown_id_is_refused(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let unknown = "0197f3a1-0000-7000-8000-000000000001";
    let lines = [line("a", ""), line("b", &format!(r#", "owner": "{unknown}""#))].join("\n");
    let refused = import_lines(&store, &lines, false).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("line 2: there is no user {unknown}"));
}

async fn a_line_without_an_id_is_known_by_what_it_says(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let said = |text: &str| format!(r#"{{"messages": [{{"role": "user", "content": "{text}"}}]}}"#);
    let long = format!(r#"{{"messages": [{{"role": "user", "content": "{}"}}]}}"#, "long ".repeat(300_000));
    let lines = [said("one"), said("two"), said("one"), long].join("\n");
    let report = import_lines(&store, &lines, false).await.unwrap();
    let counted = report.table("conversations");
    assert_eq!((counted.added, counted.unchanged), (3, 1));
    assert_eq!(import_lines(&store, &lines, false).await.unwrap().added(), 0);
}

async fn external_ids_of_turns_are_kept_once(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let turn = |id: &str| format!(r#"{{"role": "user", "content": "hello", "external_id": "{id}"}}"#);
    let turns = [turn("m1"), turn("m2"), turn("m1")].join(",");
    let lines = format!(r#"{{"external_id": "t1", "name": "Named", "turns": [{turns}]}}"#);
    import_lines(&store, &lines, false).await.unwrap();
    let chat = store.as_user(UserId::ANONYMOUS);
    let thread = chat.conversations().get_by_thread("t1").await.unwrap();
    assert_eq!((thread.title.as_deref(), thread.message_count), (Some("Named"), 3));
    let page = chat.messages().page(thread.id, chatstore::PageRequest::oldest(10)).await.unwrap();
    let ids: Vec<Option<&str>> = page.items.iter().map(|message| message.external_id.as_deref()).collect();
    assert_eq!(ids, [Some("m1"), Some("m2"), None]);
    assert!(page.items[2].metadata.as_str().contains("m1"));
}

async fn many_lines_of_several_owners_take_few_statements(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    for owner in ["ada", "grace", "joan"] {
        let username = Some(UserName::new(owner).unwrap());
        store.users().create(NewUser { username, ..NewUser::default() }).await.unwrap();
    }
    let owners = ["ada", "grace", "joan"].map(|owner| format!(r#", "owner": "{owner}""#));
    let lines: Vec<String> = (0..150).map(|number| line(&number.to_string(), &owners[number % 3])).collect();
    let before = store.operations().statements();
    let report = import_lines(&store, &lines.join("\n"), false).await.unwrap();
    let taken = store.operations().statements() - before;
    assert_eq!((report.table("users").added, report.table("conversations").added), (0, 150));
    // Each owner is found by name; SQLite, which is in the same process, inserts row by row.
    let inserts = if store.kind() == DatabaseKind::Sqlite { 300 } else { 2 };
    let statements = 3 + 3 + inserts;
    // The store may look for deletions to finish meanwhile.
    assert!((statements..statements + 10).contains(&taken), "{taken} instead of {statements}");
}
