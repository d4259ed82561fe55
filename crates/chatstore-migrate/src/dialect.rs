//! The two kinds of SQL.

/// Which SQL a database understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// As in the names of a revision's files: `sqlite` or `pg`.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "pg",
        }
    }
}
