//! `overload`: what is too much is refused, quickly, and does not slow down what is not.
//!
//! The peak is the best rate of appends of 16 and 64 connections that wait for their answers. Then ten times as many
//! connections as at the larger of these offer ten times the peak, in even intervals; refused clients do not heed
//! `Retry-After`. A connection whose answer is late sends the next request at once and does not make up for missed
//! ones, so where client and server share too few cores for ten times the peak, the load is as much as the
//! connections can send: `offered_ratio` says what it came to.
//!
//! The load generator competes with the server and its tasks wait for their turn: what it measures as the time to a
//! refusal includes that. The bounds are therefore held against two probes, each a thread with a connection of its
//! own that mostly sleeps; the generator's own figures and its lag are printed beside them.

mod load;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::{Latencies, median, rounded};
use chatstore_bench::server::{Installation, Server, memory_limit_kib, with_installation};
use chatstore_bench::wire_caller::Prepared;
use serde_json::json;

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use crate::probe::{Probe, Sample};

use load::{Answers, Load};

/// Connections among which the peak is looked for.
const PEAK_CONNECTIONS: [usize; 2] = [16, 64];

/// Conversations that are written to.
const CONVERSATIONS: usize = 256;

/// The part of the peak that has to remain.
const GOODPUT: f64 = 0.9;

/// The maximum of the 99th percentile of refusals, in milliseconds.
const REFUSAL_MS: f64 = 100.0;

/// The same of answers to `GET /healthz`.
const HEALTH_MS: f64 = 50.0;

/// Memory that each connection may take beside what the server may take after an ordinary load.
const KIB_EACH: u64 = 64;

/// Between two requests of a probe.
const PROBE_INTERVAL: Duration = Duration::from_millis(10);

/// Offer the server ten times what it can do
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often peak and overload are measured in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each measurement takes
    #[arg(long, default_value_t = 10.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    seconds: f64,
    /// Connections that offer too much
    #[arg(long, default_value_t = 640)]
    connections: usize,
    /// How many times the peak they offer
    #[arg(long, default_value_t = 10.0)]
    times: f64,
    /// Messages in each request: so many that the server, and not the client beside it, is what there is too
    /// little of, and several times as much can really be sent
    #[arg(long, default_value_t = 200)]
    batch: u16,
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
    peaks: Vec<f64>,
    goodput_ratios: Vec<f64>,
    offered_ratios: Vec<f64>,
    answers: Answers,
    appends: Vec<Sample>,
    health: Vec<Sample>,
    lag: Latencies,
    resident_kib: u64,
    created: u64,
    lost: u64,
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
        let server = installation.start().await?;
        let mut conversations = Vec::with_capacity(CONVERSATIONS);
        for _ in 0..CONVERSATIONS {
            conversations.push(server.client().create_conversation().await?);
        }
        let batch = vec![json!({ "content": "hello" }); usize::from(self.batch)];
        let body = json!({ "messages": batch }).to_string();
        let append = |id: &String| Prepared::append(id, installation.key(), &body);
        let requests: Arc<Vec<Prepared>> = Arc::new(conversations.iter().map(append).collect());
        let mut findings = Findings::default();
        for round in 1..=self.rounds.max(1) {
            progress::print(format_args!("overload {} round {round}", recorder.kind.as_str()));
            self.run_round(&server, &requests, &mut findings).await?;
        }
        let mut stored = 0;
        for conversation in &conversations {
            stored += u64::try_from(server.client().message_count(conversation).await?)?;
        }
        let stored = stored / u64::from(self.batch.max(1));
        server.stop().await?;
        self.judge(findings, stored, recorder);
        Ok(())
    }

    async fn run_round(
        &self,
        server: &Server,
        requests: &Arc<Vec<Prepared>>,
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let load = |connections: usize, pace: Option<f64>| Load {
            port: server.port(),
            requests: Arc::clone(requests),
            connections,
            seed: self.common.seed,
            pace,
            length: Duration::from_secs_f64(self.seconds),
        };
        let before = self.peak(&load, findings).await?;
        let health = Probe::start(server.port(), Prepared::health().bytes().to_vec(), PROBE_INTERVAL);
        let appends = Probe::start(server.port(), requests[0].bytes().to_vec(), PROBE_INTERVAL);
        let lag = tokio::spawn(measure_lag(Duration::from_secs_f64(self.seconds)));
        let overload = load(self.connections, Some(before * self.times));
        let overload = tokio::spawn(async move { overload.run().await });
        while !overload.is_finished() {
            findings.resident_kib = findings.resident_kib.max(server.resident_kib().unwrap_or(0));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let answers = overload.await??;
        findings.health.extend(health.finish().await?);
        findings.appends.extend(appends.finish().await?);
        findings.lag.append(lag.await?);
        // A database slows down as it grows, so the peak is taken on both sides of the overload.
        let peak = f64::midpoint(before, self.peak(&load, findings).await?);
        findings.peaks.push(peak);
        findings.goodput_ratios.push(rate(answers.created, self.seconds) / peak);
        findings.offered_ratios.push(rate(answers.count(), self.seconds) / peak);
        findings.created += answers.created_in_all;
        findings.lost += answers.lost;
        findings.answers.add(answers);
        Ok(())
    }

    /// The maximum that is done in a second.
    async fn peak(
        &self,
        load: &impl Fn(usize, Option<f64>) -> Load,
        findings: &mut Findings,
    ) -> Result<f64, Error> {
        let mut peak: f64 = 0.0;
        for connections in PEAK_CONNECTIONS {
            let answers = load(connections, None).run().await?;
            peak = peak.max(rate(answers.created, self.seconds));
            findings.created += answers.created_in_all;
            findings.lost += answers.lost;
        }
        Ok(peak)
    }

    fn judge(&self, mut findings: Findings, stored: u64, recorder: &mut Recorder) {
        let of = |samples: &[Sample], status: Option<u16>| latencies(samples, status);
        let mut refusals = of(&findings.appends, Some(503));
        let mut health = of(&findings.health, None);
        let most_kib = memory_limit_kib(recorder.kind) + KIB_EACH * self.connections as u64;
        let goodput = median(&findings.goodput_ratios);
        let mut violations = findings.broken_promises(stored);
        if self.bounds.apply() {
            let bounds = [
                (goodput < GOODPUT, format!("goodput fell to {goodput:.2} of the peak")),
                (refusals.percentile(99) > REFUSAL_MS, "refusals came late".to_owned()),
                (health.percentile(99) > HEALTH_MS, "healthz was slow".to_owned()),
                (findings.resident_kib > most_kib, format!("the server took more than {most_kib} KiB")),
            ];
            violations.extend(bounds.into_iter().filter(|(broken, _)| *broken).map(|(_, text)| text));
        }
        let answers = &mut findings.answers;
        let figures = json!({
            "rounds": findings.peaks.len(),
            "seed": self.common.seed,
            "seconds": self.seconds,
            "connections": self.connections,
            "batch": self.batch,
            "peak_per_second": median(&findings.peaks).round(),
            "offered_ratio": rounded(median(&findings.offered_ratios)),
            "goodput_ratio": rounded(goodput),
            "share_refused": rounded(share(answers.refused, answers.count())),
            "refused_ms": refusals.summary(),
            "refused_ms_for_the_load": answers.refusals.summary(),
            "health_ms": health.summary(),
            "load_lag_ms_p99": rounded(findings.lag.percentile(99)),
            "resident_kib_max": findings.resident_kib,
            "resident_kib_bound": most_kib,
            "other_answers": answers.others,
            "connections_lost": findings.lost,
            "bounds": self.bounds.apply(),
        });
        recorder.record("overload", figures, &violations);
    }
}

