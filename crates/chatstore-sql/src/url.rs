//! The URLs that name a database.

#[cfg(feature = "sqlite")]
use std::path::Path;
use std::path::PathBuf;

#[cfg(feature = "postgres")]
use percent_encoding::percent_decode_str;

#[cfg(feature = "postgres")]
use crate::db::tls::{TlsMode, TlsSettings};
use crate::error::ConnectError;

#[cfg(not(feature = "sqlite"))]
pub(crate) const NO_SQLITE: &str = "this build has no SQLite (cargo feature sqlite)";
#[cfg(not(feature = "postgres"))]
pub(crate) const NO_POSTGRES: &str = "this build has no PostgreSQL (cargo feature postgres)";

/// Where the database of a URL lies, without going there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabasePlace {
    /// In a SQLite file.
    File(PathBuf),
    /// In memory.
    Memory,
    /// On a PostgreSQL server: host, port and name.
    Server(String),
}

impl DatabasePlace {
    /// The place that a URL names.
    ///
    /// # Errors
    /// [`ConnectError::InvalidUrl`].
    pub fn of(url: &str) -> Result<Self, ConnectError> {
        Ok(match Target::parse(url)? {
            #[cfg(feature = "sqlite")]
            Target::Sqlite(Some(path)) => Self::File(path),
            #[cfg(feature = "sqlite")]
            Target::Sqlite(None) => Self::Memory,
            #[cfg(feature = "postgres")]
            Target::Postgres { place, .. } => Self::Server(place),
        })
    }
}

/// What a URL names.
pub(crate) enum Target {
    #[cfg(feature = "sqlite")]
    Sqlite(Option<PathBuf>),
    #[cfg(feature = "postgres")]
    Postgres { config: Box<tokio_postgres::Config>, tls: TlsSettings, place: String },
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let invalid = |reason: String| ConnectError::InvalidUrl { url: mask(url), reason };
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(invalid(
                "it has no scheme; write sqlite://PATH or postgresql://USER:PASSWORD@HOST/DATABASE"
                    .to_owned(),
            ));
        };
        // SQLAlchemy names its driver behind a plus sign; ours needs none.
        match scheme.split('+').next().unwrap_or(scheme) {
            #[cfg(feature = "sqlite")]
            "sqlite" => sqlite_target(rest).map_err(invalid),
            #[cfg(not(feature = "sqlite"))]
            "sqlite" => Err(invalid(NO_SQLITE.to_owned())),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => postgres_target(rest).map_err(invalid),
            #[cfg(not(feature = "postgres"))]
            "postgres" | "postgresql" => Err(invalid(NO_POSTGRES.to_owned())),
            other => Err(invalid(format!("the scheme {other} is unknown; write sqlite:// or postgresql://"))),
        }
    }
}

#[cfg(feature = "sqlite")]
fn sqlite_target(path: &str) -> Result<Target, String> {
    if path.is_empty() {
        return Err("it names no file; write sqlite://chatstore.db".to_owned());
    }
    if path == ":memory:" {
        return Ok(Target::Sqlite(None));
    }
    if path.starts_with("file:") || path.contains('?') {
        return Err("everything after sqlite:// is the path; leave out file: and parameters".to_owned());
    }
    let path = Path::new(path);
    let in_root = path.parent() == Some(Path::new("/"));
    if in_root && !path.exists() {
        let name = path.file_name().unwrap_or_default().display();
        return Err(format!(
            "everything after sqlite:// is the path, so this is {} in the root directory, which does not exist; \
             for a file in the working directory write sqlite://{name}",
            path.display()
        ));
    }
    Ok(Target::Sqlite(Some(path.to_path_buf())))
}

#[cfg(feature = "postgres")]
fn postgres_target(rest: &str) -> Result<Target, String> {
    let (config, tls, place) = parse_postgres(rest)?;
    Ok(Target::Postgres { config: Box::new(config), tls, place })
}

/// A server and a database on it, from what follows `postgresql://`; and what to call it.
#[cfg(feature = "postgres")]
pub(crate) fn postgres_place(
    rest: &str,
) -> Result<(tokio_postgres::Config, TlsSettings, String), ConnectError> {
    let url = || mask(&format!("postgresql://{rest}"));
    parse_postgres(rest).map_err(|reason| ConnectError::InvalidUrl { url: url(), reason })
}

#[cfg(feature = "postgres")]
fn parse_postgres(rest: &str) -> Result<(tokio_postgres::Config, TlsSettings, String), String> {
    let (rest, tls) = take_tls_settings(rest)?;
    let mut config: tokio_postgres::Config =
        format!("postgresql://{rest}").parse().map_err(|error: tokio_postgres::Error| error_text(&error))?;
    config.ssl_mode(tls.driver_mode());
    let host = match config.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
        None => {
            return Err("it names no host; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE".to_owned());
        }
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let name = config.get_dbname().or(config.get_user()).unwrap_or("");
    let place = format!("{host}:{port}/{name}");
    Ok((config, tls, place))
}

/// Takes out of a URL what the driver does not understand: every `sslmode`, and `sslrootcert`.
#[cfg(feature = "postgres")]
fn take_tls_settings(rest: &str) -> Result<(String, TlsSettings), String> {
    let mut tls = TlsSettings::default();
    let Some((place, parameters)) = rest.split_once('?') else { return Ok((rest.to_owned(), tls)) };
    let mut kept = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", mode)) => {
                tls.mode = TlsMode::parse(mode).ok_or_else(|| {
                    format!(
                        "sslmode={mode} is unknown; write disable, prefer, require, verify-ca or verify-full"
                    )
                })?;
            }
            Some(("sslrootcert", file)) => {
                let file = percent_decode_str(file).decode_utf8().map_err(|_| "sslrootcert is not UTF-8")?;
                tls.root_certificates = Some(PathBuf::from(file.as_ref()));
            }
            _ => kept.push(parameter),
        }
    }
    let separator = if kept.is_empty() { "" } else { "?" };
    Ok((format!("{place}{separator}{}", kept.join("&")), tls))
}

#[cfg(feature = "postgres")]
fn error_text(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The URL with its password replaced and without its parameters, which may hold one as well.
pub(crate) fn mask(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "***".to_owned() };
    let without_parameters = rest.split('?').next().unwrap_or_default();
    match without_parameters.rsplit_once('@') {
        Some((credentials, place)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{place}")
        }
        // An unescaped question mark in the password: it cannot be told what is secret.
        None if rest.contains('@') => format!("{scheme}://***"),
        None => format!("{scheme}://{without_parameters}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(url: &str) -> String {
        match Target::parse(url) {
            Ok(_) => panic!("{url} was accepted"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_wrong_url_is_explained_without_its_password() {
        assert!(reason("chat.db").contains("no scheme"));
        assert!(reason("mysql://ada:secret@localhost/chat").contains("the scheme mysql is unknown"));
        assert!(!reason("mysql://ada:secret@localhost/chat").contains("secret"));
        assert!(reason("sqlite:///chat-that-is-absent.db").contains("write sqlite://chat-that-is-absent.db"));
        assert!(reason("sqlite://").contains("names no file"));
        assert!(reason("postgresql://localhost:notaport/x").contains("port"));
        assert!(reason("postgresql://localhost/x?sslmode=maybe").contains("verify-full"));
    }

    #[test]
    fn the_driver_of_another_tool_is_ignored() {
        assert!(Target::parse("postgresql+asyncpg://ada:pw@localhost/chat").is_ok());
        assert!(Target::parse("sqlite+aiosqlite://chat.db").is_ok());
    }
}
