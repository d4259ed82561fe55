//! Revisions as folders on disk, where they are written before a program embeds them.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::MigrationError;
use crate::revision::{Revision, RevisionFiles, is_of_a_name};

/// Maximum length of a slug.
const SLUG_LENGTH: usize = 40;

/// Reads every folder of a directory as a revision.
///
/// # Errors
/// [`MigrationError::Malformed`], also when a file cannot be read.
pub fn read_folders(directory: &Path) -> Result<Vec<Revision>, MigrationError> {
    let failed = |path: &Path, error: io::Error| MigrationError::Malformed {
        folder: path.display().to_string(),
        reason: format!("it cannot be read: {error}"),
    };
    let mut revisions = Vec::new();
    let entries = std::fs::read_dir(directory).map_err(|error| failed(directory, error))?;
    for entry in entries {
        let path = entry.map_err(|error| failed(directory, error))?.path();
        if path.is_dir() {
            let files = read_files(&path).map_err(|error| failed(&path, error))?;
            revisions.push(Revision::parse(files)?);
        }
    }
    Ok(revisions)
}

fn read_files(path: &Path) -> io::Result<RevisionFiles> {
    let read = |name: &str| match std::fs::read_to_string(path.join(name)) {
        Ok(text) => Ok(Some(Cow::Owned(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    Ok(RevisionFiles {
        folder: path.file_name().unwrap_or_default().to_string_lossy().into_owned().into(),
        description: Cow::Owned(std::fs::read_to_string(path.join("revision.toml"))?),
        up_sqlite: read("up.sqlite.sql")?,
        up_postgres: read("up.pg.sql")?,
        down_sqlite: read("down.sqlite.sql")?,
        down_postgres: read("down.pg.sql")?,
    })
}

/// A revision that is about to be written.
#[derive(Debug, Clone)]
pub struct NewRevision<'n> {
    /// Twelve hexadecimal digits.
    pub id: String,
    /// What it is to do.
    pub message: &'n str,
    /// The revisions it comes after.
    pub revises: Vec<String>,
    /// Revisions of other branches that it needs.
    pub depends_on: Vec<String>,
    /// Whether it only joins branches, and so changes nothing.
    pub is_merge: bool,
}

impl NewRevision<'_> {
    /// Writes its folder below a directory, with empty files to fill in; returns the folder.
    ///
    /// # Errors
    /// A file cannot be written, or the message gives no name.
    pub fn write(&self, directory: &Path) -> io::Result<PathBuf> {
        let slug = slug_of(self.message);
        if slug.is_empty() {
            let message = "the message has no letter or digit to name the revision by";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let folder = directory.join(format!("{}_{slug}", self.id));
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join("revision.toml"), self.description(&slug))?;
        for (name, dialect) in [("sqlite", "SQLite"), ("pg", "PostgreSQL")] {
            let note = |what: &str| format!("-- {}: {what} on {dialect}\n", self.message.replace('\n', " "));
            let (up, down) = if self.is_merge {
                (note("nothing to do"), note("nothing to undo"))
            } else {
                (note("what applies it"), note("what undoes it"))
            };
            std::fs::write(folder.join(format!("up.{name}.sql")), up)?;
            std::fs::write(folder.join(format!("down.{name}.sql")), down)?;
        }
        Ok(folder)
    }

    fn description(&self, slug: &str) -> String {
        let list = |ids: &[String]| {
            let quoted: Vec<String> = ids.iter().map(|id| format!("{id:?}")).collect();
            format!("[{}]", quoted.join(", "))
        };
        let message: String = self.message.chars().map(escaped).collect();
        let mut text = format!("id = \"{}\"\nslug = \"{slug}\"\nmessage = \"{message}\"\n", self.id);
        text += &format!("revises = {}\n", list(&self.revises));
        if !self.depends_on.is_empty() {
            text += &format!("depends_on = {}\n", list(&self.depends_on));
        }
        if self.is_merge {
            text += "destructive = false\n";
        }
        text
    }
}

/// A character as TOML writes it between double quotes.
fn escaped(letter: char) -> String {
    match letter {
        '"' | '\\' => format!("\\{letter}"),
        control if control.is_control() => format!("\\u{:04X}", u32::from(control)),
        other => other.to_string(),
    }
}

/// The name that a message gives a revision: its words in lower case, joined by underscores.
#[must_use]
pub fn slug_of(message: &str) -> String {
    let lower = message.to_lowercase();
    let words = lower.split(|letter| !is_of_a_name(letter) || letter == '_').filter(|word| !word.is_empty());
    let mut slug = String::new();
    for word in words {
        if !slug.is_empty() && slug.len() + word.len() >= SLUG_LENGTH {
            break;
        }
        if !slug.is_empty() {
            slug.push('_');
        }
        slug.push_str(word);
    }
    slug.truncate(SLUG_LENGTH);
    slug
}
