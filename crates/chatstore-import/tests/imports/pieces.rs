//! A long line is stored in pieces, and the end is the same as if it had been stored at once.

use std::io::{BufRead, BufReader, Read};

use chatstore::operations::{Deletion, TableDigest};
use chatstore::{Conversation, ErrorKind, NewMessage, Store, Timestamp, UserId, WriteTx};
use chatstore_import::jsonl::{Jsonl, JsonlError, OnError};
use chatstore_import::{ImportEvent, ImportOptions, ImportReport, import};
use chatstore_testkit::{TestDatabase, conformance};

conformance!(
    a_long_line_ends_as_one_that_is_stored_at_once,
    an_import_interrupted_between_two_pieces_goes_on,
    an_interrupted_conversation_that_was_changed_is_left_as_it_is,
    a_wrong_turn_at_the_end_of_a_long_line_leaves_nothing_of_it,
    two_imports_of_one_file_at_once_store_each_row_once,
    what_is_being_deleted_is_imported_again_when_that_is_asked_for,
);

const PADDING: &str = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\
    0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

const BASE_TIME: i64 = 1_772_366_400_000_000;

async fn import_lines(store: &Store, input: impl BufRead) -> Result<ImportReport, JsonlError> {
    let base_time = Timestamp::from_microseconds(BASE_TIME).unwrap();
    let source = Jsonl { input, size: 0, owner: UserId::ANONYMOUS, on_error: OnError::Stop };
    import(source, store, ImportOptions { base_time, dry_run: false, restore_deleted: false }, |_| {}).await
}

/// A line of this many turns, each of some 300 bytes, with a field before and one after them.
fn line(id: &str, turns: usize) -> String {
    let padding = PADDING;
    let turns: Vec<String> = (0..turns)
        .map(|turn| {
            format!(
                r#"{{"role": "user", "content": "turn {turn} of {id}: [\"{{,é\n{padding}", "n": {turn}}}"#
            )
        })
        .collect();
    format!("{{\"lang\": \"de\", \"turns\": [{}], \"id\": \"{id}\", \"tags\": [1]}}\n", turns.join(" , "))
}

async fn conversation(store: &Store, thread: &str) -> Conversation {
    store.as_user(UserId::ANONYMOUS).conversations().get_by_thread(thread).await.unwrap()
}

async fn digests(store: &Store) -> Vec<TableDigest> {
    store.operations().digests().await.unwrap()
}

