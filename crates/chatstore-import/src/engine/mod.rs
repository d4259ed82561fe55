//! Takes what a source says, and stores what is missing, batch by batch.

mod assembler;
mod batch;
mod dry_run;

use std::sync::Arc;

use chatstore::{Error, ErrorKind, Result, Store};
use chatstore_model::Timestamp;
use chatstore_sql::{ReadTx, WriteTx};

use crate::plan::{PlannedConversation, PlannedMessage, PlannedUser};
use crate::report::{ImportEvent, ImportReport, Issue, ReportBuilder};
use crate::source::Source;
use assembler::Assembler;
use batch::{ChunkBatch, ChunkEnd, UserBatch};

pub(crate) use batch::{Batch, Mode, Write};
pub(crate) use dry_run::{BatchState, DryRunState};

/// Users decided together, each with several statements.
const BATCH_USERS: usize = 200;

/// How often a batch is tried when another import of the same rows gets in between.
const ATTEMPTS: usize = 5;

/// How to import.
#[derive(Debug, Clone, Copy)]
pub struct ImportOptions {
    /// The time of a first row that has none; later ones follow the row before.
    pub base_time: Timestamp,
    /// Read every row and compare it with what is stored, but write nothing.
    pub dry_run: bool,
}

/// Imports everything that a source holds; `watch` is told what happens.
///
/// # Errors
/// What the source says about itself or about the store. What was written before is whole; running the
/// import again adds the rest.
pub async fn import<S: Source>(
    source: S,
    store: &Store,
    options: ImportOptions,
    mut watch: impl FnMut(ImportEvent),
) -> std::result::Result<ImportReport, S::Error> {
    let import = Import {
        store,
        options,
        report: ReportBuilder::new(source.tables(), &mut watch),
        dry_run: Arc::default(),
        users: Vec::new(),
        assembler: Assembler::default(),
    };
    source.read(import).await
}

/// An import that is under way. A source hands its rows over in order: users, then conversations, each followed by
/// its messages.
pub struct Import<'i> {
    store: &'i Store,
    options: ImportOptions,
    report: ReportBuilder<'i>,
    dry_run: Arc<DryRunState>,
    users: Vec<PlannedUser>,
    assembler: Assembler,
}

impl std::fmt::Debug for Import<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Import").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Import<'_> {
    /// The time of a first row that has none.
    #[must_use]
    pub const fn base_time(&self) -> Timestamp {
        self.options.base_time
    }

    /// The model that answers when nothing else says which.
    #[must_use]
    pub fn default_model(&self) -> &str {
        self.store.default_model()
    }

    /// Says how many rows are going to come, so that progress can be shown.
    pub const fn expect_rows(&mut self, total: u64) {
        self.report.expect_rows(total);
    }

    /// Says how many of the expected rows are done.
    pub fn progress(&mut self) {
        self.report.progress();
    }

    /// Says how far the import is, by another measure than rows.
    pub fn progress_at(&mut self, done: u64, total: u64) {
        self.report.progress_at(done, total);
    }

    /// Reports something that did not fit. A row that is left out is counted.
    pub fn issue(&mut self, issue: Issue) {
        self.report.issue(issue);
    }

    /// Rows of a table that were added so far.
    #[must_use]
    pub fn added(&self, table: &str) -> u64 {
        self.report.added(table)
    }

    /// Takes a user.
    ///
    /// # Errors
    /// That the store failed.
    pub async fn user(&mut self, user: PlannedUser) -> Result<()> {
        self.users.push(user);
        if self.users.len() == BATCH_USERS {
            self.flush_users().await?;
        }
        Ok(())
    }

    /// Takes a conversation; the messages that come next belong to it.
    ///
    /// # Errors
    /// That the store failed.
    pub async fn conversation(&mut self, conversation: PlannedConversation) -> Result<()> {
        self.flush_users().await?;
        self.assembler.close();
        if self.assembler.is_full() {
            self.flush_conversations().await?;
        }
        self.assembler.open(conversation);
        Ok(())
    }

    /// Takes the next message of the last conversation.
    ///
    /// # Errors
    /// That the store failed.
    pub async fn message(&mut self, message: PlannedMessage) -> Result<()> {
        if self.assembler.cut() {
            let end = self.flush_conversations().await?;
            self.assembler.resume(end);
        }
        self.assembler.add(message);
        Ok(())
    }

    /// Stores everything that was taken so far, and ends the last conversation.
    ///
    /// # Errors
    /// That the store failed.
    pub async fn flush(&mut self) -> Result<()> {
        self.flush_users().await?;
        self.assembler.close();
        self.flush_conversations().await?;
        Ok(())
    }

    /// Stores what is left, and ends the import.
    ///
    /// # Errors
    /// That the store failed.
    pub async fn finish(mut self) -> Result<ImportReport> {
        self.flush().await?;
        self.report.progress();
        Ok(self.report.finish())
    }

    async fn flush_users(&mut self) -> Result<()> {
        if self.users.is_empty() {
            return Ok(());
        }
        let users = std::mem::take(&mut self.users);
        for outcome in self.commit(UserBatch(users)).await? {
            self.report.issues(outcome.issues);
            self.count("users", u64::from(outcome.is_new), u64::from(!outcome.is_new));
        }
        self.report.progress();
        Ok(())
    }

    /// Stores the chunks that wait; how the last of them ended.
    async fn flush_conversations(&mut self) -> Result<Option<ChunkEnd>> {
        let chunks = self.assembler.take();
        if chunks.is_empty() {
            return Ok(None);
        }
        let mut end = None;
        for outcome in self.commit(ChunkBatch(chunks)).await? {
            for (table, rows) in outcome.counts() {
                self.count(table, rows.added, rows.unchanged);
            }
            self.report.issues(outcome.issues);
            end = Some(outcome.end);
        }
        self.report.progress();
        Ok(end)
    }

    pub(crate) fn count(&mut self, table: &'static str, added: u64, unchanged: u64) {
        self.report.count(table, added, unchanged);
    }

    /// Decides about a batch in one transaction, and writes what is missing unless this is a dry run.
    pub(crate) async fn commit<B: Batch>(&mut self, batch: B) -> Result<B::Outcome> {
        let batch = Arc::new(batch);
        let mut attempt = 1;
        let (outcome, added) = loop {
            let (batch, earlier) = (Arc::clone(&batch), Arc::clone(&self.dry_run));
            // A repeated UUID is looked for when the database has found that there is one.
            let may_repeat_uuids = self.options.dry_run || attempt > 1;
            let state = move || BatchState::new(Arc::clone(&earlier), may_repeat_uuids);
            let done = if self.options.dry_run {
                let work = async move |tx: &mut ReadTx<'_>| batch.run(tx, state()).await;
                self.store.read(B::NAME, work).await
            } else {
                let work = async move |tx: &mut WriteTx<'_>| batch.run(tx, state()).await;
                self.store.write(B::NAME, work).await
            };
            match done {
                Err(error) if is_in_between(&error) && attempt < ATTEMPTS => attempt += 1,
                done => break done?,
            }
        };
        if self.options.dry_run {
            Arc::make_mut(&mut self.dry_run).absorb(added);
        }
        Ok(outcome)
    }
}

/// Whether another import of the same rows may have been faster.
fn is_in_between(error: &Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists
}
