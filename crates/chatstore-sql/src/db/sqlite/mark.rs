//! The mark in a database file that a process owns, by which a copy without its write-ahead log is recognized.
//!
//! While a file is open, the newest rows are in its log alone, and a copy of the file without the log is a sound database
//! that lacks them. The mark is the half of the application id that is not the same for every file of ours: `st` in a
//! file that was closed; in one that is owned, a number for the file itself, which a copy does not have.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use rusqlite::Connection;

/// Marks a file as ours ("chst"); <https://www.sqlite.org/pragma.html#pragma_application_id>.
pub(crate) const APPLICATION_ID: i64 = 0x6368_7374;

/// Whether a file with this application id is ours, in use or not.
pub(crate) const fn is_ours(application_id: i64) -> bool {
    application_id >> 16 == APPLICATION_ID >> 16
}

/// Makes the file look closed.
pub(crate) fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)
}

/// Makes the file look in use. The mark is in the log until the next checkpoint.
pub(super) fn set(connection: &Connection, file: &Metadata) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", id_in_use(file))
}

/// Whether a connection without a log found the mark of another file.
pub(super) fn is_of_another(connection: &Connection, file: &Metadata) -> rusqlite::Result<bool> {
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(id != APPLICATION_ID && id != id_in_use(file))
}

/// Inode and time of creation, in the 16 bits that there are. A file system without such a time leaves the inode.
fn id_in_use(file: &Metadata) -> i64 {
    let created = file.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let created = created.map_or(0, |since| u64::from(since.subsec_nanos()) ^ since.as_secs());
    let mixed = (file.ino().rotate_left(32) ^ created).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let id = (APPLICATION_ID >> 16 << 16) | i64::try_from(mixed).unwrap_or_default();
    if id == APPLICATION_ID { id + 1 } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_mark_and_its_copies_have_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = |number: u32| folder.path().join(number.to_string());
        let id = |number: u32| id_in_use(&std::fs::metadata(path(number)).unwrap());
        std::fs::write(path(0), "content").unwrap();
        let original = id(0);
        let mut same = 0;
        for number in 1..=50 {
            std::fs::copy(path(0), path(number)).unwrap();
            assert!(is_ours(id(number)) && id(number) != APPLICATION_ID);
            same += u32::from(id(number) == original);
        }
        assert!(same <= 1, "{same} of 50 copies look like the original");
        std::fs::write(path(0), "other content").unwrap();
        assert_eq!(id(0), original);
    }
}
