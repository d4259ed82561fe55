//! How many rows a piece of long work has: of a deletion, or of events that are stored beside requests.

use std::time::Duration;

use crate::options::DatabaseKind;

/// Rows of the first piece on SQLite.
const FIRST_ROWS: i64 = 50;

/// Minimum rows of a piece on PostgreSQL, where no write waits for a piece, and much of its time on a busy machine is
/// that of its round trips, however few rows it has.
const MIN_ROWS_ON_POSTGRES: i64 = 500;

/// Maximum rows of a piece.
const MAX_ROWS: i64 = 2_000;

/// The rows of the next piece. Their number follows the time that pieces take in their transactions.
#[derive(Debug, Clone, Copy)]
pub struct PieceRows {
    rows: i64,
    least: i64,
    aim: Duration,
    /// How many times as long as a piece the pause after it is.
    pauses: u32,
}

impl PieceRows {
    /// Those of the first piece of a deletion, for which no caller waits: 2 ms of SQLite's writer and a pause of ten
    /// times that, because what it changed has to be written into the file afterwards, or 20 ms of a connection to
    /// PostgreSQL and three times that.
    #[must_use]
    pub fn first(kind: DatabaseKind) -> Self {
        let (milliseconds, pauses) = match kind {
            DatabaseKind::Sqlite => (2, 10),
            DatabaseKind::Postgres => (20, 3),
        };
        let least = min_rows(kind);
        Self { rows: FIRST_ROWS.max(least), least, aim: Duration::from_millis(milliseconds), pauses }
    }

    /// Those of the first piece of work for which a caller waits: 10 ms of SQLite's writer, or 20 ms of a connection to
    /// PostgreSQL, and a pause as long as the piece.
    #[must_use]
    pub fn awaited(kind: DatabaseKind) -> Self {
        let milliseconds = match kind {
            DatabaseKind::Sqlite => 10,
            DatabaseKind::Postgres => 20,
        };
        let least = min_rows(kind);
        Self { rows: FIRST_ROWS.max(least), least, aim: Duration::from_millis(milliseconds), pauses: 1 }
    }

    /// Those of the first piece of work that goes on as long as requests do: 1 ms of SQLite's writer, or 5 ms of a
    /// connection to PostgreSQL, whose processors requests need as well.
    #[must_use]
    pub const fn short(kind: DatabaseKind) -> Self {
        let (milliseconds, pauses) = match kind {
            DatabaseKind::Sqlite => (1, 10),
            DatabaseKind::Postgres => (5, 3),
        };
        Self { rows: FIRST_ROWS, least: 1, aim: Duration::from_millis(milliseconds), pauses }
    }

    /// How many.
    #[must_use]
    pub const fn count(self) -> i64 {
        self.rows
    }

    /// How long others have after a piece.
    #[must_use]
    pub fn pause_after(self, piece: Duration) -> Duration {
        self.pauses * piece
    }

    /// Those of the piece after one that took this long.
    #[must_use]
    pub fn after(self, took: Duration) -> Self {
        let rows = rows_after(self.rows, took, self.aim).max(self.least);
        Self { rows, ..self }
    }
}

const fn min_rows(kind: DatabaseKind) -> i64 {
    match kind {
        DatabaseKind::Sqlite => 1,
        DatabaseKind::Postgres => MIN_ROWS_ON_POSTGRES,
    }
}

fn rows_after(rows: i64, took: Duration, aim: Duration) -> i64 {
    if took > aim {
        return (rows / 2).max(1);
    }
    if took < aim / 2 { (rows * 2).min(MAX_ROWS) } else { rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_the_time_that_they_take() {
        let next = |rows, micros| rows_after(rows, Duration::from_micros(micros), Duration::from_millis(5));
        assert_eq!(next(50, 1_000), 100);
        assert_eq!(next(1_500, 1_000), MAX_ROWS);
        assert_eq!(next(50, 3_000), 50);
        assert_eq!(next(50, 6_000), 25);
        assert_eq!(next(1, 6_000_000), 1);
    }
}
