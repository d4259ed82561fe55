//! Takes what a source says, and stores what is missing, batch by batch.

mod assembler;
mod batch;
mod dry_run;
mod found;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chatstore::operations::MarkedCounts;
use chatstore::{DatabaseKind, Result, Store, StoreError};
use chatstore_model::{Timestamp, UserId, UserName};
use chatstore_sql::{ImportedRows, Marked, ReadTx, WriteTx};
use tokio::time::Instant;

use crate::plan::{
    PlannedConversation, PlannedDocument, PlannedMessage, PlannedOwner, PlannedUser, UserIdentity,
};
use crate::report::{GeneratedPassword, ImportReport, Issue, ReportBuilder, RowsReport};
use assembler::Assembler;
use batch::{ChunkBatch, ChunkEnd, DocumentBatch, UserBatch};
use dry_run::DryRunState;
use found::Found;

pub(crate) use batch::{
    Batch, DELETED, LEFT_DELETED, Mode, StoreResult, Write, find_conversation, find_described, find_thread,
    look_up_described,
};
pub(crate) use dry_run::BatchState;
pub(crate) use found::Wanted;

/// Users decided together, each with several statements.
const BATCH_USERS: usize = 200;

/// Documents written together, and bytes of their content.
const BATCH_DOCUMENTS: usize = 400;
const BATCH_DOCUMENT_BYTES: usize = 2 * 1024 * 1024;

/// How long a batch is tried again when other writers get in between or the database is away, and the pause before.
const RETRY_TIME: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// How to import.
#[derive(Debug, Clone, Copy)]
pub struct ImportOptions {
    /// The time of a first row that has none; later ones follow the row before.
    pub base_time: Timestamp,
    /// Read every row and compare it with what is stored, but write nothing.
    pub dry_run: bool,
    /// Import again what was deleted in the store after an earlier import: messages of conversations that are left,
    /// conversations and users that are still being deleted, and members. Otherwise it is left out and reported.
    pub restore_deleted: bool,
}

/// An import that is under way. A source hands its rows over in order: users, then conversations, each
/// followed by its messages.
pub struct Import<'i> {
    store: &'i Store,
    options: ImportOptions,
    /// What the import says about itself.
    pub report: ReportBuilder<'i>,
    dry_run: Arc<DryRunState>,
    users: Vec<PlannedUser>,
    /// Users whom the store has under other ids than the source's.
    stored_as: HashMap<UserId, UserId>,
    documents: Vec<PlannedDocument>,
    document_bytes: usize,
    assembler: Assembler,
    batches: u64,
    /// What is being deleted and was met.
    deleted: Arc<HashSet<Marked>>,
    keep_password: &'i mut KeepPassword<'i>,
}

/// Keeps a generated password before its user is stored.
type KeepPassword<'k> = dyn FnMut(&GeneratedPassword<'_>) -> std::io::Result<()> + 'k;

