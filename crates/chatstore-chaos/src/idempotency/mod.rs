//! `idempotency`: what is sent several times under one key happens once.
//!
//! Every key is sent one to five times at once, on any of the servers; a server is killed and started again several
//! times meanwhile; what got no answer, or one that says to try again, is sent again until there is one. At the end
//! the servers are stopped and the store is read through the crate: each key has had one effect, and every answer
//! named it.

mod check;
mod fleet;
mod plan;
mod sender;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_sql::DatabaseKind;
use serde_json::json;
use tokio::task::JoinSet;

use crate::experiment::{Common, Experiment, Recorder};

use check::Tally;
use fleet::Fleet;
use plan::Plan;
use sender::{Outcome, Sender};

/// Keys for each conversation that is written to.
const KEYS_EACH: usize = 100;

/// Send every request several times under one key, and look for what happened twice or not at all
///
/// On PostgreSQL with one server and again with two.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is done, with new keys each time
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// How many keys in a round
    #[arg(long, default_value_t = 10_000)]
    keys: usize,
    /// How often each is sent at the most
    #[arg(long, default_value_t = 5)]
    copies: usize,
    /// How often a server is killed in a round
    #[arg(long, default_value_t = 5)]
    kills: usize,
    /// How many keys are being sent at the same time
    #[arg(long, default_value_t = 16)]
    senders: usize,
    /// How long a request may go without an answer that settles it, however often it is sent
    #[arg(long, default_value_t = 60.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    timeout: f64,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The keys of a round, handed out one after the other.
struct Round {
    plan: Arc<Plan>,
    next: AtomicUsize,
    done: AtomicUsize,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let kind = recorder.kind;
        let server_counts: &[usize] = match kind {
            DatabaseKind::Sqlite => &[1],
            DatabaseKind::Postgres => &[1, 2],
        };
        for servers in server_counts {
            let run = async |installation: &Installation| self.run(installation, *servers, recorder).await;
            with_installation(&self.server, kind, &self.common.databases, run).await?;
        }
        Ok(())
    }
}

impl Arguments {
    async fn run(
        &self,
        installation: &Installation,
        servers: usize,
        recorder: &mut Recorder,
    ) -> Result<(), Error> {
        let mut random = Random::new(self.common.seed);
        let mut fleet = Fleet::start(installation, servers).await?;
        let mut tally = Tally::default();
        for number in 1..=self.rounds {
            let mut conversations = Vec::new();
            for _ in 0..self.keys.div_ceil(KEYS_EACH).max(2) {
                conversations.push(fleet.ports().create_conversation(installation.key()).await?);
            }
            let plan = Arc::new(Plan::new(number, self.keys, self.copies, conversations, random.next_u64()));
            let outcomes = self.send_all(&mut fleet, installation, &plan, &mut random).await?;
            tally.judge_answers(&plan, &outcomes);
            fleet.pause().await?;
            let stored = store::read(installation.database_url(), &plan.conversations).await?;
            tally.judge_effects(&plan, &outcomes, &stored);
            fleet.resume().await?;
            progress::print(format_args!(
                "{} with {servers}, round {number}: {} sent, {} sent again, {} violations",
                recorder.kind.as_str(),
                tally.sent,
                tally.sent_again,
                tally.violations.len()
            ));
        }
        fleet.pause().await?;
        let figures = json!({
            "servers": servers,
            "rounds": self.rounds,
            "keys": self.keys,
            "copies": self.copies,
            "kills": self.kills,
            "seed": self.common.seed,
            "sent": tally.sent,
            "sent_again": tally.sent_again,
            "replayed": tally.replayed,
            "mismatches_refused": tally.mismatches_refused,
            "reasons": tally.reasons,
        });
        recorder.record("idempotency", figures, &tally.violations);
        Ok(())
    }

    /// Sends every key; meanwhile, at even intervals of keys, kills a server.
    async fn send_all(
        &self,
        fleet: &mut Fleet<'_>,
        installation: &Installation,
        plan: &Arc<Plan>,
        random: &mut Random,
    ) -> Result<Vec<Outcome>, Error> {
        let round =
            Arc::new(Round { plan: Arc::clone(plan), next: AtomicUsize::new(0), done: AtomicUsize::new(0) });
        let mut senders = JoinSet::new();
        for _ in 0..self.senders.max(1) {
            let timeout = Duration::from_secs_f64(self.timeout);
            let sender = Sender::new(fleet.ports().clone(), installation.key(), timeout, random.next_u64())?;
            senders.spawn(work_off(Arc::clone(&round), sender));
        }
        for kill in 1..=self.kills {
            let at = self.keys * kill / (self.kills + 1);
            while round.done.load(Ordering::Relaxed) < at && !senders.is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            fleet.kill_one(random).await?;
        }
        let mut outcomes = Vec::with_capacity(self.keys);
        while let Some(finished) = senders.join_next().await {
            outcomes.extend(finished??);
        }
        Ok(outcomes)
    }
}

async fn work_off(round: Arc<Round>, mut sender: Sender) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = Vec::new();
    loop {
        let number = round.next.fetch_add(1, Ordering::Relaxed);
        let Some(entry) = round.plan.entries.get(number) else { return Ok(outcomes) };
        outcomes.push(sender.settle(number, entry).await?);
        round.done.fetch_add(1, Ordering::Relaxed);
    }
}
