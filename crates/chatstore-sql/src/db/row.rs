//! Rows as the drivers lend them.

use std::cell::Cell;
use std::fmt;

use chatstore_model::{
    ApiKeyScope, CanonicalJson, ConversationRole, Day, Duplicates, EndReason, Id, KeyRights, Keyword,
    LogLevel, MessageRole, PasswordHash, Timestamp, UserRole, VerbatimJson,
};
#[cfg(feature = "sqlite")]
use rusqlite::types::ValueRef;
use uuid::Uuid;

use crate::error::StoreError;

/// One row of an answer, borrowed from the driver.
pub struct Row<'r> {
    statement: &'static str,
    source: Source<'r>,
    /// The column that is read next.
    position: Cell<usize>,
    /// Bytes of the texts and blobs that were read from SQLite.
    #[cfg(feature = "sqlite")]
    read_bytes: Cell<usize>,
}

enum Source<'r> {
    #[cfg(feature = "sqlite")]
    Sqlite(&'r rusqlite::Row<'r>),
    #[cfg(feature = "postgres")]
    Postgres(&'r tokio_postgres::Row),
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Row").field("statement", &self.statement).finish_non_exhaustive()
    }
}

impl<'r> Row<'r> {
    #[cfg(feature = "sqlite")]
    pub(crate) const fn sqlite(statement: &'static str, row: &'r rusqlite::Row<'r>) -> Self {
        Self { statement, source: Source::Sqlite(row), position: Cell::new(0), read_bytes: Cell::new(0) }
    }

    #[cfg(feature = "postgres")]
    pub(crate) const fn postgres(statement: &'static str, row: &'r tokio_postgres::Row) -> Self {
        Self {
            statement,
            source: Source::Postgres(row),
            position: Cell::new(0),
            #[cfg(feature = "sqlite")]
            read_bytes: Cell::new(0),
        }
    }

    /// The next column, beginning with the first. Expressions of a struct literal are evaluated in the
    /// order in which they are written, so fields stand there in the order of columns.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming statement and column, when it holds another type, null
    /// where none may be, or does not exist.
    pub fn next<T: FromColumn<'r>>(&self) -> Result<T, StoreError> {
        let index = self.position.replace(self.position.get() + 1);
        let found = match self.source {
            #[cfg(feature = "sqlite")]
            Source::Sqlite(row) => row.get_ref(index).map_err(|error| error.to_string()).and_then(|value| {
                if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value {
                    self.read_bytes.set(self.read_bytes.get() + bytes.len());
                }
                T::from_sqlite(value)
            }),
            #[cfg(feature = "postgres")]
            Source::Postgres(row) => T::from_postgres(row, index),
        };
        found.map_err(|reason| self.corrupt(index, &reason))
    }

    /// Whether the column at this place is null; it is not read by that.
    pub(crate) fn is_null(&self, index: usize) -> bool {
        match self.source {
            #[cfg(feature = "sqlite")]
            Source::Sqlite(row) => matches!(row.get_ref(index), Ok(ValueRef::Null)),
            #[cfg(feature = "postgres")]
            Source::Postgres(row) => matches!(row.try_get::<_, Option<Anything>>(index), Ok(None)),
        }
    }

    /// Bytes of the row: of all of it where the database sent it, else of what was read of it.
    pub(crate) fn size_bytes(&self) -> usize {
        match self.source {
            #[cfg(feature = "sqlite")]
            Source::Sqlite(_) => self.read_bytes.get(),
            #[cfg(feature = "postgres")]
            Source::Postgres(row) => row.raw_size_bytes(),
        }
    }

    fn corrupt(&self, index: usize, reason: &str) -> StoreError {
        let column = match self.source {
            #[cfg(feature = "sqlite")]
            Source::Sqlite(row) => row.as_ref().column_name(index).unwrap_or("?"),
            #[cfg(feature = "postgres")]
            Source::Postgres(row) => row.columns().get(index).map_or("?", |column| column.name()),
        };
        StoreError::Corrupt(format!("{}: column {column}: {reason}", self.statement))
    }
}

