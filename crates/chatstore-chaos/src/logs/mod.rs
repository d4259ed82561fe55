//! `logs`: events are stored beside requests, which hardly notice.
//!
//! Clients append. Rounds without and with events that are offered alternate; a server is killed while events are offered,
//! and what it stored is read back; very many old events are pruned beside the clients.

mod events;
mod server;

use std::time::Duration;

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::client::Client;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::{Latencies, median, rounded};
use chatstore_bench::server::{Installation, with_installation};
use chatstore_bench::wire_caller::Prepared;
use serde_json::json;
use tokio::time::sleep;

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use crate::probe::Probe;

pub(crate) use server::LogsServer;
use server::{Counts, Running};

/// How much slower the 99th percentile may be beside events, and beside a prune.
const BESIDE_EVENTS: f64 = 1.5;
const BESIDE_PRUNE: f64 = 3.0;

/// Events that a killed server may lose: those of one batch, and what is offered while one is written.
const LOST: u64 = 2_000;

/// Offer events beside clients, kill the server, and prune
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is measured without and with events
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Events a second
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// How long each measurement lasts
    #[arg(long, default_value_t = 60.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    seconds: f64,
    /// Clients that append
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// How often a server is killed
    #[arg(long, default_value_t = 5)]
    kills: usize,
    /// Events a second while a server is killed: few enough that none is dropped
    #[arg(long, default_value_t = 1_000)]
    kill_rate: u64,
    /// Old events that are pruned
    #[arg(long, default_value_t = 1_000_000)]
    old: u64,
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
        let run = async |installation: &Installation| {
            self.offer(installation, recorder).await?;
            self.kill(installation, recorder).await?;
            self.prune(installation, recorder).await
        };
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

/// Clients that append without a pause.
struct Appenders(Vec<Probe>);

impl Appenders {
    fn start(port: u16, append: &Prepared, count: usize) -> Self {
        let start = |_| Probe::start(port, append.bytes().to_vec(), Duration::ZERO);
        Self((0..count).map(start).collect())
    }

    /// Ends them: the 99th percentile in milliseconds, and how many requests were not answered with 201.
    async fn finish(self) -> Result<(f64, usize), Error> {
        let (mut latencies, mut failed) = (Latencies::default(), 0);
        for probe in self.0 {
            for sample in probe.finish().await? {
                latencies.push(sample.latency);
                failed += usize::from(sample.status != Some(201));
            }
        }
        Ok((latencies.percentile(99), failed))
    }
}

