//! Copying a conversation.

use std::sync::Arc;

use chatstore_model::{Conversation, ConversationCopy, ConversationId, IntoValid, MessageId, UserId, Valid};
use chatstore_sql::{
    CopyPlan, CopyProgress, Deletion, Marked, PieceRows, ReadTx, StoreError, Tx, Via, WriteTx,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::access;
use super::conversations::Conversations;
use super::deletions::NewMessageIds;
use super::idempotency_key::{CREATED, IdempotencyKey, Outcome, damaged, earlier_result, gone};
use super::idempotent::Idempotent;
use crate::error::{Error, ErrorKind, Result};
use crate::user_scope::AsUser;

/// Maximum messages of a copy that comes with their ids.
const MAX_IDS: i64 = 10_000;

const TOO_MANY_IDS: &str = "ids are for copies of at most 10000 messages; nothing was copied";
const INTERRUPTED: &str =
    "the copy was interrupted, by the erasure of a sender or by a long pause; it may be tried again";

/// A copy of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct CopiedConversation {
    /// The copy.
    pub conversation: Conversation,
    /// What it is a copy of.
    pub copied_from: CopiedFrom,
    /// The ids of the copied messages by number, each with that of its copy; empty when they were not asked for.
    pub ids: Vec<(MessageId, MessageId)>,
}

/// What a conversation is a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedFrom {
    /// The conversation.
    pub conversation: ConversationId,
    /// The number there of the last message that was copied, 0 for none.
    pub seq: i64,
}

impl Conversations<'_> {
    /// Copies messages of a conversation that the user may read, with their responses, into a new one of the user's, with
    /// title, default model and metadata. Inside of the database, in short transactions that let other writers pass; the
    /// copy exists for no reader before it is whole. Messages that are appended meanwhile are no part of it; what is edited
    /// or deleted meanwhile is as it is when its piece is copied. Senders stay: the owner of the conversation is the
    /// sender of their messages in another user's copy. Members are not copied, and no usage is booked. A maximum of
    /// 1 MiB of messages is copied in one transaction, or one message.
    ///
    /// With `with_ids` the answer has the ids of a maximum of 10,000 messages. A copy whose caller stops waiting is deleted
    /// after 10 minutes.
    ///
    /// # Errors
    /// `NotFound` when the user may not read the conversation, or not any more; `Invalid`, also with the field `up_to` when it
    /// names no message of it; `AlreadyExists` with field `thread_id`; `Conflict` for ids of more than 10,000 messages, and
    /// when the copy was interrupted. Nothing is left of a copy that failed.
    pub async fn copy(
        self,
        source: ConversationId,
        copy: impl IntoValid<ConversationCopy>,
        with_ids: bool,
    ) -> Result<CopiedConversation> {
        let request = Request::new(self.0, source, copy.into_valid()?, with_ids, None);
        Ok(copied(self.0, Arc::new(request)).await?.value)
    }
}

