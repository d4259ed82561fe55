//! Telling other processes something through the database.

use crate::db::Sql;
use crate::error::StoreError;
use crate::tx::Tx;

pub(super) const STATEMENTS: &[Sql] = &[NOTIFY];

const NOTIFY: Sql = Sql::only_postgres("notifications.tell", "select pg_notify($1, $2)::text");

impl<M> Tx<'_, M> {
    /// Tells a text to all who [`listen`](crate::Database::listen) on the channel, in a transaction when it commits. For
    /// PostgreSQL alone.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn notify(&mut self, channel: &str, text: &str) -> Result<(), StoreError> {
        self.query(&NOTIFY, &[channel.into(), text.into()], |_| Ok(())).await.map(drop)
    }
}
