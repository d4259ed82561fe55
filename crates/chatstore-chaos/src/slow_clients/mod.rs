//! `slow-clients`: clients that send slowly, or nothing, cost others nothing and are disconnected.
//!
//! Thousands of connections send half a request head and fall silent; hundreds announce a body and send it byte by
//! byte. Meanwhile a few ordinary clients go on as before. The server has to close all slow ones by its limits, and
//! to give back what it held for them.

pub(crate) mod files;
mod hold;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::drive::{Span, drive};
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::median;
use chatstore_bench::server::{Installation, Server, with_installation};
use chatstore_bench::wire::Connection;
use chatstore_bench::wire_caller::{NEWEST, Prepared, WireCaller};
use serde_json::json;

use crate::experiment::{Bounds, Common, Experiment, Recorder};

use hold::{SlowClients, Slowness};

/// Conversations that the ordinary clients use.
const CONVERSATIONS: usize = 64;

/// The ordinary clients' 99th percentile may become this many times what it was.
const RATIO: f64 = 2.0;

/// How soon the server's descriptors have to be back.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// How long their number has to stay the same before it counts.
const AT_REST: Duration = Duration::from_millis(300);

/// Files that the client needs beside one for each slow connection.
const SPARE_FILES: u64 = 256;

/// Hold thousands of connections open by sending next to nothing, and watch the others
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is done
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Connections that send a part of a request's head
    #[arg(long, default_value_t = 5_000)]
    half_open: usize,
    /// Connections that send a body byte by byte
    #[arg(long, default_value_t = 500)]
    slow_bodies: usize,
    /// Ordinary clients
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// How long the server waits for a request's head
    #[arg(long, default_value_t = 10.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    head_seconds: f64,
    /// How long the server waits for a body
    #[arg(long, default_value_t = 30.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    body_seconds: f64,
    /// How much later a connection may be closed
    #[arg(long, default_value_t = 5.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    grace: f64,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// All rounds together.
#[derive(Default)]
struct Findings {
    before_ms: Vec<f64>,
    during_ms: Vec<f64>,
    ratios: Vec<f64>,
    heads: Closed,
    bodies: Closed,
    descriptors: Vec<[usize; 3]>,
    violations: Vec<String>,
}

/// How the slow connections of one kind ended.
#[derive(Debug, Default)]
struct Closed {
    in_time: usize,
    latest: Duration,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let slow = self.half_open + self.slow_bodies;
        // The server inherits it.
        files::allow(slow as u64 + self.clients as u64 + SPARE_FILES)?;
        let kind = recorder.kind;
        let run = async |installation: &Installation| self.run(installation, recorder).await;
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

impl Arguments {
    async fn run(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let server = installation.start().await?;
        let mut requests = Vec::new();
        let message = json!({ "content": chatstore_bench::data::content() });
        let (body, page) = (message.to_string(), json!({ "messages": vec![message; NEWEST] }).to_string());
        let mut connection = Connection::open(server.port()).await?;
        for _ in 0..CONVERSATIONS {
            let conversation = server.client().create_conversation().await?;
            // Else the pages would be short at first, and what comes later would seem slow.
            let fill = Prepared::append(&conversation, installation.key(), &page);
            connection.exchange(fill.bytes()).await?;
            requests.push(Prepared::append(&conversation, installation.key(), &body));
            requests.push(Prepared::newest(&conversation, installation.key()));
        }
        drop(connection);
        let requests = Arc::new(requests);
        let mut findings = Findings::default();
        for round in 1..=self.rounds.max(1) {
            progress::print(format_args!("slow-clients {} round {round}", recorder.kind.as_str()));
            self.run_round(&server, installation.key(), &requests, &mut findings).await?;
        }
        server.stop().await?;
        self.judge(findings, recorder);
        Ok(())
    }

