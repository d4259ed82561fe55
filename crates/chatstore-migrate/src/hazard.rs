//! Hazards of revisions, and where they were found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a revision endangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hazard {
    /// The data of a table or column is deleted.
    DataLoss,
    /// Existing rows may no longer fit.
    Narrowing,
    /// Existing rows have no value for a column that needs one.
    NotNullWithoutDefault,
    /// PostgreSQL scans a whole table while no client can write to it, or even read it.
    LockingIndex,
}

impl fmt::Display for Hazard {
    /// As it is written in files and messages.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DataLoss => "data-loss",
            Self::Narrowing => "narrowing",
            Self::NotNullWithoutDefault => "not-null-without-default",
            Self::LockingIndex => "locking-index",
        })
    }
}

/// A hazard and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LintFinding {
    /// What it is.
    pub hazard: Hazard,
    /// The table, as it is called then.
    pub table: String,
    /// The column, or the columns of a key or an index with commas between them.
    pub column: Option<String>,
    /// What the revision does.
    pub what: String,
    /// What to do instead.
    pub instead: &'static str,
}

impl LintFinding {
    pub(crate) fn new(
        hazard: Hazard,
        table: &str,
        column: Option<&str>,
        what: impl Into<String>,
        instead: &'static str,
    ) -> Self {
        let column = column.filter(|column| !column.is_empty()).map(str::to_owned);
        Self { hazard, table: table.to_owned(), column, what: what.into(), instead }
    }
}
