//! Where a database lies.

use std::path::{Path, PathBuf};

use super::guard::Paths;
use crate::error::ConnectError;

#[derive(Debug, Clone)]
pub(super) enum Location {
    Memory,
    File(FileLocation),
}

/// A file, which may not exist yet.
#[derive(Debug, Clone)]
pub(super) struct FileLocation {
    /// As it was given.
    pub(super) place: String,
    /// As it was given, but absolute, if it leads over links.
    pub(super) given: Option<PathBuf>,
    pub(super) paths: Paths,
}

impl Location {
    /// Explains what cannot become a database file before SQLite creates anything of it.
    pub(super) fn new(path: Option<&Path>) -> Result<Self, ConnectError> {
        let Some(path) = path else { return Ok(Self::Memory) };
        let place = path.display().to_string();
        let cannot = |reason: String| ConnectError::CannotCreate { place: place.clone(), reason };
        if path.is_dir() {
            return Err(cannot("it is a directory".to_owned()));
        }
        let absolute = std::path::absolute(path).map_err(|error| cannot(error.to_string()))?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(cannot("it names no file".to_owned()));
        };
        if !parent.is_dir() {
            let folder = path.parent().unwrap_or(parent).display();
            let reason = format!("the directory {folder} does not exist; create it first");
            return Err(cannot(reason));
        }
        if path.is_symlink() && !path.exists() {
            return Err(cannot("it is a symbolic link that leads nowhere".to_owned()));
        }
        // A file has one log and one lock, whatever path leads to it.
        let real = match absolute.canonicalize() {
            Ok(real) => real,
            Err(_) => parent.canonicalize().map_err(|error| cannot(error.to_string()))?.join(name),
        };
        let given = (real != absolute).then_some(absolute);
        Ok(Self::File(FileLocation { place, given, paths: Paths::new(real) }))
    }

    pub(super) fn place(&self) -> String {
        match self {
            Self::Memory => "memory".to_owned(),
            Self::File(file) => file.place.clone(),
        }
    }
}
