//! The URLs that name a database.

#[cfg(feature = "sqlite")]
use std::path::Path;
use std::path::PathBuf;

#[cfg(feature = "postgres")]
use percent_encoding::percent_decode_str;

#[cfg(feature = "postgres")]
use crate::db::tls::{RootCertificates, TlsMode, TlsSettings};
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
            Target::Postgres(server) => Self::Server(server.place),
        })
    }
}

/// What a URL says about the encryption of the connection to a PostgreSQL server.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerEncryption {
    /// How much TLS there must be.
    pub mode: TlsMode,
    /// Whether the URL says so itself.
    pub is_explicit: bool,
    /// Whether the server may be on another machine.
    pub is_distant: bool,
}

#[cfg(feature = "postgres")]
impl ServerEncryption {
    /// What a URL says; `None` for SQLite.
    ///
    /// # Errors
    /// [`ConnectError::InvalidUrl`].
    pub fn of(url: &str) -> Result<Option<Self>, ConnectError> {
        Ok(match Target::parse(url)? {
            Target::Postgres(PostgresTarget { config, tls, .. }) => {
                Some(Self { mode: tls.mode, is_explicit: tls.is_explicit, is_distant: is_distant(&config) })
            }
            #[cfg(feature = "sqlite")]
            Target::Sqlite(_) => None,
        })
    }
}

/// Whether any of its hosts may be another machine.
#[cfg(feature = "postgres")]
fn is_distant(config: &tokio_postgres::Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().any(|address| !address.is_loopback());
    }
    config.get_hosts().iter().any(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => {
            let address = name.parse::<std::net::IpAddr>();
            name != "localhost" && !address.is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        tokio_postgres::config::Host::Unix(_) => false,
    })
}

/// The name of the system's certificates in `sslrootcert`, as for libpq.
#[cfg(feature = "postgres")]
const SYSTEM: &str = "system";

/// What a URL names.
pub(crate) enum Target {
    #[cfg(feature = "sqlite")]
    Sqlite(Option<PathBuf>),
    #[cfg(feature = "postgres")]
    Postgres(PostgresTarget),
}

/// A server, and a database on it.
#[cfg(feature = "postgres")]
pub(crate) struct PostgresTarget {
    pub(crate) config: Box<tokio_postgres::Config>,
    pub(crate) tls: TlsSettings,
    /// Whether a pooler is in front of it that gives every transaction another session.
    pub(crate) is_pooled: bool,
    /// What to call it.
    pub(crate) place: String,
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
    parse_postgres(rest).map(Target::Postgres)
}

/// A server and a database on it, from what follows `postgresql://`.
#[cfg(feature = "postgres")]
pub(crate) fn postgres_place(rest: &str) -> Result<PostgresTarget, ConnectError> {
    let url = || mask(&format!("postgresql://{rest}"));
    parse_postgres(rest).map_err(|reason| ConnectError::InvalidUrl { url: url(), reason })
}

#[cfg(feature = "postgres")]
fn parse_postgres(rest: &str) -> Result<PostgresTarget, String> {
    let (rest, tls, is_pooled) = take_settings(rest)?;
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
    Ok(PostgresTarget { config: Box::new(config), tls, is_pooled, place })
}

