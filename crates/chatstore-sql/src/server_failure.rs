//! Why a connection to a PostgreSQL server could not be opened.

use std::fmt;

use crate::error::{Cause, ConnectError};

/// Why a connection to a PostgreSQL server could not be opened, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerFailure {
    /// Nothing listens there.
    Refused,
    /// The host has no address.
    UnknownHost,
    /// Nothing answered in time, or no network leads there.
    NoAnswer,
    /// What answers does not speak PostgreSQL's protocol.
    NotPostgres,
    /// The certificate is of an authority that is not trusted.
    UnknownAuthority,
    /// The certificate is expired, or of another host.
    WrongCertificate,
    /// The server offers no TLS, and `sslmode` demands it.
    NoTls,
    /// The server asks for a password, and there is none.
    MissingPassword,
    /// The password is wrong, or there is no such role: the server does not say which.
    WrongPassword,
    /// The server does not let this role in from here.
    NotAllowed,
    /// The server, or the role, has no connection left.
    TooManyConnections,
    /// The server is starting or stopping.
    Starting,
}

/// What the server or the driver said, and what that is.
#[derive(Debug)]
pub(crate) struct ServerError {
    pub(crate) failure: Option<ServerFailure>,
    pub(crate) text: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for ServerError {}

impl Cause {
    /// What it is, if it is why a PostgreSQL server could not be connected to, and known.
    #[must_use]
    pub fn server_failure(&self) -> Option<ServerFailure> {
        self.downcast_ref::<ServerError>()?.failure
    }
}

impl ConnectError {
    /// Why a PostgreSQL server could not be connected to, where that is known.
    #[must_use]
    pub fn server_failure(&self) -> Option<ServerFailure> {
        match self {
            Self::Unreachable { cause, .. } | Self::Denied { cause, .. } => cause.server_failure(),
            _ => None,
        }
    }
}
