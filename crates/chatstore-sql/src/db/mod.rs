//! The thin executor over both drivers.

mod executor;
mod meaning;
mod page;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod row;
mod sql;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(feature = "postgres")]
pub(crate) mod tls;
mod value;

pub(crate) use executor::Executor;
pub(crate) use page::{PageBounds, PageRows};
pub(crate) use row::reader;
pub use row::{Bytes, FromColumn, Row};
pub use sql::Sql;
#[cfg(feature = "postgres")]
pub use tls::TlsMode;
pub use value::Value;
