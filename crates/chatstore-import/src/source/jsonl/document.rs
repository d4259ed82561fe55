//! Documents, compared with what is stored and written where they are missing.

use chatstore_model::{NewDocument, UserId};
use chatstore_sql::Tx;

use super::batch::{Item, ItemOutcome};
use crate::engine::{BatchState, Mode, StoreResult, Write};

impl Item for NewDocument {
    const NAME: &'static str = "import_documents";

    async fn put<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
        owner: UserId,
    ) -> StoreResult<ItemOutcome> {
        let stored = match self.id {
            Some(id) if state.has_document(owner, id) => {
                state.report.keep("documents");
                return Ok(ItemOutcome::Stored);
            }
            Some(id) => tx.documents().get(owner, id).await?,
            None => None,
        };
        let Some(stored) = stored else {
            M::apply(tx, state, Write::Document(owner, self)).await?;
            state.report.add("documents", 1);
            return Ok(ItemOutcome::Stored);
        };
        if stored.title != self.title || stored.content != self.content || stored.metadata != self.metadata {
            let reason =
                format!("document {} is stored with other content, and was left as it is", stored.id);
            return Ok(ItemOutcome::Differs(reason));
        }
        state.report.keep("documents");
        Ok(ItemOutcome::Stored)
    }
}
