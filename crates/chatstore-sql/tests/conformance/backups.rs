//! Backups of a SQLite file: what is in them, what refuses them, and what they become.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chatstore_model::NewMessage;
use chatstore_sql::{
    Backup, BackupError, BackupProgress, Database, DatabaseOptions, TableDigest, Via, WriteTx,
    restore_backup, verify_backup,
};
use chatstore_testkit::{Backend, TestDatabase};

use crate::fixtures::{arbitrary_owner, later};

const BATCH: i64 = 5;

/// A folder for backups, and the backup that a case makes there.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("monday.db");
    (folder, file)
}

async fn back_up(case: &TestDatabase, file: &Path) -> Result<Backup, BackupError> {
    case.database.backup(file, |_| {}).await
}

async fn verify(file: &Path) -> Result<Backup, BackupError> {
    verify_backup(file, |_| {}).await
}

async fn restore(file: &Path, to: &Path) -> Result<Backup, BackupError> {
    restore_backup(file, to, |_| {}).await
}

/// The names in a folder, in order.
fn names(folder: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

async fn open(file: &Path) -> Database {
    Database::open(DatabaseOptions::new(format!("sqlite://{}", file.display()))).await.unwrap()
}

async fn digests(database: &Database) -> Vec<TableDigest> {
    database.read("digests", async |tx| tx.statistics().digests().await).await.unwrap()
}

/// Changes a file in one place.
fn damage(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_equals_the_one_that_was_backed_up() {
    let case = Backend::Sqlite.database().await;
    arbitrary_owner(&case).await;
    later(&case);
    let (folder, file) = place();
    let restored = folder.path().join("restored.db");

    let backup = back_up(&case, &file).await.unwrap();

    assert_eq!(backup.taken_at, case.database.clock().now());
    assert_eq!(backup.size_bytes, fs::metadata(&file).unwrap().len());
    assert!(backup.rows.contains(&("conversations".to_owned(), 1)), "{backup:?}");
    assert_eq!(names(&folder), ["monday.db", "monday.db.sha256"]);
    assert_eq!(verify(&file).await.unwrap(), backup);
    assert_eq!(restore(&file, &restored).await.unwrap(), backup);
    assert_eq!(names(&folder), ["monday.db", "monday.db.sha256", "restored.db"]);
    let opened = open(&restored).await;
    assert_eq!(digests(&opened).await, digests(&case.database).await);
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_private_and_complete_without_a_write_ahead_log() {
    let case = Backend::Sqlite.database().await;
    arbitrary_owner(&case).await;
    let (folder, file) = place();
    let to = folder.path().join("restored.db");
    back_up(&case, &file).await.unwrap();
    restore(&file, &to).await.unwrap();
    for file in ["monday.db", "monday.db.sha256", "restored.db"] {
        let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(&file, flags).unwrap();
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
    assert_eq!(names(&folder), ["monday.db", "monday.db.sha256", "restored.db"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sha256sum_accepts_the_record_of_a_backup() {
    let case = Backend::Sqlite.database().await;
    let (folder, file) = place();
    back_up(&case, &file).await.unwrap();
    let check = || {
        let mut command = Command::new("sha256sum");
        command.args(["--check", "--strict", "monday.db.sha256"]).current_dir(folder.path());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(check(), "monday.db: OK\n");
    damage(&file, 5_000);
    assert_eq!(check(), "monday.db: FAILED\n");
}

/// Writers append batches and note the last number that was acknowledged before the backup began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_beside_writers_has_what_was_acknowledged_before_and_whole_transactions() {
    let case = Backend::Sqlite.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    let (folder, file) = place();
    let acknowledged = Arc::new(AtomicI64::new(0));
    let (noted, database) = (Arc::clone(&acknowledged), case.database.clone());
    let writer = tokio::spawn(async move {
        loop {
            let append = async move |tx: &mut WriteTx<'_>| {
                let mut seq = 0;
                for _ in 0..BATCH {
                    let new = NewMessage::user("word ".repeat(200));
                    seq = tx.messages().append(Via::Owner(owner), conversation, &new).await?.seq;
                }
                Ok::<_, chatstore_sql::StoreError>(seq)
            };
            noted.store(database.write("append", append).await.unwrap(), Ordering::SeqCst);
        }
    });
    for number in 0..5 {
        let before = acknowledged.load(Ordering::SeqCst);
        while acknowledged.load(Ordering::SeqCst) <= before + 10 * BATCH {
            tokio::task::yield_now().await;
        }
        let promised = acknowledged.load(Ordering::SeqCst);
        let file = file.with_extension(number.to_string());
        let backup = back_up(&case, &file).await.unwrap();
        let restored = folder.path().join(format!("restored-{number}.db"));
        assert_eq!(restore(&file, &restored).await.unwrap(), backup);
        let opened = open(&restored).await;
        let counts = opened.read("counts", async |tx| tx.statistics().counts().await).await.unwrap();
        assert!(counts.messages >= promised, "{} of {promised}", counts.messages);
        assert_eq!(counts.messages % BATCH, 0, "a batch is there or not");
        opened.close().await;
    }
    writer.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_never_falls_and_ends_at_the_total() {
    let case = Backend::Sqlite.database().await;
    let (owner, conversation) = arbitrary_owner(&case).await;
    let append = async move |tx: &mut WriteTx<'_>| {
        for _ in 0..600 {
            let new = NewMessage::user("x".repeat(8_000));
            tx.messages().append(Via::Owner(owner), conversation, &new).await?;
        }
        Ok::<_, chatstore_sql::StoreError>(())
    };
    case.database.write("append", append).await.unwrap();
    let (_folder, file) = place();
    let last = Arc::new(AtomicU64::new(0));
    let (calls, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let observe = {
        let (last, calls, total) = (Arc::clone(&last), Arc::clone(&calls), Arc::clone(&total));
        move |progress: BackupProgress| {
            assert!(progress.done_bytes >= last.swap(progress.done_bytes, Ordering::SeqCst));
            total.store(progress.total_bytes, Ordering::SeqCst);
            calls.fetch_add(1, Ordering::SeqCst);
        }
    };
    case.database.backup(&file, observe).await.unwrap();
    assert!(calls.load(Ordering::SeqCst) > 8);
    assert_eq!(last.load(Ordering::SeqCst), total.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_in_a_backup_is_noticed() {
    let case = Backend::Sqlite.database().await;
    arbitrary_owner(&case).await;
    let (folder, file) = place();
    back_up(&case, &file).await.unwrap();
    let (bytes, record) = (fs::read(&file).unwrap(), folder.path().join("monday.db.sha256"));
    let text = fs::read_to_string(&record).unwrap();
    let refused = async |reason: &str| {
        let error = verify(&file).await.unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        let error = restore(&file, &folder.path().join("restored.db")).await.unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
        assert_eq!(names(&folder), ["monday.db", "monday.db.sha256"], "nothing appeared");
    };
    for at in (0..bytes.len()).step_by(bytes.len() / 20) {
        damage(&file, at);
        refused("its checksum is not the one in its record").await;
        fs::write(&file, &bytes).unwrap();
    }
    fs::write(&file, &bytes[..bytes.len() - 4_096]).unwrap();
    refused("and its record says").await;
    fs::write(&file, &bytes).unwrap();
    fs::write(&record, text.replace("# rows 1 conversations", "# rows 2 conversations")).unwrap();
    refused("the rows of conversations are not as many").await;
    fs::write(&record, text.replace("# revision ", "# revision 0")).unwrap();
    refused("its revision is").await;
    fs::write(&record, &text[..text.len() - 20]).unwrap();
    refused("it is not the record of a backup").await;
    fs::write(&record, text).unwrap();
    verify(&file).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_a_dangling_reference_makes_no_backup_that_verifies() {
    let case = Backend::Sqlite.database().await;
    let (owner, _) = arbitrary_owner(&case).await;
    let connection = rusqlite::Connection::open(case.database.file().unwrap()).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute("delete from users where id = ?1", [owner.uuid().as_bytes()]).unwrap();
    let (_folder, file) = place();
    back_up(&case, &file).await.unwrap();
    let error = verify(&file).await.unwrap_err();
    assert!(error.to_string().contains("refer to rows that do not exist"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_exists_is_overwritten() {
    let case = Backend::Sqlite.database().await;
    let (folder, file) = place();
    let exists = |outcome: Result<Backup, BackupError>, name: &str| match outcome {
        Err(BackupError::Exists(path)) => assert!(path.ends_with(name), "{path:?}"),
        other => panic!("{other:?}"),
    };
    for name in ["monday.db", "monday.db.sha256", "monday.db-wal"] {
        let path = folder.path().join(name);
        fs::write(&path, "mine").unwrap();
        exists(back_up(&case, &file).await, name);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(names(&folder), [name]);
        fs::remove_file(path).unwrap();
    }
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    exists(back_up(&case, &file).await, "monday.db");
    fs::remove_file(&file).unwrap();
    back_up(&case, &file).await.unwrap();
    for name in ["restored.db", "restored.db-wal", "restored.db-shm", "restored.db-journal"] {
        let path = folder.path().join(name);
        fs::write(&path, "mine").unwrap();
        exists(restore(&file, &folder.path().join("restored.db")).await, name);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        fs::remove_file(path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_remains_of_a_killed_backup_are_replaced() {
    let case = Backend::Sqlite.database().await;
    let (folder, file) = place();
    for name in ["monday.db.partial", "monday.db.partial-wal", "monday.db.sha256.partial", "monday.db.lock"] {
        fs::write(folder.path().join(name), "half").unwrap();
    }
    back_up(&case, &file).await.unwrap();
    verify(&file).await.unwrap();
    assert_eq!(names(&folder), ["monday.db", "monday.db.sha256"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_backups_to_one_name_one_is_made() {
    let case = Backend::Sqlite.database().await;
    arbitrary_owner(&case).await;
    let (folder, file) = place();
    let outcomes = futures_util::future::join_all((0..8).map(|_| back_up(&case, &file))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    for outcome in outcomes {
        let is_expected = matches!(outcome, Ok(_) | Err(BackupError::Busy(_) | BackupError::Exists(_)));
        assert!(is_expected, "{outcome:?}");
    }
    verify(&file).await.unwrap();
    assert_eq!(names(&folder), ["monday.db", "monday.db.sha256"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_stops_waiting_leaves_nothing() {
    let case = Backend::Sqlite.database().await;
    let (folder, file) = place();
    let (begun, begins) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (database, to) = (case.database.clone(), file.clone());
    let observe = move |_| {
        begun.send(()).unwrap();
        // An error means that the case has let go.
        let _ = released.recv();
    };
    let waiting = tokio::spawn(async move { database.backup(&to, observe).await });
    tokio::task::spawn_blocking(move || begins.recv()).await.unwrap().unwrap();
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    drop(release);
    while !names(&folder).is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(verify(&file).await, Err(BackupError::Missing(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_file_is_backed_up() {
    let (_folder, file) = place();
    let memory = Database::open(DatabaseOptions::new("sqlite://:memory:")).await.unwrap();
    assert!(matches!(memory.backup(&file, |_| {}).await, Err(BackupError::InMemory)));
    let case = Backend::Postgres.database().await;
    assert!(matches!(back_up(&case, &file).await, Err(BackupError::Server { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_part_of_a_backup_is_named() {
    let case = Backend::Sqlite.database().await;
    let (folder, file) = place();
    let missing = |outcome: Result<Backup, BackupError>, name: &str| match outcome {
        Err(BackupError::Missing(path)) => assert!(path.ends_with(name), "{path:?}"),
        other => panic!("{other:?}"),
    };
    missing(verify(&file).await, "monday.db.sha256");
    back_up(&case, &file).await.unwrap();
    let record = folder.path().join("monday.db.sha256");
    let text = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    missing(verify(&file).await, "monday.db.sha256");
    fs::write(&record, text).unwrap();
    fs::remove_file(&file).unwrap();
    missing(verify(&file).await, "monday.db");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_sha256sum_would_read_differently_is_refused() {
    let case = Backend::Sqlite.database().await;
    let (folder, _) = place();
    for name in ["two\nlines.db", "back\\slash.db"] {
        let error = back_up(&case, &folder.path().join(name)).await.unwrap_err();
        assert!(matches!(error, BackupError::InvalidName(_)), "{error}");
    }
    assert_eq!(names(&folder), [""; 0]);
}

/// Copying a file and its log at different moments is what a backup is for; without the log it lacks rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_what_is_still_in_the_write_ahead_log_alone() {
    let case = Backend::Sqlite.database().await;
    arbitrary_owner(&case).await;
    let (folder, file) = place();
    let copy = folder.path().join("copy.db");
    fs::copy(case.database.file().unwrap(), &copy).unwrap();
    let connection = rusqlite::Connection::open(&copy).unwrap();
    let conversations = "select count(*) from conversations";
    let count: i64 = connection.query_row(conversations, (), |row| row.get(0)).unwrap_or(0);
    assert_eq!(count, 0, "the conversation is in the log alone");
    back_up(&case, &file).await.unwrap();
    let restored = folder.path().join("restored.db");
    restore(&file, &restored).await.unwrap();
    let count: i64 = rusqlite::Connection::open(&restored)
        .unwrap()
        .query_row(conversations, (), |row| row.get(0))
        .unwrap();
    assert_eq!(count, 1);
}
