use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn record(text: &str) -> Record {
    Record::parse(text).unwrap()
}

/// Puts users with a conversation each, and looks everything up again as an import does; in hundreds of SQLite's steps.
fn steps(users: u32) -> u64 {
    let mut spool = Spool::create().unwrap();
    let steps = Arc::new(AtomicU64::default());
    let counted = Arc::clone(&steps);
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        false
    };
    spool.file.progress_handler(100, Some(count)).unwrap();
    for number in 0..users {
        let key = number.to_string();
        spool.user(&key, &record(&format!(r#"{{"username": "user-{number}"}}"#))).unwrap();
        let conversation = format!(r#"{{"conversation_id": "talk-{number}", "user_id": "user-{number}"}}"#);
        spool.conversation(spool.begin_conversation(), &key, &record(&conversation)).unwrap();
        let message = format!(r#"{{"conversation_id": "talk-{number}", "content": "hello"}}"#);
        spool.message(&key, None, &record(&message)).unwrap();
        spool.member(&format!("talk-{number}"), "user-0").unwrap();
        spool.document(&key, &record("{}")).unwrap();
    }
    spool.prepare().unwrap();
    for table in [Table::Users, Table::Conversations, Table::Documents] {
        let mut after = 0;
        while let Some(row) = spool.next(table, after).unwrap() {
            after = row.position;
            match table {
                Table::Users => assert!(spool.next_same(table, row.position, 0).unwrap().is_none()),
                Table::Conversations => {
                    assert!(spool.next_same(table, row.position, 0).unwrap().is_none());
                    assert_eq!(spool.message_count(row.position).unwrap(), 1);
                    assert!(spool.first_time(row.position).unwrap().is_none());
                    assert_eq!(spool.members(row.position).unwrap(), ["user-0"]);
                    let mut statement = spool.messages().unwrap();
                    let mut found = spool.query_messages(&mut statement, Some(row.position)).unwrap();
                    let position = found.next().unwrap().unwrap().get(0).unwrap();
                    spool.message_at(position).unwrap();
                }
                Table::Messages | Table::Documents => {}
            }
        }
    }
    steps.load(Ordering::Relaxed)
}

#[test]
fn the_work_of_a_row_does_not_grow_with_the_number_of_rows() {
    let [few, many] = [100, 1_000].map(steps);
    assert!(many < 15 * few, "{few} for 100, {many} for 1,000");
}

#[test]
fn an_import_that_is_killed_leaves_no_file_behind() {
    let spool = Spool::create().unwrap();
    spool.user("1", &record(r#"{"username": "ada"}"#)).unwrap();
    let path = spool.file.path().unwrap();
    assert!(!std::path::Path::new(path).exists(), "{path}");
}
