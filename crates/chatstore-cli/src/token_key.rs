//! The keys that sign access tokens: from the settings, or from a file beside a SQLite database.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chatstore::auth::TokenKeys;
use chatstore::{DatabaseKind, Store};

use crate::config::{Config, Environment, TokenKeySetting};
use crate::error::{self, CliError, code};
use crate::private_file::{Links, Others, Rules};

/// A file with two keys and white space has about a hundred bytes.
const MAX_BYTES: u64 = 4_096;

const DELETE_IT: &str = "delete it: the next start creates another, and clients have to refresh their tokens";

/// The file beside a database.
const OWN: Rules = Rules {
    what: "token key file",
    others: Others::Excluded,
    links: Links::Refused,
    max_bytes: MAX_BYTES,
    remedy: DELETE_IT,
};

/// The file that the settings name: secrets are mounted into containers for everybody to read, and as links.
const CONFIGURED: Rules = Rules {
    others: Others::ReadOnly,
    links: Links::Own,
    remedy: "replace the key: all clients have to log in again",
    ..OWN
};

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
            let Some(file) = own_file(store)? else { return Ok(None) };
            return Ok(read_private(&file, store.file())?.map(|(keys, _text)| keys));
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
        let message = "CHATSTORE_ENV is production, and a token key is not random, or was published";
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
    copy(&file, store.file(), &key_beside(backup))
}

/// Copies `BACKUP.token-key` to the key file of a database that is being restored.
pub(crate) fn copy_from_backup(config: &Config, backup: &Path, database: &Path) -> Result<Copied, CliError> {
    refuse_configured(config)?;
    copy(&key_beside(backup), Some(backup), &key_beside(database))
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

/// Copies the key file of a database.
fn copy(from: &Path, database: Option<&Path>, to: &Path) -> Result<Copied, CliError> {
    let Some((_, text)) = read_private(from, database)? else {
        let message = format!("there is no token key file {}", from.display());
        return Err(CliError::new(code::NO_INPUT, message).hint("leave out --with-token-key"));
    };
    match read_private(to, None)? {
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

fn read_configured(path: &Path) -> Result<TokenKeys, CliError> {
    let Some(bytes) = CONFIGURED.read(path, None)? else {
        let shown = format_args!("the token key file {}", path.display());
        return Err(error::cannot_read(shown, &ErrorKind::NotFound.into()));
    };
    parse(path, &bytes)
        .map(|(keys, _text)| keys)
        .map_err(|failure| failure.hint("CHATSTORE_TOKEN_KEY_FILE names this file"))
}

/// The keys in the file beside a database, which only its owner can access, and its text. The owner of the database, who
/// could change every password, may own the key as well.
fn read_private(path: &Path, database: Option<&Path>) -> Result<Option<(TokenKeys, String)>, CliError> {
    let owner = database.and_then(|database| database.metadata().ok()).map(|metadata| metadata.uid());
    let Some(bytes) = OWN.read(path, owner)? else { return Ok(None) };
    let damaged = |failure: CliError| failure.hint(format!("restore it from a backup, or {DELETE_IT}"));
    parse(path, &bytes).map(Some).map_err(damaged)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<(TokenKeys, String), CliError> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let keys = TokenKeys::parse(&text).map_err(|error| {
        CliError::new(code::CONFIGURATION, format!("the token key file {}: {error}", path.display()))
    })?;
    Ok((keys, text))
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