impl Idempotent<'_> {
    /// As [`Conversations::copy`]. A repetition gets the copy as it is then, with what the first answer said beside it.
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`].
    pub async fn copy(
        self,
        source: ConversationId,
        copy: impl IntoValid<ConversationCopy>,
        with_ids: bool,
    ) -> Result<Outcome<CopiedConversation>> {
        let request = Request::new(self.chat, source, copy.into_valid()?, with_ids, Some(self.key));
        copied(self.chat, Arc::new(request)).await
    }
}

/// What is to be copied by whom.
struct Request {
    user: UserId,
    source: ConversationId,
    copy: Valid<ConversationCopy>,
    with_ids: bool,
    once: Option<IdempotencyKey>,
}

/// What a request begins with.
enum Begun {
    /// What an earlier request with the key came to.
    Earlier(Box<CopiedConversation>),
    Planned(CopyPlan),
}

/// A copy without what its last step adds.
#[derive(Default)]
struct Copied {
    progress: CopyProgress,
    ids: Vec<(MessageId, MessageId)>,
}

impl Request {
    const fn new(
        chat: AsUser<'_>,
        source: ConversationId,
        copy: Valid<ConversationCopy>,
        with_ids: bool,
        once: Option<IdempotencyKey>,
    ) -> Self {
        Self { user: chat.user, source, copy, with_ids, once }
    }

    /// What the first request with the key came to.
    async fn earlier<M>(&self, tx: &mut Tx<'_, M>) -> Result<Option<CopiedConversation>> {
        let Some(key) = &self.once else { return Ok(None) };
        match earlier_result(tx, self.user, key).await? {
            None => Ok(None),
            Some(result) => replay(tx, self.user, &result).await.map(Some),
        }
    }

    async fn begin(&self, tx: &mut ReadTx<'_>) -> Result<Begun> {
        if let Some(earlier) = self.earlier(tx).await? {
            return Ok(Begun::Earlier(Box::new(earlier)));
        }
        let owner = access(tx, self.user, self.source).await?.owner_id;
        let ConversationCopy { up_to, thread_id, branches } = &*self.copy;
        tx.copies().refuse_taken_thread(self.user, thread_id.as_deref()).await?;
        let plan = tx.copies().plan(owner, self.source, up_to.as_ref(), *branches).await?;
        if self.with_ids && !tx.copies().has_at_most(&plan, MAX_IDS).await? {
            return Err(Error::conflict(TOO_MANY_IDS));
        }
        Ok(Begun::Planned(plan))
    }

    /// Fails unless the user still may read what is copied.
    async fn check_access<M>(&self, tx: &mut Tx<'_, M>, plan: &CopyPlan) -> Result<()> {
        let (owner, _) = plan.source();
        match access(tx, self.user, self.source).await?.owner_id == owner {
            true => Ok(()),
            false => Err(Error::not_found("conversation")),
        }
    }

    /// Makes the copy visible, unless a concurrent request with the key came first.
    async fn complete(
        &self,
        tx: &mut WriteTx<'_>,
        plan: &CopyPlan,
        id: ConversationId,
        copied: &Copied,
    ) -> Result<Outcome<CopiedConversation>> {
        if let Some(earlier) = self.earlier(tx).await? {
            return Ok(Outcome::replayed(earlier));
        }
        self.check_access(tx, plan).await?;
        let thread_id = self.copy.thread_id.as_deref();
        let Copied { progress, ids } = copied;
        let done = tx.copies().complete(plan, self.user, id, progress, thread_id).await?;
        let value = CopiedConversation {
            conversation: done.ok_or_else(|| Error::conflict(INTERRUPTED))?,
            copied_from: CopiedFrom { conversation: self.source, seq: progress.last_seq() },
            ids: ids.clone(),
        };
        if let Some(key) = &self.once {
            let record = key.done(tx.now(), CREATED, to_result(&value))?;
            tx.idempotency_keys().record(self.user, self.user, &record).await?;
        }
        Ok(Outcome::first(value))
    }
}

async fn copied(chat: AsUser<'_>, request: Arc<Request>) -> Result<Outcome<CopiedConversation>> {
    match made(chat, &request).await {
        // A concurrent request with the key may have taken the thread id.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && request.once.is_some() => {
            let earlier = async move |tx: &mut ReadTx<'_>| request.earlier(tx).await;
            let earlier = chat.store.read("conversation_copy_earlier", earlier).await?;
            earlier.map(Outcome::replayed).ok_or(error)
        }
        done => done,
    }
}

async fn made(chat: AsUser<'_>, request: &Arc<Request>) -> Result<Outcome<CopiedConversation>> {
    let (store, user) = (chat.store, chat.user);
    let begin = {
        let request = Arc::clone(request);
        async move |tx: &mut ReadTx<'_>| request.begin(tx).await
    };
    let plan = match store.read("conversation_copy_plan", begin).await? {
        Begun::Earlier(earlier) => return Ok(Outcome::replayed(*earlier)),
        Begun::Planned(plan) => plan,
    };
    let database = &store.database;
    let id = ConversationId::from_uuid(database.ids().uuid(database.clock().now()));
    chat.write("conversation_copy_begin", async move |tx| tx.copies().begin(user, id).await).await?;
    match fill(chat, request, &plan, id).await {
        Ok(done) if !done.is_replayed => Ok(done),
        done => {
            give_up(chat, id).await;
            done
        }
    }
}

/// Copies the messages, and makes the copy visible.
async fn fill(
    chat: AsUser<'_>,
    request: &Arc<Request>,
    plan: &CopyPlan,
    id: ConversationId,
) -> Result<Outcome<CopiedConversation>> {
    let (mut copied, mut rows) = (Copied::default(), PieceRows::awaited(chat.store.kind()));
    loop {
        let (request, plan, progress) = (Arc::clone(request), plan.clone(), copied.progress.clone());
        let (user, with_ids) = (request.user, request.with_ids);
        let next = async move |tx: &mut WriteTx<'_>| {
            request.check_access(tx, &plan).await?;
            Ok::<_, Error>(tx.copies().next_piece(&plan, user, id, &progress, rows.count()).await?)
        };
        let piece = chat.write("conversation_copy_piece", next).await?;
        let piece = piece.ok_or_else(|| Error::conflict(INTERRUPTED))?;
        copied.progress = piece.progress;
        if with_ids {
            copied.ids.extend(piece.ids);
        }
        if piece.is_last {
            break;
        }
        let pause = rows.pause_after(piece.took);
        rows = rows.after(piece.took);
        tokio::time::sleep(pause).await;
    }
    let complete = {
        let (request, plan, copied) = (Arc::clone(request), plan.clone(), Arc::new(copied));
        async move |tx: &mut WriteTx<'_>| request.complete(tx, &plan, id, &copied).await
    };
    match &request.once {
        None => chat.write("conversation_copy", complete).await,
        Some(key) => {
            let once = chat.idempotent(key.clone());
            once.write("conversation_copy_once", NewMessageIds::NONE, complete).await
        }
    }
}

/// Leaves a copy that is not whole to the sweep.
async fn give_up(chat: AsUser<'_>, id: ConversationId) {
    let owner = chat.user;
    let given_up: std::result::Result<bool, StoreError> = chat
        .store
        .database
        .write("conversation_copy_give_up", async move |tx| tx.copies().give_up(owner, id).await)
        .await;
    match given_up {
        Ok(true) => chat.store.go_on(Deletion::Marked(Marked::Conversation { owner, id })),
        Ok(false) => {}
        Err(error) => tracing::info!(error.cause = %error, "a copy that failed is deleted later"),
    }
}

fn to_result(copied: &CopiedConversation) -> Value {
    let CopiedConversation { conversation, copied_from, ids } = copied;
    let ids: Vec<[Uuid; 2]> = ids.iter().map(|(old, new)| [old.uuid(), new.uuid()]).collect();
    json!({
        "id": conversation.id.uuid(),
        "source": copied_from.conversation.uuid(),
        "seq": copied_from.seq,
        "ids": ids,
    })
}

/// What an earlier request with the key came to.
async fn replay<M>(tx: &mut Tx<'_, M>, user: UserId, result: &Value) -> Result<CopiedConversation> {
    let wrong = |error: serde_json::Error| damaged(&error.to_string());
    let id: Uuid = serde_json::from_value(result["id"].clone()).map_err(wrong)?;
    let source: Uuid = serde_json::from_value(result["source"].clone()).map_err(wrong)?;
    let seq = result["seq"].as_i64().ok_or_else(|| damaged("it names no last message"))?;
    let ids: Vec<[Uuid; 2]> = serde_json::from_value(result["ids"].clone()).map_err(wrong)?;
    let found = tx.conversations().get(Via::Owner(user), ConversationId::from_uuid(id)).await?;
    let (conversation, _) = found.ok_or_else(gone)?;
    Ok(CopiedConversation {
        conversation,
        copied_from: CopiedFrom { conversation: ConversationId::from_uuid(source), seq },
        ids: ids.into_iter().map(|ids| ids.map(MessageId::from_uuid).into()).collect(),
    })
}
