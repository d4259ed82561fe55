//! A connection that changes nothing.

use std::sync::Arc;

use rusqlite::Connection;

use crate::db::sqlite::budget::Budget;
use crate::db::sqlite::location::Location;
use crate::db::sqlite::open::connect;
use crate::error::{Cause, ConnectError};

/// A connection, and the time that a read may take on it.
pub(super) struct ReadingConnection {
    pub(super) connection: Connection,
    pub(super) budget: Arc<Budget>,
}

impl ReadingConnection {
    pub(super) fn open(location: &Location) -> Result<Self, ConnectError> {
        let failed = |error| ConnectError::Unreachable {
            place: "a reading connection".to_owned(),
            cause: Cause::new(error),
        };
        let mut connection = connect(location)?;
        connection.pragma_update(None, "query_only", true).map_err(failed)?;
        let budget = Budget::of(&mut connection).map_err(failed)?;
        Ok(Self { connection, budget })
    }
}
