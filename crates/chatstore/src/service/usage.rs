use chatstore_model::{Day, UsageRow};

use crate::actor::AsUser;
use crate::error::Result;

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
}
