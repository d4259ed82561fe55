use chatstore_model::{Day, UsageRow};

use crate::error::Result;
use crate::user_scope::AsUser;

/// What one user's own conversations used.
#[derive(Debug, Clone, Copy)]
pub struct Usage<'s>(pub(crate) AsUser<'s>);

impl<'s> AsUser<'s> {
    /// What the user's own conversations used.
    #[must_use]
    pub const fn usage(&self) -> Usage<'s> {
        Usage(*self)
    }
}

impl Usage<'_> {
    /// Usage from one day to another, both included, by day and model.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn between(self, from: Day, to: Day) -> Result<Vec<UsageRow>> {
        let user = self.0.user;
        Ok(self.0.read_list("usage", async move |tx| tx.usage().between(user, from, to).await).await?)
    }
}