    async fn run_round(
        &self,
        server: &Server,
        key: &str,
        requests: &Arc<Vec<Prepared>>,
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let before = self.p99(server, requests).await?;
        let idle = descriptors_at_rest(server).await;
        let slow = SlowClients {
            port: server.port(),
            key: key.to_owned(),
            head_limit: Duration::from_secs_f64(self.head_seconds + self.grace),
            body_limit: Duration::from_secs_f64(self.body_seconds + self.grace),
        };
        let heads = slow.open(Slowness::HalfHead, self.half_open).await?;
        let bodies = slow.open(Slowness::SlowBody, self.slow_bodies).await?;
        let during = self.p99(server, requests).await?;
        let during_slow = server.descriptors().unwrap_or(0);
        findings.heads.note(&heads.closing_times().await?);
        findings.bodies.note(&bodies.closing_times().await?);
        let left = descriptors_after(server, idle).await;
        if left > idle {
            findings.violations.push(format!("{left} descriptors are open in the end, {idle} before"));
        }
        findings.descriptors.push([idle, during_slow, left]);
        findings.before_ms.push(before);
        findings.during_ms.push(during);
        findings.ratios.push(during / before);
        Ok(())
    }

    /// The 99th percentile of the ordinary clients, in milliseconds. Takes less time than the server waits for a head,
    /// so that all slow ones are there until the end.
    async fn p99(&self, server: &Server, requests: &Arc<Vec<Prepared>>) -> Result<f64, Error> {
        let callers = WireCaller::many(self.clients, server.port(), self.common.seed, requests).await?;
        let length = Duration::from_secs_f64(self.head_seconds / 2.0);
        let outcome = drive(Span::after_warming_up(length), callers).await?;
        Ok(outcome.latencies().percentile(99))
    }

    fn judge(&self, mut findings: Findings, recorder: &mut Recorder) {
        let rounds = findings.ratios.len();
        let ratio = median(&findings.ratios);
        let (half_open, slow_bodies) = (self.half_open * rounds, self.slow_bodies * rounds);
        let missed = [
            ("half-open connections", half_open, &findings.heads),
            ("slow bodies", slow_bodies, &findings.bodies),
        ];
        for (what, count, closed) in missed {
            if closed.in_time < count {
                let open = count - closed.in_time;
                findings.violations.push(format!("{open} of {count} {what} were not closed in time"));
            }
        }
        if self.bounds.apply() && ratio >= RATIO {
            findings.violations.push(format!("the others' 99th percentile rose to {ratio:.2} times"));
        }
        let figures = json!({
            "rounds": rounds,
            "seed": self.common.seed,
            "half_open": self.half_open,
            "slow_bodies": self.slow_bodies,
            "clients": self.clients,
            "p99_ms_before": median(&findings.before_ms),
            "p99_ms_during": median(&findings.during_ms),
            "p99_ratio": ratio,
            "heads_closed_in_time": findings.heads.in_time,
            "heads_latest_seconds": findings.heads.latest.as_secs_f64(),
            "bodies_closed_in_time": findings.bodies.in_time,
            "bodies_latest_seconds": findings.bodies.latest.as_secs_f64(),
            "descriptors_before_during_after": findings.descriptors,
            "bounds": self.bounds.apply(),
        });
        recorder.record("slow-clients", figures, &findings.violations);
    }
}

impl Closed {
    fn note(&mut self, closed_after: &[Option<Duration>]) {
        self.in_time += closed_after.iter().flatten().count();
        self.latest = closed_after.iter().flatten().copied().fold(self.latest, Duration::max);
    }
}

/// The server's descriptors when it has closed the connections that ended just now.
async fn descriptors_at_rest(server: &Server) -> usize {
    let begun = Instant::now();
    let mut open = server.descriptors().unwrap_or(0);
    while begun.elapsed() < BACK_WITHIN {
        tokio::time::sleep(AT_REST).await;
        let now_open = server.descriptors().unwrap_or(0);
        if now_open == open {
            break;
        }
        open = now_open;
    }
    open
}

/// The server's descriptors, as soon as there are no more than `expected`, or when it is too late for that.
async fn descriptors_after(server: &Server, expected: usize) -> usize {
    let begun = Instant::now();
    loop {
        let open = server.descriptors().unwrap_or(0);
        if open <= expected || begun.elapsed() > BACK_WITHIN {
            return open;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
