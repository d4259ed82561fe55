//! `redis-faults`: Redis is absent, killed, frozen, full, slow or answers nonsense, and clients hardly notice.

mod fault;
mod load;
mod logouts;
mod proxy;

use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::{median, rounded};
use chatstore_bench::server::{Installation, Server, with_installation};
use chatstore_bench::wire::{self, Connection};
use serde_json::{Value, json};

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use fault::{Fault, Redis};
use load::Person;

/// How many milliseconds later than before answers may be, in the 99th percentile and the median of all rounds.
const MOST_MS: f64 = 30.0;

/// How long it may take until Redis is in use again.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// How long after a logout another server may accept the session.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

/// When it is given up.
const GIVEN_UP: Duration = Duration::from_secs(20);

/// Let Redis fail, and watch the clients of a server
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often each fault is tried
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// How long clients are watched, before the fault and then with it
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Users who log out while Redis is frozen
    #[arg(long, default_value_t = 100)]
    logouts: usize,
    /// How long their logouts take together
    #[arg(long, default_value_t = 30.0)]
    frozen_seconds: f64,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What all rounds of one fault found.
#[derive(Debug, Default)]
struct Findings {
    before_ms: Vec<f64>,
    during_ms: Vec<f64>,
    later_ms: Vec<f64>,
    back_s: Vec<f64>,
    requests: usize,
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
        let people = load::people(installation.database_url()).await?;
        logouts::users(installation.database_url(), self.logouts).await?;
        let mut redis = Redis::start().await?;
        installation.write_settings(&format!("REDIS_URL={}\n", redis.url()))?;
        let mut server = Some(installation.start().await?);
        for fault in Fault::ALL {
            let mut findings = Findings::default();
            for round in 1..=self.rounds.max(1) {
                progress::print(format_args!("redis {} round {round}", fault.as_str()));
                let running = server.take().ok_or("no server")?;
                server =
                    Some(self.round(installation, running, &mut redis, fault, &people, &mut findings).await?);
            }
            self.judge(fault, findings, recorder);
        }
        server.ok_or("no server")?.stop().await?;
        self.log_out(installation, &mut redis, recorder).await
    }

    async fn log_out(
        &self,
        installation: &Installation,
        redis: &mut Redis,
        recorder: &mut Recorder,
    ) -> Result<(), Error> {
        progress::print(format_args!("redis frozen, {} logouts", self.logouts));
        let span = Duration::from_secs_f64(self.frozen_seconds);
        let mut seen = logouts::run(installation, redis, recorder.kind, self.logouts, span).await?;
        let longest = seen.longest_delay();
        if longest > REFUSED_WITHIN {
            seen.violations.push(format!("let in {longest:?} after a logout on the other server"));
        }
        let figures = json!({
            "fault": "frozen",
            "logouts": self.logouts,
            "requests": seen.requests,
            "longest_delay_s": rounded(longest.as_secs_f64()),
        });
        recorder.record("redis-faults", figures, &seen.violations);
        Ok(())
    }

    async fn round(
        &self,
        installation: &Installation,
        mut server: Server,
        redis: &mut Redis,
        fault: Fault,
        people: &[Person],
        findings: &mut Findings,
    ) -> Result<Server, Error> {
        let span = Duration::from_secs_f64(self.seconds);
        back_in_use(server.port()).await?;
        let mut before = load::run(server.port(), people, span).await?;
        redis.begin(fault)?;
        if fault == Fault::Absent {
            server.stop().await?;
            server = installation.start().await?;
        }
        let during = load::run(server.port(), people, span).await;
        redis.end(fault)?;
        let mut during = during?;
        match back_in_use(server.port()).await? {
            Some(took) => findings.back_s.push(took.as_secs_f64()),
            None => findings.violations.push("Redis was not used again".to_owned()),
        }
        let after = load::run(server.port(), people, span.min(Duration::from_millis(500))).await?;
        let (early, late) = (before.latencies.percentile(99), during.latencies.percentile(99));
        findings.before_ms.push(early);
        findings.during_ms.push(late);
        findings.later_ms.push(late - early);
        for found in [before, during, after] {
            findings.requests += found.requests;
            findings.violations.extend(found.violations);
        }
        Ok(server)
    }

    fn judge(&self, fault: Fault, mut findings: Findings, recorder: &mut Recorder) {
        let later = median(&findings.later_ms);
        let longest = findings.back_s.iter().copied().fold(0.0, f64::max);
        if self.bounds.apply() && later > MOST_MS {
            findings.violations.push(format!("{}: answers are {later:.1} ms later", fault.as_str()));
        }
        if self.bounds.apply() && longest > BACK_WITHIN.as_secs_f64() {
            findings.violations.push(format!("{}: used again after {longest:.1} s", fault.as_str()));
        }
        let figures = json!({
            "fault": fault.as_str(),
            "rounds": findings.before_ms.len(),
            "requests": findings.requests,
            "p99_before_ms": rounded(median(&findings.before_ms)),
            "p99_during_ms": rounded(median(&findings.during_ms)),
            "p99_later_ms": rounded(later),
            "longest_until_used_again_s": rounded(longest),
        });
        recorder.record("redis-faults", figures, &findings.violations);
    }
}

/// Waits until the server uses Redis; how long that took, unless it is given up.
async fn back_in_use(port: u16) -> Result<Option<Duration>, Error> {
    let begun = Instant::now();
    let mut connection = Connection::open(port).await?;
    while begun.elapsed() < GIVEN_UP {
        let answer = connection.exchange(&wire::get("/readyz", "")).await?;
        let body: Value = serde_json::from_slice(answer.body())?;
        if body["dependencies"]["redis"]["status"] == "ready" {
            return Ok(Some(begun.elapsed()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(None)
}
