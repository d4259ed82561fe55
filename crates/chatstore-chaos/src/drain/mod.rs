//! `drain`: a server that is asked to stop answers every request that was wholly sent before.
//!
//! Half of the clients keep their connections, the others open one for each request, so that at the moment of the signal
//! requests are in progress, in sockets and in the system's queue of connections. Each keeps a ledger; what is stored is
//! held against it after the next start.

mod client;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::client::Answer;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::samples::rounded;
use chatstore_bench::server::{Installation, Server, with_installation};
use serde_json::json;
use tokio::task::JoinSet;

use crate::crash::check::{Conversation, Operation, check};
use crate::experiment::{Common, Experiment, Recorder};

use client::Client;

/// The server is asked to stop this many milliseconds after the clients began, at the earliest, and up to as many later.
const EARLIEST_STOP_MS: usize = 100;
const STOP_SPREAD_MS: usize = 200;

/// How long it may take to end.
const LONGEST_DRAIN: Duration = Duration::from_secs(30);

/// Stop the server under load, again and again, and look for requests that are not answered
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often the server is stopped
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Clients, half of which open a connection for each request
    #[arg(long, default_value_t = 16)]
    clients: usize,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// All rounds together.
#[derive(Default)]
struct Findings {
    acknowledged: usize,
    /// Without an answer, and sent after the signal.
    late: usize,
    /// Without an answer, and sent before the signal.
    reset: usize,
    longest: Duration,
    violations: Vec<String>,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let kind = recorder.kind;
        let run = async |installation: &Installation| self.run(installation, recorder).await;
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

impl Arguments {
    async fn run(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let mut random = Random::new(self.common.seed);
        let mut findings = Findings::default();
        let mut server = installation.start().await?;
        for round in 1..=self.rounds {
            let conversation = server.client().create_conversation().await?;
            let moment = EARLIEST_STOP_MS + random.below(STOP_SPREAD_MS);
            let stop_after = Duration::from_millis(u64::try_from(moment)?);
            let ledger = self.stop(server, installation, &conversation, stop_after, &mut findings).await?;
            server = installation.start().await?;
            let client = server.client();
            let stored = Conversation {
                messages: client.read_back(&conversation).await?,
                message_count: client.message_count(&conversation).await?,
                id: conversation,
            };
            let tally = check(&ledger, &[stored]);
            findings.acknowledged += tally.acknowledged;
            findings.violations.extend(tally.violations.iter().map(|what| format!("round {round}: {what}")));
            if round % 10 == 0 {
                progress::print(format_args!(
                    "drain {} round {round}: {} acknowledged, {} reset",
                    recorder.kind.as_str(),
                    findings.acknowledged,
                    findings.reset
                ));
            }
        }
        server.stop().await?;
        let figures = json!({
            "rounds": self.rounds,
            "seed": self.common.seed,
            "clients": self.clients,
            "acknowledged": findings.acknowledged,
            "reset": findings.reset,
            "unanswered_after_the_signal": findings.late,
            "longest_drain_seconds": rounded(findings.longest.as_secs_f64()),
        });
        recorder.record("drain", figures, &findings.violations);
        Ok(())
    }

    /// Lets clients append, and stops the server meanwhile; what they sent.
    async fn stop(
        &self,
        mut server: Server,
        installation: &Installation,
        conversation: &str,
        after: Duration,
        findings: &mut Findings,
    ) -> Result<Vec<Operation>, Error> {
        let begun = Instant::now();
        let conversation: Arc<str> = conversation.into();
        let mut clients = JoinSet::new();
        for number in 0..self.clients {
            let client = Client {
                number,
                port: server.port(),
                key: installation.key().to_owned(),
                conversation: Arc::clone(&conversation),
                keeps_connection: number % 2 == 0,
                begun,
            };
            clients.spawn(client.run());
        }
        tokio::time::sleep(after).await;
        let asked_at = begun.elapsed();
        server.ask_to_stop()?;
        let status = server.ended(LONGEST_DRAIN + Duration::from_secs(5)).await?;
        let took = begun.elapsed() - asked_at;
        findings.longest = findings.longest.max(took);
        if !status.success() {
            findings.violations.push(format!("the server ended with {status}"));
        }
        if took > LONGEST_DRAIN {
            findings.violations.push(format!("the server took {took:?} to end"));
        }
        let ledger: Vec<Operation> = clients.join_all().await.into_iter().flatten().collect();
        for operation in &ledger {
            let Answer::Unknown(reason) = &operation.answer else { continue };
            if operation.sent_at > asked_at {
                findings.late += 1;
                continue;
            }
            findings.reset += 1;
            findings.violations.push(format!(
                "{:?} was sent {:?} before the signal and not answered: {reason}",
                operation.content,
                asked_at - operation.sent_at
            ));
        }
        Ok(ledger)
    }
}