/// Takes out of a URL what the driver does not understand: every `sslmode`, `sslrootcert`, and what says that a pooler is
/// in front of the server.
#[cfg(feature = "postgres")]
fn take_settings(rest: &str) -> Result<(String, TlsSettings, bool), String> {
    let mut tls = TlsSettings::default();
    let mut is_pooled = false;
    let Some((place, parameters)) = rest.split_once('?') else {
        return Ok((rest.to_owned(), tls, is_pooled));
    };
    let mut kept = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", mode)) => {
                tls.is_explicit = true;
                tls.mode = TlsMode::parse(mode).ok_or_else(|| {
                    format!(
                        "sslmode={mode} is unknown; write disable, prefer, require, verify-ca or verify-full"
                    )
                })?;
            }
            Some(("sslrootcert", file)) => {
                let file = percent_decode_str(file).decode_utf8().map_err(|_| "sslrootcert is not UTF-8")?;
                tls.root_certificates = Some(match file.as_ref() {
                    SYSTEM => RootCertificates::System,
                    path => RootCertificates::File(PathBuf::from(path)),
                });
            }
            Some(("prepared_statements", word)) => is_pooled = !is_on("prepared_statements", word)?,
            // Prisma's word for the same.
            Some(("pgbouncer", word)) => is_pooled = is_on("pgbouncer", word)?,
            _ => kept.push(parameter),
        }
    }
    // As in libpq: anybody can get a certificate of an authority that the system trusts, for a host of their own.
    if tls.root_certificates == Some(RootCertificates::System) {
        if tls.is_explicit && tls.mode != TlsMode::VerifyFull {
            let mode = tls.mode.as_str();
            return Err(format!("sslrootcert=system needs sslmode=verify-full, and sslmode is {mode}"));
        }
        tls.mode = TlsMode::VerifyFull;
    }
    let separator = if kept.is_empty() { "" } else { "?" };
    Ok((format!("{place}{separator}{}", kept.join("&")), tls, is_pooled))
}

#[cfg(feature = "postgres")]
fn is_on(name: &str, word: &str) -> Result<bool, String> {
    match word {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err(format!("{name}={word} is unknown; write on or off")),
    }
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
        assert!(reason("postgresql://localhost/x?pgbouncer=perhaps").contains("write on or off"));
    }

    #[test]
    fn a_url_says_whether_a_pooler_is_in_front_of_the_server() {
        let is_pooled = |url: &str| match Target::parse(url).unwrap() {
            Target::Postgres(server) => server.is_pooled,
            #[cfg(feature = "sqlite")]
            Target::Sqlite(_) => panic!("{url} names a server"),
        };
        assert!(is_pooled("postgresql://db/x?prepared_statements=off&connect_timeout=3"));
        assert!(is_pooled("postgresql://db/x?pgbouncer=true"));
        assert!(!is_pooled("postgresql://db/x?pgbouncer=false"));
        assert!(!is_pooled("postgresql://db/x"));
    }

    #[test]
    fn the_certificates_of_the_system_are_for_verified_hosts_only() {
        let encryption = |url: &str| ServerEncryption::of(url).unwrap().unwrap();
        let system = encryption("postgresql://db.example.org/x?sslrootcert=system");
        assert_eq!(system.mode, TlsMode::VerifyFull);
        assert_eq!(encryption("postgresql://db/x?sslmode=verify-full&sslrootcert=system").mode, system.mode);
        assert!(reason("postgresql://db/x?sslrootcert=system&sslmode=require").contains("verify-full"));
        assert_eq!(encryption("postgresql://db/x?sslrootcert=./system").mode, TlsMode::Prefer);
    }

    #[test]
    fn a_server_is_distant_unless_it_can_only_be_this_machine() {
        let is_distant = |url: &str| ServerEncryption::of(url).unwrap().unwrap().is_distant;
        for url in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "%2Frun%2Fpostgresql"] {
            assert!(!is_distant(&format!("postgresql://ada@{url}/x")), "{url}");
        }
        for url in ["db", "10.0.0.1", "localhost.example.org", "localhost,db", "[fe80::1]"] {
            assert!(is_distant(&format!("postgresql://ada@{url}/x")), "{url}");
        }
        assert_eq!(ServerEncryption::of("sqlite://chat.db").unwrap(), None);
    }

    #[test]
    fn the_driver_of_another_tool_is_ignored() {
        assert!(Target::parse("postgresql+asyncpg://ada:pw@localhost/chat").is_ok());
        assert!(Target::parse("sqlite+aiosqlite://chat.db").is_ok());
    }
}
