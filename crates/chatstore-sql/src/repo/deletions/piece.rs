//! The rows of what is marked, some at a time. Every piece leaves a state from which the next one continues.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chatstore_model::{ConversationId, UserId};
use constcat::concat;
use uuid::Uuid;

use super::Deletions;
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::marked::Marked;
use crate::repo::json_list;
use crate::tx::ReadWrite;

/// Of two that delete the same, one passes over it. SQLite has one writer. A copy that is being made has a mark of later.
const LOCK_CONVERSATION: Sql =
    Sql::pair("deletions.lock_conversation", CONVERSATION, concat!(CONVERSATION, " for update skip locked"));
const CONVERSATION: &str =
    "select id from conversations where owner_id = $1 and id = $2 and deleted_at <= $3";

const LOCK_USER: Sql = Sql::pair("deletions.lock_user", USER, concat!(USER, " for update skip locked"));
const USER: &str = "select id from users where id = $1 and deleted_at is not null";

/// A range of an owner's messages.
const RANGE: &str =
    "owner_id = $1 and (conversation_id, seq) > ($2, $3) and (conversation_id, seq) <= ($4, $5)";

const END_OF_MESSAGES: Sql = Sql::same(
    "deletions.end_of_messages",
    concat!(
        "select conversation_id, seq from (select conversation_id, seq from messages where ",
        RANGE,
        " order by conversation_id, seq limit $6) as piece order by conversation_id desc, seq desc limit 1"
    ),
);

/// PostgreSQL takes a range of unknown length for a ninth of the owner's messages, and may plan to read the whole table. The
/// limit, which no piece exceeds, keeps it to the index.
const MESSAGES: Sql = Sql::pair(
    "deletions.messages",
    concat!("delete from messages where ", RANGE),
    concat!(
        "delete from messages where ctid = any (array(select ctid from messages where ",
        RANGE,
        " order by conversation_id, seq limit 2000))"
    ),
);

const CONVERSATION_ROW: Sql = Sql::same(
    "deletions.conversation",
    "delete from conversations where owner_id = $1 and id = $2 and deleted_at is not null",
);

const SENT: Sql = Sql::same(
    "deletions.sent",
    "select owner_id, conversation_id, seq from messages where sender_id = $1 limit $2",
);

const SENT_ROWS: &str =
    "delete from messages where owner_id = $1 and conversation_id = $2 and sender_id = $3 and seq in ";
const DELETE_SENT: Sql = Sql::pair(
    "deletions.delete_sent",
    concat!(SENT_ROWS, "(select value from json_each($4)) returning seq, parent_seq"),
    concat!(SENT_ROWS, "(select value::bigint from jsonb_array_elements_text($4)) returning seq, parent_seq"),
);

/// The last of some documents, before which there are fewer bytes than a bound.
macro_rules! end_of_documents {
    ($bytes:literal) => {
        concat!(
            "select id from (select id, sum(bytes) over (order by id rows between unbounded preceding and 1 preceding) \
             as bytes_before from (select id, ",
            $bytes,
            " as bytes from documents where owner_id = $1 and id > $2 order by id limit $3) as some_documents) as piece \
             where coalesce(bytes_before, 0) < $4 order by id desc limit 1"
        )
    };
}

const END_OF_DOCUMENTS: Sql = Sql::pair(
    "deletions.end_of_documents",
    end_of_documents!("octet_length(content)"),
    end_of_documents!("pg_column_size(content)"),
);

/// A range of an owner's documents.
const DOCUMENT_RANGE: &str = "owner_id = $1 and id > $2 and id <= $3";

const DOCUMENTS: Sql = Sql::pair(
    "deletions.documents",
    concat!("delete from documents where ", DOCUMENT_RANGE),
    concat!(
        "delete from documents where ctid = any (array(select ctid from documents where ",
        DOCUMENT_RANGE,
        " order by id limit 2000))"
    ),
);

/// Maximum bytes of documents that a piece deletes, beside those of the last one.
const DOCUMENT_BYTES: i64 = 4 * 1024 * 1024;

/// Deletes some rows of a table that have a value in one column. PostgreSQL finds them by their place, because it may
/// plan to read the whole table for a list of keys whose length it does not know.
macro_rules! some_rows {
    ($name:literal, $table:literal, $key:literal, $condition:literal, $limit:literal) => {
        Sql::pair(
            $name,
            concat!(
                "delete from ",
                $table,
                " where (",
                $key,
                ") in (select ",
                $key,
                " from ",
                $table,
                " where ",
                $condition,
                " limit ",
                $limit,
                ")"
            ),
            concat!(
                "delete from ",
                $table,
                " where ctid = any (array(select ctid from ",
                $table,
                " where ",
                $condition,
                " limit ",
                $limit,
                "))"
            ),
        )
    };
}

const MEMBERS: Sql = some_rows!(
    "deletions.members",
    "conversation_members",
    "owner_id, conversation_id, user_id",
    "owner_id = $1 and conversation_id = $2",
    "$3"
);