/// Defines a function that reads a struct, whose fields are the next columns in the order given here, but those that
/// the function is given.
macro_rules! reader {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident $(($($given:ident: $of:ty),+))? -> $type:ident { $($field:ident),+ $(,)? }) => {
        $(#[$doc])*
        $visibility fn $name(
            row: &$crate::db::Row<'_>
            $($(, $given: $of)+)?
        ) -> Result<$type, $crate::error::StoreError> {
            Ok($type { $($($given,)+)? $($field: row.next()?),+ })
        }
    };
}

pub(crate) use reader;

/// A type that a column can be read as; the set is closed.
pub trait FromColumn<'r>: Sized {
    /// Reads SQLite's value; the error says what was wrong.
    ///
    /// # Errors
    /// Another type, or a value out of range.
    #[cfg(feature = "sqlite")]
    fn from_sqlite(value: rusqlite::types::ValueRef<'r>) -> Result<Self, String>;

    /// Reads PostgreSQL's value; the error says what was wrong.
    ///
    /// # Errors
    /// Another type, or a value out of range.
    #[cfg(feature = "postgres")]
    fn from_postgres(row: &'r tokio_postgres::Row, index: usize) -> Result<Self, String>;
}

/// Implements [`FromColumn`] for a type and its `Option` by way of what the drivers give.
macro_rules! from_column {
    ($type:ty $(, of $kind:ident)?; $sqlite:pat => $from_sqlite:expr, $postgres:ty => $from_postgres:expr) => {
        impl<'r $(, $kind)?> FromColumn<'r> for $type {
            #[cfg(feature = "sqlite")]
            fn from_sqlite(value: rusqlite::types::ValueRef<'r>) -> Result<Self, String> {
                #[allow(unused_imports, reason = "the patterns below name the variants")]
                use rusqlite::types::ValueRef::{Blob, Integer, Real, Text};
                match value {
                    $sqlite => $from_sqlite,
                    other => Err(format!("unexpected {}", other.data_type())),
                }
            }

            #[cfg(feature = "postgres")]
            fn from_postgres(row: &'r tokio_postgres::Row, index: usize) -> Result<Self, String> {
                let value: $postgres = row.try_get(index).map_err(|error| describe(&error))?;
                ($from_postgres)(value)
            }
        }

        impl<'r $(, $kind)?> FromColumn<'r> for Option<$type> {
            #[cfg(feature = "sqlite")]
            fn from_sqlite(value: rusqlite::types::ValueRef<'r>) -> Result<Self, String> {
                match value {
                    rusqlite::types::ValueRef::Null => Ok(None),
                    other => <$type>::from_sqlite(other).map(Some),
                }
            }

            #[cfg(feature = "postgres")]
            fn from_postgres(row: &'r tokio_postgres::Row, index: usize) -> Result<Self, String> {
                let value: Option<$postgres> = row.try_get(index).map_err(|error| describe(&error))?;
                value.map($from_postgres).transpose()
            }
        }
    };
}

/// Bytes; a type of its own, so that a slice of a text cannot be taken for them.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'r>(pub &'r [u8]);

from_column!(&'r str; Text(bytes) => text(bytes), &'r str => Ok);
from_column!(String; Text(bytes) => text(bytes).map(str::to_owned), String => Ok);
from_column!(ApiKeyScope; Text(bytes) => text(bytes).and_then(word), &'r str => word);
from_column!(ConversationRole; Text(bytes) => text(bytes).and_then(word), &'r str => word);
from_column!(EndReason; Text(bytes) => text(bytes).and_then(word), &'r str => word);
from_column!(LogLevel; Text(bytes) => text(bytes).and_then(word), &'r str => word);
from_column!(MessageRole; Text(bytes) => text(bytes).and_then(word), &'r str => word);
from_column!(UserRole; Text(bytes) => text(bytes).and_then(word), &'r str => word);
from_column!(Uuid; Blob(bytes) => Uuid::from_slice(bytes).map_err(|_| "a UUID has 16 bytes".to_owned()), Uuid => Ok);
from_column!(Id<K>, of K; Blob(bytes) => Uuid::from_slice(bytes).map(Id::from_uuid).map_err(|_| "a UUID has 16 bytes".to_owned()), Uuid => |uuid| Ok(Id::from_uuid(uuid)));
from_column!(i64; Integer(number) => Ok(number), i64 => Ok);
from_column!(f64; Real(number) => Ok(number), f64 => Ok);
from_column!(bool; Integer(number @ 0..=1) => Ok(number == 1), bool => Ok);
from_column!(Bytes<'r>; Blob(bytes) => Ok(Bytes(bytes)), &'r [u8] => |bytes| Ok(Bytes(bytes)));
from_column!([u8; 32]; Blob(bytes) => digest(bytes), &'r [u8] => digest);
from_column!(PasswordHash; Text(bytes) => text(bytes).and_then(password_hash), &'r str => password_hash);
from_column!(Timestamp; Integer(number) => timestamp(number), Microseconds => |time: Microseconds| timestamp(time.0));
from_column!(Day; Integer(number) => timestamp(number).map(Day::of), Microseconds => |time: Microseconds| timestamp(time.0).map(Day::of));
from_column!(CanonicalJson; Text(bytes) => text(bytes).and_then(json), JsonText<'r> => |text: JsonText<'r>| json(text.0));

from_column!(VerbatimJson; Text(bytes) => text(bytes).and_then(verbatim), &'r str => verbatim);
/// Null is no limit and no grant.
impl<'r> FromColumn<'r> for KeyRights {
    #[cfg(feature = "sqlite")]
    fn from_sqlite(value: rusqlite::types::ValueRef<'r>) -> Result<Self, String> {
        Self::from_json(Option::<CanonicalJson>::from_sqlite(value)?.as_ref())
    }

    #[cfg(feature = "postgres")]
    fn from_postgres(row: &'r tokio_postgres::Row, index: usize) -> Result<Self, String> {
        Self::from_json(Option::<CanonicalJson>::from_postgres(row, index)?.as_ref())
    }
}

#[cfg(feature = "sqlite")]
fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "text is not UTF-8".to_owned())
}

fn word<K: Keyword>(text: &str) -> Result<K, String> {
    K::parse(text).ok_or_else(|| format!("unknown word {text:?}"))
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], String> {
    bytes.try_into().map_err(|_| "a digest has 32 bytes".to_owned())
}

fn password_hash(text: &str) -> Result<PasswordHash, String> {
    PasswordHash::known(text).ok_or_else(|| "of an unknown form".to_owned())
}

fn timestamp(microseconds: i64) -> Result<Timestamp, String> {
    Timestamp::from_microseconds(microseconds).map_err(|error| error.to_string())
}

fn json(text: &str) -> Result<CanonicalJson, String> {
    CanonicalJson::parse_stored(text, Duplicates::Refused).map_err(|error| error.to_string())
}

fn verbatim(text: &str) -> Result<VerbatimJson, String> {
    VerbatimJson::parse(text).map_err(|error| error.to_string())
}

#[cfg(feature = "postgres")]
use postgres::{Anything, JsonText, Microseconds, describe};

#[cfg(feature = "postgres")]
mod postgres {
    use std::error::Error;

    use tokio_postgres::types::{FromSql, Type};

    use crate::db::value::MICROSECONDS_1970_TO_2000;

    /// What the driver says, with the reason it keeps as source.
    pub(super) fn describe(error: &tokio_postgres::Error) -> String {
        error.source().map_or_else(|| error.to_string(), ToString::to_string)
    }

    /// A `timestamptz` as microseconds since 1970.
    pub(super) struct Microseconds(pub(super) i64);

    impl<'a> FromSql<'a> for Microseconds {
        fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            let since_2000 = i64::from_be_bytes(raw.try_into()?);
            Ok(Self(since_2000.saturating_add(MICROSECONDS_1970_TO_2000)))
        }

        fn accepts(ty: &Type) -> bool {
            *ty == Type::TIMESTAMPTZ
        }
    }

    /// A value of any type, which is not read.
    pub(super) struct Anything;

    impl FromSql<'_> for Anything {
        fn from_sql(_ty: &Type, _raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            Ok(Self)
        }

        fn accepts(_ty: &Type) -> bool {
            true
        }
    }

    /// The text of a `jsonb`, behind its version byte.
    pub(super) struct JsonText<'r>(pub(super) &'r str);

    impl<'a> FromSql<'a> for JsonText<'a> {
        fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            match raw {
                [1, text @ ..] => Ok(Self(std::str::from_utf8(text)?)),
                _ => Err("unknown version of jsonb".into()),
            }
        }

        fn accepts(ty: &Type) -> bool {
            *ty == Type::JSONB
        }
    }
}
