use chatstore_model::{Day, UsageGroup, UsageGrouping, UsageRow, UserId};

use crate::actor::AsUser;
use crate::error::Result;
use crate::store::Store;

/// What one user's own conversations used.
#[derive(Debug, Clone, Copy)]
pub struct Usage<'s>(pub(crate) AsUser<'s>);

impl Usage<'_> {
    /// Usage from one day to another, both included, by day and model.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn between(self, from: Day, to: Day) -> Result<Vec<UsageRow>> {
        let user = self.0.user;
        self.0.store.read("usage", async move |tx| tx.usage().between(user, from, to).await).await
    }

    /// Usage from one day to another, both included, added up.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn grouped(self, from: Day, to: Day, grouping: UsageGrouping) -> Result<Vec<UsageGroup>> {
        grouped(self.0.store, Some(self.0.user), from, to, grouping).await
    }
}

/// Usage of one user, or of everybody.
pub(crate) async fn grouped(
    store: &Store,
    user: Option<UserId>,
    from: Day,
    to: Day,
    grouping: UsageGrouping,
) -> Result<Vec<UsageGroup>> {
    store.read("usage_grouped", async move |tx| tx.usage().grouped(user, from, to, grouping).await).await
}
