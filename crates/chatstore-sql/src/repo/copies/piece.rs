//! Some messages of a copy, with their responses. Their content does not leave the database.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chatstore_model::{CanonicalJson, ConversationId, MessageId, UserId};
use constcat::concat;
use serde_json::json;

use super::plan::Numbering;
use super::{Copies, CopyPlan};
use crate::db::{Sql, reader};
use crate::error::StoreError;
use crate::repo::deletions::{BYTES_ON_POSTGRES, BYTES_ON_SQLITE};
use crate::repo::json_list;
use crate::repo::live::live_sender;
use crate::schema::{Columns, MESSAGES, RESPONSES};
use crate::tx::ReadWrite;

/// Bytes with which a piece ends, beside those of its last message.
const BYTES: i64 = 1024 * 1024;

macro_rules! next_messages {
    ($bytes:expr) => {
        concat!(
            "select seq, id, parent_seq, cast(",
            $bytes,
            " as bigint), ",
            live_sender!("sender_id"),
            " from messages where owner_id = $1 and conversation_id = $2 and seq > $3 and seq <= $4 \
             order by owner_id, conversation_id, seq limit $5"
        )
    };
}

const NEXT: Sql =
    Sql::pair("copies.next_messages", next_messages!(BYTES_ON_SQLITE), next_messages!(BYTES_ON_POSTGRES));

const MESSAGE: Columns = MESSAGES.all_columns();
const RESPONSE: Columns = RESPONSES.all_columns();

/// No sender is the owner: of the source in the source, of the copy in the copy.
const SENDER: &str = "case when role = 'user' then nullif(coalesce(sender_id, $3), $1) end";

/// The list has, of each message: its number, its number in the copy, its id there, what it follows there, and its id.
const INSERT_MESSAGES: Sql = Sql::pair(
    "copies.messages",
    concat!(
        MESSAGE.insert_into().as_str(),
        " select ",
        MESSAGE
            .names_or(&[
                ("owner_id", "$1"),
                ("conversation_id", "$2"),
                ("seq", "wanted.value ->> 1"),
                ("id", "unhex(wanted.value ->> 2)"),
                ("sender_id", SENDER),
                ("parent_seq", "wanted.value ->> 3"),
            ])
            .as_str(),
        " from json_each($4) as wanted cross join messages m \
         where m.owner_id = $3 and m.conversation_id = $5 and m.seq = wanted.value ->> 0"
    ),
    concat!(
        MESSAGE.insert_into().as_str(),
        " select ",
        MESSAGE
            .names_or(&[
                ("owner_id", "$1"),
                ("conversation_id", "$2"),
                ("seq", "(wanted.value ->> 1)::bigint"),
                ("id", "(wanted.value ->> 2)::uuid"),
                ("sender_id", SENDER),
                ("parent_seq", "(wanted.value ->> 3)::bigint"),
            ])
            .as_str(),
        " from jsonb_array_elements($4) as wanted(value) cross join messages m \
         where m.owner_id = $3 and m.conversation_id = $5 and m.seq = (wanted.value ->> 0)::bigint"
    ),
)
.planned_anew();

const INSERT_RESPONSES: Sql = Sql::pair(
    "copies.responses",
    concat!(
        RESPONSE.insert_into().as_str(),
        " select ",
        RESPONSE
            .names_or(&[
                ("owner_id", "$1"),
                ("message_id", "unhex(wanted.value ->> 2)"),
                ("conversation_id", "$2"),
            ])
            .as_str(),
        " from json_each($3) as wanted cross join responses r \
         where r.owner_id = $4 and r.message_id = unhex(wanted.value ->> 4)"
    ),
    concat!(
        RESPONSE.insert_into().as_str(),
        " select ",
        RESPONSE
            .names_or(&[
                ("owner_id", "$1"),
                ("message_id", "(wanted.value ->> 2)::uuid"),
                ("conversation_id", "$2"),
            ])
            .as_str(),
        " from jsonb_array_elements($3) as wanted(value) cross join responses r \
         where r.owner_id = $4 and r.message_id = (wanted.value ->> 4)::uuid"
    ),
)
.planned_anew();

pub(super) const STATEMENTS: &[Sql] = &[NEXT, INSERT_MESSAGES, INSERT_RESPONSES];

/// How far a copy is.
#[derive(Debug, Clone, Default)]
pub struct CopyProgress {
    /// The place of the range in which the next piece begins, and the number in it behind which it does.
    range: usize,
    after: i64,
    count: i64,
    last_seq: i64,
    /// Messages that were left out, each with the nearest one before it that was not, 0 for none.
    left_out: BTreeMap<i64, i64>,
}

impl CopyProgress {
    /// Messages that the copy has.
    #[must_use]
    pub const fn count(&self) -> i64 {
        self.count
    }

    /// The number in the source of the last message that was copied, 0 for none.
    #[must_use]
    pub const fn last_seq(&self) -> i64 {
        self.last_seq
    }

