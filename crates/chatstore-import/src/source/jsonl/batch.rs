//! Items of lines that are stored together, each whole or not at all.

use chatstore_sql::Tx;

use crate::engine::{Batch, BatchState, Mode, StoreResult, Write};

/// Something that a line brings.
pub(super) trait Item: Sized + Send + Sync + 'static {
    /// The transaction's name in logs and metrics.
    const NAME: &'static str;

    /// Looks up what the store has of some, so that nothing is asked for each of them.
    async fn look_up<M: Mode>(items: &[Self], tx: &mut Tx<'_, M>, state: &mut BatchState) -> StoreResult<()>;

    /// Stores what is missing of it, unless what is stored differs.
    async fn put<M: Mode>(&self, tx: &mut Tx<'_, M>, state: &mut BatchState) -> StoreResult<ItemOutcome>;
}

/// What became of an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ItemOutcome {
    /// It is stored.
    Stored,
    /// How the stored one differs, which is left as it is, or why it cannot be stored.
    Differs(String),
}

/// Items that are stored in one transaction, up to the first that differs if `stops`.
pub(super) struct ItemBatch<T> {
    pub(super) stops: bool,
    pub(super) items: Vec<T>,
}

impl<T: Item> Batch for ItemBatch<T> {
    const NAME: &'static str = T::NAME;
    /// In the order of the items; fewer when it stopped.
    type Outcome = Vec<ItemOutcome>;

    async fn decide<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
    ) -> StoreResult<Self::Outcome> {
        T::look_up(&self.items, tx, state).await?;
        let mut outcomes = Vec::with_capacity(self.items.len());
        for item in &self.items {
            let outcome = item.put(tx, state).await?;
            let is_end = self.stops && outcome != ItemOutcome::Stored;
            outcomes.push(outcome);
            if is_end {
                break;
            }
        }
        M::apply(tx, state, Write::Waiting).await?;
        Ok(outcomes)
    }
}
