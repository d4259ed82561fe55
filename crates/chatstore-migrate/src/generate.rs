//! Revisions that are written by the engine itself.

use std::fs;
use std::io;
use std::path::Path;

use crate::dialect::Dialect;
use crate::diff::Difference;
use crate::model::Schema;

/// The file of a revision's folder that says what the schema is after it.
pub const SNAPSHOT: &str = "schema.json";

impl Schema {
    /// Keeps it in the folder of a revision as what the schema is after it.
    ///
    /// # Errors
    /// That the file cannot be written.
    pub fn write_snapshot(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join(SNAPSHOT), self.to_json()?)
    }

    /// What the schema is after the revision in this folder; nothing when it was not kept.
    ///
    /// # Errors
    /// That the file cannot be read or is no schema.
    pub fn read_snapshot(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(folder.join(SNAPSHOT)) {
            Ok(text) => Ok(Some(Self::from_json(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Difference {
    /// Writes its SQL into the folder of a new revision, both ways and for both databases, and that
    /// undoing it loses nothing where that is so.
    ///
    /// # Errors
    /// That a file cannot be read or written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            for (way, change) in [("up", &self.up), ("down", &self.down)] {
                fs::write(folder.join(format!("{way}.{}.sql", dialect.suffix())), change.sql(dialect))?;
            }
        }
        if !self.down.loses_data() {
            let description = folder.join("revision.toml");
            let text = fs::read_to_string(&description)?;
            fs::write(description, text + "loses_data = false\n")?;
        }
        Ok(())
    }
}
