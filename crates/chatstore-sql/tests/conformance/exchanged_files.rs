//! SQLite: what is done to the files of an open database is noticed, and nothing is acknowledged that is not in them.
//!
//! Files are copied and read by other processes: to close a file here would drop SQLite's locks of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use chatstore_model::{ConversationId, NewMessage, UserId};
use chatstore_sql::{Database, DatabaseOptions, StoreError, Via};
use chatstore_testkit::{Backend, TestDatabase};

use crate::fixtures::{append, arbitrary_owner, say};

/// A database with some messages, of which some are only in the log.
struct Place {
    case: TestDatabase,
    owner: UserId,
    conversation: ConversationId,
    said: i64,
}

impl Place {
    async fn new() -> Self {
        let case = Backend::Sqlite.database().await;
        let (owner, conversation) = arbitrary_owner(&case).await;
        let mut place = Self { case, owner, conversation, said: 0 };
        place.say_some().await;
        place
    }

    fn file(&self) -> PathBuf {
        PathBuf::from(self.case.database.place())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.file(), suffix)
    }

    async fn say_some(&mut self) {
        for _ in 0..20 {
            say(&self.case, self.owner, self.conversation, &"some words ".repeat(100)).await;
        }
        self.said += 20;
    }

    /// Copies the database soundly, as of now.
    fn back_up(&self) -> PathBuf {
        let backup = self.file().with_file_name("backup.db");
        let connection = rusqlite::Connection::open(self.file()).unwrap();
        connection.execute("vacuum into ?1", [backup.to_str().unwrap()]).unwrap();
        backup
    }

    /// Everything is refused, with this reason, and stays so.
    async fn assert_refused(&self, reason: &str) {
        for _ in 0..2 {
            let new = NewMessage::user("too late");
            let write = append(&self.case, Via::Owner(self.owner), self.conversation, new).await;
            assert_refusal(&write, reason);
            let read = self.case.database.read("count", async |tx| tx.users().count().await).await;
            assert_refusal(&read, reason);
        }
    }
}

