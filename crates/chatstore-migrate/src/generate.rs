//! The files of generated revisions.

use std::fs;
use std::io;
use std::path::Path;

use crate::dialect::Dialect;
use crate::diff::Difference;
use crate::model::Schema;

/// The file of a revision's folder that contains the schema after it.
pub const SNAPSHOT: &str = "schema.json";

impl Schema {
    /// Writes it into the folder of a revision, as the schema after it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_snapshot(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join(SNAPSHOT), self.to_json()?)
    }

    /// The schema after the revision in this folder; `None` when there is no snapshot.
    ///
    /// # Errors
    /// The file cannot be read or is not a schema.
    pub fn read_snapshot(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(folder.join(SNAPSHOT)) {
            Ok(text) => Ok(Some(Self::from_json(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Difference {
    /// Writes its SQL into the folder of a new revision, in both directions and for both databases, and marks
    /// the revision as not destructive if undoing it deletes no data.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            for (way, change) in [("up", &self.up), ("down", &self.down)] {
                fs::write(folder.join(format!("{way}.{}.sql", dialect.suffix())), change.sql(dialect))?;
            }
        }
        if !self.down.is_destructive() {
            let description = folder.join("revision.toml");
            let text = fs::read_to_string(&description)?;
            fs::write(description, text + "destructive = false\n")?;
        }
        Ok(())
    }
}
