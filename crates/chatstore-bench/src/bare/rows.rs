//! Rows as a program without a store would keep them: everything owned, JSON as text.

use chatstore_bench::error::Error;
use tokio_postgres::types::{FromSql, Type};
use uuid::Uuid;

/// A message.
#[derive(Debug)]
#[expect(dead_code, reason = "built because a program would build it")]
pub(crate) struct BareMessage {
    seq: i64,
    id: Uuid,
    sender_id: Option<Uuid>,
    role: String,
    content: String,
    parts: Option<String>,
    model: Option<String>,
    token_count: Option<i64>,
    used_documents: String,
    metadata: String,
    created_at: i64,
    edited_at: Option<i64>,
    format: Option<String>,
    external_id: Option<String>,
}

/// A conversation.
#[derive(Debug)]
#[expect(dead_code, reason = "built because a program would build it")]
pub(crate) struct BareConversation {
    owner_id: Uuid,
    id: Uuid,
    thread_id: Option<String>,
    title: Option<String>,
    default_model: Option<String>,
    last_seq: i64,
    message_count: i64,
    last_message: Option<String>,
    last_message_at: Option<i64>,
    revision: i64,
    metadata: String,
    created_at: i64,
    updated_at: i64,
    archived_at: Option<i64>,
    head_seq: Option<i64>,
    role: String,
}

impl BareMessage {
    pub(crate) fn from_sqlite(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            id: sqlite_id(row, 1)?,
            sender_id: row.get::<_, Option<[u8; 16]>>(2)?.map(Uuid::from_bytes),
            role: row.get(3)?,
            content: row.get(4)?,
            parts: row.get(5)?,
            model: row.get(6)?,
            token_count: row.get(7)?,
            used_documents: row.get(8)?,
            metadata: row.get(9)?,
            created_at: row.get(10)?,
            edited_at: row.get(11)?,
            format: row.get(12)?,
            external_id: row.get(13)?,
        })
    }

    pub(crate) fn from_postgres(row: &tokio_postgres::Row) -> Result<Self, Error> {
        Ok(Self {
            seq: row.try_get(0)?,
            id: row.try_get(1)?,
            sender_id: row.try_get(2)?,
            role: row.try_get(3)?,
            content: row.try_get(4)?,
            parts: row.try_get(5)?,
            model: row.try_get(6)?,
            token_count: row.try_get(7)?,
            used_documents: row.try_get::<_, JsonText>(8)?.0,
            metadata: row.try_get::<_, JsonText>(9)?.0,
            created_at: row.try_get::<_, Microseconds>(10)?.0,
            edited_at: row.try_get::<_, Option<Microseconds>>(11)?.map(|time| time.0),
            format: row.try_get(12)?,
            external_id: row.try_get(13)?,
        })
    }
}

impl BareConversation {
    pub(crate) fn from_sqlite(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            owner_id: sqlite_id(row, 0)?,
            id: sqlite_id(row, 1)?,
            thread_id: row.get(2)?,
            title: row.get(3)?,
            default_model: row.get(4)?,
            last_seq: row.get(5)?,
            message_count: row.get(6)?,
            last_message: row.get(7)?,
            last_message_at: row.get(8)?,
            revision: row.get(9)?,
            metadata: row.get(10)?,
            created_at: row.get(11)?,
            updated_at: row.get(12)?,
            archived_at: row.get(13)?,
            head_seq: row.get(14)?,
            role: row.get(15)?,
        })
    }

    pub(crate) fn from_postgres(row: &tokio_postgres::Row) -> Result<Self, Error> {
        Ok(Self {
            owner_id: row.try_get(0)?,
            id: row.try_get(1)?,
            thread_id: row.try_get(2)?,
            title: row.try_get(3)?,
            default_model: row.try_get(4)?,
            last_seq: row.try_get(5)?,
            message_count: row.try_get(6)?,
            last_message: row.try_get(7)?,
            last_message_at: row.try_get::<_, Option<Microseconds>>(8)?.map(|time| time.0),
            revision: row.try_get(9)?,
            metadata: row.try_get::<_, JsonText>(10)?.0,
            created_at: row.try_get::<_, Microseconds>(11)?.0,
            updated_at: row.try_get::<_, Microseconds>(12)?.0,
            archived_at: row.try_get::<_, Option<Microseconds>>(13)?.map(|time| time.0),
            head_seq: row.try_get(14)?,
            role: row.try_get(15)?,
        })
    }
}

fn sqlite_id(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Uuid> {
    row.get(index).map(Uuid::from_bytes)
}

/// A `timestamptz` as PostgreSQL counts it.
struct Microseconds(i64);

impl<'a> FromSql<'a> for Microseconds {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Error> {
        Ok(Self(i64::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

/// The text of a `jsonb`, behind its version byte.
struct JsonText(String);

impl<'a> FromSql<'a> for JsonText {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Error> {
        match raw {
            [1, text @ ..] => Ok(Self(std::str::from_utf8(text)?.to_owned())),
            _ => Err("unknown version of jsonb".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
}
