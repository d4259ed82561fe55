//! Where Redis is, and how it is reached.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

use crate::keys::KeyPrefix;

/// How long a command is waited for.
const TIMEOUT: Duration = Duration::from_millis(20);

/// Why a text is no address of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not redis://USER:PASSWORD@HOST:PORT/DATABASE, or the same with rediss:// for TLS, without parameters"
)]
pub struct InvalidRedisUrl;

/// Where Redis is, and how it is reached.
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) session: RedisConnectionInfo,
    /// With TLS the server is always verified.
    pub(crate) is_encrypted: bool,
    /// A file of trusted certificates; those of the system without one.
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) prefix: KeyPrefix,
    pub(crate) timeout: Duration,
}

impl RedisOptions {
    /// Redis at `redis://USER:PASSWORD@HOST:PORT/DATABASE`; `rediss://` for TLS, with which the certificate of the server is
    /// verified. User, password, port (6379) and database (0) may be absent.
    ///
    /// # Errors
    /// [`InvalidRedisUrl`], also for parameters and for `#insecure`: encryption without verification is not offered.
    pub fn new(url: &str) -> Result<Self, InvalidRedisUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(InvalidRedisUrl)?;
        let is_encrypted = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(InvalidRedisUrl),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidRedisUrl);
        }
        let info = format!("redis://{rest}").into_connection_info().map_err(|_| InvalidRedisUrl)?;
        let ConnectionAddr::Tcp(host, port) = info.addr().clone() else { return Err(InvalidRedisUrl) };
        if info.redis_settings().db() < 0 {
            return Err(InvalidRedisUrl);
        }
        Ok(Self {
            host,
            port,
            session: info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3),
            is_encrypted,
            root_certificates: None,
            prefix: KeyPrefix::default(),
            timeout: TIMEOUT,
        })
    }

    /// What all keys begin with.
    #[must_use]
    pub fn prefix(mut self, prefix: KeyPrefix) -> Self {
        self.prefix = prefix;
        self
    }

    /// A file of the certificates that are trusted, in PEM; those of the system are when nothing is said.
    #[must_use]
    pub fn root_certificates(mut self, file: PathBuf) -> Self {
        self.root_certificates = Some(file);
        self
    }

    /// How long a command is waited for; 20 ms when nothing is said.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// On which processes tell each other what changed.
    pub(crate) fn channel(&self) -> String {
        self.prefix.key("changes")
    }

    /// Where Redis is, without user and password: host, port and database.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.session.db())
    }

    /// Whether the connection is encrypted; the server is verified then.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }
}

impl fmt::Debug for RedisOptions {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisOptions")
            .field("place", &self.place())
            .field("is_encrypted", &self.is_encrypted)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_database_user_and_password() {
        for (url, place, user, password, is_encrypted) in [
            ("redis://localhost", "localhost:6379/0", None, None, false),
            ("redis://:p%40ss@cache:7000/3", "cache:7000/3", None, Some("p@ss"), false),
            ("rediss://ada:secret@[::1]:6380/1", "::1:6380/1", Some("ada"), Some("secret"), true),
        ] {
            let options = RedisOptions::new(url).unwrap();
            assert_eq!(options.place(), place);
            assert_eq!(options.session.username(), user, "{url}");
            assert_eq!(options.session.password(), password, "{url}");
            assert_eq!(options.is_encrypted(), is_encrypted, "{url}");
            assert!(!format!("{options:?}").contains("secret"));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_and_so_is_tls_without_verification() {
        for url in [
            "",
            "localhost:6379",
            "http://localhost",
            "unix:///run/redis.sock",
            "redis://",
            "redis://localhost/one",
            "redis://localhost/-1",
            "redis://localhost:99999",
            "rediss://localhost#insecure",
            "rediss://localhost?ssl_cert_reqs=none",
        ] {
            assert!(RedisOptions::new(url).is_err(), "{url}");
        }
    }
}
