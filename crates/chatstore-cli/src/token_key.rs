//! The keys that sign access tokens: from the settings, or from a file beside a SQLite database.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chatstore::auth::TokenKeys;
use chatstore::{DatabaseKind, Store};

use crate::config::{Config, Environment, TokenKeySetting};
use crate::error::{self, CliError, code};

/// A file with two keys and white space has about a hundred bytes.
const MAX_BYTES: u64 = 4_096;

const DELETE_IT: &str = "delete it: the next start creates another, and clients have to refresh their tokens";

/// The permissions of all users but the owner.
const OTHERS: u32 = 0o077;

/// Gives the store its keys. Beside a SQLite database a missing file is created; one process does so at a time,
/// because it owns the database.
pub(crate) fn install_token_keys(config: &Config, store: Store) -> Result<Store, CliError> {
    let keys = match find(config, &store)? {
        Some(keys) => keys,
        None => {
            let (keys, text) = TokenKeys::generate(|bytes| store.operations().random(bytes));
            if let Some(file) = own_file(&store)? {
                write(&file, &text)?;
                tracing::info!(file = %file.display(), "created the token key");
            }
            keys
        }
    };
    Ok(store.with_token_keys(keys))
}

/// The existing keys; `None` before the first server on a SQLite file, and for a database in memory.
pub(crate) fn find(config: &Config, store: &Store) -> Result<Option<TokenKeys>, CliError> {
    let keys = match (&config.token_key, store.kind()) {
        (TokenKeySetting::Given(keys), _) => keys.clone(),
        (TokenKeySetting::File(file), _) => read_configured(file)?,
        (TokenKeySetting::Unset, DatabaseKind::Sqlite) => {
            let found = own_file(store)?.map(|file| read_own(&file)).transpose()?;
            return Ok(found.flatten());
        }
        (TokenKeySetting::Unset, DatabaseKind::Postgres) => {
            let message = "a server on PostgreSQL needs a token key, and none is set";
            return Err(CliError::new(code::CONFIGURATION, message).hint(
                "generate one with `openssl rand -base64 32` and put it into CHATSTORE_TOKEN_KEY, or into a file \
                 that CHATSTORE_TOKEN_KEY_FILE names; all servers on one database share it",
            ));
        }
    };
    if config.environment == Environment::Production && keys.is_weak() {
        let message = "CHATSTORE_ENV is production, and a token key is not random";
        return Err(
            CliError::new(code::CONFIGURATION, message).hint("generate one with `openssl rand -base64 32`")
        );
    }
    Ok(Some(keys))
}

/// A token key that was copied together with its database.
pub(crate) struct Copied {
    /// Unless the same key was there before.
    created: Option<PathBuf>,
}

impl Copied {
    /// Takes it back, when the database was not copied after all.
    pub(crate) fn remove(&self) {
        let Some(file) = &self.created else { return };
        if let Err(error) = std::fs::remove_file(file) {
            tracing::warn!(file = %file.display(), error.cause = %error, "the copied token key was not removed");
        }
    }
}

/// Copies the key file of a database to `BACKUP.token-key`.
pub(crate) fn copy_to_backup(config: &Config, store: &Store, backup: &Path) -> Result<Copied, CliError> {
    refuse_configured(config)?;
    let Some(file) = own_file(store)? else { return Ok(Copied { created: None }) };
    copy(&file, &key_beside(backup))
}

/// Copies `BACKUP.token-key` to the key file of a database that is being restored.
pub(crate) fn copy_from_backup(config: &Config, backup: &Path, database: &Path) -> Result<Copied, CliError> {
    refuse_configured(config)?;
    copy(&key_beside(backup), &key_beside(database))
}

fn refuse_configured(config: &Config) -> Result<(), CliError> {
    let variable = match config.token_key {
        TokenKeySetting::Unset => return Ok(()),
        TokenKeySetting::Given(_) => "CHATSTORE_TOKEN_KEY",
        TokenKeySetting::File(_) => "CHATSTORE_TOKEN_KEY_FILE",
    };
    let message = format!("the token key is not beside the database: {variable} is set");
    let todo = "leave out --with-token-key, and keep the key where the settings are kept";
    Err(CliError::new(code::CONFIGURATION, message).hint(todo))
}

fn copy(from: &Path, to: &Path) -> Result<Copied, CliError> {
    let Some((_, text)) = read_private(from)? else {
        let message = format!("there is no token key file {}", from.display());
        return Err(CliError::new(code::NO_INPUT, message).hint("leave out --with-token-key"));
    };
    match read_private(to)? {
        None => {}
        Some((_, present)) if present == text => return Ok(Copied { created: None }),
        Some(_) => {
            let message = format!("{} exists and holds another token key", to.display());
            return Err(CliError::new(code::CANNOT_CREATE, message)
                .hint("move it away, or leave out --with-token-key"));
        }
    }
    write(to, text.trim_end())?;
    Ok(Copied { created: Some(to.to_path_buf()) })
}

fn key_beside(file: &Path) -> PathBuf {
    let mut path = file.to_path_buf().into_os_string();
    path.push(".token-key");
    PathBuf::from(path)
}

/// The key file of a SQLite database; `None` for other databases. A database has one key, whatever path leads
/// to it.
fn own_file(store: &Store) -> Result<Option<PathBuf>, CliError> {
    let Some(database) = store.file() else { return Ok(None) };
    let database = database.canonicalize().map_err(|error| {
        CliError::new(code::DAMAGED, format!("cannot find {}: {error}", database.display()))
    })?;
    Ok(Some(key_beside(&database)))
}

/// Other users may be allowed to read it: secrets are mounted into containers that way.
fn read_configured(path: &Path) -> Result<TokenKeys, CliError> {
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    let read = read(path, file).map_err(|failure| failure.hint("CHATSTORE_TOKEN_KEY_FILE names this file"));
    Ok(read?.0)
}

fn read_own(path: &Path) -> Result<Option<TokenKeys>, CliError> {
    Ok(read_private(path)?.map(|(keys, _text)| keys))
}

/// The keys in a file that only its owner can access, and its text.
fn read_private(path: &Path) -> Result<Option<(TokenKeys, String)>, CliError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot_read(path, &error)),
    };
    let mode = file.metadata().map_err(|error| cannot_read(path, &error))?.permissions().mode();
    if mode & OTHERS != 0 {
        let shown = path.display();
        let message = format!("the token key file {shown} is accessible to others than its owner");
        let todo = format!("run `chmod 600 {shown}`; if another user may have read it, {DELETE_IT}");
        return Err(CliError::new(code::NO_PERMISSION, message).hint(todo));
    }
    let damaged = |failure: CliError| failure.hint(format!("restore it from a backup, or {DELETE_IT}"));
    read(path, file).map(Some).map_err(damaged)
}

fn read(path: &Path, file: File) -> Result<(TokenKeys, String), CliError> {
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| cannot_read(path, &error))?;
    let keys = TokenKeys::parse(&text).map_err(|error| {
        CliError::new(code::CONFIGURATION, format!("the token key file {}: {error}", path.display()))
    })?;
    Ok((keys, text))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> CliError {
    error::cannot_read(format_args!("the token key file {}", path.display()), error)
}

/// Writes the file so that it appears complete or not at all, and only its owner can ever read it.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let mut beside = path.to_owned().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = || {
        // Left by a process that was killed here.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    written().map_err(|error| {
        let message = format!("cannot create the token key file {}: {error}", path.display());
        CliError::new(code::CANNOT_CREATE, message)
    })
}