impl Arguments {
    async fn appends(&self, installation: &Installation, server: &Running) -> Result<Prepared, Error> {
        let conversation = Client::new(server.port, installation.key())?.create_conversation().await?;
        Ok(Prepared::append(&conversation, installation.key(), r#"{"content":"hello"}"#))
    }

    async fn measure(&self, server: &Running, append: &Prepared) -> Result<(f64, usize), Error> {
        let appenders = Appenders::start(server.port, append, self.clients);
        sleep(Duration::from_secs_f64(self.seconds)).await;
        appenders.finish().await
    }

    async fn offer(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let mut server = Running::start(installation.database_url(), "offer")?;
        let append = self.appends(installation, &server).await?;
        let (mut ratios, mut idle_ms, mut loaded_ms, mut failed) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let mut counts = Counts::default();
        for round in 1..=self.rounds {
            let (idle, failed_idle) = self.measure(&server, &append).await?;
            server.say(&format!("offer {}", self.rate))?;
            let (loaded, failed_loaded) = self.measure(&server, &append).await?;
            server.say("offer 0")?;
            counts = self.drained(&mut server).await?;
            progress::print(format_args!(
                "logs {} round {round}: p99 {idle:.1} and {loaded:.1} ms, {counts:?}",
                recorder.kind.as_str()
            ));
            failed += failed_idle + failed_loaded;
            ratios.push(loaded / idle);
            idle_ms.push(rounded(idle));
            loaded_ms.push(rounded(loaded));
        }
        server.stop()?;
        let ratio = median(&ratios);
        let mut violations = Vec::new();
        if failed > 0 {
            violations.push(format!("{failed} appends failed"));
        }
        if counts.stored + counts.dropped != counts.offered {
            violations.push(format!("events that are neither stored nor counted as dropped: {counts:?}"));
        }
        let stored = events::count(installation.database_url()).await?;
        if u64::try_from(stored)? < counts.stored {
            violations.push(format!("{stored} events are in the database, not {}", counts.stored));
        }
        if self.bounds.apply() && ratio > BESIDE_EVENTS {
            violations.push(format!("the 99th percentile rose {ratio:.2} times beside events"));
        }
        let figures = json!({
            "rounds": self.rounds,
            "part": "offer",
            "rate": self.rate,
            "offered": counts.offered,
            "stored": counts.stored,
            "dropped": counts.dropped,
            "append_p99_ms_idle": idle_ms,
            "append_p99_ms_beside": loaded_ms,
            "ratio_median": rounded(ratio),
            "bounds": self.bounds.apply(),
        });
        recorder.record("logs", figures, &violations);
        Ok(())
    }

    /// The counts when nothing waits any more.
    async fn drained(&self, server: &mut Running) -> Result<Counts, Error> {
        loop {
            let counts = server.say("counts")?;
            if counts.waiting == 0 {
                return Ok(counts);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn kill(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let (mut violations, mut lost) = (Vec::new(), Vec::new());
        let url = installation.database_url();
        for round in 0..self.kills {
            let event = format!("kill-{round}");
            let mut server = Running::start(url, &event)?;
            server.say(&format!("offer {}", self.kill_rate))?;
            // At another moment between two batches each time.
            sleep(Duration::from_millis(700 + 37 * u64::try_from(round)?)).await;
            let counts = server.say("counts")?;
            server.kill()?;
            let numbers = events::numbers(url, &event).await?;
            let new = u64::try_from(numbers.len())?;
            if counts.dropped > 0 {
                violations.push(format!("{} events were dropped", counts.dropped));
            }
            if new + LOST < counts.offered {
                violations.push(format!("{new} of {} events are stored", counts.offered));
            }
            if !numbers.iter().copied().eq(0..new) {
                violations.push(format!("the numbers of {event} have gaps or are doubled"));
            }
            lost.push(counts.offered.saturating_sub(new));
        }
        let figures = json!({
            "rounds": self.kills,
            "part": "kill",
            "rate": self.kill_rate,
            "lost": lost,
        });
        recorder.record("logs", figures, &violations);
        Ok(())
    }

    async fn prune(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let url = installation.database_url();
        let before = events::count(url).await?;
        events::load_old(url, self.old).await?;
        let mut server = Running::start(url, "prune")?;
        let append = self.appends(installation, &server).await?;
        let (idle, failed_idle) = self.measure(&server, &append).await?;
        let appenders = Appenders::start(server.port, &append, self.clients);
        let begun = std::time::Instant::now();
        let server = tokio::task::spawn_blocking(move || {
            let pruned = server.say("prune");
            pruned.map(|_| server)
        })
        .await??;
        let seconds = begun.elapsed().as_secs_f64();
        let (during, failed_during) = appenders.finish().await?;
        server.stop()?;
        let mut violations = Vec::new();
        if failed_idle + failed_during > 0 {
            violations.push(format!("{} appends failed", failed_idle + failed_during));
        }
        let left = events::count(url).await?;
        if left != before {
            violations.push(format!("{left} events are left, not {before}"));
        }
        if self.bounds.apply() && during >= BESIDE_PRUNE * idle {
            violations.push(format!("the 99th percentile rose from {idle:.1} to {during:.1} ms"));
        }
        let figures = json!({
            "rounds": 1,
            "part": "prune",
            "old": self.old,
            "seconds": rounded(seconds),
            "append_p99_ms_idle": rounded(idle),
            "append_p99_ms_beside": rounded(during),
            "bounds": self.bounds.apply(),
        });
        recorder.record("logs", figures, &violations);
        Ok(())
    }
}