    /// The message that stands for one in the copy.
    pub(super) fn kept(&self, seq: i64) -> i64 {
        self.left_out.get(&seq).copied().unwrap_or(seq)
    }
}

/// Some messages that were copied together.
#[derive(Debug, Clone)]
pub struct CopiedMessages {
    /// How far the copy is with them.
    pub progress: CopyProgress,
    /// Their ids, each with the one in the copy.
    pub ids: Vec<(MessageId, MessageId)>,
    /// Whether nothing is left to be copied.
    pub is_last: bool,
    /// How long it took inside of its transaction.
    pub took: Duration,
}

/// A message that may be copied.
struct Found {
    seq: i64,
    id: MessageId,
    parent_seq: Option<i64>,
    bytes: i64,
    /// Whether its sender is not being deleted.
    has_live_sender: bool,
}

reader! {
    fn read -> Found { seq, id, parent_seq, bytes, has_live_sender }
}

/// Messages of a piece.
#[derive(Default)]
struct Piece {
    rows: Vec<serde_json::Value>,
    ids: Vec<(MessageId, MessageId)>,
    bytes: i64,
    /// Messages that were looked at, and ranges in which there was none.
    looked_at: i64,
}

impl Copies<'_, '_, ReadWrite> {
    /// Copies the next messages with their responses, about `limit` of them or 1 MiB; usage stays. Senders stay, whose
    /// `null` is the owner on either side; messages of a sender who is being deleted are left out. `None` when the copy
    /// is given up, or its time was over.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the source is gone.
    pub async fn next_piece(
        &mut self,
        plan: &CopyPlan,
        owner: UserId,
        id: ConversationId,
        progress: &CopyProgress,
        limit: i64,
    ) -> Result<Option<CopiedMessages>, StoreError> {
        let begun = Instant::now();
        let (source_owner, source) = plan.source();
        // No other transaction changes messages of the source before this one ends.
        self.0.conversations().lock(source_owner, source).await?;
        if !self.renew(owner, id).await? {
            return Ok(None);
        }
        let (mut progress, mut piece) = (progress.clone(), Piece::default());
        let mut is_last = true;
        while let Some((low, high)) = plan.range(progress.range) {
            let left = limit - piece.looked_at;
            if left <= 0 || piece.bytes >= BYTES {
                is_last = false;
                break;
            }
            let after = progress.after.max(low - 1);
            let values = [source_owner.into(), source.into(), after.into(), high.into(), left.into()];
            let found = self.0.executor.query(&NEXT, &values, read).await?;
            let is_end = i64::try_from(found.len()).is_ok_and(|found| found < left);
            let taken = self.take(plan.numbering(), found, &mut progress, &mut piece);
            if is_end && taken {
                (progress.range, progress.after) = (progress.range + 1, 0);
                piece.looked_at += 1;
            }
        }
        self.store(plan, owner, id, piece.rows).await?;
        Ok(Some(CopiedMessages { progress, ids: piece.ids, is_last, took: begun.elapsed() }))
    }

    /// Adds messages to a piece, up to its bytes; whether all of them were.
    fn take(
        &self,
        numbering: Numbering,
        found: Vec<Found>,
        progress: &mut CopyProgress,
        piece: &mut Piece,
    ) -> bool {
        for message in found {
            if piece.bytes >= BYTES {
                return false;
            }
            piece.looked_at += 1;
            progress.after = message.seq;
            let parent = message.parent_seq.map(|parent| progress.kept(parent));
            if !message.has_live_sender {
                progress.left_out.insert(message.seq, parent.unwrap_or(progress.last_seq));
                continue;
            }
            let id = MessageId::from_uuid(self.0.new_uuid(self.0.now()));
            let (seq, parent) = match numbering {
                Numbering::Anew => (progress.count + 1, None),
                Numbering::Kept { .. } => (message.seq, parent),
            };
            let [new, old] = [id, message.id].map(|id| id.uuid().simple().to_string());
            piece.rows.push(json!([message.seq, seq, new, parent, old]));
            piece.ids.push((message.id, id));
            piece.bytes = piece.bytes.saturating_add(message.bytes);
            progress.count += 1;
            progress.last_seq = message.seq;
        }
        true
    }

    async fn store(
        &mut self,
        plan: &CopyPlan,
        owner: UserId,
        id: ConversationId,
        rows: Vec<serde_json::Value>,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let (source_owner, source) = plan.source();
        let count = rows.len();
        let list: CanonicalJson = json_list(rows.into())?;
        let values = [owner.into(), id.into(), source_owner.into(), (&list).into(), source.into()];
        let stored = self.0.executor.execute(&INSERT_MESSAGES, &values).await?;
        if usize::try_from(stored) != Ok(count) {
            return Err(self.0.conflict("a message was deleted meanwhile"));
        }
        let values = [owner.into(), id.into(), (&list).into(), source_owner.into()];
        self.0.executor.execute(&INSERT_RESPONSES, &values).await?;
        Ok(())
    }
}
