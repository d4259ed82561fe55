//! Counts and digests of whole tables, for operators and for comparing two databases.

use chatstore_model::{CanonicalJson, Timestamp, UserId};
use constcat::concat;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::db::{Bytes, Row, Sql, reader};
use crate::error::StoreError;
use crate::repo::live::{live_conversation, live_conversation_if_any, live_sender, live_user};
use crate::schema::{Column, ColumnType, TABLES, Table, Text};

/// Rows of a table by a user who is being deleted.
macro_rules! of_marked_users {
    ($joined:literal) => {
        concat!("(select count(*) from users u join ", $joined, " where u.deleted_at is not null")
    };
}

/// Rows of a table by a conversation that is being deleted, and whose owner is not.
macro_rules! of_marked_conversations {
    ($joined:literal) => {
        concat!(
            "(select count(*) from conversations c join ",
            $joined,
            " where c.deleted_at is not null and ",
            live_user!("c.owner_id")
        )
    };
}

/// Of each table, all rows but those that are being deleted, which are few, or soon gone: those of a user, those of a
/// conversation of another, and those that a user has in the conversations of others.
const COUNTS: Sql = Sql::same(
    "statistics.counts",
    concat!(
        "select (select count(*) from users where id <> $1 and deleted_at is null), ",
        "(select count(*) from conversations) \
         - (select count(*) from conversations where deleted_at is not null) \
         - (select count(*) from users u join conversations c on c.owner_id = u.id \
         where u.deleted_at is not null and c.deleted_at is null), ",
        "(select count(*) from messages) - ",
        of_marked_users!("messages m on m.owner_id = u.id"),
        ") - ",
        of_marked_conversations!("messages m on m.owner_id = c.owner_id and m.conversation_id = c.id"),
        ") - ",
        of_marked_users!("messages m on m.sender_id = u.id"),
        " and ",
        live_conversation!("m.owner_id", "m.conversation_id"),
        "), (select count(*) from responses) - ",
        of_marked_users!("responses r on r.owner_id = u.id"),
        ") - ",
        of_marked_conversations!(
            "messages m on m.owner_id = c.owner_id and m.conversation_id = c.id \
             join responses r on r.owner_id = m.owner_id and r.message_id = m.id"
        ),
        "), (select count(*) from conversation_members) - ",
        of_marked_users!("conversation_members m on m.owner_id = u.id"),
        ") - ",
        of_marked_conversations!(
            "conversation_members m on m.owner_id = c.owner_id and m.conversation_id = c.id"
        ),
        ") - ",
        of_marked_users!("conversation_members m on m.user_id = u.id"),
        " and ",
        live_conversation!("m.owner_id", "m.conversation_id"),
        "), (select count(*) from documents) - ",
        of_marked_users!("documents d on d.owner_id = u.id"),
        "), (select count(*) from sessions) - ",
        of_marked_users!("sessions s on s.user_id = u.id"),
        "), (select count(*) from logs)"
    ),
);

#[cfg(feature = "postgres")]
const POSTGRES_SIZE: Sql =
    Sql::only_postgres("statistics.postgres_size", "select pg_database_size(current_database())");

#[cfg(feature = "postgres")]
const TAKES_WRITES: Sql =
    Sql::only_postgres("statistics.takes_writes", "select current_setting('transaction_read_only') = 'off'");

/// Reads a sample of each table, and so takes time in proportion to their number only.
#[cfg(feature = "postgres")]
const ANALYZE: Sql = {
    const TEXT: &Text = &{
        let mut names = Text::new();
        let mut index = 0;
        while index < TABLES.len() {
            names = names.separate().push(TABLES[index].name);
            index += 1;
        }
        Text::new().push("analyze ").push(names.as_str())
    };
    Sql::only_postgres("statistics.analyze", TEXT.as_str())
};

/// Every column of every row of each table, by primary key, in the order of [`TABLES`].
pub(super) static ROWS: [Sql; TABLES.len()] = {
    let mut statements = [COUNTS; TABLES.len()];
    let mut index = 0;
    while index < TABLES.len() {
        statements[index] = Sql::same(ROW_TEXTS[index].0.as_str(), ROW_TEXTS[index].1.as_str());
        index += 1;
    }
    statements
};

/// The name and the text of each.
static ROW_TEXTS: [(Text, Text); TABLES.len()] = {
    let mut texts = [(Text::new(), Text::new()); TABLES.len()];
    let mut index = 0;
    while index < TABLES.len() {
        let name = Text::new().push(TABLES[index].repository).push(".rows");
        texts[index] = (name, rows_of(&TABLES[index]));
        index += 1;
    }
    texts
};

const fn rows_of(table: &Table) -> Text {
    let (mut key, mut index) = (Text::new(), 0);
    while index < table.primary_key.len() {
        key = key.separate().push(table.primary_key[index]);
        index += 1;
    }
    let text = Text::new().push("select ").push(table.all_columns().names().as_str());
    let text = text.push(" from ").push(table.name).push(" t where ").push(live_rows(table).as_str());
    text.push(" order by ").push(key.as_str())
}

