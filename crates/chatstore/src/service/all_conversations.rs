use chatstore_model::{Conversation, ConversationFilter, Limit, OwnedPosition, Page};
use chatstore_sql::{Owners, ReadTx};

use crate::error::Result;
use crate::store::Store;

/// The conversations of all users, for administrators and applications. Nothing is checked here.
#[derive(Debug, Clone, Copy)]
pub struct AllConversations<'s>(&'s Store);

impl Store {
    /// The conversations of all users, for administrators and applications.
    #[must_use]
    pub const fn all_conversations(&self) -> AllConversations<'_> {
        AllConversations(self)
    }
}

impl AllConversations<'_> {
    /// One page, by owner and id; of those whose thread ids begin with a prefix, if one is given. What the filter says of
    /// memberships does not matter. The conversations before the end of the page are compared one after the other.
    ///
    /// # Errors
    /// `Invalid` for a prefix with NUL; `Internal` for a filter with ids; that the database is unavailable.
    pub async fn page(
        self,
        owners: Owners,
        prefix: Option<&str>,
        filter: ConversationFilter,
        from: Option<OwnedPosition>,
        limit: Limit,
    ) -> Result<Page<Conversation, OwnedPosition>> {
        let prefix = prefix.map(str::to_owned);
        let page = async move |tx: &mut ReadTx<'_>| {
            tx.conversations().page_of_all(owners, prefix.as_deref(), &filter, from, limit).await
        };
        let found = self.0.database.read_long("conversation_page_of_all", page).await?;
        let items = found.items.into_iter().map(|(conversation, _)| conversation).collect();
        Ok(Page { items, next: found.next })
    }

    /// How many there are.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub async fn count(
        self,
        owners: Owners,
        prefix: Option<&str>,
        filter: ConversationFilter,
    ) -> Result<i64> {
        let prefix = prefix.map(str::to_owned);
        let count = async move |tx: &mut ReadTx<'_>| {
            tx.conversations().count_of_all(owners, prefix.as_deref(), &filter).await
        };
        Ok(self.0.database.read_long("conversation_count_of_all", count).await?)
    }
}
