//! SQLite: damage is found and not passed on, and a transaction that fails leaves nothing behind.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chatstore_model::NewMessage;
use chatstore_sql::{Database, DatabaseOptions, Sql, StoreError, Via};
use chatstore_testkit::{Backend, TestDatabase};

use crate::fixtures::{append, arbitrary_owner, messages, say, write};

const PAGE_BYTES: u64 = 4_096;

/// A closed file with many messages; the case keeps its folder.
async fn closed_file() -> (TestDatabase, PathBuf) {
    let case = Backend::Sqlite.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    for _ in 0..100 {
        say(&case, owner, conversation, &"some words ".repeat(200)).await;
    }
    case.database.close().await;
    let file = PathBuf::from(case.database.place());
    (case, file)
}

fn overwrite(file: &Path, page: u64, content: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(content, page * PAGE_BYTES).unwrap();
}

async fn open(file: &Path) -> Database {
    Database::open(DatabaseOptions::new(format!("sqlite://{}", file.display()))).await.unwrap()
}

async fn assert_all_is_refused_as_damaged(database: &Database) {
    let read = database.read("count", async |tx| tx.users().count().await).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
    let owner = chatstore_model::UserId::from_uuid(database.ids().uuid(database.clock().now()));
    let erased = database.write("erase", async move |tx| tx.users().erase(owner).await).await;
    assert!(matches!(erased, Err(StoreError::Corrupt(_))), "{erased:?}");
}

#[tokio::test]
async fn a_sound_file_passes_the_check() {
    let case = Backend::Sqlite.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    case.database.check_file().await.unwrap();
    say(&case, owner, conversation, "the store goes on").await;
}

#[tokio::test]
async fn a_page_copied_over_another_is_found_and_nothing_is_served() {
    let (_case, file) = closed_file().await;
    let content = std::fs::read(&file).unwrap();
    let middle = content.len() / 2 / PAGE_BYTES as usize * PAGE_BYTES as usize;
    overwrite(&file, 5, &content[middle..middle + PAGE_BYTES as usize]);
    let damaged = std::fs::read(&file).unwrap();
    let database = open(&file).await;
    let found = database.check_file().await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
    assert_all_is_refused_as_damaged(&database).await;
    database.close().await;
    drop(database);
    assert_eq!(std::fs::read(&file).unwrap(), damaged, "it stays as it was found");
}

#[tokio::test]
async fn what_a_read_finds_damaged_is_refused_from_then_on() {
    let (_case, file) = closed_file().await;
    let pages = std::fs::metadata(&file).unwrap().len() / PAGE_BYTES;
    for page in pages / 2..pages {
        overwrite(&file, page, &[0xA5; 2_048]);
    }
    let database = open(&file).await;
    let digests = database.read("digests", async |tx| tx.statistics().digests().await).await;
    assert!(matches!(digests, Err(StoreError::Corrupt(_))), "{digests:?}");
    assert_all_is_refused_as_damaged(&database).await;
}

#[tokio::test]
async fn a_transaction_that_does_not_fit_is_refused_and_the_next_has_a_new_connection() {
    const LIMIT: Sql = Sql::same("test.limit", "pragma max_page_count = 1");
    let case = Backend::Sqlite.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    say(&case, owner, conversation, "before").await;
    write(&case, async |tx| tx.query(&LIMIT, &[], |row| row.next::<i64>()).await).await.unwrap();

    let large = NewMessage::user("large ".repeat(100_000));
    let refused = append(&case, Via::Owner(owner), conversation, large.clone()).await;

    assert!(matches!(refused, Err(StoreError::StorageFull(_))), "{refused:?}");
    let stored = append(&case, Via::Owner(owner), conversation, large).await.unwrap();
    assert_eq!(stored.seq, 2, "nothing of the refused one was stored");
    assert_eq!(messages(&case, owner, conversation).await.len(), 2);
}

#[tokio::test]
async fn the_files_of_a_new_database_are_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(&folder.path().join("chat.db")).await;
    for name in ["chat.db", "chat.db-wal", "chat.db-shm"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    database.close().await;
}

#[tokio::test]
async fn the_log_is_emptied_when_nothing_is_written() {
    let case = Backend::Sqlite.database().await;
    arbitrary_owner(&case).await;
    let log = format!("{}-wal", case.database.place());
    assert!(std::fs::metadata(&log).unwrap().len() > 0);
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::metadata(&log).unwrap().len() > 0 {
        assert!(Instant::now() < deadline, "the log is never emptied");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
