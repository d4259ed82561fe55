//! The name under which a request has its effect once, and what is remembered under it.

use chatstore_model::{CanonicalJson, ConversationId, NewIdempotencyRecord, Timestamp, UserId};
use chatstore_sql::{StoreError, Tx, WriteTx};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{Error, Result};

/// How long a request is remembered: a day.
const REMEMBERED: i64 = 24 * 60 * 60 * 1_000_000;

/// The status of a request that created something.
pub(super) const CREATED: i64 = 201;

/// The status of a request that changed something, or deleted it.
pub(super) const DONE: i64 = 200;

/// The name under which a request has its effect once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's own text: 1 to 255 visible ASCII characters, unique among the requests of one user for as long as it
    /// is remembered.
    pub key: String,
    /// What is asked for, like `POST /conversations`; the same key with another one is refused.
    pub operation: String,
    /// SHA-256 of what is sent; the same key with another one is refused.
    pub request_sha256: [u8; 32],
    /// How long it is remembered.
    pub retention: KeyRetention,
}

/// How long a request with a key is remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyRetention {
    /// For a day.
    #[default]
    Day,
    /// As long as the history of its conversation: until all messages are removed at once, or the conversation is deleted.
    /// For appends and replacements of messages; other requests are remembered for a day.
    Conversation,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<T> {
    /// What was created, as it is now.
    pub value: T,
    /// Whether an earlier request created it.
    pub is_replayed: bool,
}

impl<T> Outcome<T> {
    pub(super) fn first(value: T) -> Self {
        Self { value, is_replayed: false }
    }

    pub(super) fn replayed(value: T) -> Self {
        Self { value, is_replayed: true }
    }
}

impl IdempotencyKey {
    /// The record of a request that created what has these ids.
    pub(super) fn created(&self, now: Timestamp, ids: &[Uuid]) -> Result<NewIdempotencyRecord> {
        self.done(now, CREATED, json!({ "ids": ids }))
    }

    /// The record of a request that came to this.
    pub(super) fn done(&self, now: Timestamp, status: i64, result: Value) -> Result<NewIdempotencyRecord> {
        Ok(NewIdempotencyRecord {
            key: self.key.clone(),
            operation: self.operation.clone(),
            request_sha256: self.request_sha256,
            status,
            result: CanonicalJson::new(result).map_err(|error| damaged(&error.to_string()))?,
            expires_at: now.plus_microseconds(REMEMBERED),
            conversation_id: None,
        })
    }
}

impl IdempotencyKey {
    /// The record of a request, for as long as it is to be remembered of this conversation.
    pub(super) fn kept(
        &self,
        record: NewIdempotencyRecord,
        conversation: ConversationId,
    ) -> NewIdempotencyRecord {
        match self.retention {
            KeyRetention::Day => record,
            KeyRetention::Conversation => NewIdempotencyRecord {
                expires_at: Timestamp::MAX,
                conversation_id: Some(conversation),
                ..record
            },
        }
    }
}

/// What the first request with this key came to; none when this is the first.
pub(super) async fn earlier_result<M>(
    tx: &mut Tx<'_, M>,
    user: UserId,
    key: &IdempotencyKey,
) -> Result<Option<Value>> {
    let Some(record) = tx.idempotency_keys().find(user, &key.key).await? else { return Ok(None) };
    if record.operation != key.operation || record.request_sha256 != key.request_sha256 {
        return Err(Error::key_reused());
    }
    Ok(Some(record.result.to_value()))
}

/// The ids that the first request with this key created; none when this is the first.
pub(super) async fn earlier(
    tx: &mut WriteTx<'_>,
    user: UserId,
    key: &IdempotencyKey,
) -> Result<Option<Vec<Uuid>>> {
    let Some(result) = earlier_result(tx, user, key).await? else { return Ok(None) };
    let ids = result.get("ids").cloned().unwrap_or_default();
    serde_json::from_value(ids).map(Some).map_err(|error| damaged(&error.to_string()))
}

pub(super) fn ids<const COUNT: usize>(created: &[Uuid]) -> Result<[Uuid; COUNT]> {
    created.try_into().map_err(|_| damaged("it names another number of ids"))
}

pub(super) fn damaged(reason: &str) -> Error {
    StoreError::Corrupt(format!("idempotency_keys.result: {reason}")).into()
}

pub(super) fn gone() -> Error {
    Error::conflict("what the first request with this idempotency key made does not exist any more")
}
