//! `shares`: one address takes what it can get, and others hardly notice.
//!
//! From one address come bodies that are announced and not sent, more idle connections than it may have, the worst logins,
//! right logins without a pause, and wrong ones for a user of another address. From that other address requests and
//! logins go on as before, and the user logs in.

mod attack;
mod people;

use std::sync::atomic::Ordering;
use std::time::Duration;

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::{Latencies, median, rounded};
use chatstore_bench::server::{Installation, Server, with_installation};
use chatstore_bench::wire::Connection;
use chatstore_bench::wire_caller::Prepared;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use crate::probe::{Probe, Sample};
use crate::slow_clients::files;

use attack::{Attack, Strength};
use people::{PASSWORD, VICTIM, login};

/// The 99th percentiles of others may become this many times what they were.
const RATIO: f64 = 2.0;

/// Between two requests of the same kind, and between two logins.
const REQUEST_EVERY: Duration = Duration::from_millis(5);
const LOGIN_EVERY: Duration = Duration::from_millis(150);

/// How long the victim's login may take.
const VICTIM_TIME: Duration = Duration::from_secs(10);

/// How long the attack lasts before others are looked at.
const TAKES_HOLD: Duration = Duration::from_secs(1);

/// Files that the client needs beside one for each connection of the attack.
const SPARE_FILES: u64 = 256;

/// Attack from one address, and watch another
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is done
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// How long others are watched, without the attack and then with it
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Connections that announce a body and send none
    #[arg(long, default_value_t = 256)]
    silent: usize,
    /// Idle connections
    #[arg(long, default_value_t = 8_192)]
    idle: usize,
    /// Right logins in a loop
    #[arg(long, default_value_t = 40)]
    loops: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What others see, each kind of request over a connection of its own.
#[derive(Debug, Default)]
struct Others {
    append: Latencies,
    page: Latencies,
    login: Latencies,
    health: Latencies,
    failed: usize,
}

/// The ratios of one kind of request, and its figures.
#[derive(Debug, Default)]
struct Compared {
    before_ms: Vec<f64>,
    during_ms: Vec<f64>,
    ratios: Vec<f64>,
}

/// What all rounds found.
#[derive(Debug, Default)]
struct Findings {
    append: Compared,
    page: Compared,
    login: Compared,
    health: Compared,
    requests: usize,
    failed: usize,
    victim_ms: Vec<f64>,
    attackers_let_in: usize,
    attackers_refused: usize,
    attackers_failed: usize,
    violations: Vec<String>,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        // The server inherits it.
        let connections = self.idle.max(10_000) + self.silent + self.loops;
        files::allow(connections as u64 + SPARE_FILES)?;
        let kind = recorder.kind;
        let run = async |installation: &Installation| self.run(installation, recorder).await;
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

impl Arguments {
    async fn run(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        people::create(installation.database_url()).await?;
        let server = installation.start().await?;
        let conversation = server.client().create_conversation().await?;
        let message = json!({ "content": chatstore_bench::data::content() }).to_string();
        let append = Prepared::append(&conversation, installation.key(), &message);
        let page = Prepared::newest(&conversation, installation.key());
        let mut findings = Findings::default();
        for round in 1..=self.rounds.max(1) {
            progress::print(format_args!("shares {} round {round}", recorder.kind.as_str()));
            self.run_round(&server, &append, &page, &mut findings).await?;
        }
        server.stop().await?;
        self.judge(findings, recorder);
        Ok(())
    }

    async fn run_round(
        &self,
        server: &Server,
        append: &Prepared,
        page: &Prepared,
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let before = self.watch(server, append, page).await?;
        let strength = Strength { silent: self.silent, idle: self.idle, loops: self.loops };
        let attack = Attack::start(server.port(), strength).await?;
        tokio::time::sleep(TAKES_HOLD).await;
        let during = self.watch(server, append, page).await?;
        match timeout(VICTIM_TIME, log_in(server.port(), VICTIM)).await {
            Ok(Ok((200, took))) => findings.victim_ms.push(rounded(took.as_secs_f64() * 1_000.0)),
            Ok(Ok((status, _))) => {
                findings.violations.push(format!("the victim's login was answered {status}"))
            }
            Ok(Err(error)) => {
                findings.violations.push(format!("the victim's login was not answered: {error}"))
            }
            Err(_) => findings.violations.push("the victim's login was not answered within 10 s".to_owned()),
        }
        let counts = attack.end().await;
        findings.attackers_let_in += counts.let_in.load(Ordering::Relaxed);
        findings.attackers_refused += counts.refused.load(Ordering::Relaxed);
        findings.attackers_failed += counts.failed.load(Ordering::Relaxed);
        findings.note(before, during);
        Ok(())
    }

