//! Changes of a schema as SQL text for either database.

use crate::dialect::Dialect;
use crate::diff::SchemaChange;
use crate::model::Schema;
use crate::rename::Renames;
use crate::{alter, rebuild};

impl SchemaChange {
    /// The SQL for a dialect.
    #[must_use]
    pub fn sql(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::Sqlite => rebuild::sql(self),
            Dialect::Postgres => alter::sql(self),
        }
    }
}

impl Schema {
    /// The SQL that creates all of it in an empty database.
    #[must_use]
    pub fn create(&self, dialect: Dialect) -> String {
        let (renames, before) = (Renames::default(), Self::default());
        SchemaChange { renames, before, after: self.clone() }.sql(dialect)
    }
}
