//! Counts and digests of whole tables, for operators and for comparing two databases.

use chatstore_model::{CanonicalJson, Timestamp, UserId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::db::{Bytes, Row, Sql, reader};
use crate::error::StoreError;
use crate::schema::{Column, ColumnType, TABLES, Table, Text};

const COUNTS: Sql = Sql::same(
    "statistics.counts",
    "select (select count(*) from users where id <> $1), (select count(*) from conversations), \
     (select count(*) from messages), (select count(*) from responses), \
     (select count(*) from conversation_members), (select count(*) from sessions)",
);

#[cfg(feature = "postgres")]
const POSTGRES_SIZE: Sql =
    Sql::only_postgres("statistics.postgres_size", "select pg_database_size(current_database())");

#[cfg(feature = "postgres")]
const TAKES_WRITES: Sql =
    Sql::only_postgres("statistics.takes_writes", "select current_setting('transaction_read_only') = 'off'");

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
    text.push(" from ").push(table.name).push(" order by ").push(key.as_str())
}

pub(super) const STATEMENTS: &[Sql] = &[
    COUNTS,
    #[cfg(feature = "postgres")]
    POSTGRES_SIZE,
    #[cfg(feature = "postgres")]
    TAKES_WRITES,
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
    /// Sessions that are not deleted yet, ended ones among them.
    pub sessions: i64,
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
        users, conversations, messages, responses, members, sessions,
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
