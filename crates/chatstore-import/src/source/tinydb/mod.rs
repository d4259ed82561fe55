//! The JSON file of TinyDB: users, conversations, messages, documents and sessions, in tables of any order, messages in
//! a table or in the rows of their conversations.
//!
//! The file is read once, from its beginning to its end, into a temporary file of about its size; memory does not grow
//! with it. A file that is no JSON is found to be none before anything is stored. Users are those whose names have one
//! key; other rows name them by id, name, address or the number of their row. Ids follow from what the rows say, so that
//! an import can be repeated, also after it was killed. What has no field is kept in `metadata.source`.
//!
//! A user without a password gets a random one, which the report tells. Sessions end with the old application: they are
//! counted.

mod read;

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use chatstore::Error;
use chatstore_model::UserId;

use super::Source;
use super::records::{self, HandOver, Spool, SpoolError};
use crate::engine::Import;
use crate::report::ImportReport;

/// The file of a TinyDB.
#[derive(Debug)]
pub struct TinyDb {
    /// Where it is.
    pub path: PathBuf,
    /// Who owns what names no owner.
    pub owner: UserId,
}

/// An import that could not be started or finished. What was written before is whole; running the import again adds
/// the rest.
#[derive(Debug, thiserror::Error)]
pub enum TinyDbError {
    /// The file could not be read.
    #[error("reading failed: {0}")]
    Read(std::io::Error),
    /// The file is not what TinyDB writes; nothing was stored.
    #[error("not a file of TinyDB: {0}")]
    Format(String),
    /// The temporary file could not be written or read.
    #[error("{0}")]
    TemporaryFile(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<SpoolError> for TinyDbError {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Store(error) => Self::Store(error),
            SpoolError::File(_) => Self::TemporaryFile(error.to_string()),
        }
    }
}

impl Source for TinyDb {
    type Error = TinyDbError;

    fn tables(&self) -> Vec<&'static str> {
        vec!["users", "conversations", "messages", "documents", "sessions"]
    }

    async fn read(self, mut import: Import<'_>) -> Result<ImportReport, TinyDbError> {
        let file = File::open(&self.path).map_err(TinyDbError::Read)?;
        let spool = Spool::create()?;
        read::read(BufReader::with_capacity(256 * 1024, file), &spool, &mut import.report)?;
        let settings = HandOver { owner: self.owner, wants_passwords: true, has_times: true };
        records::hand_over(&spool, &mut import, settings).await?;
        Ok(import.finish().await?)
    }
}
