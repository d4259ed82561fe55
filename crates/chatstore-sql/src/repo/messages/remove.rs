//! Removing several messages at once. What is much is removed newest first, in pieces: each leaves the conversation as
//! it was at an earlier time, with its count and preview.

use std::time::{Duration, Instant};

use chatstore_model::{ConversationId, MessageRange, MessageSelection, UserId};
use constcat::concat;

use super::Messages;
use super::tree::DeletedMessage;
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::deletions::{BYTES_AT_ONCE, BYTES_ON_POSTGRES, BYTES_ON_SQLITE};
use crate::repo::json_list;
use crate::repo::live::{live_conversation, live_sender};
use crate::tx::ReadWrite;

const OF_CONVERSATION: &str = concat!(
    " from messages where owner_id = $1 and conversation_id = $2 and ",
    live_conversation!("$1", "$2"),
    " and ",
    live_sender!("sender_id")
);

/// The newest messages of a range, and their bytes.
macro_rules! in_range {
    ($bytes:expr) => {
        concat!(
            "select seq, cast(",
            $bytes,
            " as bigint)",
            OF_CONVERSATION,
            " and seq > $3 and seq < $4 order by owner_id desc, conversation_id desc, seq desc limit $5"
        )
    };
}

const IN_RANGE: Sql =
    Sql::pair("messages.removable_in_range", in_range!(BYTES_ON_SQLITE), in_range!(BYTES_ON_POSTGRES));

const WITH_IDS: Sql = Sql::pair(
    "messages.removable_with_ids",
    concat!(
        "select seq, cast(",
        BYTES_ON_SQLITE,
        " as bigint)",
        OF_CONVERSATION,
        " and id in (select unhex(value) from json_each($3)) order by seq desc limit $4"
    ),
    concat!(
        "select seq, cast(",
        BYTES_ON_POSTGRES,
        " as bigint)",
        OF_CONVERSATION,
        " and id in (select value::uuid from jsonb_array_elements_text($3)) order by seq desc limit $4"
    ),
);

const NTH_NEWEST: Sql = Sql::same(
    "messages.nth_newest",
    concat!(
        "select seq",
        OF_CONVERSATION,
        " order by owner_id desc, conversation_id desc, seq desc limit 1 offset $3"
    ),
);

const REMOVED: &str = "delete from messages where owner_id = $1 and conversation_id = $2 and seq in ";
const LIVE: &str = concat!(" and ", live_conversation!("$1", "$2"), " and ", live_sender!("sender_id"));
const RETURNING: &str = " returning seq, parent_seq";
const REMOVE: Sql = Sql::pair(
    "messages.remove",
    concat!(REMOVED, "(select value from json_each($3))", LIVE, RETURNING),
    concat!(REMOVED, "(select value::bigint from jsonb_array_elements_text($3))", LIVE, RETURNING),
);

pub(super) const STATEMENTS: &[Sql] = &[IN_RANGE, WITH_IDS, NTH_NEWEST, REMOVE];

/// Some of the messages that are removed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovedPiece {
    /// How many were removed.
    pub rows: i64,
    /// Whether nothing is left to be removed.
    pub is_last: bool,
    /// How long it took inside of its transaction.
    pub took: Duration,
}

/// A message that may be removed.
struct Removable {
    seq: i64,
    bytes: i64,
}

impl Messages<'_, '_, ReadWrite> {
    /// A selection without what is appended from now on: pieces that follow remove nothing newer. The newest messages that
    /// are kept are those of the path to the head; of the others go those with lower numbers.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the conversation.
    pub async fn bounded_selection(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        selection: MessageSelection,
    ) -> Result<MessageSelection, StoreError> {
        let tree = self.0.conversations().lock_tree(owner, conversation).await?;
        let newest = self.nth_newest(owner, conversation, 0).await?.unwrap_or_default();
        let end = newest.saturating_add(1);
        Ok(match selection {
            MessageSelection::Range(range) => {
                MessageSelection::Range(MessageRange { before: range.before.min(end), ..range })
            }
            MessageSelection::AllButNewest(0) => {
                MessageSelection::Range(MessageRange { before: end, ..MessageRange::ALL })
            }
            MessageSelection::AllButNewest(kept) => {
                let passed = i64::from(kept) - 1;
                let oldest_kept = match tree.head_seq {
                    None => self.nth_newest(owner, conversation, passed).await?,
                    Some(head) => self.nth_newest_of_path(owner, conversation, head, passed).await?,
                };
                MessageSelection::Range(MessageRange {
                    before: oldest_kept.unwrap_or(0),
                    ..MessageRange::ALL
                })
            }
            ids @ MessageSelection::Ids(_) => ids,
        })
    }

