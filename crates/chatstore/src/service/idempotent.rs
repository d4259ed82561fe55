use std::sync::Arc;

use chatstore_model::{
    Conversation, ConversationId, Document, DocumentId, IntoValid, MessageId, NewConversation, NewDocument,
    NewReply, Reply,
};
use chatstore_sql::{Via, WriteTx};
use uuid::Uuid;

use super::deletions::NewMessageIds;
use super::idempotency_key::{IdempotencyKey, Outcome, earlier, gone, ids};
use super::references::References;
use super::{access, check_writer, documents, is_at_revision, messages};
use crate::error::{Error, ErrorKind, Result};
use crate::user_scope::AsUser;

/// Writes of one user that take effect once: the key is stored in the transaction of the effect, so neither
/// a lost answer nor a crash doubles it. Of several at once one does it and the others wait for it.
///
/// The revision is looked at before the key is looked up: a concurrent duplicate that waited for the
/// conversation then finds what the first request created.
///
/// Every method can fail with `KeyReused`, and with `Conflict` when what the first request created is gone.
#[derive(Debug, Clone)]
pub struct Idempotent<'s> {
    pub(crate) chat: AsUser<'s>,
    pub(crate) key: IdempotencyKey,
}

impl<'s> AsUser<'s> {
    /// Writes that take effect once, however often they are sent with this key.
    #[must_use]
    pub const fn idempotent(self, key: IdempotencyKey) -> Idempotent<'s> {
        Idempotent { chat: self, key }
    }
}

impl Idempotent<'_> {
    /// As [`Conversations::create`](super::Conversations::create).
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`].
    pub async fn create_conversation(
        self,
        new: impl IntoValid<NewConversation>,
    ) -> Result<Outcome<Conversation>> {
        let mut new = new.into_valid()?;
        let user = self.chat.user;
        let id = new.id_or(|| ConversationId::from_uuid(self.new_uuid()));
        let (key, new) = (self.key.clone(), Arc::new(new));
        let create = async move |tx: &mut WriteTx<'_>| {
            if let Some(created) = earlier(tx, user, &key).await? {
                let [id] = ids(&created)?;
                let found = tx.conversations().get(Via::Owner(user), ConversationId::from_uuid(id)).await?;
                let (created, _) = found.ok_or_else(gone)?;
                return Ok(Outcome::replayed(created));
            }
            let record = key.created(tx.now(), &[id.uuid()])?;
            tx.idempotency_keys().record(user, user, &record).await?;
            Ok(Outcome::first(tx.conversations().create(user, &*new).await?))
        };
        self.write("conversation_create_once", NewMessageIds::NONE, create).await
    }

    /// As [`Messages::reply`](super::Messages::reply).
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`].
    pub async fn reply(
        self,
        conversation: ConversationId,
        new: impl IntoValid<NewReply>,
    ) -> Result<Outcome<Reply>> {
        let mut new = new.into_valid()?;
        let (user, expected, is_vouched_for) = (self.chat.user, self.chat.expected, self.chat.is_vouched_for);
        let created = new.id_or(|| MessageId::from_uuid(self.new_uuid()));
        let taken = NewMessageIds::new(user, Some(conversation), vec![created]);
        let (key, created, new) = (self.key.clone(), created.uuid(), Arc::new(new));
        let store = self.chat.store;
        let reply = async move |tx: &mut WriteTx<'_>| {
            let access = access(tx, user, conversation).await?;
            let is_unchanged = is_at_revision(tx, access.owner_id, conversation, expected).await?;
            if let Some(created) = earlier(tx, user, &key).await? {
                let [id] = ids(&created)?;
                let (owner, id) = (access.owner_id, MessageId::from_uuid(id));
                let message = tx.messages().get(Via::Owner(owner), conversation, id).await?;
                let response = tx.responses().get(owner, id).await?;
                let (message, response) = message.zip(response).ok_or_else(gone)?;
                return Ok(Outcome::replayed(Reply { message, response }));
            }
            check_writer(access.role)?;
            if !is_unchanged {
                return Err(Error::precondition_failed());
            }
            References::of(Some(&new.message.used_documents)).check(tx, access.owner_id).await?;
            let record = key.created(tx.now(), &[created])?;
            tx.idempotency_keys().record(access.owner_id, user, &record).await?;
            let books = is_vouched_for || access.owner_id == user;
            let reply = messages::record(
                tx,
                access.owner_id,
                conversation,
                &new,
                Some(messages::head_rule(access.role)),
                books,
            )
            .await?;
            Ok(Outcome::first(reply))
        };
        let done = self.write("reply_once", taken, reply).await?;
        if !done.is_replayed {
            store.measures.note_reply(&done.value.response);
        }
        Ok(done)
    }

    /// As [`Documents::create_many`](super::Documents::create_many).
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`].
    pub async fn create_documents(
        self,
        new: impl IntoValid<Vec<NewDocument>>,
    ) -> Result<Outcome<Vec<Document>>> {
        let mut new = new.into_valid()?;
        documents::check_batch(self.chat.store, &new)?;
        let user = self.chat.user;
        let created = new.ids_or(|| DocumentId::from_uuid(self.new_uuid()));
        let created: Vec<Uuid> = created.into_iter().map(DocumentId::uuid).collect();
        let (key, new) = (self.key.clone(), Arc::new(new));
        self.write("document_create_once", NewMessageIds::NONE, async move |tx| {
            if let Some(created) = earlier(tx, user, &key).await? {
                let mut found = Vec::with_capacity(created.len());
                for id in created {
                    let document = tx.documents().get(user, DocumentId::from_uuid(id)).await?;
                    found.push(document.ok_or_else(gone)?);
                }
                return Ok(Outcome::replayed(found));
            }
            let record = key.created(tx.now(), &created)?;
            tx.idempotency_keys().record(user, user, &record).await?;
            Ok(Outcome::first(tx.documents().create_many(user, &*new).await?))
        })
        .await
    }

    /// A write that may be run again even when it is unknown whether the first attempt was committed: the
    /// key tells.
    pub(super) async fn write<T, F>(&self, name: &'static str, ids: NewMessageIds, work: F) -> Result<T>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T> + Clone + Send + 'static,
        T: Send + 'static,
    {
        self.chat.store.past_deletions(ids, || self.write_once(name, work.clone())).await
    }

    async fn write_once<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> Result<T> + Clone + Send + 'static,
        T: Send + 'static,
    {
        match self.chat.write(name, work.clone()).await {
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                tracing::warn!(error.cause = %error, "a request with a key is run again to find out what became of it");
                self.chat.write(name, work).await
            }
            done => done,
        }
    }

    pub(super) fn new_uuid(&self) -> Uuid {
        let database = &self.chat.store.database;
        database.ids().uuid(database.clock().now())
    }
}
