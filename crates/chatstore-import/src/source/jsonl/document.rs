//! Documents, compared with what is stored and written where they are missing.

use chatstore_model::NewDocument;
use chatstore_sql::Tx;

use super::batch::{Item, ItemOutcome};
use super::owner::{Owner, look_up_owners};
use crate::engine::{BatchState, Mode, StoreResult, Write};

/// The document of a line.
#[derive(Debug)]
pub(super) struct LineDocument {
    pub(super) owner: Owner,
    pub(super) new: NewDocument,
}

impl Item for LineDocument {
    const NAME: &'static str = "import_documents";

    async fn look_up<M: Mode>(items: &[Self], tx: &mut Tx<'_, M>, state: &mut BatchState) -> StoreResult<()> {
        let owners: Vec<&Owner> = items.iter().map(|item| &item.owner).collect();
        look_up_owners(tx, state, &owners).await.map(drop)
    }

    async fn put<M: Mode>(&self, tx: &mut Tx<'_, M>, state: &mut BatchState) -> StoreResult<ItemOutcome> {
        let Self { owner, new } = self;
        let Some(owner) = owner.put(tx, state).await? else {
            return Ok(ItemOutcome::Differs(format!("there is no user {}", owner.id())));
        };
        let stored = match new.id {
            Some(id) if state.has_document(owner, id) => {
                state.report.keep("documents");
                return Ok(ItemOutcome::Stored);
            }
            Some(id) => tx.documents().get(owner, id).await?,
            None => None,
        };
        let Some(stored) = stored else {
            M::apply(tx, state, Write::Document(owner, new)).await?;
            state.report.add("documents", 1);
            return Ok(ItemOutcome::Stored);
        };
        if stored.title != new.title || stored.content != new.content || stored.metadata != new.metadata {
            let reason =
                format!("document {} is stored with other content, and was left as it is", stored.id);
            return Ok(ItemOutcome::Differs(reason));
        }
        state.report.keep("documents");
        Ok(ItemOutcome::Stored)
    }
}
