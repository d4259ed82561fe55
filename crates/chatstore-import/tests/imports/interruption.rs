//! An import that is cut off anywhere can simply be run again.

use std::io::{BufRead, BufReader, Cursor, Read};

use chatstore::{Store, Timestamp, UserId};
use chatstore_import::jsonl::{Jsonl, JsonlError, OnError};
use chatstore_import::{ImportOptions, ImportReport, import};
use chatstore_testkit::{TestDatabase, conformance};

conformance!(
    an_import_cut_off_anywhere_ends_like_one_that_was_not,
    an_import_that_stops_stores_nothing_after_the_line_it_stops_at,
);

async fn import_lines(store: &Store, input: impl BufRead) -> Result<ImportReport, JsonlError> {
    let base_time = Timestamp::from_microseconds(1_772_366_400_000_000).unwrap();
    let source = Jsonl { input, size: 0, owner: UserId::ANONYMOUS, on_error: OnError::Stop };
    import(source, store, ImportOptions { base_time, dry_run: false, restore_deleted: false }, |_| {}).await
}

fn lines() -> String {
    (0..60)
        .map(|number| {
            let turns: Vec<String> = (0..40)
                .map(|turn| format!(r#"{{"role": "user", "content": "turn {turn} of {number}"}}"#))
                .collect();
            format!("{{\"id\": \"{number}\", \"turns\": [{}]}}\n", turns.join(", "))
        })
        .collect()
}

/// Gives some bytes, then fails as a disk would.
struct CutOff {
    text: Cursor<Vec<u8>>,
}

impl Read for CutOff {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.text.read(buffer)? {
            0 => Err(std::io::Error::other("the disk is gone")),
            read => Ok(read),
        }
    }
}

async fn an_import_cut_off_anywhere_ends_like_one_that_was_not(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let text = lines();
    for cut in [1, text.len() / 3, text.len() / 2, text.len() - 1] {
        let cut_off = CutOff { text: Cursor::new(text.as_bytes()[..cut].to_vec()) };
        let error = import_lines(&store, BufReader::new(cut_off)).await.unwrap_err();
        assert!(matches!(error, JsonlError::Read { .. }), "{error}");
    }
    let report = import_lines(&store, text.as_bytes()).await.unwrap();
    assert_eq!(report.table("conversations").read, 60);
    let counts = store.operations().counts().await.unwrap();
    assert_eq!((counts.conversations, counts.messages), (60, 2_400));
    let resumed = store.operations().digests().await.unwrap();

    let whole = Store::memory().await.unwrap();
    import_lines(&whole, text.as_bytes()).await.unwrap();
    assert_eq!(resumed, whole.operations().digests().await.unwrap());
}

async fn an_import_that_stops_stores_nothing_after_the_line_it_stops_at(case: TestDatabase) {
    let store = Store::connect(case.url.as_str()).await.unwrap();
    let line = |id: &str, text: &str| {
        format!(r#"{{"id": "{id}", "turns": [{{"role": "user", "content": "{text}"}}]}}"#)
    };
    import_lines(&store, line("two", "old").as_bytes()).await.unwrap();
    let text = [line("one", "new"), line("two", "new"), line("three", "new")].join("\n");
    let stopped = import_lines(&store, text.as_bytes()).await.unwrap_err();
    assert!(stopped.to_string().starts_with("line 2: a conversation with this id"), "{stopped}");
    let chat = store.as_user(UserId::ANONYMOUS);
    assert!(chat.conversations().get_by_thread("one").await.is_ok());
    assert!(chat.conversations().get_by_thread("three").await.is_err());
}
