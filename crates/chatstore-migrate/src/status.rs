//! The known revisions and the history of a database, compared.

use crate::error::MigrationError;
use crate::history::{HistoryEntry, Progress};
use crate::revision::Revision;

/// The known revisions and the history of a database, compared.
#[derive(Debug, Clone)]
pub struct MigrationStatus {
    /// The known revisions, in order, each with its entry in the history.
    pub revisions: Vec<(Revision, Option<HistoryEntry>)>,
    /// Entries of the history whose revisions are unknown here, oldest first.
    pub unknown: Vec<HistoryEntry>,
    /// Applied revisions whose text is different here, in order.
    pub edited: Vec<String>,
}

impl MigrationStatus {
    /// Applied revisions, in order.
    pub fn applied(&self) -> impl Iterator<Item = (&Revision, &HistoryEntry)> {
        let known = self.revisions.iter().filter_map(|(revision, row)| Some((revision, row.as_ref()?)));
        known.filter(|(_, row)| row.progress == Progress::Applied)
    }

    /// Revisions that are not applied, or not completely, in order.
    pub fn pending(&self) -> impl Iterator<Item = &Revision> {
        let is_applied =
            |row: &Option<HistoryEntry>| row.as_ref().is_some_and(|row| row.progress == Progress::Applied);
        self.revisions.iter().filter(move |(_, row)| !is_applied(row)).map(|(revision, _)| revision)
    }

    /// Refuses a database with revisions that are unknown or different here.
    ///
    /// # Errors
    /// [`MigrationError::UnknownRevision`], [`MigrationError::Edited`], or
    /// [`MigrationError::ExternalDatabase`] when none of its revisions is known.
    pub fn verify(&self) -> Result<(), MigrationError> {
        if let Some(unknown) = self.unknown.first() {
            if self.revisions.iter().all(|(_, row)| row.is_none()) {
                return Err(MigrationError::ExternalDatabase(format!(
                    "the database's history begins with the revision {}, and none of its revisions is known here",
                    unknown.id
                )));
            }
            return Err(MigrationError::UnknownRevision(unknown.id.clone()));
        }
        self.refuse_edited()
    }

    /// Whether a program with these revisions can work with the database in its present state: revisions of a
    /// newer program do no harm unless they are marked as breaking.
    ///
    /// # Errors
    /// [`MigrationError::UnknownRevision`] of a breaking one, or [`MigrationError::Edited`].
    pub fn verify_for_service(&self) -> Result<(), MigrationError> {
        if let Some(breaking) = self.unknown.iter().find(|unknown| unknown.breaking) {
            return Err(MigrationError::UnknownRevision(breaking.id.clone()));
        }
        self.refuse_edited()
    }

    fn refuse_edited(&self) -> Result<(), MigrationError> {
        self.edited.first().map_or(Ok(()), |id| Err(MigrationError::Edited(id.clone())))
    }
}
