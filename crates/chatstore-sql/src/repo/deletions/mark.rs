//! Whether something is small enough to be deleted at once, and the mark of what is not.

use chatstore_model::{ConversationId, UserId};
use constcat::concat;

use super::Deletions;
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::marked::{Deletion, Marked};
use crate::repo::live::live_user;
use crate::repo::{conversations, users};
use crate::tx::ReadWrite;

/// Maximum bytes of messages, and of documents, that are deleted at once.
pub(in crate::repo) const BYTES_AT_ONCE: i64 = 8 * 1024 * 1024;

pub(in crate::repo) const BYTES_ON_SQLITE: &str = "octet_length(content) + coalesce(octet_length(parts), 0) \
    + octet_length(used_documents) + octet_length(metadata)";
pub(in crate::repo) const BYTES_ON_POSTGRES: &str = "octet_length(content) + coalesce(pg_column_size(parts), 0) \
    + pg_column_size(used_documents) + pg_column_size(metadata)";

const DOCUMENT_ON_SQLITE: &str = "octet_length(content) + octet_length(metadata)";
const DOCUMENT_ON_POSTGRES: &str = "pg_column_size(content) + pg_column_size(metadata)";

/// How many rows of a table, up to a bound, and their bytes.
macro_rules! rows_and_bytes {
    ($table:literal, $bytes:expr, $condition:literal, $limit:literal) => {
        concat!(
            "select count(*), coalesce(sum(bytes), 0) from (select ",
            $bytes,
            " as bytes from ",
            $table,
            " where ",
            $condition,
            " limit ",
            $limit,
            ") as own_rows"
        )
    };
}

const MESSAGES_OF_CONVERSATION: Sql = Sql::pair(
    "deletions.messages_of_conversation",
    rows_and_bytes!("messages", BYTES_ON_SQLITE, "owner_id = $1 and conversation_id = $2", "$3"),
    rows_and_bytes!("messages", BYTES_ON_POSTGRES, "owner_id = $1 and conversation_id = $2", "$3"),
);

const MESSAGES_OF_USER: Sql = Sql::pair(
    "deletions.messages_of_user",
    rows_and_bytes!("messages", BYTES_ON_SQLITE, "owner_id = $1", "$2"),
    rows_and_bytes!("messages", BYTES_ON_POSTGRES, "owner_id = $1", "$2"),
);

const DOCUMENTS_OF_USER: Sql = Sql::pair(
    "deletions.documents_of_user",
    rows_and_bytes!("documents", DOCUMENT_ON_SQLITE, "owner_id = $1", "$2"),
    rows_and_bytes!("documents", DOCUMENT_ON_POSTGRES, "owner_id = $1", "$2"),
);

const MEMBERS_OF_CONVERSATION: Sql = Sql::same(
    "deletions.members_of_conversation",
    "select count(*) from (select 1 from conversation_members where owner_id = $1 and conversation_id = $2 limit $3) \
     as members",
);

const RECORDS_OF_CONVERSATION: Sql = Sql::same(
    "deletions.records_of_conversation",
    "select count(*) from (select 1 from idempotency_keys \
     where owner_id = $1 and conversation_id = $2 and conversation_id is not null limit $3) as records",
);

/// Rows of a table by one column, up to a bound.
macro_rules! rows {
    ($table:literal, $column:literal) => {
        concat!(
            "select count(*) from (select 1 from ",
            $table,
            " where ",
            $column,
            " = $1 limit $2) as some_rows"
        )
    };
}

const SENT_ELSEWHERE: Sql = Sql::same("deletions.sent_elsewhere", rows!("messages", "sender_id"));

/// What a user has beside messages and documents.
const ROWS_OF_USER: [Sql; 12] = [
    Sql::same("deletions.conversations_of_user", rows!("conversations", "owner_id")),
    Sql::same("deletions.members_of_user", rows!("conversation_members", "owner_id")),
    Sql::same("deletions.memberships_of_user", rows!("conversation_members", "user_id")),
    Sql::same("deletions.usage_of_user", rows!("usage_daily", "owner_id")),
    Sql::same("deletions.keys_of_user", rows!("api_keys", "user_id")),
    Sql::same("deletions.sessions_of_user", rows!("sessions", "user_id")),
    Sql::same("deletions.tokens_of_user", rows!("refresh_tokens", "user_id")),
    Sql::same("deletions.records_of_user", rows!("idempotency_keys", "owner_id")),
    Sql::same("deletions.requests_of_user", rows!("idempotency_keys", "caller_id")),
    Sql::same("deletions.events_of_user", rows!("logs", "user_id")),
    Sql::same("deletions.events_by_user", rows!("logs", "actor_id <> user_id and actor_id")),
    Sql::same("deletions.events_for_user", rows!("logs", "acting_for_id <> user_id and acting_for_id")),
];

