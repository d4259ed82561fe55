//! Keeps generated passwords in a file that only its owner can read, before their users are stored.

use std::cell::{OnceCell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use chatstore_import::GeneratedPassword;
use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::commands::eprint_message;
use crate::error::{CliError, code};

/// Where they are kept unless the command says otherwise.
pub(super) const DEFAULT: &str = "chatstore-passwords.txt";

/// The file, which is created when there is a password.
pub(super) struct Passwords {
    path: PathBuf,
    file: OnceCell<File>,
    failure: RefCell<Option<io::Error>>,
}

impl Passwords {
    pub(super) const fn in_file(path: PathBuf) -> Self {
        Self { path, file: OnceCell::new(), failure: RefCell::new(None) }
    }

    /// Adds a line, which is on the disk when this returns.
    pub(super) fn keep(&self, generated: &GeneratedPassword<'_>) -> io::Result<()> {
        self.write(generated).inspect_err(|error| {
            *self.failure.borrow_mut() = Some(io::Error::new(error.kind(), error.to_string()));
        })
    }

    fn write(&self, generated: &GeneratedPassword<'_>) -> io::Result<()> {
        let mut file = match self.file.get() {
            Some(file) => file,
            None => {
                let opened = self.open()?;
                self.file.get_or_init(|| opened)
            }
        };
        let name = generated.username.unwrap_or(generated.key);
        let plain = |text: &str| text.replace(char::is_control, " ");
        file.write_all(format!("{}\t{}\n", plain(name), generated.password).as_bytes())?;
        file.sync_data()
    }

    fn open(&self) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(flags);
        let file = options.open(&self.path)?;
        let metadata = file.metadata()?;
        let is_private =
            metadata.is_file() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o077 == 0;
        if !is_private {
            return Err(io::Error::other("it is no file, or accessible to other users"));
        }
        Ok(file)
    }

    /// Says where they are, when there are any.
    pub(super) fn finish(&self) {
        if self.file.get().is_some() {
            eprint_message(format_args!(
                "the generated passwords are in {} too: delete it when the users have them",
                self.path.display()
            ));
        }
    }

    /// Why the import stopped, if it is that a password could not be kept.
    pub(super) fn failure(&self) -> Option<CliError> {
        let error = self.failure.borrow_mut().take()?;
        let message = format!("cannot keep generated passwords in {}: {error}", self.path.display());
        let hint = "name another file with --passwords; no user was stored whose password is not in the file";
        Some(CliError::new(code::CANNOT_CREATE, message).hint(hint))
    }
}
