//! The few words in which the two databases' SQL for generating data differs.

use chatstore_sql::DatabaseKind;

/// The beginning of users' ids; twelve digits follow.
pub const USER_PREFIX: &str = "00000000000070008000";

/// The beginning of conversations' ids.
pub const CONVERSATION_PREFIX: &str = "00000000000070009000";

/// The beginning of messages' ids.
pub const MESSAGE_PREFIX: &str = "0000000000007000a000";

/// The beginning of documents' ids.
pub const DOCUMENT_PREFIX: &str = "0000000000007000b000";

/// Added to every number in an id, so that all have twelve digits without padding.
pub const FIRST_NUMBER: u64 = 100_000_000_000;

/// 2026-01-01T00:00:00Z, when everything began.
const BEGINNING: &str = "1767225600";

/// An id composed of a prefix and a number.
pub fn id(kind: DatabaseKind, prefix: &str, number: &str) -> String {
    match kind {
        DatabaseKind::Sqlite => format!("unhex('{prefix}' || ({FIRST_NUMBER} + {number}))"),
        DatabaseKind::Postgres => format!("('{prefix}' || ({FIRST_NUMBER} + {number}))::uuid"),
    }
}

/// A table `numbers` with the column `n` from 0 to below `count`.
pub fn numbers(kind: DatabaseKind, count: u64) -> String {
    match kind {
        DatabaseKind::Sqlite => format!(
            "(with recursive counter(n) as (select 0 union all select n + 1 from counter where n + 1 < {count}) \
             select n from counter) as numbers"
        ),
        DatabaseKind::Postgres => format!("generate_series(0::bigint, {count} - 1) as numbers(n)"),
    }
}

/// An instant, by its distance from the beginning.
pub fn time(kind: DatabaseKind, seconds: &str) -> String {
    match kind {
        DatabaseKind::Sqlite => format!("(({BEGINNING} + {seconds}) * 1000000)"),
        DatabaseKind::Postgres => format!("to_timestamp({BEGINNING} + {seconds})"),
    }
}

/// A truth value.
pub const fn truth(kind: DatabaseKind, value: bool) -> &'static str {
    match (kind, value) {
        (DatabaseKind::Sqlite, true) => "1",
        (DatabaseKind::Sqlite, false) => "0",
        (DatabaseKind::Postgres, true) => "true",
        (DatabaseKind::Postgres, false) => "false",
    }
}
