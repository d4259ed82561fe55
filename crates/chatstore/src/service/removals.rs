//! Removing several messages at once: the newest ones, a range, or all.

use std::sync::Arc;

use chatstore_model::{
    ConversationId, ConversationRole, FieldCode, Invalid, Limit, Message, MessageRange, MessageSelection,
    Timestamp, UserId,
};
use chatstore_sql::{PieceRows, RemovedPiece, WriteTx};
use serde_json::{Value, json};

use super::branches::newest_of_head;
use super::deletions::NewMessageIds;
use super::idempotency_key::{DONE, IdempotencyKey, Outcome, damaged, earlier_result};
use super::idempotent::Idempotent;
use super::messages::{Messages, OWN_ONLY};
use super::removed_messages::{from_result, to_result};
use super::{access, access_as_owner, check_revision, check_writer};
use crate::error::{Error, Result};
use crate::user_scope::Writer;

impl Messages<'_> {
    /// Removes the newest messages, at most `limit`, with their responses, and returns them in ascending order; none when
    /// there are none. Of concurrent calls each gets other messages. Numbers are not used again, usage stays.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for viewers, and for editors unless each of the messages is their own; `Invalid` with
    /// field `count` when the messages together are larger than a page ([`PAGE_BYTES`](chatstore_model::PAGE_BYTES)):
    /// then none is removed. One message is never too large.
    pub async fn pop(self, conversation: ConversationId, limit: Limit) -> Result<Vec<Message>> {
        let writer = self.0.writer();
        let work = async move |tx: &mut WriteTx<'_>| {
            let (_, popped) = pop(tx, writer, conversation, limit).await?;
            Ok::<_, Error>(popped)
        };
        self.0.write("message_pop", work).await
    }

    /// Removes the selected messages with their responses; how many there were. The conversation, its members and usage
    /// stay; count, preview and revision are repaired; numbers are not used again.
    ///
    /// Up to 1,000 messages of 8 MiB are removed in one transaction. More are removed newest first, in transactions of
    /// about 2 ms of SQLite's writer or 20 ms of a connection to PostgreSQL, without what is appended meanwhile: a reader
    /// sees the conversation as it was at an earlier time, and what is removed stays removed when the call fails.
    ///
    /// With all messages the keys are forgotten that are [remembered as long as they](super::KeyRetention::Conversation).
    ///
    /// # Errors
    /// `NotFound`, also when the conversation is deleted meanwhile; `Forbidden` for all but the owner.
    pub async fn remove(self, conversation: ConversationId, selection: MessageSelection) -> Result<u64> {
        Ok(remove(self, conversation, Arc::new(selection), None).await?.value)
    }
}