    /// Removes the selected messages with their responses, if they are few enough to be deleted at once; otherwise the
    /// newest of them, about `rows`. Count and preview are repaired, numbers are not used again, usage stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the conversation.
    pub async fn remove_piece(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        selection: &MessageSelection,
        rows: i64,
    ) -> Result<RemovedPiece, StoreError> {
        let begun = Instant::now();
        self.0.conversations().lock(owner, conversation).await?;
        let at_once = self.0.rows_at_once();
        let found = self.removable(owner, conversation, selection, at_once + 1).await?;
        let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
        let bytes: i64 = found.iter().fold(0, |sum, one| sum.saturating_add(one.bytes));
        let is_last = total <= at_once && bytes <= BYTES_AT_ONCE;
        let piece = if is_last { found } else { beginning(found, rows) };
        let seqs: Vec<i64> = piece.iter().map(|one| one.seq).collect();
        let rows = self.remove(owner, conversation, &seqs).await?;
        Ok(RemovedPiece { rows, is_last, took: begun.elapsed() })
    }

    /// Removes the messages with these numbers, with their responses; how many there were. Count and preview are
    /// repaired, numbers are not used again, usage stays. Of none it changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the conversation.
    pub async fn remove(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        seqs: &[i64],
    ) -> Result<i64, StoreError> {
        let Some(newest) = seqs.iter().copied().max() else { return Ok(0) };
        let values = [owner.into(), conversation.into()];
        let seqs = json_list(seqs.into())?;
        let values = [&values[..], &[(&seqs).into()]].concat();
        let deleted_messages = self.delete_returning(&REMOVE, &values).await?;
        let deleted = i64::try_from(deleted_messages.len()).unwrap_or(i64::MAX);
        let now = self.0.now();
        let changed = self.bump(owner, conversation, deleted, now).await?;
        self.repair(owner, conversation, changed.head_seq, newest, &deleted_messages).await?;
        Ok(deleted)
    }

    /// Repairs what a conversation shows, and what follows what, after messages up to a number were deleted.
    pub(in crate::repo) async fn repair(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        head_seq: Option<i64>,
        newest: i64,
        deleted_messages: &[DeletedMessage],
    ) -> Result<(), StoreError> {
        match head_seq {
            None => self.0.conversations().repair_preview(owner, conversation, newest).await,
            Some(head_seq) => self.reparent_children(owner, conversation, head_seq, deleted_messages).await,
        }
    }

    async fn removable(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        selection: &MessageSelection,
        limit: i64,
    ) -> Result<Vec<Removable>, StoreError> {
        let read = |row: &Row<'_>| Ok(Removable { seq: row.next()?, bytes: row.next()? });
        let of_conversation: [Value<'_>; 2] = [owner.into(), conversation.into()];
        match selection {
            MessageSelection::Range(MessageRange { after, before }) => {
                let values =
                    [&of_conversation[..], &[(*after).into(), (*before).into(), limit.into()]].concat();
                self.0.executor.query(&IN_RANGE, &values, read).await
            }
            MessageSelection::Ids(ids) => {
                let ids = json_list(ids.iter().map(|id| id.uuid().simple().to_string()).collect())?;
                let values = [&of_conversation[..], &[(&ids).into(), limit.into()]].concat();
                self.0.executor.query(&WITH_IDS, &values, read).await
            }
            MessageSelection::AllButNewest(_) => {
                Err(StoreError::InvalidState("a selection is bounded before it is removed"))
            }
        }
    }

    /// The number of the newest message but `passed`.
    async fn nth_newest(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        passed: i64,
    ) -> Result<Option<i64>, StoreError> {
        let values = [owner.into(), conversation.into(), passed.into()];
        self.0.executor.query_first(&NTH_NEWEST, &values, |row| row.next()).await
    }
}

/// The first of these, of which each but the first is within both bounds.
fn beginning(mut found: Vec<Removable>, rows: i64) -> Vec<Removable> {
    let mut bytes: i64 = 0;
    let mut taken = 0;
    for one in &found {
        bytes = bytes.saturating_add(one.bytes);
        if taken > 0 && (taken >= rows || bytes > BYTES_AT_ONCE) {
            break;
        }
        taken += 1;
    }
    found.truncate(usize::try_from(taken).unwrap_or(usize::MAX));
    found
}
