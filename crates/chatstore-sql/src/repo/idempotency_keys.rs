//! What requests with an idempotency key did.
//!
//! To do something once: in one transaction look the key up, replay when it is there, else record it with
//! the ids that will be created, and create them. Of two at once the second waits for the first when it
//! records, and fails with [`StoreError::Conflict`], so that it is run again and finds the first one's record.

use chatstore_model::{
    CanonicalJson, ConversationId, FieldCode, IdempotencyRecord, NewIdempotencyRecord, Timestamp, UserId,
    Validator,
};
use constcat::concat;

use crate::db::{Sql, reader};
use crate::error::StoreError;
use crate::repo::live::{live_conversation_if_any, live_user};
use crate::repo::refuse_nul;
use crate::schema::{Columns, IDEMPOTENCY_KEYS};
use crate::tx::ReadWrite;

const ALL: Columns = IDEMPOTENCY_KEYS.all_columns();
const COLUMNS: &str = ALL.names().as_str();

/// That the conversation of a key, if it has one, is not being deleted.
const LIVE: &str = live_conversation_if_any!("idempotency_keys.owner_id", "idempotency_keys.conversation_id");

const FIND: Sql = Sql::same(
    "idempotency_keys.find",
    concat!(
        "select ",
        COLUMNS,
        " from idempotency_keys where caller_id = $1 and key = $2 and expires_at > $3 and ",
        live_user!("owner_id"),
        " and ",
        live_user!("$1"),
        " and ",
        LIVE,
        " order by created_at limit 1"
    ),
);

const LIST: Sql = Sql::same(
    "idempotency_keys.list",
    concat!(
        "select ",
        COLUMNS,
        " from idempotency_keys where caller_id = $1 and ",
        live_user!("owner_id"),
        " and ",
        live_user!("$1"),
        " and ",
        LIVE,
        " order by key, owner_id"
    ),
);

/// Also what is left of a conversation that is being deleted.
const FORGET_EXPIRED: Sql = Sql::same(
    "idempotency_keys.forget_expired",
    concat!(
        "delete from idempotency_keys where caller_id = $1 and key = $2 and (expires_at <= $3 or not ",
        LIVE,
        ")"
    ),
);

/// Nothing, when another request with the key was recorded meanwhile.
const RECORD: Sql =
    Sql::same("idempotency_keys.record", concat!(ALL.insert(&[]).as_str(), " on conflict do nothing"));

const CHANGE_RESULT: Sql = Sql::same(
    "idempotency_keys.change_result",
    concat!(
        "update idempotency_keys set result = $1 where owner_id = $2 and caller_id = $3 and key = $4 and ",
        live_user!("$2"),
        " and ",
        live_user!("$3")
    ),
);

const FORGET_WITH_MESSAGES: Sql = Sql::same(
    "idempotency_keys.forget_with_messages",
    "delete from idempotency_keys where (owner_id, caller_id, key) in \
     (select owner_id, caller_id, key from idempotency_keys \
     where owner_id = $1 and conversation_id = $2 and conversation_id is not null and created_at <= $3 limit $4)",
);

const PRUNE: Sql = Sql::same(
    "idempotency_keys.prune",
    "delete from idempotency_keys where (owner_id, caller_id, key) in \
     (select owner_id, caller_id, key from idempotency_keys where expires_at <= $1 order by expires_at limit $2)",
);

pub(super) const STATEMENTS: &[Sql] =
    &[FIND, LIST, FORGET_EXPIRED, RECORD, CHANGE_RESULT, FORGET_WITH_MESSAGES, PRUNE];

repository! {
    /// What requests with an idempotency key did.
    IdempotencyKeys, idempotency_keys
}

reader! {
    fn read -> IdempotencyRecord {
        owner_id, caller_id, key, operation, request_sha256, status, result, created_at, expires_at,
        conversation_id,
    }
}

/// Maximum characters of a key.
const KEY_LENGTH: usize = 255;

fn check(new: &NewIdempotencyRecord) -> Result<(), StoreError> {
    let mut validator = Validator::default();
    let is_visible = new.key.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_visible || !(1..=KEY_LENGTH).contains(&new.key.len()) {
        let message = "must have 1 to 255 visible ASCII characters";
        validator.wrong("key", FieldCode::InvalidFormat, message);
    }
    validator.no_nul("operation", &new.operation);
    validator.json("result", &new.result);
    Ok(validator.finish()?)
}

impl<M> IdempotencyKeys<'_, '_, M> {
    /// What the caller's request with this key did, unless it is forgotten by now.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a key with NUL.
    pub async fn find(&mut self, caller: UserId, key: &str) -> Result<Option<IdempotencyRecord>, StoreError> {
        refuse_nul("key", key)?;
        let values = [caller.into(), key.into(), self.0.now().into()];
        self.0.executor.query_first(&FIND, &values, read).await
    }

    /// What the caller's requests with keys did, as far as it is remembered, by key.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn list(&mut self, caller: UserId) -> Result<Vec<IdempotencyRecord>, StoreError> {
        self.0.executor.query(&LIST, &[caller.into()], read).await
    }
}

impl IdempotencyKeys<'_, '_, ReadWrite> {
    /// Records what a request does, in the transaction that does it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::Conflict`] when another request with this key was recorded
    /// meanwhile.
    pub async fn record(
        &mut self,
        owner: UserId,
        caller: UserId,
        new: &NewIdempotencyRecord,
    ) -> Result<(), StoreError> {
        check(new)?;
        let now = self.0.now();
        self.0.executor.execute(&FORGET_EXPIRED, &[caller.into(), (&new.key).into(), now.into()]).await?;
        let values: [_; ALL.count()] = [
            owner.into(),
            caller.into(),
            (&new.key).into(),
            (&new.operation).into(),
            new.request_sha256.as_slice().into(),
            new.status.into(),
            (&new.result).into(),
            now.into(),
            new.expires_at.into(),
            new.conversation_id.into(),
        ];
        match self.0.executor.execute(&RECORD, &values).await? {
            0 => Err(self.0.conflict("the same request was done meanwhile")),
            _ => Ok(()),
        }
    }

    /// Changes what a recorded request came to, in the transaction that does more of it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is forgotten by now; [`StoreError::Invalid`].
    pub async fn change_result(
        &mut self,
        owner: UserId,
        caller: UserId,
        key: &str,
        result: &CanonicalJson,
    ) -> Result<(), StoreError> {
        refuse_nul("key", key)?;
        let mut validator = Validator::default();
        validator.json("result", result);
        validator.finish()?;
        let values = [result.into(), owner.into(), caller.into(), key.into()];
        match self.0.executor.execute(&CHANGE_RESULT, &values).await? {
            0 => Err(StoreError::NotFound { entity: IDEMPOTENCY_KEYS.entity }),
            _ => Ok(()),
        }
    }

    /// Forgets keys that live as long as the messages of a conversation, which the transaction has locked: of those that
    /// were recorded up to an instant at most `limit`; how many were forgotten. To be repeated until it is less.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn forget_with_messages(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        until: Timestamp,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let values = [owner.into(), conversation.into(), until.into(), limit.into()];
        self.0.executor.execute(&FORGET_WITH_MESSAGES, &values).await
    }

    /// Forgets what expired before an instant, at most `limit` of it, oldest first; how many were forgotten.
    /// To be repeated until it is 0.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn prune(&mut self, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
        self.0.executor.execute(&PRUNE, &[now.into(), limit.into()]).await
    }
}