impl Idempotent<'_> {
    /// As [`Messages::pop`]. A repetition returns what the first request removed, and is a `Conflict` when that is larger
    /// than 1 MiB.
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`].
    pub async fn pop(self, conversation: ConversationId, limit: Limit) -> Result<Outcome<Vec<Message>>> {
        let (writer, key) = (self.chat.writer(), self.key.clone());
        self.write("message_pop_once", NewMessageIds::NONE, async move |tx| {
            let owner = access(tx, writer.user, conversation).await?.owner_id;
            tx.conversations().lock(owner, conversation).await?;
            if let Some(result) = earlier_result(tx, writer.user, &key).await? {
                return Ok(Outcome::replayed(from_result(&result, owner, conversation)?));
            }
            let (owner, popped) = pop(tx, writer, conversation, limit).await?;
            let record = key.done(tx.now(), DONE, to_result(&popped)?)?;
            tx.idempotency_keys().record(owner, writer.user, &record).await?;
            Ok(Outcome::first(popped))
        })
        .await
    }

    /// As [`Messages::remove`]. A repetition returns how many messages the first request removed; one that was interrupted
    /// goes on, and removes nothing that was appended after it.
    ///
    /// # Errors
    /// As that, and those of [`Idempotent`].
    pub async fn remove(
        self,
        conversation: ConversationId,
        selection: MessageSelection,
    ) -> Result<Outcome<u64>> {
        remove(self.chat.messages(), conversation, Arc::new(selection), Some(Arc::new(self.key))).await
    }
}

/// The owner of the conversation, and the messages that were removed.
async fn pop(
    tx: &mut WriteTx<'_>,
    Writer { user, expected, .. }: Writer,
    conversation: ConversationId,
    limit: Limit,
) -> Result<(UserId, Vec<Message>)> {
    let access = access(tx, user, conversation).await?;
    check_writer(access.role)?;
    let owner = access.owner_id;
    // No other transaction removes or appends messages before this one ends.
    tx.conversations().lock(owner, conversation).await?;
    let newest = newest_of_head(tx, owner, conversation, limit).await?;
    let mut popped = newest.items;
    if access.role != ConversationRole::Owner && popped.iter().any(|message| message.sender_id != Some(user))
    {
        return Err(Error::forbidden(OWN_ONLY));
    }
    check_revision(tx, owner, conversation, expected).await?;
    if popped.len() < limit.rows() && newest.next.is_some() {
        let message = format!("must be at most {} for messages as large as these", popped.len());
        return Err(Invalid::field("count", FieldCode::OutOfRange, message).into());
    }
    popped.reverse();
    let seqs: Vec<i64> = popped.iter().map(|message| message.seq).collect();
    tx.messages().remove(owner, conversation, &seqs).await?;
    Ok((owner, popped))
}

/// What became of a removal so far.
struct Progress {
    removed: u64,
    /// What is left to be removed; none at the end.
    rest: Option<Rest>,
    is_replayed: bool,
    rows: PieceRows,
}

/// What is left of a removal.
#[derive(Debug, Clone)]
struct Rest {
    selection: MessageSelection,
    /// Until when keys were recorded that are forgotten with the messages, if keys are.
    keys_until: Option<Timestamp>,
}

/// Keys that are forgotten in one transaction.
const KEYS_AT_ONCE: i64 = 1_000;

impl Rest {
    /// Removes a piece of it, and the keys with the last one.
    async fn remove_piece(
        &self,
        tx: &mut WriteTx<'_>,
        owner: UserId,
        conversation: ConversationId,
        rows: PieceRows,
    ) -> Result<RemovedPiece> {
        let Self { selection, keys_until } = self;
        let mut piece = tx.messages().remove_piece(owner, conversation, selection, rows.count()).await?;
        if let Some(until) = keys_until
            && piece.is_last
        {
            let mut keys = tx.idempotency_keys();
            let forgotten = keys.forget_with_messages(owner, conversation, *until, KEYS_AT_ONCE).await?;
            piece.is_last = i64::try_from(forgotten).is_ok_and(|forgotten| forgotten < KEYS_AT_ONCE);
        }
        Ok(piece)
    }
}

async fn remove(
    messages: Messages<'_>,
    conversation: ConversationId,
    selection: Arc<MessageSelection>,
    key: Option<Arc<IdempotencyKey>>,
) -> Result<Outcome<u64>> {
    let (chat, writer) = (messages.0, messages.0.writer());
    let rows = PieceRows::first(chat.store.kind());
    let first = {
        let key = key.clone();
        async move |tx: &mut WriteTx<'_>| {
            begin(tx, writer, conversation, &selection, key.as_deref(), rows).await
        }
    };
    let mut progress = chat.write("message_remove", first).await?;
    while let Some(rest) = progress.rest.take() {
        let (key, rest, rows) = (key.clone(), Arc::new(rest), progress.rows);
        let next = {
            let rest = Arc::clone(&rest);
            async move |tx: &mut WriteTx<'_>| {
                go_on(tx, writer.user, conversation, &rest, key.as_deref(), rows).await
            }
        };
        let (piece, removed) = chat.write("message_remove_piece", next).await?;
        progress.removed = removed.unwrap_or(progress.removed + piece.rows.unsigned_abs());
        progress.rows = rows.after(piece.took);
        if !piece.is_last {
            progress.rest = Some(Rest::clone(&rest));
            tokio::time::sleep(rows.pause_after(piece.took)).await;
        }
    }
    Ok(Outcome { value: progress.removed, is_replayed: progress.is_replayed })
}

/// The first piece, with everything that is checked.
async fn begin(
    tx: &mut WriteTx<'_>,
    Writer { user, expected, .. }: Writer,
    conversation: ConversationId,
    selection: &MessageSelection,
    key: Option<&IdempotencyKey>,
    rows: PieceRows,
) -> Result<Progress> {
    access_as_owner(tx, user, conversation).await?;
    tx.conversations().lock(user, conversation).await?;
    if let Some(key) = key
        && let Some(result) = earlier_result(tx, user, key).await?
    {
        let RemovalResult { removed, rest } = RemovalResult::read(&result, selection)?;
        return Ok(Progress { removed, rest, is_replayed: true, rows });
    }
    check_revision(tx, user, conversation, expected).await?;
    let keys_until = (*selection == MessageSelection::Range(MessageRange::ALL)).then(|| tx.now());
    let selection = tx.messages().bounded_selection(user, conversation, selection.clone()).await?;
    let rest = Rest { selection, keys_until };
    let piece = rest.remove_piece(tx, user, conversation, rows).await?;
    let removed = piece.rows.unsigned_abs();
    let rest = (!piece.is_last).then_some(rest);
    if let Some(key) = key {
        let result = RemovalResult { removed, rest: rest.clone() };
        let record = key.done(tx.now(), DONE, result.write())?;
        tx.idempotency_keys().record(user, user, &record).await?;
    }
    Ok(Progress { removed, rest, is_replayed: false, rows: rows.after(piece.took) })
}

/// Another piece; under a key with the number of messages that were removed so far.
async fn go_on(
    tx: &mut WriteTx<'_>,
    user: UserId,
    conversation: ConversationId,
    rest: &Rest,
    key: Option<&IdempotencyKey>,
    rows: PieceRows,
) -> Result<(RemovedPiece, Option<u64>)> {
    let piece = rest.remove_piece(tx, user, conversation, rows).await?;
    let Some(key) = key else { return Ok((piece, None)) };
    let Some(result) = earlier_result(tx, user, key).await? else { return Ok((piece, None)) };
    let before = RemovalResult::read(&result, &rest.selection)?;
    let removed = before.removed + piece.rows.unsigned_abs();
    let rest = (!piece.is_last).then(|| rest.clone());
    let result = key.done(tx.now(), DONE, RemovalResult { removed, rest }.write())?.result;
    tx.idempotency_keys().change_result(user, user, &key.key, &result).await?;
    Ok((piece, Some(removed)))
}

/// What is remembered of a removal under a key.
struct RemovalResult {
    removed: u64,
    rest: Option<Rest>,
}

impl RemovalResult {
    fn write(&self) -> Value {
        let rest = match self.rest.as_ref().map(|rest| &rest.selection) {
            None => Value::Null,
            Some(MessageSelection::Range(range)) => json!([range.after, range.before]),
            Some(_) => json!([]),
        };
        let keys_until = self.rest.as_ref().and_then(|rest| rest.keys_until);
        json!({ "removed": self.removed, "rest": rest, "keys_until": keys_until.map(Timestamp::as_microseconds) })
    }

    /// Reads what is remembered of a request for this selection.
    fn read(result: &Value, selection: &MessageSelection) -> Result<Self> {
        let removed = result["removed"].as_u64().ok_or_else(|| damaged("it counts no messages"))?;
        let rest = match &result["rest"] {
            Value::Null => None,
            Value::Array(ends) => Some(match ends.as_slice() {
                [after, before] => MessageSelection::Range(MessageRange {
                    after: after.as_i64().unwrap_or_default(),
                    before: before.as_i64().unwrap_or_default(),
                }),
                _ => selection.clone(),
            }),
            _ => return Err(damaged("it does not say what is left")),
        };
        let keys_until =
            result["keys_until"].as_i64().and_then(|micros| Timestamp::from_microseconds(micros).ok());
        Ok(Self { removed, rest: rest.map(|selection| Rest { selection, keys_until }) })
    }
}