    /// What requests and logins from another address take for a while.
    async fn watch(&self, server: &Server, append: &Prepared, page: &Prepared) -> Result<Others, Error> {
        let port = server.port();
        let start = |bytes: &[u8], every| Probe::start(port, bytes.to_vec(), every);
        let appends = start(append.bytes(), REQUEST_EVERY);
        let pages = start(page.bytes(), REQUEST_EVERY);
        let logins = start(&login(&people::other(0), PASSWORD), LOGIN_EVERY);
        let health = start(Prepared::health().bytes(), REQUEST_EVERY);
        tokio::time::sleep(Duration::from_secs_f64(self.seconds)).await;
        let mut others = Others::default();
        for (probe, status, kind) in [
            (appends, 201, &mut others.append),
            (pages, 200, &mut others.page),
            (logins, 200, &mut others.login),
            (health, 200, &mut others.health),
        ] {
            let samples = probe.finish().await?;
            others.failed += samples.iter().filter(|sample| sample.status != Some(status)).count();
            *kind = samples.iter().map(|sample: &Sample| sample.latency).collect();
        }
        Ok(others)
    }

    fn judge(&self, mut findings: Findings, recorder: &mut Recorder) {
        if findings.failed > 0 {
            findings.violations.push(format!("{} requests of others failed", findings.failed));
        }
        let kinds = [
            ("appends", &findings.append),
            ("pages", &findings.page),
            ("logins", &findings.login),
            ("health", &findings.health),
        ];
        let mut figures = serde_json::Map::new();
        let mut slower = Vec::new();
        for (name, compared) in kinds {
            let ratio = median(&compared.ratios);
            if self.bounds.apply() && ratio >= RATIO {
                slower.push(format!("the 99th percentile of {name} rose to {ratio:.2} times"));
            }
            let of_kind = json!({
                "p99_ms_before": rounded(median(&compared.before_ms)),
                "p99_ms_during": rounded(median(&compared.during_ms)),
                "p99_ratio": rounded(ratio),
            });
            figures.insert(name.to_owned(), of_kind);
        }
        findings.violations.extend(slower);
        let others = json!({
            "rounds": self.rounds,
            "seconds": self.seconds,
            "silent": self.silent,
            "idle": self.idle,
            "loops": self.loops,
            "requests_of_others": findings.requests,
            "victim_ms": findings.victim_ms,
            "attackers_let_in": findings.attackers_let_in,
            "attackers_refused": findings.attackers_refused,
            "attackers_failed": findings.attackers_failed,
            "bounds": self.bounds.apply(),
        });
        if let Value::Object(others) = others {
            figures.extend(others);
        }
        recorder.record("shares", Value::Object(figures), &findings.violations);
    }
}

impl Findings {
    fn note(&mut self, before: Others, during: Others) {
        self.failed += before.failed + during.failed;
        for (compared, mut before, mut during) in [
            (&mut self.append, before.append, during.append),
            (&mut self.page, before.page, during.page),
            (&mut self.login, before.login, during.login),
            (&mut self.health, before.health, during.health),
        ] {
            self.requests += before.count() + during.count();
            let (before, during) = (before.percentile(99), during.percentile(99));
            compared.before_ms.push(before);
            compared.during_ms.push(during);
            compared.ratios.push(during / before);
        }
    }
}

async fn log_in(port: u16, name: &str) -> Result<(u16, Duration), Error> {
    let begun = std::time::Instant::now();
    let mut connection = Connection::open(port).await?;
    let status = connection.exchange(&login(name, PASSWORD)).await?.status();
    Ok((status, begun.elapsed()))
}
