//! Reads files with settings and secrets, unless another user of the machine could have written them.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::error::{self, CliError, code};

const ROOT: u32 = 0;

/// Who else may do what with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Its group may write it, everybody may read it: what tools and people create.
    GroupWrites,
    /// None may write it; they may read it, because secrets are mounted into containers that way.
    ReadOnly,
    /// None may do anything.
    Excluded,
}

impl Others {
    const fn forbidden(self) -> u32 {
        match self {
            Self::GroupWrites => 0o002,
            Self::ReadOnly => 0o022,
            Self::Excluded => 0o077,
        }
    }
}

/// Whether a symbolic link may lead to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Refused,
    /// One of this user's or of root's: orchestrators mount files as links.
    Own,
}

/// What a file must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// What it is for, like `token key file`.
    pub(crate) what: &'static str,
    pub(crate) others: Others,
    pub(crate) links: Links,
    /// Larger ones are no such file.
    pub(crate) max_bytes: u64,
    /// What to do when another user may have read or changed it.
    pub(crate) remedy: &'static str,
}

impl Rules {
    /// The content of a file; `None` if there is none. `trusted` is a user beside this one and root whose file it may be.
    pub(crate) fn read(self, path: &Path, trusted: Option<u32>) -> Result<Option<Vec<u8>>, CliError> {
        let Some(file) = self.open(path, trusted)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(self.max_bytes + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.cannot_read(path, &error))?;
        if bytes.len() as u64 > self.max_bytes {
            let message = format!("{} has more than {} bytes", self.named(path), self.max_bytes);
            return Err(CliError::new(code::CONFIGURATION, message));
        }
        Ok(Some(bytes))
    }

    fn open(self, path: &Path, trusted: Option<u32>) -> Result<Option<File>, CliError> {
        let named = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.cannot_read(path, &error)),
        };
        if named.is_symlink() {
            if self.links == Links::Refused {
                return Err(self.refused(path, "is a symbolic link", "put the file itself there"));
            }
            self.refuse_foreign(path, "is a symbolic link that", &named, trusted)?;
        }
        // A pipe does not block.
        let mut flags = OFlags::NONBLOCK;
        if self.links == Links::Refused {
            flags |= OFlags::NOFOLLOW;
        }
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
        let file = opened.map_err(|error| self.cannot_read(path, &error))?;
        let metadata = file.metadata().map_err(|error| self.cannot_read(path, &error))?;
        if !metadata.is_file() {
            return Err(self.refused(path, "is not a regular file", "put a regular file there"));
        }
        self.refuse_foreign(path, "", &metadata, trusted)?;
        self.refuse_open(path, &metadata)?;
        Ok(Some(file))
    }

    fn refuse_foreign(
        self,
        path: &Path,
        kind: &str,
        metadata: &Metadata,
        trusted: Option<u32>,
    ) -> Result<(), CliError> {
        let (owner, own) = (metadata.uid(), geteuid().as_raw());
        if [own, ROOT].contains(&owner) || trusted == Some(owner) {
            return Ok(());
        }
        let found = format!("{kind} belongs to the user with the id {owner}");
        let todo = format!(
            "it must belong to root or to the user that runs chatstore (id {own}): `chown {own} {}`, if you know what is \
             in it",
            path.display()
        );
        Err(self.refused(path, found.trim_start(), &todo))
    }

    fn refuse_open(self, path: &Path, metadata: &Metadata) -> Result<(), CliError> {
        let mode = metadata.mode() & 0o777;
        if mode & self.others.forbidden() == 0 {
            return Ok(());
        }
        let (found, mode_then, doubt) = match self.others {
            Others::Excluded => ("is accessible to others than its owner", "600", "have read it"),
            Others::ReadOnly => ("can be written by others than its owner", "go-w", "have changed it"),
            Others::GroupWrites => ("can be written by every user", "o-w", "have changed it"),
        };
        let todo = format!(
            "run `chmod {mode_then} {}`; if another user may {doubt}, {}",
            path.display(),
            self.remedy
        );
        Err(self.refused(path, &format!("{found} (mode {mode:04o})"), &todo))
    }

    fn refused(self, path: &Path, found: &str, todo: &str) -> CliError {
        CliError::new(code::NO_PERMISSION, format!("{} {found}", self.named(path))).hint(todo)
    }

    fn cannot_read(self, path: &Path, error: &std::io::Error) -> CliError {
        error::cannot_read(self.named(path), error)
    }

    fn named(self, path: &Path) -> Named {
        Named { what: self.what, path: path.to_path_buf() }
    }
}

/// A file as messages name it.
struct Named {
    what: &'static str,
    path: PathBuf,
}

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the {} {}", self.what, self.path.display())
    }
}