impl Findings {
    /// What must not happen however slow the machine is.
    fn broken_promises(&self, stored: u64) -> Vec<String> {
        let mut violations = Vec::new();
        let silent =
            self.appends.iter().filter(|sample| sample.status == Some(503) && !sample.has_retry_after);
        let without = self.answers.refused_without_retry_after + silent.count() as u64;
        if without > 0 {
            violations.push(format!("{without} answers 503 without Retry-After"));
        }
        for (status, count) in &self.answers.others {
            violations.push(format!("{count} answers {status}"));
        }
        let sick = self.health.iter().filter(|sample| sample.status != Some(200)).count();
        if sick > 0 {
            violations.push(format!("healthz was not answered with 200 {sick} times"));
        }
        let probed = self.appends.iter().filter(|sample| sample.status == Some(201)).count() as u64;
        let unanswered = self.appends.iter().filter(|sample| sample.status.is_none()).count() as u64;
        let (least, most) = (self.created + probed, self.created + probed + self.lost + unanswered);
        if stored < least || stored > most {
            violations.push(format!("{stored} requests are stored, {least} to {most} should be"));
        }
        violations
    }
}

/// Of the answers with this status, or of all.
fn latencies(samples: &[Sample], status: Option<u16>) -> Latencies {
    let mut found = Latencies::default();
    for sample in samples.iter().filter(|sample| status.is_none() || sample.status == status) {
        found.push(sample.latency);
    }
    found
}

/// How much later than asked for a task of the load generator gets its turn.
async fn measure_lag(length: Duration) -> Latencies {
    let step = Duration::from_millis(5);
    let (begun, mut lag) = (Instant::now(), Latencies::default());
    while begun.elapsed() < length {
        let asked = Instant::now();
        tokio::time::sleep(step).await;
        lag.push(asked.elapsed().saturating_sub(step));
    }
    lag
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn rate(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

fn share(part: u64, whole: u64) -> f64 {
    rate(part, 1.0) / rate(whole.max(1), 1.0)
}