/// Which rows of the table `t` are not being deleted, by whom and what its columns name.
const fn live_rows(table: &Table) -> Text {
    let mut text = Text::new();
    if table.has_column("deleted_at") {
        text = and(text, "t.deleted_at is null");
    }
    let (has_owner, has_conversation) = (table.has_column("owner_id"), table.has_column("conversation_id"));
    if has_owner && has_conversation && !table.has_optional_column("conversation_id") {
        text = and(text, live_conversation!("t.owner_id", "t.conversation_id"));
    } else if has_owner {
        text = and(text, live_user!("t.owner_id"));
        if has_conversation {
            text = and(text, live_conversation_if_any!("t.owner_id", "t.conversation_id"));
        }
    }
    if table.has_column("user_id") {
        text = and(text, live_user!("t.user_id"));
    }
    if table.has_column("caller_id") {
        text = and(text, live_user!("t.caller_id"));
    }
    if table.has_column("sender_id") {
        text = and(text, live_sender!("t.sender_id"));
    }
    if table.has_column("actor_id") {
        text = and(text, live_sender!("t.actor_id"));
    }
    if table.has_column("acting_for_id") {
        text = and(text, live_sender!("t.acting_for_id"));
    }
    text
}

const fn and(text: Text, condition: &str) -> Text {
    text.push(if text.is_empty() { "" } else { " and " }).push(condition)
}

pub(super) const STATEMENTS: &[Sql] = &[
    COUNTS,
    #[cfg(feature = "postgres")]
    POSTGRES_SIZE,
    #[cfg(feature = "postgres")]
    TAKES_WRITES,
    #[cfg(feature = "postgres")]
    ANALYZE,
];

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Users, without the built-in one.
    pub users: i64,
    /// Conversations.
    pub conversations: i64,
    /// Messages.
    pub messages: i64,
    /// Model responses.
    pub responses: i64,
    /// Members who are not owners.
    pub members: i64,
    /// Documents.
    pub documents: i64,
    /// Sessions that are not deleted yet, ended ones among them.
    pub sessions: i64,
    /// Events in the log.
    pub logs: i64,
}

/// One table's rows in a nutshell: equal on two databases exactly when all rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDigest {
    /// The table.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over every column of every row, by primary key, in hexadecimal digits.
    pub sha256: String,
}

repository! {
    /// Counts and digests of whole tables.
    Statistics, statistics
}

reader! {
    fn read_counts -> Counts {
        users, conversations, messages, responses, members, documents, sessions, logs,
    }
}

impl<M> Statistics<'_, '_, M> {
    /// Counts every table; takes time in proportion to what there is.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn counts(&mut self) -> Result<Counts, StoreError> {
        self.0.executor.query_one(&COUNTS, &[UserId::ANONYMOUS.into()], read_counts).await
    }

    /// Reads every row of every table.
    ///
    /// # Errors
    /// What the database reports; [`StoreError::Corrupt`] for a row that is not of the declared
    /// schema.
    pub async fn digests(&mut self) -> Result<Vec<TableDigest>, StoreError> {
        let mut digests = Vec::with_capacity(TABLES.len());
        for (table, statement) in TABLES.iter().zip(&ROWS) {
            let mut hasher = Sha256::new();
            let mut rows = 0;
            self.0
                .executor
                .query_each(statement, &[], |row| {
                    rows += 1;
                    for column in table.columns {
                        hash_column(&mut hasher, row, column)?;
                    }
                    Ok(())
                })
                .await?;
            let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            digests.push(TableDigest { table: table.name, rows, sha256 });
        }
        Ok(digests)
    }

    /// Bytes of a PostgreSQL database.
    #[cfg(feature = "postgres")]
    pub(crate) async fn postgres_size(&mut self) -> Result<i64, StoreError> {
        self.0.executor.query_one(&POSTGRES_SIZE, &[], |row| row.next()).await
    }

    /// Has PostgreSQL sample its tables; it passes over those of another owner.
    #[cfg(feature = "postgres")]
    pub(crate) async fn analyze(&mut self) -> Result<(), StoreError> {
        self.0.executor.query(&ANALYZE, &[], |_| Ok(())).await.map(drop)
    }

    /// Whether a PostgreSQL server takes writes: a standby and a database that is set to read-only do not.
    #[cfg(feature = "postgres")]
    pub(crate) async fn takes_writes(&mut self) -> Result<bool, StoreError> {
        self.0.executor.query_one(&TAKES_WRITES, &[], |row| row.next()).await
    }
}

/// Each value goes in behind its length, null as a length of its own, so that no two rows collide.
fn hash_column(hasher: &mut Sha256, row: &Row<'_>, column: &Column) -> Result<(), StoreError> {
    let bytes: Option<Vec<u8>> = match column.kind {
        ColumnType::Uuid => row.next::<Option<Uuid>>()?.map(|value| value.as_bytes().to_vec()),
        ColumnType::Text => row.next::<Option<String>>()?.map(String::into_bytes),
        ColumnType::Bool => row.next::<Option<bool>>()?.map(|value| vec![u8::from(value)]),
        ColumnType::Int => row.next::<Option<i64>>()?.map(|value| value.to_be_bytes().to_vec()),
        ColumnType::Float => row.next::<Option<f64>>()?.map(|value| value.to_be_bytes().to_vec()),
        ColumnType::Bytes => row.next::<Option<Bytes<'_>>>()?.map(|value| value.0.to_vec()),
        ColumnType::Json => row.next::<Option<CanonicalJson>>()?.map(|value| value.as_str().into()),
        ColumnType::Time => {
            row.next::<Option<Timestamp>>()?.map(|value| value.as_microseconds().to_be_bytes().to_vec())
        }
    };
    match bytes {
        None => hasher.update(u64::MAX.to_be_bytes()),
        Some(bytes) => {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        }
    }
    Ok(())
}
