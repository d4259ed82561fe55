//! `deletion`: a very long conversation is deleted beside writers of a server, which is killed in the middle and started
//! again: the conversation is gone at once, its rows are gone in the end, and the writers go on.

mod rows;

use std::path::Path;
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::rounded;
use chatstore_bench::server::{Installation, Server, with_installation};
use chatstore_model::ConversationId;
use serde_json::json;

use crate::crash::check::{Conversation, Operation, check, waits};
use crate::experiment::{Bounds, Common, Experiment, Recorder};
use crate::long_import::writers::Writers;

use rows::Rows;

/// How long the rows of a deletion may take to go.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// The largest log of SQLite, in bytes: what the writer keeps it to, and one piece.
const LOG_BYTES: u64 = 64 * 1_024 * 1_024;

/// Delete one very long conversation beside writers, and kill the server in the middle
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages of the conversation
    #[arg(long, default_value_t = 1_000_000)]
    messages: i64,
    /// How long the writers are measured before, and the deletion before the server is killed
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How many write to the server meanwhile
    #[arg(long, default_value_t = 8)]
    writers: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let kind = recorder.kind;
        let run = async |installation: &Installation| self.run(installation, recorder).await;
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

/// What happened after the deletion was answered.
struct Deleted {
    /// Messages that were left when the server was killed.
    left: i64,
    /// Milliseconds until the answer.
    answered_ms: f64,
    /// Seconds from the restart until the last row was gone.
    seconds: f64,
    /// The largest log of SQLite.
    log_bytes: u64,
    before_kill: Phase,
    after_kill: Phase,
}

/// What writers sent to a conversation of their own.
struct Phase {
    conversation: String,
    ledger: Vec<Operation>,
}

/// Writers at work on a conversation of their own.
struct Busy {
    conversation: String,
    writers: Writers,
}

impl Busy {
    async fn start(count: usize, server: &Server) -> Result<Self, Error> {
        let conversation = server.client().create_conversation().await?;
        let writers = Writers::start(count, server.client(), &conversation);
        Ok(Self { conversation, writers })
    }

    async fn finish(self) -> Phase {
        Phase { conversation: self.conversation, ledger: self.writers.finish().await }
    }
}

impl Arguments {
    async fn run(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let mut violations = Vec::new();
        let server = installation.start().await?;
        let rows = Rows::open(installation.database_url()).await?;
        let long = rows.create_long(self.messages).await?;
        let writers = Busy::start(self.writers, &server).await?;
        tokio::time::sleep(Duration::from_secs_f64(self.seconds)).await;
        let idle = writers.finish().await;
        let (server, deleted) = self.delete(installation, server, &rows, long, &mut violations).await?;
        if rows.left(long).await? > 0 {
            violations.push("messages are left of the deleted conversation".to_owned());
        }
        let (mut acknowledged, mut stored_messages) = (0, 0);
        for phase in [&idle, &deleted.before_kill, &deleted.after_kill] {
            let client = server.client();
            let stored = Conversation {
                messages: client.read_back(&phase.conversation).await?,
                message_count: client.message_count(&phase.conversation).await?,
                id: phase.conversation.clone(),
            };
            stored_messages += stored.message_count;
            let tally = check(&phase.ledger, &[stored]);
            acknowledged += tally.acknowledged;
            violations.extend(tally.violations);
        }
        let seen = rows.seen().await?;
        if seen != (4, stored_messages) {
            violations.push(format!("conversations and messages: {seen:?}, not (4, {stored_messages})"));
        }
        rows.close().await;
        server.stop().await?;
        let p99 = |phase: &Phase| waits(&phase.ledger).percentile(99);
        let (idle_p99, during_p99) = (p99(&idle), p99(&deleted.before_kill).max(p99(&deleted.after_kill)));
        if self.bounds.apply() && during_p99 > 2.0 * idle_p99 {
            violations.push(format!(
                "the 99th percentile of the writers rose from {idle_p99:.1} to {during_p99:.1} ms"
            ));
        }
        if deleted.log_bytes > LOG_BYTES {
            violations.push(format!("the log had {} bytes", deleted.log_bytes));
        }
        let figures = json!({
            "rounds": 1,
            "messages": self.messages,
            "writers": self.writers,
            "acknowledged": acknowledged,
            "answered_ms": rounded(deleted.answered_ms),
            "left_when_killed": deleted.left,
            "gone_after_seconds": rounded(deleted.seconds),
            "write_p99_ms_idle": rounded(idle_p99),
            "write_p99_ms_during": rounded(during_p99),
            "log_bytes_max": deleted.log_bytes,
            "bounds": self.bounds.apply(),
        });
        recorder.record("deletion", figures, &violations);
        Ok(())
    }

    /// Deletes the conversation, kills the server in the middle, and waits until the next one has finished.
    async fn delete(
        &self,
        installation: &Installation,
        server: Server,
        rows: &Rows,
        long: ConversationId,
        violations: &mut Vec<String>,
    ) -> Result<(Server, Deleted), Error> {
        let writers = Busy::start(self.writers, &server).await?;
        let begun = Instant::now();
        server.client().delete_conversation(&long.to_string()).await?;
        let answered_ms = begun.elapsed().as_secs_f64() * 1_000.0;
        if server.client().message_count(&long.to_string()).await.is_ok() {
            violations.push("the deleted conversation is still there".to_owned());
        }
        if rows.create_successor().await? == long {
            violations.push("the thread id still belongs to the deleted conversation".to_owned());
        }
        let mut log_bytes = 0;
        let kill_at = Instant::now() + Duration::from_secs_f64(self.seconds);
        while Instant::now() < kill_at {
            log_bytes = log_bytes.max(log_size(installation.file()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let before_kill = writers.finish().await;
        server.kill()?;
        let left = rows.left(long).await?;
        progress::print(format_args!("killed with {left} messages left"));
        let server = installation.start().await?;
        let writers = Busy::start(self.writers, &server).await?;
        let restarted = Instant::now();
        while !rows.is_done().await? {
            if restarted.elapsed() > PATIENCE {
                violations.push("the deletion does not end".to_owned());
                break;
            }
            log_bytes = log_bytes.max(log_size(installation.file()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let seconds = restarted.elapsed().as_secs_f64();
        let after_kill = writers.finish().await;
        Ok((server, Deleted { left, answered_ms, seconds, log_bytes, before_kill, after_kill }))
    }
}

/// Bytes of SQLite's log.
fn log_size(file: Option<&Path>) -> u64 {
    let Some(file) = file else { return 0 };
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}