async fn a_long_line_ends_as_one_that_is_stored_at_once(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    // 5,000 turns are more than is kept in memory, 1,000 more than one piece, 3 are stored at once.
    let text = [line("longest", 5_000), line("long", 1_000), line("short", 3)].concat();
    for added in [3, 0] {
        let report = import_lines(&store, text.as_bytes()).await.unwrap();
        assert_eq!((report.table("conversations").read, report.table("conversations").added), (3, added));
        assert_eq!(report.table("messages").added, if added == 0 { 0 } else { 6_003 });
        let mut row = 0;
        for (id, turns) in [("longest", 5_000), ("long", 1_000), ("short", 3)] {
            let stored = conversation(&store, id).await;
            assert_eq!((stored.revision, stored.message_count, stored.last_seq), (2, turns, turns), "{id}");
            assert_eq!(stored.metadata.to_string(), r#"{"source":{"lang":"de","tags":[1]}}"#);
            let last = format!("turn {} of {id}: [\"{{,é\n{PADDING}", turns - 1);
            assert_eq!(stored.last_message, Some(last.chars().take(200).collect()));
            assert_eq!(stored.created_at.as_microseconds(), BASE_TIME + row);
            assert_eq!(stored.updated_at.as_microseconds(), BASE_TIME + row + turns);
            let message =
                store.as_user(UserId::ANONYMOUS).messages().get_by_seq(stored.id, turns).await.unwrap();
            assert_eq!(message.content, last);
            assert_eq!(message.created_at, stored.updated_at);
            row += turns + 1;
        }
    }
}

/// Imports until some of the text is stored and some is not.
async fn interrupt(case: &TestDatabase, text: &str) -> i64 {
    let importing = Store::connect(case.url.as_str()).await.unwrap();
    let watching = Store::connect(case.url.as_str()).await.unwrap();
    let is_begun = async {
        loop {
            match watching.as_user(UserId::ANONYMOUS).conversations().get_by_thread("long").await {
                Ok(found) if found.message_count > 0 => return,
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = import_lines(&importing, text.as_bytes()) => panic!("it ended: {ended:?}"),
        () = is_begun => {}
    }
    importing.close().await;
    let stored = conversation(&watching, "long").await;
    assert_eq!(stored.revision, 1, "it is known to be incomplete");
    watching.close().await;
    stored.message_count
}

async fn an_import_interrupted_between_two_pieces_goes_on(case: TestDatabase) {
    let text = line("long", 8_000);
    let stored = interrupt(&case, &text).await;
    assert!((1..8_000).contains(&stored), "{stored}");
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let report = import_lines(&store, text.as_bytes()).await.unwrap();
    assert_eq!(report.table("messages").added, u64::try_from(8_000 - stored).unwrap());
    assert_eq!(report.table("conversations").unchanged, 1);
    let whole = Store::memory().await.unwrap();
    import_lines(&whole, text.as_bytes()).await.unwrap();
    assert_eq!(digests(&store).await, digests(&whole).await);
}

async fn an_interrupted_conversation_that_was_changed_is_left_as_it_is(case: TestDatabase) {
    let text = line("long", 8_000);
    let stored = interrupt(&case, &text).await;
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let long = conversation(&store, "long").await;
    store.as_user(UserId::ANONYMOUS).messages().append(long.id, NewMessage::user("mine")).await.unwrap();
    let before = digests(&store).await;
    let error = import_lines(&store, text.as_bytes()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("differs at turn {}", stored + 1)), "{error}");
    assert_eq!(digests(&store).await, before);
}

async fn a_wrong_turn_at_the_end_of_a_long_line_leaves_nothing_of_it(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let good = line("long", 5_000);
    let end = good.rfind('}').unwrap();
    for (wrong, reason) in [
        (good.replace("turn 4999 of", r"turn \u0000 of"), "turns[4999]"),
        (good.replace(r#""n": 4999}"#, r#""n": 4999"#), "not a conversation"),
        (good.replace(r#""turns": ["#, r#""turn": ["#), "missing field `turns`"),
        (format!("{}}} {{}}\n", &good[..end]), "trailing characters"),
    ] {
        let text = [&wrong, &line("next", 1)].map(String::as_str).concat();
        let stopped = import_lines(&store, text.as_bytes()).await.unwrap_err().to_string();
        assert!(stopped.starts_with("line 1: ") && stopped.contains(reason), "{reason}: {stopped}");
        assert_eq!(store.operations().counts().await.unwrap().conversations, 0);
    }
}

async fn two_imports_of_one_file_at_once_store_each_row_once(case: TestDatabase) {
    let text: String = (0..300)
        .map(|number| line(&format!("n{number}"), 20))
        .chain([line("long", 5_000), line("last", 900)])
        .collect();
    let one = Store::connect(case.url.as_str()).await.unwrap();
    let other = Store::connect(case.url.as_str()).await.unwrap();
    let (first, second) =
        tokio::join!(import_lines(&one, text.as_bytes()), import_lines(&other, text.as_bytes()));
    let reports = [first.unwrap(), second.unwrap()];
    let added: u64 = reports.iter().map(|report| report.table("messages").added).sum();
    assert_eq!(added, 300 * 20 + 5_900);
    let whole = Store::memory().await.unwrap();
    import_lines(&whole, text.as_bytes()).await.unwrap();
    assert_eq!(digests(&other).await, digests(&whole).await);
}

#[tokio::test]
async fn a_turn_above_16_mebibytes_is_refused_and_the_next_line_is_imported() {
    let store = Store::memory().await.unwrap();
    let begin =
        r#"{"id": "huge", "turns": [{"role": "user", "content": "fine"}, {"role": "user", "content": ""#;
    let end = format!("\"}}]}}\n{}", line("next", 1));
    let huge = std::io::repeat(b'a').take(17 * 1024 * 1024);
    let input = begin.as_bytes().chain(huge).chain(end.as_bytes());
    let base_time = Timestamp::from_microseconds(BASE_TIME).unwrap();
    let source =
        Jsonl { input: BufReader::new(input), size: 0, owner: UserId::ANONYMOUS, on_error: OnError::Skip };
    let mut problems = Vec::new();
    let report = import(
        source,
        &store,
        ImportOptions { base_time, dry_run: false, restore_deleted: false },
        |event| {
            if let ImportEvent::Issue(issue) = event {
                problems.push((issue.key.unwrap(), issue.problem));
            }
        },
    );
    let conversations = report.await.unwrap().table("conversations");
    assert_eq!((conversations.added, conversations.left_out), (1, 1));
    let expected = "turns[1] is longer than 16 MiB; shorten it, or leave it out";
    assert_eq!(problems, [("1".to_owned(), expected.to_owned())]);
}

async fn what_is_being_deleted_is_imported_again_when_that_is_asked_for(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let text = [line("long", 1_500), line("short", 3)].concat();
    import_lines(&store, text.as_bytes()).await.unwrap();
    let expected = digests(&store).await;
    let id = conversation(&store, "long").await.id;
    // Marked by the repository, so that nothing but the import deletes its rows.
    let mark = async move |tx: &mut WriteTx<'_>| tx.conversations().delete(UserId::ANONYMOUS, id).await;
    assert!(matches!(store.write("mark", mark).await.unwrap(), Deletion::Marked(_)));

    let refused = import_lines(&store, text.as_bytes()).await.unwrap_err();
    assert!(
        refused.to_string().contains("line 1: the conversation: it was deleted in the store"),
        "{refused}"
    );
    let base_time = Timestamp::from_microseconds(BASE_TIME).unwrap();
    let source = Jsonl { input: text.as_bytes(), size: 0, owner: UserId::ANONYMOUS, on_error: OnError::Stop };
    let options = ImportOptions { base_time, dry_run: false, restore_deleted: true };
    let report = import(source, &store, options, |_| {}).await.unwrap();

    assert_eq!((report.table("conversations").added, report.table("messages").added), (1, 1_500));
    assert_eq!(digests(&store).await, expected);
}
