//! Every metric: its name, its kind, its labels and what it says. `docs/operations.md` has the same table, which a test
//! compares, as it compares what is served with it, and the queries of the dashboard and of the alerts.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A number that only grows; its name ends in `_total`.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// A distribution: `_bucket` with the label `le`, `_sum` and `_count`.
    Histogram,
}

impl MetricKind {
    /// What the documentation calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What a metric says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricDescription {
    /// Its name without the ending of its kind.
    pub(super) family: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
}

impl MetricDescription {
    /// Its name as a query has it: that of a histogram is followed by `_bucket`, `_sum` or `_count`.
    #[must_use]
    pub fn name(&self) -> String {
        let ending = if self.kind == MetricKind::Counter { "_total" } else { "" };
        format!("{}{ending}", self.family)
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> MetricKind {
        self.kind
    }

    /// Its labels beside `le`.
    #[must_use]
    pub const fn labels(&self) -> &'static [&'static str] {
        self.labels
    }

    /// What it says, as Markdown.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }
}

macro_rules! metrics {
    ($($name:ident: $kind:ident $family:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) const $name: MetricDescription = MetricDescription {
            family: $family,
            kind: MetricKind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// Every metric, in the order of the documentation.
        pub(super) const ALL: &[MetricDescription] = &[$($name),+];
    };
}

metrics! {
    REQUESTS: Counter "chatstore_http_requests" ["method", "route", "status"]
        "requests answered; `route` is the pattern, never an id, `none` without one";
    REQUEST_TIMES: Histogram "chatstore_http_request_duration_seconds" ["method", "route", "status_class"]
        "time from a request's head to that of its answer; `status_class` is `2xx` to `5xx`";
    REQUESTS_PRESENT: Gauge "chatstore_http_requests_present" []
        "requests in progress, those that wait included";
    PROBLEMS: Counter "chatstore_http_problems" ["problem", "shortage"]
        "requests that were refused or failed, by the last part of the problem's `type`; for `overloaded` of what there was too little: `permits`, `passwords`, `memory`, `turns` of those that change the same thing, or what the `store` limits; else `none`";
    PERMIT_WAITS: Histogram "chatstore_http_permit_wait_seconds" []
        "time for which requests waited for a permit to use the database, 40 ms at most";
    PERMITS_BUSY: Gauge "chatstore_http_permits_busy" []
        "permits in use";
    PERMITS_MAX: Gauge "chatstore_http_permits_max" []
        "permits that there are";
    CONNECTIONS: Gauge "chatstore_http_connections" []
        "open connections of clients";
    CONNECTIONS_MAX: Gauge "chatstore_http_connections_max" []
        "connections above which unused ones are closed";
    CONNECTIONS_CLOSED: Counter "chatstore_http_connections_closed" ["reason"]
        "connections closed for others: `evicted` to make room, or `refused` because their address has its share";
    STATEMENTS: Counter "chatstore_database_statements" ["statement"]
        "statements sent to the database, by the name in the code; `other` for an embedding application's own";
    STATEMENT_TIMES: Counter "chatstore_database_statement_seconds" ["statement"]
        "time that they took, with their rows read";
    STATEMENT_FAILURES: Counter "chatstore_database_statement_failures" ["statement"]
        "statements in which the database failed or was too slow; what a rule refuses is no failure";
    STATEMENTS_SLOW: Counter "chatstore_database_slow_statements" []
        "statements slower than `CHATSTORE_SLOW_STATEMENT_MS`";
    TIMEOUTS: Counter "chatstore_database_timeouts" ["waited_for"]
        "waits in vain: for a free `connection`, or for the answer to a `statement`";
    CONFLICT_RETRIES: Counter "chatstore_database_conflict_retries" []
        "transactions run again after a conflict with another one (PostgreSQL)";
    DATABASE_CONNECTIONS: Gauge "chatstore_database_connections" ["state"]
        "connections to PostgreSQL, or for reads of a SQLite file: `busy` or `idle`";
    DATABASE_CONNECTIONS_MAX: Gauge "chatstore_database_connections_max" []
        "connections that there may be";
    DATABASE_CONNECTION_WAITS: Histogram "chatstore_database_connection_wait_seconds" []
        "time for which one was waited for";
    GROUP_SIZES: Histogram "chatstore_sqlite_group_writes" []
        "writes that SQLite's writer committed together";
    GROUP_TIMES: Histogram "chatstore_sqlite_group_duration_seconds" []
        "time that it took to run and commit them";
    QUEUED_WRITES: Gauge "chatstore_sqlite_queued_writes" []
        "writes that wait for the writer, 1,024 at most";
    WAL_BYTES: Gauge "chatstore_sqlite_wal_bytes" []
        "size of the write-ahead log";
    CHECKPOINTS: Counter "chatstore_sqlite_checkpoints" ["outcome"]
        "checkpoints: `moved`, `busy` while readers or another one are in the way, `failed`";
    LONG_READS: Counter "chatstore_sqlite_long_reads" []
        "reads that took more than 2 ms or 256 KiB and ran again on a thread of their own";
    SECURITY_EVENTS: Counter "chatstore_security_events" ["event", "outcome"]
        "security events, logins among them: `outcome` is `done` or `refused`";
    LIMIT_DECISIONS: Counter "chatstore_limit_decisions" ["limit", "decision"]
        "what limits of requests and of failed logins `granted` and `refused`";
    MODEL_REPLIES: Counter "chatstore_model_replies" ["model", "source"]
        "replies stored, from the `model` or a `cache`; models after the first 64, and names of more than 64 characters, are `other`";
    MODEL_TOKENS: Counter "chatstore_model_tokens" ["model", "kind"]
        "their tokens: `prompt` (of which `cached`) and `completion`";
    CACHE_HITS: Counter "chatstore_cache_hits" []
        "look-ups in the shared cache that found an entry: in Redis, or without it answers of models in memory";
    CACHE_MISSES: Counter "chatstore_cache_misses" []
        "look-ups that found none";
    CACHE_ERRORS: Counter "chatstore_cache_errors" []
        "commands to Redis that failed, or were not answered within 20 ms";
    CACHE_LOSSES: Counter "chatstore_cache_losses" []
        "how often Redis was found not to answer, and left alone until it did";
    CACHE_UP: Gauge "chatstore_cache_up" []
        "1 while Redis is in use, else 0; without `REDIS_URL` always 1";
    LOG_EVENTS: Counter "chatstore_log_events" ["outcome"]
        "events kept in the database: `stored`, or `dropped` because the database failed or was too slow";
    LOG_EVENTS_WAITING: Gauge "chatstore_log_events_waiting" []
        "events that wait for the database";
    STANDBYS_IN_USE: Gauge "chatstore_standbys_in_use" []
        "standbys that answer reads now; these four only with `DATABASE_READ_URL`";
    LIST_READS: Counter "chatstore_list_reads" ["place"]
        "reads of lists, by who answered: `standby` or `primary`";
    STANDBY_WAITS: Counter "chatstore_standby_waits" []
        "reads that waited for a standby to replay a write";
    STANDBY_FALLS_BACK: Counter "chatstore_standby_falls_back" []
        "reads that a standby did not finish and the primary answered";
    BUILD_INFO: Gauge "chatstore_build_info" ["version", "revision", "database"]
        "always 1: the version of the program, the newest revision of the tables that it knows, and `sqlite` or `postgres`";
    PROCESS_MEMORY: Gauge "process_resident_memory_bytes" []
        "memory of the process; these six only on Linux";
    PROCESS_CPU: Counter "process_cpu_seconds" []
        "processor time of the process";
    PROCESS_DESCRIPTORS: Gauge "process_open_fds" []
        "open files and sockets";
    PROCESS_DESCRIPTORS_MAX: Gauge "process_max_fds" []
        "how many there may be";
    PROCESS_THREADS: Gauge "process_threads" []
        "threads";
    PROCESS_START: Gauge "process_start_time_seconds" []
        "when the process started, in seconds since 1970";
}