const KEPT_RECORDS: Sql = some_rows!(
    "deletions.kept_records",
    "idempotency_keys",
    "owner_id, caller_id, key",
    "owner_id = $1 and conversation_id = $2 and conversation_id is not null",
    "$3"
);

/// What a user has beside messages and documents, in the order in which it is deleted.
const ROWS_OF_USER: [Sql; 9] = [
    some_rows!(
        "deletions.own_members",
        "conversation_members",
        "owner_id, conversation_id, user_id",
        "owner_id = $1",
        "$2"
    ),
    // Before the conversations, with which some of them would go.
    some_rows!("deletions.records", "idempotency_keys", "owner_id, caller_id, key", "owner_id = $1", "$2"),
    some_rows!("deletions.own_conversations", "conversations", "owner_id, id", "owner_id = $1", "$2"),
    some_rows!(
        "deletions.memberships",
        "conversation_members",
        "owner_id, conversation_id, user_id",
        "user_id = $1",
        "$2"
    ),
    some_rows!("deletions.tokens", "refresh_tokens", "user_id, id", "user_id = $1", "$2"),
    some_rows!("deletions.sessions", "sessions", "user_id, id", "user_id = $1", "$2"),
    some_rows!("deletions.keys", "api_keys", "user_id, id", "user_id = $1", "$2"),
    some_rows!("deletions.usage", "usage_daily", "owner_id, day, model", "owner_id = $1", "$2"),
    some_rows!("deletions.requests", "idempotency_keys", "owner_id, caller_id, key", "caller_id = $1", "$2"),
];

const USER_ROW: Sql =
    Sql::same("deletions.user", "delete from users where id = $1 and deleted_at is not null");

pub(super) const STATEMENTS: &[Sql] = constcat::concat_slices!([Sql]:
    &[
        LOCK_CONVERSATION,
        LOCK_USER,
        END_OF_MESSAGES,
        MESSAGES,
        CONVERSATION_ROW,
        SENT,
        DELETE_SENT,
        END_OF_DOCUMENTS,
        DOCUMENTS,
        MEMBERS,
        KEPT_RECORDS,
        USER_ROW,
    ],
    &ROWS_OF_USER,
);

/// The last of the messages and documents that a sweep deleted: the way over them is not gone twice, which takes time on
/// PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PiecePosition {
    conversation: Uuid,
    seq: i64,
    document: Uuid,
}

impl PiecePosition {
    /// Before everything.
    pub const START: Self = Self::at_message(Uuid::nil(), 0);
    const END: Self = Self::at_message(Uuid::max(), i64::MAX);

    const fn at_message(conversation: Uuid, seq: i64) -> Self {
        Self { conversation, seq, document: Uuid::nil() }
    }
}

/// What a piece did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Rows that were deleted, beside those that went with them.
    pub rows: i64,
    /// Whether nothing is left.
    pub is_last: bool,
    /// How long it took inside of its transaction.
    pub took: Duration,
    /// Where the next one begins.
    pub position: PiecePosition,
}

