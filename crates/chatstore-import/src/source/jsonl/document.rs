//! Documents, compared with what is stored and written where they are missing.

use chatstore_model::{NewDocument, UserId};
use chatstore_sql::Tx;

use super::piece::PieceOutcome;
use crate::engine::{Batch, BatchState, Mode, StoreResult, Write};

/// Documents that are stored in one transaction, up to the first that differs if `stops`.
pub(super) struct DocumentBatch {
    pub(super) owner: UserId,
    pub(super) stops: bool,
    pub(super) documents: Vec<NewDocument>,
}

impl Batch for DocumentBatch {
    const NAME: &'static str = "import_documents";
    /// In the order of the documents; fewer when it stopped.
    type Outcome = Vec<PieceOutcome>;

    async fn decide<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
    ) -> StoreResult<Self::Outcome> {
        let mut outcomes = Vec::with_capacity(self.documents.len());
        for new in &self.documents {
            let outcome = put(tx, state, self.owner, new).await?;
            let is_end = self.stops && outcome != PieceOutcome::Stored;
            outcomes.push(outcome);
            if is_end {
                break;
            }
        }
        Ok(outcomes)
    }
}

async fn put<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owner: UserId,
    new: &NewDocument,
) -> StoreResult<PieceOutcome> {
    let stored = match new.id {
        Some(id) if state.has_document(owner, id) => {
            state.report.keep("documents");
            return Ok(PieceOutcome::Stored);
        }
        Some(id) => tx.documents().get(owner, id).await?,
        None => None,
    };
    let Some(stored) = stored else {
        M::apply(tx, state, Write::Document(owner, new)).await?;
        state.report.add("documents", 1);
        return Ok(PieceOutcome::Stored);
    };
    if stored.title != new.title || stored.content != new.content || stored.metadata != new.metadata {
        let reason = format!("document {} is stored with other content, and was left as it is", stored.id);
        return Ok(PieceOutcome::Differs(reason));
    }
    state.report.keep("documents");
    Ok(PieceOutcome::Stored)
}
