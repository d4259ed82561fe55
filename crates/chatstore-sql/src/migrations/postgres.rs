//! Migrations on PostgreSQL: on a connection that is taken out of the pool for good.

use std::sync::Arc;
use std::time::Duration;

use chatstore_migrate::{
    Answer, Connection, DatabaseError, DatabaseErrorKind, Dialect, MigrationError, TextRow,
};
use chatstore_model::Clock;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Work;
use crate::db::postgres::{Meaning, PostgresDatabase, is_lost, meaning, with_source};
use crate::error::StoreError;

/// A migration may take longer than any statement of the store.
const NO_TIME_LIMITS: &str =
    "set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0";

/// With this the server notices in the middle of a statement that this process was killed, and gives the
/// lock to the next one. Servers on some systems do not support it.
const DETECT_LOST_CLIENT: &str = "set client_connection_check_interval = '500ms'";

pub(super) async fn migrating<T, F>(
    database: &PostgresDatabase,
    clock: Arc<dyn Clock>,
    work: F,
) -> Result<T, MigrationError>
where
    F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T> + Send + 'static,
    T: Send + 'static,
{
    let failed = |cause| MigrationError::Database { doing: "reaching the database".to_owned(), cause };
    let client = database.own_client().await.map_err(|error| {
        let kind = match error {
            StoreError::Unavailable(_) => DatabaseErrorKind::Unavailable,
            _ => DatabaseErrorKind::Failed,
        };
        failed(DatabaseError::new(kind, error))
    })?;
    let client: &Client = &client;
    // Behind a pooler the settings would stay in a session that is given to others.
    if database.keeps_sessions() {
        client.batch_execute(NO_TIME_LIMITS).await.map_err(|error| failed(database_error(&error)))?;
        if let Err(error) = client.batch_execute(DETECT_LOST_CLIENT).await {
            tracing::debug!(error.cause = %error, "the server cannot detect a lost client");
        }
    }
    work(&mut OnPostgres { client, clock, is_one_session: database.keeps_sessions() }).await
}

struct OnPostgres<'c> {
    client: &'c Client,
    clock: Arc<dyn Clock>,
    is_one_session: bool,
}

impl Connection for OnPostgres<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn now(&self) -> i64 {
        self.clock.now().as_microseconds()
    }

    fn execute<'a>(&'a mut self, sql: &'a str) -> Answer<'a, ()> {
        Box::pin(async { self.client.batch_execute(sql).await.map_err(|error| database_error(&error)) })
    }

    fn query<'a>(&'a mut self, sql: &'a str) -> Answer<'a, Vec<TextRow>> {
        Box::pin(async {
            let messages = self.client.simple_query(sql).await.map_err(|error| database_error(&error))?;
            let rows = messages.into_iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
                }
                _ => None,
            });
            Ok(rows.collect())
        })
    }

    fn is_one_session(&self) -> bool {
        self.is_one_session
    }

    fn pause(&mut self, duration: Duration) -> Answer<'_, ()> {
        Box::pin(async move {
            tokio::time::sleep(duration).await;
            Ok(())
        })
    }
}

fn database_error(error: &tokio_postgres::Error) -> DatabaseError {
    let Some(server) = error.as_db_error() else {
        let kind = if is_lost(error) { DatabaseErrorKind::Unavailable } else { DatabaseErrorKind::Failed };
        return DatabaseError::new(kind, with_source(error));
    };
    let kind = match meaning(server) {
        Meaning::Denied | Meaning::ReadOnly => DatabaseErrorKind::Denied,
        Meaning::StorageFull => DatabaseErrorKind::StorageFull,
        Meaning::Conflict => DatabaseErrorKind::Busy,
        Meaning::Timeout if *server.code() == SqlState::LOCK_NOT_AVAILABLE => DatabaseErrorKind::Busy,
        Meaning::Unavailable | Meaning::TooManyConnections => DatabaseErrorKind::Unavailable,
        Meaning::Corrupt => DatabaseErrorKind::Corrupt,
        _ => DatabaseErrorKind::Failed,
    };
    let detail = server.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    DatabaseError::new(kind, format!("{}: {}{detail}", server.code().code(), server.message()))
}
