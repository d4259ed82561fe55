//! Documents that are missing.

use chatstore_sql::{Marked, Tx};

use super::conversations::find_described;
use super::{Batch, BatchState, DELETED, LEFT_DELETED, Mode, StoreResult, Write};
use crate::plan::PlannedDocument;
use crate::report::Issue;

pub(in crate::engine) struct DocumentBatch(pub(in crate::engine) Vec<PlannedDocument>);

impl Batch for DocumentBatch {
    const NAME: &'static str = "import_documents";
    type Outcome = ();

    async fn decide<M: Mode>(&self, tx: &mut Tx<'_, M>, state: &mut BatchState) -> StoreResult<()> {
        for planned in &self.0 {
            put(tx, state, planned).await?;
        }
        Ok(())
    }
}

/// Adds a document, unless there is one with its id, which stays as it is.
async fn put<M: Mode>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    planned: &PlannedDocument,
) -> StoreResult<()> {
    let issue = |problem: String, done: &str| Issue::of_row("documents", &planned.key, problem, done);
    let (owner, new_user, owner_issues) = find_described(tx, state, &planned.owner, issue).await?;
    if state.is_deleted(Marked::User(owner)) {
        let problem = format!("its user: {DELETED}");
        state.report.issues.push(issue(problem, LEFT_DELETED).leaving_out());
        return Ok(());
    }
    if let Some(id) = planned.new.id {
        let stored = tx.documents().get(owner, id).await?;
        if stored.is_some() || state.has_document(owner, id) {
            let is_another = stored.is_some_and(|stored| {
                stored.title != planned.new.title || stored.content != planned.new.content
            });
            if is_another {
                let problem = "it was changed in the source or in the store since it was imported";
                state.report.issues.push(issue(problem.to_owned(), "the stored one was not changed"));
            }
            state.report.keep("documents");
            return Ok(());
        }
    }
    if let Some(user) = &new_user {
        M::apply(tx, state, Write::User(user)).await?;
    }
    M::apply(tx, state, Write::Document(owner, &planned.new)).await?;
    state.report.add("documents", 1);
    state.report.issues.extend(planned.issues.iter().cloned().chain(owner_issues));
    Ok(())
}
