//! Every wait for PostgreSQL, and how long it lasts. `docs/operations.md` tells operators what follows from it.
//!
//! A request that waits for a connection or for a lock must end within the 5 s that the HTTP layer gives it, with
//! an answer that says what happened: [`ACQUIRE`] and [`LOCK_MS`] are each less.

use std::time::Duration;

/// How long a caller waits for a connection, whether one becomes free or is opened.
pub(super) const ACQUIRE: Duration = Duration::from_secs(4);

/// How long a program that opens the database waits for its first connection.
pub(super) const FIRST: Duration = Duration::from_secs(5);

/// How long a statement waits for a row or table that another transaction has locked.
pub(super) const LOCK_MS: u32 = 2_500;

/// How long a statement runs, and how long a transaction is idle, before the server ends it.
pub(super) const STATEMENT_MS: u32 = 30_000;

/// Sets the time limits for one transaction, where the session's settings do not reach the server.
pub(super) fn of_transaction() -> String {
    format!("set local statement_timeout = {STATEMENT_MS}; set local lock_timeout = {LOCK_MS}")
}

/// How long a statement is waited for: longer than the server lets it run, so that only a silent server or
/// connection is given up by this.
pub(super) const ANSWER: Duration = Duration::from_secs(35);

/// After how long without an answer the idle connections come under suspicion: an answer takes that long behind
/// a lock, and for ever on a connection that was cut off.
pub(super) const SUSPICION: Duration = Duration::from_secs(1);

/// How long an abandoned statement may take to end by itself before it is cancelled, and how long a cancelled
/// one may take before its connection is given up.
pub(super) const ABANDONED: Duration = Duration::from_secs(1);
pub(super) const CANCELLED: Duration = Duration::from_secs(2);

/// How many statements are cancelled at the same time: each needs a connection of its own to the server.
pub(super) const CANCELS: usize = 4;

/// How long an idle connection may take to prove that it works, once another one has been silent.
pub(super) const PROBE: Duration = Duration::from_millis(500);

/// How long the system waits for data that it sent to be acknowledged, and how it looks for a dead peer:
/// after how long without data, how often, and how many times.
pub(super) const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
pub(super) const KEEPALIVE_RETRIES: u32 = 3;

/// How long a connection that only listens hears nothing before it has to prove that it works, and how long it may take.
pub(super) const LISTENER_IDLE: Duration = Duration::from_secs(5);
pub(super) const LISTENER_PROBE: Duration = Duration::from_secs(2);

/// After how long more connections are tried again when the server has refused one.
pub(super) const GROW_AGAIN: Duration = Duration::from_secs(10);

/// How long a caller waits before it tries again to open the only connection.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// How often idle connections are replaced while the server takes no writes: after a fail-over, a new one may
/// reach another server.
pub(super) const RENEW: Duration = Duration::from_secs(1);
