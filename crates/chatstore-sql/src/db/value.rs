//! Parameters, in the eight types of the data model.

use chatstore_model::{CanonicalJson, Id, Timestamp, VerbatimJson};
use uuid::Uuid;

/// PostgreSQL counts microseconds from 2000-01-01.
#[cfg(feature = "postgres")]
pub(super) const MICROSECONDS_1970_TO_2000: i64 = 946_684_800_000_000;

/// A parameter of a statement; texts and bytes are borrowed.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Null of whatever type the statement wants.
    Null,
    /// `uuid`, 16 bytes in SQLite.
    Uuid(Uuid),
    /// Text.
    Text(&'a str),
    /// A truth value, 0 or 1 in SQLite.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Float(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Canonical JSON, `jsonb` in PostgreSQL and text in SQLite.
    Json(&'a CanonicalJson),
    /// An instant; microseconds since 1970 in SQLite.
    Time(Timestamp),
}

impl<'a, T> From<Option<T>> for Value<'a>
where
    Value<'a>: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// Implements `From` for a type that is the content of a variant.
macro_rules! value_from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl<'a> From<$type> for Value<'a> {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

value_from! {
    Uuid => Uuid,
    &'a str => Text,
    &'a String => Text,
    bool => Bool,
    i64 => Int,
    f64 => Float,
    &'a [u8] => Bytes,
    &'a CanonicalJson => Json,
    Timestamp => Time,
}

impl<'a> From<&'a VerbatimJson> for Value<'a> {
    fn from(value: &'a VerbatimJson) -> Self {
        Self::Text(value.as_str())
    }
}

impl<K> From<Id<K>> for Value<'_> {
    fn from(value: Id<K>) -> Self {
        Self::Uuid(value.uuid())
    }
}

#[cfg(feature = "sqlite")]
impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Uuid(uuid) => ToSqlOutput::Borrowed(ValueRef::Blob(uuid.as_bytes())),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bool(flag) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*flag))),
            Self::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Self::Float(number) => ToSqlOutput::Borrowed(ValueRef::Real(*number)),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Json(json) => ToSqlOutput::Borrowed(ValueRef::Text(json.as_str().as_bytes())),
            Self::Time(time) => ToSqlOutput::Borrowed(ValueRef::Integer(time.as_microseconds())),
        })
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::error::Error;

    use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

    use super::{MICROSECONDS_1970_TO_2000, Value};

    /// The first byte of a binary `jsonb`.
    const JSONB_VERSION: u8 = 1;

    impl ToSql for Value<'_> {
        fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
            match self {
                Self::Null => return Ok(IsNull::Yes),
                Self::Uuid(uuid) => out.extend_from_slice(uuid.as_bytes()),
                Self::Text(text) => out.extend_from_slice(text.as_bytes()),
                Self::Bool(flag) => out.extend_from_slice(&[u8::from(*flag)]),
                Self::Int(number) => out.extend_from_slice(&number.to_be_bytes()),
                Self::Float(number) => out.extend_from_slice(&number.to_be_bytes()),
                Self::Bytes(bytes) => out.extend_from_slice(bytes),
                Self::Json(json) => {
                    out.extend_from_slice(&[JSONB_VERSION]);
                    out.extend_from_slice(json.as_str().as_bytes());
                }
                Self::Time(time) => {
                    let since_2000 = time.as_microseconds() - MICROSECONDS_1970_TO_2000;
                    out.extend_from_slice(&since_2000.to_be_bytes());
                }
            }
            if self.fits(ty) {
                Ok(IsNull::No)
            } else {
                Err(format!("{self:?} given for a parameter of type {ty}").into())
            }
        }

        fn accepts(_ty: &Type) -> bool {
            true
        }

        to_sql_checked!();
    }

    impl Value<'_> {
        /// The type as which the server takes this value when nothing else says which; it finds out that of a
        /// null by itself.
        pub(crate) const fn postgres_type(&self) -> Type {
            match self {
                Self::Null => Type::UNKNOWN,
                Self::Uuid(_) => Type::UUID,
                Self::Text(_) => Type::TEXT,
                Self::Bool(_) => Type::BOOL,
                Self::Int(_) => Type::INT8,
                Self::Float(_) => Type::FLOAT8,
                Self::Bytes(_) => Type::BYTEA,
                Self::Json(_) => Type::JSONB,
                Self::Time(_) => Type::TIMESTAMPTZ,
            }
        }

        fn fits(&self, ty: &Type) -> bool {
            match self {
                Self::Null => true,
                Self::Uuid(_) => *ty == Type::UUID,
                Self::Text(_) => matches!(*ty, Type::TEXT | Type::VARCHAR | Type::NAME),
                Self::Bool(_) => *ty == Type::BOOL,
                Self::Int(_) => *ty == Type::INT8,
                Self::Float(_) => *ty == Type::FLOAT8,
                Self::Bytes(_) => *ty == Type::BYTEA,
                Self::Json(_) => *ty == Type::JSONB,
                Self::Time(_) => *ty == Type::TIMESTAMPTZ,
            }
        }
    }
}