impl Deletions<'_, '_, ReadWrite> {
    /// Deletes some of the rows of what is marked, about `limit`; `None` when nothing is left, or when another
    /// transaction is at it. On PostgreSQL it waits for neither.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn delete_piece(
        &mut self,
        marked: Marked,
        position: PiecePosition,
        limit: i64,
    ) -> Result<Option<Piece>, StoreError> {
        let begun = Instant::now();
        let locked: Option<Uuid> = match marked {
            Marked::Conversation { owner, id } => {
                let values = [owner.into(), id.into(), self.0.now().into()];
                self.0.executor.query_first(&LOCK_CONVERSATION, &values, |row| row.next()).await?
            }
            Marked::User(id) => {
                self.0.executor.query_first(&LOCK_USER, &[id.into()], |row| row.next()).await?
            }
        };
        if locked.is_none() {
            return Ok(None);
        }
        let mut budget = Budget { position, limit, rows: 0 };
        let is_last = match marked {
            Marked::Conversation { owner, id } => self.conversation(owner, id, &mut budget).await?,
            Marked::User(id) => self.user(id, &mut budget).await?,
        };
        let Budget { position, rows, .. } = budget;
        Ok(Some(Piece { rows, is_last, took: begun.elapsed(), position }))
    }

    /// Whether nothing is left.
    async fn conversation(
        &mut self,
        owner: UserId,
        id: ConversationId,
        budget: &mut Budget,
    ) -> Result<bool, StoreError> {
        let first = PiecePosition::at_message(id.uuid(), 0);
        let last = PiecePosition::at_message(id.uuid(), i64::MAX);
        budget.position = budget.position.max(first);
        self.messages(owner, last, budget).await?;
        for rows in [&MEMBERS, &KEPT_RECORDS] {
            if budget.is_left() {
                let values = [owner.into(), id.into(), budget.left().into()];
                budget.spend(self.0.executor.execute(rows, &values).await?);
            }
        }
        if budget.is_left() {
            budget.spend(self.0.executor.execute(&CONVERSATION_ROW, &[owner.into(), id.into()]).await?);
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether nothing is left.
    async fn user(&mut self, id: UserId, budget: &mut Budget) -> Result<bool, StoreError> {
        self.sent(id, budget).await?;
        if budget.is_left() {
            self.messages(id, PiecePosition::END, budget).await?;
        }
        if budget.is_left() && !self.documents(id, budget).await? {
            return Ok(false);
        }
        if budget.is_left() {
            budget.spend(self.release_some_events(id, budget.left()).await?);
        }
        for rows in &ROWS_OF_USER {
            if budget.is_left() {
                let values = [id.into(), budget.left().into()];
                budget.spend(self.0.executor.execute(rows, &values).await?);
            }
        }
        if !budget.is_left() {
            return Ok(false);
        }
        match self.0.executor.execute(&USER_ROW, &[id.into()]).await {
            Ok(rows) => {
                budget.spend(rows);
                Ok(true)
            }
            // A message that was being sent when the user was marked; the next attempt finds it.
            Err(StoreError::MissingReference { .. }) => {
                Err(self.0.conflict("the user wrote a message meanwhile"))
            }
            Err(error) => Err(error),
        }
    }

    /// Messages of an owner, with their responses.
    async fn messages(
        &mut self,
        owner: UserId,
        last: PiecePosition,
        budget: &mut Budget,
    ) -> Result<(), StoreError> {
        let from = budget.position;
        let range = |to: PiecePosition| -> [Value<'static>; 5] {
            [owner.into(), from.conversation.into(), from.seq.into(), to.conversation.into(), to.seq.into()]
        };
        let mut values = range(last).to_vec();
        values.push(budget.left().into());
        let document = from.document;
        let read =
            |row: &Row<'_>| Ok(PiecePosition { conversation: row.next()?, seq: row.next()?, document });
        let Some(to) = self.0.executor.query_first(&END_OF_MESSAGES, &values, read).await? else {
            return Ok(());
        };
        budget.spend(self.0.executor.execute(&MESSAGES, &range(to)).await?);
        budget.position = to;
        Ok(())
    }

    /// Documents of an owner; whether none is left.
    async fn documents(&mut self, owner: UserId, budget: &mut Budget) -> Result<bool, StoreError> {
        let from = budget.position.document;
        let values = [owner.into(), from.into(), budget.left().into(), DOCUMENT_BYTES.into()];
        let end: Option<Uuid> =
            self.0.executor.query_first(&END_OF_DOCUMENTS, &values, |row| row.next()).await?;
        let Some(end) = end else { return Ok(true) };
        let values = [owner.into(), from.into(), end.into()];
        budget.spend(self.0.executor.execute(&DOCUMENTS, &values).await?);
        budget.position.document = end;
        Ok(false)
    }

    /// Messages that the user sent into others' conversations; their counts and previews are repaired.
    async fn sent(&mut self, sender: UserId, budget: &mut Budget) -> Result<(), StoreError> {
        let values = [sender.into(), budget.left().into()];
        let read = |row: &Row<'_>| Ok((row.next()?, row.next()?, row.next()?));
        let sent: Vec<(UserId, ConversationId, i64)> = self.0.executor.query(&SENT, &values, read).await?;
        // In one order, so that two of these cannot wait for each other.
        let mut places: BTreeMap<(UserId, ConversationId), Vec<i64>> = BTreeMap::new();
        for (owner, conversation, seq) in sent {
            places.entry((owner, conversation)).or_default().push(seq);
        }
        let now = self.0.now();
        for ((owner, conversation), seqs) in places {
            // Not there while the conversation is being deleted itself, or is a copy that is being made.
            let is_live = match self.0.conversations().lock(owner, conversation).await {
                Ok(_) => true,
                Err(StoreError::NotFound { .. }) => {
                    self.0.copies().give_up(owner, conversation).await?;
                    false
                }
                Err(error) => return Err(error),
            };
            let newest = seqs.iter().copied().max().unwrap_or_default();
            let seqs = json_list(seqs.into())?;
            let values = [owner.into(), conversation.into(), sender.into(), (&seqs).into()];
            let deleted_messages = self.0.messages().delete_returning(&DELETE_SENT, &values).await?;
            budget.spend(deleted_messages.len() as u64);
            if is_live {
                let removed = i64::try_from(deleted_messages.len()).unwrap_or(i64::MAX);
                let mut conversations = self.0.conversations();
                let changed = conversations.bump_for_change(owner, conversation, removed, now).await?;
                let head = changed.and_then(|changed| changed.head_seq);
                self.0.messages().repair(owner, conversation, head, newest, &deleted_messages).await?;
            }
        }
        Ok(())
    }
}

/// Rows that a piece may still delete.
struct Budget {
    position: PiecePosition,
    limit: i64,
    rows: i64,
}

impl Budget {
    const fn left(&self) -> i64 {
        self.limit - self.rows
    }

    const fn is_left(&self) -> bool {
        self.rows < self.limit
    }

    fn spend(&mut self, rows: u64) {
        self.rows = self.rows.saturating_add(i64::try_from(rows).unwrap_or(i64::MAX));
    }
}