impl std::fmt::Debug for Import<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Import").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<'i> Import<'i> {
    pub(crate) fn new(
        store: &'i Store,
        options: ImportOptions,
        report: ReportBuilder<'i>,
        keep_password: &'i mut KeepPassword<'i>,
    ) -> Self {
        let (dry_run, users, stored_as, documents) = (Arc::default(), Vec::new(), HashMap::new(), Vec::new());
        let (document_bytes, assembler, deleted) = (0, Assembler::default(), Arc::default());
        Self {
            store,
            options,
            report,
            dry_run,
            users,
            stored_as,
            documents,
            document_bytes,
            assembler,
            batches: 0,
            deleted,
            keep_password,
        }
    }

    /// The time of a first row that has none.
    #[must_use]
    pub const fn base_time(&self) -> Timestamp {
        self.options.base_time
    }

    /// Which database the rows go to.
    pub(crate) fn database_kind(&self) -> DatabaseKind {
        self.store.kind()
    }

    /// Maximum bytes of a document's content.
    pub(crate) fn document_limit(&self) -> usize {
        self.store.document_limit()
    }

    /// The model that answers when nothing else says which.
    #[must_use]
    pub fn default_model(&self) -> &str {
        self.store.default_model()
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
        let owner = self.owner_of(conversation.owner);
        let members = conversation.members.into_iter().map(|id| self.stored(id)).collect();
        self.assembler.open(PlannedConversation { owner, members, ..conversation });
        Ok(())
    }

    /// Takes a document.
    ///
    /// # Errors
    /// That the store failed.
    pub async fn document(&mut self, document: PlannedDocument) -> Result<()> {
        self.flush_users().await?;
        self.document_bytes += document.new.content.as_str().len();
        let owner = self.owner_of(document.owner);
        self.documents.push(PlannedDocument { owner, ..document });
        if self.documents.len() >= BATCH_DOCUMENTS || self.document_bytes >= BATCH_DOCUMENT_BYTES {
            self.flush_documents().await?;
        }
        Ok(())
    }

    /// The id that the store has for a user.
    fn stored(&self, id: UserId) -> UserId {
        *self.stored_as.get(&id).unwrap_or(&id)
    }

    /// An owner as the store knows them.
    fn owner_of(&self, owner: PlannedOwner) -> PlannedOwner {
        match owner {
            PlannedOwner::Known(id) => PlannedOwner::Known(self.stored(id)),
            described @ PlannedOwner::Described(_) => described,
        }
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
        let sender = message.sender.map(|id| self.stored(id));
        self.assembler.add(PlannedMessage { sender, ..message });
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
        self.flush_documents().await
    }

    /// Stores what is left, and ends the import.
    ///
    /// # Errors
    /// That the store failed.
    pub async fn finish(mut self) -> Result<ImportReport> {
        self.flush().await?;
        Ok(self.report.finish())
    }

    async fn flush_users(&mut self) -> Result<()> {
        if !self.users.is_empty() {
            let mut users = std::mem::take(&mut self.users);
            for user in &mut users {
                self.give_password(user).await?;
            }
            let others = self.commit(UserBatch(users)).await?;
            self.stored_as.extend(others);
        }
        Ok(())
    }

    async fn flush_documents(&mut self) -> Result<()> {
        self.document_bytes = 0;
        let documents = std::mem::take(&mut self.documents);
        if documents.is_empty() { Ok(()) } else { self.commit(DocumentBatch(documents)).await }
    }

    /// Gives a random password to a user who wants one and is not stored yet.
    async fn give_password(&mut self, user: &mut PlannedUser) -> Result<()> {
        if !user.wants_password || user.new.password_hash.is_some() {
            return Ok(());
        }
        let (id, name) = (user.id, user.new.username.clone());
        let is_name_the_key = user.identified_by == UserIdentity::Username;
        let is_stored = async move |tx: &mut ReadTx<'_>| {
            let is_there = tx.users().get(id).await?.is_some();
            let is_named = match &name {
                Some(name) if is_name_the_key => {
                    tx.users().find_by_username(name.as_typed()).await?.is_some()
                }
                _ => false,
            };
            Ok::<_, StoreError>(is_there || is_named)
        };
        if Box::pin(self.store.read("import_find_user", is_stored)).await? {
            return Ok(());
        }
        let done = if self.options.dry_run {
            "a random password, to be changed at the first login, is generated".to_owned()
        } else {
            let (password, hash) = self.store.operations().random_password().await?;
            let username = user.new.username.as_ref().map(UserName::as_typed);
            let kept =
                (self.keep_password)(&GeneratedPassword { key: &user.key, username, password: &password });
            kept.map_err(|_| StoreError::InvalidState("a generated password could not be kept"))?;
            user.new.password_hash = Some(hash);
            user.new.must_change_password = true;
            format!("generated the password {password}, to be changed at the first login")
        };
        user.issues.push(Issue {
            is_password: true,
            ..Issue::of_row("users", &user.key, "it has no password", done)
        });
        Ok(())
    }

    /// Stores the chunks that wait; how the last of them ended.
    async fn flush_conversations(&mut self) -> Result<Option<ChunkEnd>> {
        let chunks = self.assembler.take();
        if chunks.is_empty() { Ok(None) } else { self.commit(ChunkBatch(chunks)).await }
    }

    /// Finishes deletions that may still have the id of a message; whether there were any.
    async fn has_deleted(&self) -> Result<bool> {
        let operations = self.store.operations();
        if operations.being_deleted().await? == MarkedCounts::default() {
            return Ok(false);
        }
        operations.finish_deletions().await?;
        Ok(true)
    }

    /// Decides about a batch in one transaction, writes what is missing unless this is a dry run, and reports
    /// what became of the rows.
    pub(crate) async fn commit<B: Batch>(&mut self, batch: B) -> Result<B::Outcome> {
        let batch = Arc::new(batch);
        let begun = Instant::now();
        let mut attempt = 1;
        let (outcome, state) = loop {
            let batch = Arc::clone(&batch);
            // A repeated UUID is looked for when the database has found that there is one.
            let is_repeated = attempt > 1;
            let may_repeat_uuids = self.options.dry_run || is_repeated;
            let (earlier, now) = (Arc::clone(&self.dry_run), DryRunState::default());
            let state = BatchState {
                earlier,
                now,
                may_repeat_uuids,
                is_repeated,
                restores: self.options.restore_deleted,
                deleted: Arc::clone(&self.deleted),
                found: Found::default(),
                rows: ImportedRows::default(),
                report: RowsReport::default(),
            };
            let done = if self.options.dry_run {
                let work = async move |tx: &mut ReadTx<'_>| batch.run(tx, state.clone()).await;
                Box::pin(self.store.read(B::NAME, work)).await
            } else {
                let work = async move |tx: &mut WriteTx<'_>| batch.run(tx, state.clone()).await;
                Box::pin(self.store.write(B::NAME, work)).await
            };
            match done {
                Err(StoreError::BeingDeleted(marked)) if !self.options.restore_deleted => {
                    Arc::make_mut(&mut self.deleted).insert(marked);
                }
                // What is being deleted is in the way: its rows go first. In boxes, or the types of an import are nested
                // too deeply for the compiler.
                Err(StoreError::BeingDeleted(marked)) => {
                    Box::pin(self.store.operations().finish_deletion(marked, |_| {})).await?;
                }
                Err(StoreError::AlreadyExists { entity: "message", .. })
                    if Box::pin(self.has_deleted()).await? => {}
                Err(error) if may_succeed_later(&error) && begun.elapsed() < RETRY_TIME => {
                    tokio::time::sleep(RETRY_PAUSE * attempt.min(10)).await;
                    attempt += 1;
                }
                done => break done?,
            }
        };
        // Its other holder, for whom it would be copied.
        drop(state.earlier);
        Arc::make_mut(&mut self.dry_run).absorb(state.now);
        self.report.rows(state.report);
        self.report.progress();
        self.batches += 1;
        // After the 1st, 2nd, 4th, 8th … batch: what is looked up grows with what is stored.
        if !self.options.dry_run && self.batches.is_power_of_two() {
            Box::pin(self.store.operations().analyze()).await;
        }
        Ok(outcome)
    }
}

/// Whether a batch may be decided differently when it runs again: another import of the same rows was faster, other
/// writers were in the way, or the database was away. A batch that was stored after all is found to be there.
const fn may_succeed_later(error: &StoreError) -> bool {
    error.is_retryable()
        || matches!(
            error,
            StoreError::AlreadyExists { .. }
                | StoreError::MissingReference { .. }
                | StoreError::NotFound { .. }
                | StoreError::OutcomeUnknown(_)
        )
}
