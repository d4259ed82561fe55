use chatstore_model::{
    Conversation, ConversationId, IntoValid, Json, Message, MessageId, NewConversation, NewIdempotencyRecord,
    NewMessage, NewReply, Reply, Timestamp, UserId,
};
use chatstore_sql::{By, StoreError, WriteTx};
use serde_json::json;
use uuid::Uuid;

use super::{VIEWER, Verdict, is_as_expected, messages, reach};
use crate::actor::AsUser;
use crate::error::{ErrorKind, Result};

/// How long a request is remembered: a day.
const REMEMBERED: i64 = 24 * 60 * 60 * 1_000_000;

/// The status of a request that made something.
const CREATED: i64 = 201;

/// The name under which a request has its effect once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnceKey {
    /// The caller's own text: 1 to 255 visible ASCII characters, unique for a day among the requests of
    /// one user.
    pub key: String,
    /// What is asked for, like `POST /conversations`; the same key with another one is refused.
    pub operation: String,
    /// SHA-256 of what is sent; the same key with another one is refused.
    pub request_sha256: [u8; 32],
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<T> {
    /// What was made, as it is now.
    pub value: T,
    /// Whether an earlier request made it.
    pub is_replayed: bool,
}

impl<T> Outcome<T> {
    fn first(value: T) -> Self {
        Self { value, is_replayed: false }
    }

    fn replayed(value: T) -> Self {
        Self { value, is_replayed: true }
    }
}

/// Writes of one user that take effect once: the key is stored in the transaction of the effect, so neither
/// a lost answer nor a crash doubles it. Of several at once one does it and the others wait for it.
///
/// A refusal is decided before the key is stored: what comes back as a verdict is committed. The revision is
/// looked at before the key is looked up: a twin that waited for the conversation then finds what the first made.
///
/// Every method can fail with `KeyReused`, and with `Conflict` when what the first request made is gone.
#[derive(Debug, Clone)]
pub struct Once<'s> {
    pub(crate) chat: AsUser<'s>,
    pub(crate) key: OnceKey,
}

impl Once<'_> {
    /// As [`Conversations::create`](super::Conversations::create).
    ///
    /// # Errors
    /// As that, and those of [`Once`].
    pub async fn create_conversation(
        self,
        new: impl IntoValid<NewConversation>,
    ) -> Result<Outcome<Conversation>> {
        let mut new = new.into_valid()?;
        let user = self.chat.user;
        let id = new.id_or(|| ConversationId::from_uuid(self.new_uuid()));
        let key = self.key.clone();
        self.write("conversation_create_once", async move |tx| {
            match earlier(tx, user, &key).await? {
                Earlier::None => {}
                Earlier::Other => return Ok(Verdict::KeyReused),
                Earlier::Made(made) => {
                    let [id] = ids(&made)?;
                    let found =
                        tx.conversations().get(By::Owner(user), ConversationId::from_uuid(id)).await?;
                    return Ok(
                        found.map_or(Verdict::Gone, |(made, _)| Verdict::Done(Outcome::replayed(made)))
                    );
                }
            }
            let record = key.record(tx.now(), &[id.uuid()])?;
            tx.idempotency_keys().record(user, user, &record).await?;
            Ok(Verdict::Done(Outcome::first(tx.conversations().create(user, &new).await?)))
        })
        .await
    }

    /// As [`Messages::append_many`](super::Messages::append_many).
    ///
    /// # Errors
    /// As that, and those of [`Once`].
    pub async fn append(
        self,
        conversation: ConversationId,
        new: impl IntoValid<Vec<NewMessage>>,
    ) -> Result<Outcome<Vec<Message>>> {
        let mut new = new.into_valid()?;
        let (user, expected) = (self.chat.user, self.chat.expected);
        let made = new.ids_or(|| MessageId::from_uuid(self.new_uuid()));
        let made: Vec<Uuid> = made.into_iter().map(MessageId::uuid).collect();
        let key = self.key.clone();
        self.write("append_once", async move |tx| {
            let access = reach(tx, user, conversation).await?;
            let is_unchanged = is_as_expected(tx, access.owner_id, conversation, expected).await?;
            match earlier(tx, user, &key).await? {
                Earlier::None => {}
                Earlier::Other => return Ok(Verdict::KeyReused),
                Earlier::Made(made) => return replay(tx, access.owner_id, conversation, &made).await,
            }
            if let Some(refusal) = messages::refuse_append(access.role, &new) {
                return Ok(Verdict::Forbidden(refusal));
            }
            if !is_unchanged {
                return Ok(Verdict::Changed);
            }
            let record = key.record(tx.now(), &made)?;
            tx.idempotency_keys().record(access.owner_id, user, &record).await?;
            let appended = messages::append_as(tx, access.owner_id, user, conversation, &new).await?;
            Ok(Verdict::Done(Outcome::first(appended)))
        })
        .await
    }

    /// As [`Messages::reply`](super::Messages::reply).
    ///
    /// # Errors
    /// As that, and those of [`Once`].
    pub async fn reply(
        self,
        conversation: ConversationId,
        new: impl IntoValid<NewReply>,
    ) -> Result<Outcome<Reply>> {
        let mut new = new.into_valid()?;
        let (user, expected) = (self.chat.user, self.chat.expected);
        let made = new.id_or(|| MessageId::from_uuid(self.new_uuid())).uuid();
        let key = self.key.clone();
        self.write("reply_once", async move |tx| {
            let access = reach(tx, user, conversation).await?;
            let is_unchanged = is_as_expected(tx, access.owner_id, conversation, expected).await?;
            match earlier(tx, user, &key).await? {
                Earlier::None => {}
                Earlier::Other => return Ok(Verdict::KeyReused),
                Earlier::Made(made) => {
                    let [id] = ids(&made)?;
                    let (owner, id) = (access.owner_id, MessageId::from_uuid(id));
                    let message = tx.messages().get(By::Owner(owner), conversation, id).await?;
                    let response = tx.responses().get(owner, id).await?;
                    let reply = message.zip(response).map(|(message, response)| Reply { message, response });
                    return Ok(reply.map_or(Verdict::Gone, |reply| Verdict::Done(Outcome::replayed(reply))));
                }
            }
            if !access.role.may_write() {
                return Ok(Verdict::Forbidden(VIEWER));
            }
            if !is_unchanged {
                return Ok(Verdict::Changed);
            }
            let record = key.record(tx.now(), &[made])?;
            tx.idempotency_keys().record(access.owner_id, user, &record).await?;
            let reply = tx.messages().record_reply(access.owner_id, conversation, &new).await?;
            Ok(Verdict::Done(Outcome::first(reply)))
        })
        .await
    }

    /// A write that may be run again even when it is unknown whether the first attempt was committed: the
    /// key tells.
    async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        F: AsyncFnMut(&mut WriteTx<'_>) -> std::result::Result<Verdict<T>, StoreError>
            + Clone
            + Send
            + 'static,
        T: Send + 'static,
    {
        let store = self.chat.store;
        match store.write(name, work.clone()).await {
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                tracing::warn!(error.cause = %error, "a request with a key is run again to find out what became of it");
                store.write(name, work).await?.into_result()
            }
            done => done?.into_result(),
        }
    }

    fn new_uuid(&self) -> Uuid {
        let database = &self.chat.store.database;
        database.ids().uuid(database.clock().now())
    }
}

