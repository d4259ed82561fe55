//! What PostgreSQL's errors mean.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use super::failure::server_failure;
use super::sqlstate::{Meaning, meaning};
use crate::db::meaning::{missing_of_table, refused, taken_constraint};
use crate::error::{Cause, ConnectError, StoreError};
use crate::server_failure::{ServerError, ServerFailure};

/// The meaning of an error of something that commits.
pub(super) fn write_error(error: &tokio_postgres::Error, statement: &str) -> StoreError {
    match store_error(error, statement) {
        StoreError::Unavailable(cause) => StoreError::OutcomeUnknown(cause),
        known => known,
    }
}

/// The one place where PostgreSQL's errors get their meaning.
pub(super) fn store_error(error: &tokio_postgres::Error, statement: &str) -> StoreError {
    let Some(server) = error.as_db_error() else {
        let cause = Cause::new(format!("{statement}: {}", with_source(error)));
        return if is_lost(error) { StoreError::Unavailable(cause) } else { StoreError::Backend(cause) };
    };
    let code = server.code();
    if *code == SqlState::UNIQUE_VIOLATION
        && let Some(error) = server.constraint().and_then(taken_constraint)
    {
        return error;
    }
    if *code == SqlState::CHECK_VIOLATION
        && let Some(error) = server.constraint().and_then(refused)
    {
        return error;
    }
    if *code == SqlState::FOREIGN_KEY_VIOLATION {
        return missing_of_table(server.table());
    }
    let cause = Cause::new(format!("{statement}: {}: {}", code.code(), server.message()));
    match meaning(server) {
        Meaning::Conflict | Meaning::NotPrepared => StoreError::Conflict(cause),
        Meaning::Timeout => StoreError::Timeout(cause),
        Meaning::Unavailable | Meaning::TooManyConnections => StoreError::Unavailable(cause),
        Meaning::StorageFull => StoreError::StorageFull(cause),
        Meaning::ReadOnly => StoreError::ReadOnly(cause),
        Meaning::NoTable => StoreError::Corrupt(format!("{cause}; are the tables migrated?")),
        Meaning::Corrupt => StoreError::Corrupt(cause.to_string()),
        Meaning::Denied | Meaning::NoDatabase | Meaning::Other => StoreError::Backend(cause),
    }
}

/// The meaning of an error of a connection that is opened: nothing was changed by it.
pub(super) fn acquire_error(error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => match store_error(&error, "connect") {
            StoreError::Backend(cause) => StoreError::Unavailable(cause),
            known => known,
        },
        error => StoreError::Unavailable(Cause::new(error)),
    }
}

/// Whether the server, or the role, has no connection left.
pub(super) fn is_too_many_connections(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|server| meaning(server) == Meaning::TooManyConnections)
}

pub(super) fn connect_error(place: String, error: PoolError) -> ConnectError {
    let PoolError::Backend(error) = error else {
        return ConnectError::Unreachable { place, cause: Cause::new(error) };
    };
    let failure = server_failure(&error);
    let cause = |text| Cause::new(ServerError { failure, text });
    let Some(server) = error.as_db_error() else {
        let cause = cause(with_source(&error));
        return match failure {
            Some(ServerFailure::MissingPassword) => ConnectError::Denied { place, cause },
            _ => ConnectError::Unreachable { place, cause },
        };
    };
    let reason = server.message().to_owned();
    match meaning(server) {
        Meaning::Denied => ConnectError::Denied { place, cause: cause(reason) },
        Meaning::NoDatabase => ConnectError::Unusable { place, reason: format!("{reason}; create it first") },
        _ => ConnectError::Unreachable { place, cause: cause(reason) },
    }
}

/// Whether the connection was lost.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>())
}

/// What the driver says, with the telling part, which it keeps in its source.
pub(crate) fn with_source(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
