//! Whatever a line of an import holds, it is taken or refused with its number, and its neighbours are taken.

use chatstore::{Store, Timestamp, UserId};
use chatstore_import::jsonl::{Jsonl, JsonlError, OnError};
use chatstore_import::{ImportEvent, ImportOptions, ImportReport, Issue, import};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Runtime;

const FIRST: &str = r#"{"id": "first", "turns": [{"role": "user", "content": "hello"}]}"#;
const LAST: &str = r#"{"id": "last", "turns": [{"role": "assistant", "content": "goodbye"}]}"#;
const GOOD: &str =
    r#"{"id": "good é", "turns": [{"role": "user", "content": "a\nb", "at": 1.5}], "tags": ["x", null]}"#;

type Imported = Result<(ImportReport, Vec<Issue>), JsonlError>;

fn read(runtime: &Runtime, store: &Store, line: &[u8], on_error: OnError) -> Imported {
    let file = [FIRST.as_bytes(), line, LAST.as_bytes()].join(&b'\n');
    let source =
        Jsonl { input: file.as_slice(), size: file.len() as u64, owner: UserId::ANONYMOUS, on_error };
    let base_time = Timestamp::from_microseconds(1_772_366_400_000_000).unwrap();
    let mut issues = Vec::new();
    let hear = |event| {
        if let ImportEvent::Issue(issue) = event {
            issues.push(issue);
        }
    };
    let report = runtime.block_on(import(
        source,
        store,
        ImportOptions { base_time, dry_run: true, restore_deleted: false },
        hear,
    ))?;
    Ok((report, issues))
}

/// Reads many lines between two good ones.
fn try_lines(lines: impl Strategy<Value = Vec<u8>>) {
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(Store::memory()).unwrap();
    let one_line = lines.prop_map(|line| line.into_iter().filter(|byte| *byte != b'\n').collect::<Vec<u8>>());
    TestRunner::default()
        .run(&one_line, |line| {
            let (report, skipped) = read(&runtime, &store, &line, OnError::Skip).unwrap();
            let conversations = report.table("conversations");
            prop_assert_eq!(conversations.read, conversations.added + skipped.len() as u64);
            prop_assert!(conversations.added >= 2);
            prop_assert!(
                skipped.iter().all(|issue| issue.key.as_deref() == Some("2") && !issue.problem.is_empty())
            );
            let reasons: Vec<String> = skipped.into_iter().map(|issue| issue.problem).collect();
            match read(&runtime, &store, &line, OnError::Stop) {
                Ok(_) => prop_assert!(reasons.is_empty()),
                Err(JsonlError::BadLine { line, reason }) => {
                    prop_assert_eq!((line, reasons), (2, vec![reason]));
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_bytes_are_refused_with_the_number_of_their_line() {
    try_lines(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        "[\\[\\]{}:,\"a-f0-9\\\\u. -]{0,60}".prop_map(String::into_bytes),
    ]);
}

#[test]
fn an_altered_line_is_taken_or_refused_with_its_number() {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        "(null|\\[|\\]|\\{|\\}|\"|\\\\u0000|\\\\ud800|1e999|-|,|:)".prop_map(String::into_bytes),
    ];
    let altered = (any::<prop::sample::Index>(), 0_usize..12, piece).prop_map(|(place, length, piece)| {
        let start = place.index(GOOD.len());
        let end = (start + length).min(GOOD.len());
        [&GOOD.as_bytes()[..start], &piece, &GOOD.as_bytes()[end..]].concat()
    });
    try_lines(altered);
}

#[test]
fn the_line_that_is_altered_is_a_good_one() {
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(Store::memory()).unwrap();
    let (report, _) = read(&runtime, &store, GOOD.as_bytes(), OnError::Stop).unwrap();
    assert_eq!((report.table("conversations").added, report.table("messages").added), (3, 3));
}