fn assert_refusal<T: std::fmt::Debug>(answer: &Result<T, StoreError>, reason: &str) {
    match answer {
        Err(StoreError::Unavailable(cause)) => assert!(cause.to_string().contains(reason), "{cause}"),
        other => panic!("{other:?}"),
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

fn run(program: &str, arguments: &[&Path]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    output.stdout
}

fn content(file: &Path) -> Vec<u8> {
    run("cat", &[file])
}

/// The number of messages in a file that no process uses, which must be sound.
fn sound_messages(file: &Path) -> i64 {
    let connection = rusqlite::Connection::open(file).unwrap();
    let verdict: String = connection.query_row("pragma integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    connection.query_row("select count(*) from messages", (), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_moved_file_is_noticed_before_the_next_commit_and_gets_what_was_acknowledged() {
    let place = Place::new().await;
    let moved = place.file().with_file_name("moved.db");
    std::fs::rename(place.file(), &moved).unwrap();
    place.assert_refused("removed or moved away").await;
    place.case.database.close().await;
    assert!(!place.file().exists());
    assert_eq!(sound_messages(&moved), place.said);
}

#[tokio::test]
async fn a_removed_file_is_noticed_before_the_next_commit() {
    let place = Place::new().await;
    std::fs::remove_file(place.file()).unwrap();
    place.assert_refused("removed or moved away").await;
    place.case.database.close().await;
    assert!(!place.file().exists(), "closing creates nothing");
}

#[tokio::test]
async fn reads_alone_notice_a_removed_file_too() {
    let place = Place::new().await;
    std::fs::remove_file(place.file()).unwrap();
    let read = place.case.database.read("count", async |tx| tx.users().count().await).await;
    assert_refusal(&read, "removed or moved away");
}

#[tokio::test]
async fn a_backup_moved_over_the_file_stays_as_it_is() {
    let mut place = Place::new().await;
    let backup = place.back_up();
    let expected = content(&backup);
    place.say_some().await;
    std::fs::rename(&backup, place.file()).unwrap();
    place.assert_refused("replaced by another file").await;
    place.case.database.close().await;
    assert_eq!(content(&place.file()), expected);
    assert_eq!(content(&place.beside("-wal")), b"", "nothing is left for the next process to put into it");
    assert_eq!(sound_messages(&place.file()), 20);
}

#[tokio::test]
async fn a_backup_copied_over_the_file_stays_as_it_is() {
    for checkpoints in [false, true] {
        let mut place = Place::new().await;
        let backup = place.back_up();
        let expected = content(&backup);
        place.say_some().await;
        if checkpoints {
            place.case.database.empty_log().await.unwrap();
            place.say_some().await;
        }
        run("cp", &[&backup, &place.file()]);
        let write =
            append(&place.case, Via::Owner(place.owner), place.conversation, NewMessage::user("late"));
        assert_refusal(&write.await, "another program wrote into the database file");
        place.assert_refused("another program wrote into the database file").await;
        place.case.database.close().await;
        assert_eq!(content(&place.file()), expected);
        assert!(!place.beside("-wal").exists(), "the log of the former content has another name");
        assert_eq!(sound_messages(&place.file()), 20);
    }
}

#[tokio::test]
async fn garbage_copied_over_the_file_is_noticed() {
    let place = Place::new().await;
    let garbage = place.file().with_file_name("garbage");
    std::fs::write(&garbage, "garbage ".repeat(10_000)).unwrap();
    run("cp", &[&garbage, &place.file()]);
    place.assert_refused("another program wrote into the database file").await;
    place.case.database.close().await;
    assert_eq!(content(&place.file()), content(&garbage));
}

#[tokio::test]
async fn a_removed_log_is_noticed_and_its_messages_are_rescued() {
    let place = Place::new().await;
    std::fs::remove_file(place.beside("-wal")).unwrap();
    place.assert_refused("(-wal) of the database file was removed").await;
    place.case.database.close().await;
    assert_eq!(sound_messages(&place.file()), place.said);
}

#[tokio::test]
async fn a_replaced_log_is_noticed_and_left_alone() {
    let place = Place::new().await;
    let other = place.file().with_file_name("other-wal");
    std::fs::write(&other, "of another database").unwrap();
    std::fs::rename(&other, place.beside("-wal")).unwrap();
    place.assert_refused("(-wal) of the database file was replaced").await;
    place.case.database.close().await;
    assert_eq!(content(&place.beside("-wal")), b"of another database");
    std::fs::remove_file(place.beside("-wal")).unwrap();
    assert_eq!(sound_messages(&place.file()), place.said);
}

#[tokio::test]
async fn an_overwritten_log_is_noticed_and_not_moved_into_the_file() {
    for content in ["", "of another database"] {
        let place = Place::new().await;
        // Nothing is in the log while this is said to the file.
        place.case.database.empty_log().await.unwrap();
        let before = self::content(&place.file());
        say(&place.case, place.owner, place.conversation, "in the log").await;
        std::fs::write(place.beside("-wal"), content).unwrap();
        place.assert_refused("wrote into the write-ahead log").await;
        place.case.database.close().await;
        assert_eq!(self::content(&place.file()), before);
    }
}

#[tokio::test]
async fn a_removed_index_is_noticed_and_nothing_is_lost() {
    let place = Place::new().await;
    std::fs::remove_file(place.beside("-shm")).unwrap();
    place.assert_refused("(-shm)").await;
    place.case.database.close().await;
    assert_eq!(sound_messages(&place.file()), place.said);
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_noticed() {
    let place = Place::new().await;
    let link = place.file().with_file_name("link.db");
    std::os::unix::fs::symlink(place.file(), &link).unwrap();
    let url = format!("sqlite://{}", link.display());
    let database = Database::open(DatabaseOptions::new(url)).await.unwrap();
    assert_eq!(database.read("count", async |tx| tx.users().count().await).await.unwrap(), 1);
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(place.back_up(), &link).unwrap();
    let (owner, conversation) = (place.owner, place.conversation);
    let write = database.write("append", async move |tx| {
        tx.messages().append(Via::Owner(owner), conversation, &NewMessage::user("late")).await
    });
    assert_refusal(&write.await, "replaced by another file");
    say(&place.case, owner, conversation, "the other path still leads there").await;
}

#[tokio::test]
async fn a_file_that_only_looks_changed_is_still_used() {
    let mut place = Place::new().await;
    run("touch", &[&place.file()]);
    place.say_some().await;
    run("chmod", &[Path::new("0640"), &place.file()]);
    place.say_some().await;
    let hard_link = place.file().with_file_name("hard-link.db");
    std::fs::hard_link(place.file(), hard_link).unwrap();
    place.say_some().await;
    assert_eq!(place.said, 80);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_of_other_programs_are_no_fault() {
    let mut place = Place::new().await;
    let other = rusqlite::Connection::open(place.file()).unwrap();
    let mut modes = ["passive", "full", "restart", "truncate"].iter().cycle();
    for _ in 0..50 {
        place.say_some().await;
        let mode = modes.next().unwrap();
        other.query_row(&format!("pragma wal_checkpoint({mode})"), (), |_| Ok(())).unwrap();
        other.execute("update users set full_name = 'another program was here'", ()).unwrap();
    }
    drop(other);
    place.case.database.close().await;
    assert_eq!(sound_messages(&place.file()), place.said);
}

/// While a reader uses the log it is not begun anew, although all of it is in the file.
#[tokio::test]
async fn what_another_program_appends_to_a_log_that_was_moved_is_no_fault() {
    let place = Place::new().await;
    let connect = || rusqlite::Connection::open(place.file()).unwrap();
    let (reader, other) = (connect(), connect());
    let move_log = || other.query_row("pragma wal_checkpoint(passive)", (), |_| Ok(())).unwrap();
    reader.execute_batch("begin").unwrap();
    let _: i64 = reader.query_row("select count(*) from messages", (), |row| row.get(0)).unwrap();
    move_log();
    place.case.database.check_file().await.unwrap();

    other.execute("update conversations set title = 'another program was here'", ()).unwrap();
    reader.execute_batch("commit").unwrap();
    move_log();
    other.execute("update users set full_name = 'and here'", ()).unwrap();

    place.case.database.check_file().await.unwrap();
    say(&place.case, place.owner, place.conversation, "goes on").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_checkpoints_are_no_fault() {
    let place = Place::new().await;
    let long = "many words ".repeat(20_000);
    let (owner, conversation) = (place.owner, place.conversation);
    let writers = (0..8).map(|_| async {
        for number in 0..30 {
            append(&place.case, Via::Owner(owner), conversation, NewMessage::user(&long)).await.unwrap();
            if number % 7 == 0 {
                place.case.database.empty_log().await.unwrap();
            }
        }
    });
    futures_util::future::join_all(writers).await;
    place.case.database.close().await;
    assert_eq!(sound_messages(&place.file()), place.said + 240);
}

#[tokio::test]
async fn an_emptied_log_and_the_file_hold_nothing_of_what_was_erased() {
    let place = Place::new().await;
    say(&place.case, place.owner, place.conversation, "a secret that is erased").await;
    let owner = place.owner;
    place.case.database.write("erase", async move |tx| tx.users().erase(owner).await).await.unwrap();
    place.case.database.empty_log().await.unwrap();
    assert_eq!(content(&place.beside("-wal")), b"");
    let file = content(&place.file());
    for erased in ["a secret that is erased", "some words"] {
        assert!(!file.windows(erased.len()).any(|window| window == erased.as_bytes()), "{erased}");
    }
}

/// While a reader needs an older state, a checkpoint leaves out every page that was changed after that state.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_a_long_read_holds_up_is_no_fault() {
    let mut place = Place::new().await;
    let reader = rusqlite::Connection::open(place.file()).unwrap();
    reader.execute_batch("begin").unwrap();
    let count = "select count(*) from messages";
    let _: i64 = reader.query_row(count, (), |row| row.get(0)).unwrap();
    place.say_some().await;
    let other = rusqlite::Connection::open(place.file()).unwrap();
    let (log, moved): (i64, i64) =
        other.query_row("pragma wal_checkpoint(passive)", (), |row| Ok((row.get(1)?, row.get(2)?))).unwrap();
    assert!(0 < moved && moved < log, "{moved} of {log} pages");
    place.say_some().await;
    let opened = Database::open(DatabaseOptions::new(place.case.url.clone())).await.unwrap();
    opened.close().await;
    drop(reader);
    place.say_some().await;
    drop(other);
    assert_eq!(place.case.database.read("count", async |tx| tx.users().count().await).await.unwrap(), 1);
}