impl OnceKey {
    fn record(&self, now: Timestamp, made: &[Uuid]) -> std::result::Result<NewIdempotencyRecord, StoreError> {
        Ok(NewIdempotencyRecord {
            key: self.key.clone(),
            operation: self.operation.clone(),
            request_sha256: self.request_sha256,
            status: CREATED,
            result: Json::new(json!({ "ids": made })).map_err(|error| damaged(&error.to_string()))?,
            expires_at: now.plus_microseconds(REMEMBERED),
        })
    }
}

/// What is known about a key.
enum Earlier {
    None,
    /// It belongs to another request.
    Other,
    /// The ids that the same request made.
    Made(Vec<Uuid>),
}

async fn earlier(
    tx: &mut WriteTx<'_>,
    user: UserId,
    key: &OnceKey,
) -> std::result::Result<Earlier, StoreError> {
    let Some(record) = tx.idempotency_keys().find(user, &key.key).await? else { return Ok(Earlier::None) };
    if record.operation != key.operation || record.request_sha256 != key.request_sha256 {
        return Ok(Earlier::Other);
    }
    let ids = record.result.value().get("ids").cloned().unwrap_or_default();
    serde_json::from_value(ids).map(Earlier::Made).map_err(|error| damaged(&error.to_string()))
}

fn ids<const COUNT: usize>(made: &[Uuid]) -> std::result::Result<[Uuid; COUNT], StoreError> {
    made.try_into().map_err(|_| damaged("it names another number of ids"))
}

fn damaged(reason: &str) -> StoreError {
    StoreError::Corrupt(format!("idempotency_keys.result: {reason}"))
}

/// The messages that an earlier request appended, as they are now.
async fn replay(
    tx: &mut WriteTx<'_>,
    owner: UserId,
    conversation: ConversationId,
    made: &[Uuid],
) -> std::result::Result<Verdict<Outcome<Vec<Message>>>, StoreError> {
    let mut messages = Vec::with_capacity(made.len());
    for id in made {
        match tx.messages().get(By::Owner(owner), conversation, MessageId::from_uuid(*id)).await? {
            Some(message) => messages.push(message),
            None => return Ok(Verdict::Gone),
        }
    }
    Ok(Verdict::Done(Outcome::replayed(messages)))
}