/// Frees the thread id, and keeps nothing that was written by a user.
const MARK_CONVERSATION: Sql = Sql::same(
    "deletions.mark_conversation",
    concat!(
        "update conversations set deleted_at = $1, thread_id = null, title = null, default_model = null, \
         last_message = null, metadata = '{}' where owner_id = $2 and id = $3 and deleted_at is null and ",
        live_user!("$2")
    ),
);

/// Frees the identities, which are few. They are deleted with the user unless the user is marked.
const IDENTITIES: Sql = Sql::same("deletions.identities", "delete from identities where user_id = $1");

/// Frees name, address and external id, and keeps nothing that tells who it was.
const MARK_USER: Sql = Sql::same(
    "deletions.mark_user",
    "update users set deleted_at = $1, username = null, username_key = null, email = null, email_key = null, \
     email_verified_at = null, external_namespace = null, external_id = null, full_name = null, \
     password_hash = null, is_active = false, metadata = '{}' \
     where id = $2 and deleted_at is null",
);

pub(super) const STATEMENTS: &[Sql] = constcat::concat_slices!([Sql]:
    &[
        MESSAGES_OF_CONVERSATION,
        MESSAGES_OF_USER,
        DOCUMENTS_OF_USER,
        MEMBERS_OF_CONVERSATION,
        RECORDS_OF_CONVERSATION,
        SENT_ELSEWHERE,
        MARK_CONVERSATION,
        IDENTITIES,
        MARK_USER,
    ],
    &ROWS_OF_USER,
);

impl Deletions<'_, '_, ReadWrite> {
    /// Marks a conversation, unless it is small enough to be deleted at once.
    pub(in crate::repo) async fn mark_conversation(
        &mut self,
        owner: UserId,
        id: ConversationId,
    ) -> Result<Deletion, StoreError> {
        let values = [owner.into(), id.into(), self.bound()];
        if self.has_few_and_small(&MESSAGES_OF_CONVERSATION, &values).await?
            && self.has_few(&MEMBERS_OF_CONVERSATION, &values).await?
            && self.has_few(&RECORDS_OF_CONVERSATION, &values).await?
        {
            return Ok(Deletion::Done);
        }
        let values = [self.0.now().into(), owner.into(), id.into()];
        match self.0.executor.execute(&MARK_CONVERSATION, &values).await? {
            0 => Err(conversations::NOT_FOUND),
            _ => Ok(Deletion::Marked(Marked::Conversation { owner, id })),
        }
    }

    /// Whether all that a user has is small enough to be deleted at once, beside what the user sent into others'
    /// conversations.
    pub(in crate::repo) async fn is_small_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        let values = [id.into(), self.bound()];
        for large in [&MESSAGES_OF_USER, &DOCUMENTS_OF_USER] {
            if !self.has_few_and_small(large, &values).await? {
                return Ok(false);
            }
        }
        for rows in &ROWS_OF_USER {
            if !self.has_few(rows, &values).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what a user sent into others' conversations is few enough to be deleted at once.
    pub(in crate::repo) async fn sent_few_elsewhere(&mut self, id: UserId) -> Result<bool, StoreError> {
        let values = [id.into(), self.bound()];
        self.has_few(&SENT_ELSEWHERE, &values).await
    }

    /// Marks a user.
    pub(in crate::repo) async fn mark_user(&mut self, id: UserId) -> Result<Deletion, StoreError> {
        self.0.executor.execute(&IDENTITIES, &[id.into()]).await?;
        let values = [self.0.now().into(), id.into()];
        match self.0.executor.execute(&MARK_USER, &values).await? {
            0 => Err(users::NOT_FOUND),
            _ => Ok(Deletion::Marked(Marked::User(id))),
        }
    }

    /// One row more than may be deleted at once.
    fn bound<'v>(&self) -> Value<'v> {
        (self.0.rows_at_once() + 1).into()
    }

    async fn has_few(&mut self, counted: &Sql, values: &[Value<'_>]) -> Result<bool, StoreError> {
        let rows: i64 = self.0.executor.query_one(counted, values, |row| row.next()).await?;
        Ok(rows <= self.0.rows_at_once())
    }

    async fn has_few_and_small(&mut self, counted: &Sql, values: &[Value<'_>]) -> Result<bool, StoreError> {
        let read = |row: &Row<'_>| Ok((row.next()?, row.next()?));
        let (rows, bytes): (i64, i64) = self.0.executor.query_one(counted, values, read).await?;
        Ok(rows <= self.0.rows_at_once() && bytes <= BYTES_AT_ONCE)
    }
}
