//! What a server in production refuses, and what it warns of.

use chatstore::Store;
use chatstore_sql::{ServerEncryption, TlsMode};

use crate::config::{Config, Environment, Migrate};
use crate::error::{CliError, code};

/// What to do about users who still have the password of `seed`.
pub(crate) const SEEDED_REMEDY: &str =
    "give each another password with `chatstore user set-password NAME`, or log in and change it";

/// What to do about a distant database whose server is not verified.
pub(crate) const UNVERIFIED_REMEDY: &str = "add sslmode=verify-full to the URL, or POSTGRES_SSLMODE=verify-full, with \
    sslrootcert for certificates that the system does not trust; or say sslmode=disable on a network where nobody else \
    can listen";

/// Whether somebody between this machine and the database could read and change everything, and the settings do not say
/// that this is wanted.
pub(crate) fn is_unverified(encryption: ServerEncryption) -> bool {
    let is_wanted = encryption.is_explicit && encryption.mode == TlsMode::Disable;
    encryption.is_distant && encryption.mode != TlsMode::VerifyFull && !is_wanted
}

/// Refuses in production, before anything is sent, a database on another machine whose server is not verified.
pub(super) fn refuse_unverified_database(config: &Config) -> Result<(), CliError> {
    if config.environment == Environment::Development {
        return Ok(());
    }
    match ServerEncryption::of(config.database_url())? {
        Some(encryption) if is_unverified(encryption) => {
            let message = format!(
                "CHATSTORE_ENV is production, and the database is on another machine with sslmode={}, which does not \
                 verify the server",
                encryption.mode.as_str()
            );
            Err(CliError::new(code::CONFIGURATION, message).hint(UNVERIFIED_REMEDY))
        }
        _ => Ok(()),
    }
}

/// Refuses in production what only shows in the database, and warns once of everything that the settings switch off.
pub(super) async fn check(config: &Config, store: &Store) -> Result<(), CliError> {
    if config.environment == Environment::Development {
        return Ok(());
    }
    refuse_seeded_passwords(store).await?;
    let off = switched_off(config)?;
    if !off.is_empty() {
        tracing::warn!(settings = off.join("; "), "in production with less protection than by default");
    }
    Ok(())
}

/// The protections that the settings switch off, each with its setting.
fn switched_off(config: &Config) -> Result<Vec<&'static str>, CliError> {
    let encryption = ServerEncryption::of(config.database_url())?;
    let is_plain =
        encryption.is_some_and(|encryption| encryption.is_distant && encryption.mode == TlsMode::Disable);
    let found = [
        (config.login_rate_limit.is_none(), "CHATSTORE_LOGIN_RATE_LIMIT=0: failed logins are not limited"),
        (config.rate_limit.is_none(), "CHATSTORE_RATE_LIMIT=0: requests of a user are not limited"),
        (
            config.trusted_proxies.trust_everyone(),
            "CHATSTORE_TRUSTED_PROXIES: every client may send whatever address it likes, so that no limit by address holds",
        ),
        (config.anonymous, "CHATSTORE_ANONYMOUS=on: conversations are created without credentials"),
        (config.open_registration, "CHATSTORE_OPEN_REGISTRATION=on: anyone may register"),
        (config.migrate == Some(Migrate::Off), "CHATSTORE_MIGRATE=off: outdated tables are not noticed"),
        (is_plain, "sslmode=disable: the connection to the database is not encrypted"),
    ];
    Ok(found.into_iter().filter(|(is_off, _)| *is_off).map(|(_, text)| text).collect())
}

/// Passwords that `seed` printed or was given may be known to people other than the user.
async fn refuse_seeded_passwords(store: &Store) -> Result<(), CliError> {
    let names = match seeded_names(store).await {
        // No user can log in then.
        Err(failure) if failure.is_damage() => return Ok(()),
        names => names?,
    };
    if names.is_empty() {
        return Ok(());
    }
    let message = format!(
        "CHATSTORE_ENV is production, and these users still have the password of `chatstore seed`: {}",
        names.join(", ")
    );
    Err(CliError::new(code::CONFIGURATION, message).hint(SEEDED_REMEDY))
}

/// The users who still have the password of `seed`.
pub(crate) async fn seeded_names(store: &Store) -> Result<Vec<String>, CliError> {
    let users = store.operations().unchanged_seeds().await?;
    Ok(users.into_iter().map(|user| user.username.unwrap_or_else(|| user.id.to_string())).collect())
}
