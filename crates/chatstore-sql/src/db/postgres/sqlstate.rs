//! What PostgreSQL's error codes mean to the store: one table, by code or by class of codes
//! (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

use tokio_postgres::error::DbError;

/// What an error of the server means, apart from violated constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Another transaction got in the way; the whole transaction runs again.
    Conflict,
    /// A prepared statement is outdated or absent; it is prepared again.
    NotPrepared,
    /// A lock or an answer took too long; nothing was changed.
    Timeout,
    /// The server, or this connection to it, is of no use at the moment.
    Unavailable,
    /// The server, or the role, has no connection left.
    TooManyConnections,
    StorageFull,
    ReadOnly,
    /// The role may not do this.
    Denied,
    /// The database does not exist.
    NoDatabase,
    /// There is no such table.
    NoTable,
    Corrupt,
    Other,
}

/// Codes of five characters, and classes of two.
const MEANINGS: &[(&str, Meaning)] = &[
    // connection_exception: the connection broke.
    ("08", Meaning::Unavailable),
    // read_only_sql_transaction: a standby, or default_transaction_read_only.
    ("25006", Meaning::ReadOnly),
    // idle_in_transaction_session_timeout, transaction_timeout: the server ended the connection.
    ("25P03", Meaning::Unavailable),
    ("25P04", Meaning::Unavailable),
    // invalid_sql_statement_name: a pooler gave us another session than the one that prepared it.
    ("26000", Meaning::NotPrepared),
    ("28000", Meaning::Denied),
    ("28P01", Meaning::Denied),
    ("3D000", Meaning::NoDatabase),
    // invalid_schema_name: there is no schema that this role may create tables in.
    ("3F000", Meaning::Denied),
    // serialization_failure, deadlock_detected.
    ("40001", Meaning::Conflict),
    ("40P01", Meaning::Conflict),
    ("42501", Meaning::Denied),
    ("42P01", Meaning::NoTable),
    // duplicate_prepared_statement: a pooler gave us a session that another one has used.
    ("42P05", Meaning::NotPrepared),
    // insufficient_resources: memory, configured limits; disk_full and too_many_connections are told apart.
    ("53", Meaning::Unavailable),
    ("53100", Meaning::StorageFull),
    ("53300", Meaning::TooManyConnections),
    // lock_not_available, query_canceled.
    ("55P03", Meaning::Timeout),
    ("57014", Meaning::Timeout),
    // admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout.
    ("57P01", Meaning::Unavailable),
    ("57P02", Meaning::Unavailable),
    ("57P03", Meaning::Unavailable),
    ("57P04", Meaning::Unavailable),
    ("57P05", Meaning::Unavailable),
    // data_corrupted, index_corrupted.
    ("XX001", Meaning::Corrupt),
    ("XX002", Meaning::Corrupt),
];

/// feature_not_supported, which the server also says of a prepared statement whose columns have changed.
const NOT_SUPPORTED: &str = "0A000";

/// The server's function that says so; the text of the error depends on the server's language.
const REVALIDATION: &str = "RevalidateCachedQuery";

/// Says what an error of the server means.
pub(crate) fn meaning(error: &DbError) -> Meaning {
    let code = error.code().code();
    if code == NOT_SUPPORTED && error.routine() == Some(REVALIDATION) {
        return Meaning::NotPrepared;
    }
    meaning_of_code(code)
}

fn meaning_of_code(code: &str) -> Meaning {
    let find = |key: &str| MEANINGS.iter().find(|(known, _)| *known == key).map(|(_, meaning)| *meaning);
    find(code).or_else(|| find(code.get(..2)?)).unwrap_or(Meaning::Other)
}

#[cfg(test)]
mod tests {
    use super::{MEANINGS, Meaning, meaning_of_code};

    #[test]
    fn each_code_has_one_meaning_and_goes_before_its_class() {
        let mut codes: Vec<&str> = MEANINGS.iter().map(|(code, _)| *code).collect();
        assert!(codes.is_sorted());
        codes.dedup();
        assert_eq!(codes.len(), MEANINGS.len());
        for (code, meaning) in [
            ("08006", Meaning::Unavailable),
            ("25006", Meaning::ReadOnly),
            ("26000", Meaning::NotPrepared),
            ("40001", Meaning::Conflict),
            ("40P01", Meaning::Conflict),
            ("42P05", Meaning::NotPrepared),
            ("53100", Meaning::StorageFull),
            ("53200", Meaning::Unavailable),
            ("53300", Meaning::TooManyConnections),
            ("55P03", Meaning::Timeout),
            ("57014", Meaning::Timeout),
            ("57P01", Meaning::Unavailable),
            ("57P03", Meaning::Unavailable),
            ("0A000", Meaning::Other),
            ("22P02", Meaning::Other),
            ("", Meaning::Other),
        ] {
            assert_eq!(meaning_of_code(code), meaning, "{code}");
        }
    }
}
