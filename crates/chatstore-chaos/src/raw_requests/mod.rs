//! `raw-requests`: whatever is sent, the server answers, refuses or closes, and goes on.
//!
//! Valid requests are altered, by their parts and by their bytes, and sent over sockets: several at once, in pieces, with
//! wrong lengths, in odd chunks, by clients that leave in the middle. Everything random follows from the seed.

mod exchange;
mod mutation;
mod request;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::server::{Installation, Server, with_installation};
use chatstore_bench::wire::{self, Connection};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::experiment::{Bounds, Common, Experiment, Recorder};

use exchange::{Delivery, Ended, Leaving, answers, exchange};
use mutation::{mutate, mutate_bytes};
use request::{RawRequest, Scene, valid};

/// The maximum number of requests on one connection.
const PIPELINED: usize = 6;

/// A client asks for health after this many connections.
const HEALTH_EVERY: usize = 100;

/// How long health may take.
const HEALTH_TIME: Duration = Duration::from_secs(5);

/// How soon the server's descriptors have to be back, and how many more there may be.
const BACK_WITHIN: Duration = Duration::from_secs(10);
const MORE_DESCRIPTORS: usize = 8;

/// How much the server's memory may grow between the first part of the run and its end.
const MORE_MEMORY_KIB: u64 = 64 * 1_024;

/// The part of the requests after which the server has all that it needs.
const WARM_UP: usize = 5;

/// Violations that are kept; the others are counted.
const KEPT: usize = 100;

/// Bytes of what was sent or answered that a violation shows.
const SHOWN_BYTES: usize = 600;

/// Send altered requests over sockets, and watch the server
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Requests
    #[arg(long, default_value_t = 1_000_000)]
    requests: usize,
    /// Clients at the same time
    #[arg(long, default_value_t = 16)]
    clients: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What clients have seen.
#[derive(Debug, Default)]
struct Seen {
    requests: usize,
    connections: usize,
    statuses: BTreeMap<u16, usize>,
    violations: Vec<String>,
}

impl Seen {
    fn violation(&mut self, text: String) {
        if self.violations.len() < KEPT {
            self.violations.push(text);
        }
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.connections += other.connections;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        other.violations.into_iter().for_each(|violation| self.violation(violation));
    }
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
        let id = server.client().create_conversation().await?;
        let conversation = format!("/api/v1/conversations/{id}");
        let append =
            wire::post(&format!("{conversation}/messages"), installation.key(), r#"{"content": "a"}"#);
        let mut connection = Connection::open(server.port()).await?;
        for _ in 0..4 {
            connection.exchange(&append).await?;
        }
        drop(connection);
        let scene = Arc::new(Scene { key: installation.key().to_owned(), conversation });

        let warm_up = self.requests / WARM_UP;
        let mut seen = self.send(&server, &scene, 0, warm_up).await?;
        let before = at_rest(&server, None).await;
        let begun = Instant::now();
        seen.add(self.send(&server, &scene, 1, self.requests - warm_up).await?);
        let seconds = begun.elapsed().as_secs_f64();
        let after = at_rest(&server, before.descriptors).await;
        if self.bounds.apply() {
            judge_growth(before, after, &mut seen);
        }
        let log = server.log();
        server.stop().await?;
        for line in log.lines().filter(|line| line.contains("panicked") || line.contains("ERROR")) {
            seen.violation(format!("the server's log says: {line}"));
        }
        let statuses: BTreeMap<String, usize> =
            seen.statuses.iter().map(|(status, count)| (status.to_string(), *count)).collect();
        let figures = json!({
            "requests": seen.requests,
            "connections": seen.connections,
            "seed": self.common.seed,
            "answers": statuses,
            "requests_per_second": seen.requests as f64 * 0.8 / seconds.max(0.001),
            "memory_kib": [before.memory_kib, after.memory_kib],
            "descriptors": [before.descriptors, after.descriptors],
            "bounds": self.bounds.apply(),
        });
        recorder.record("raw-requests", figures, &seen.violations);
        Ok(())
    }

    /// Sends this many requests by all clients.
    async fn send(
        &self,
        server: &Server,
        scene: &Arc<Scene>,
        part: u64,
        count: usize,
    ) -> Result<Seen, Error> {
        let clients = self.clients.max(1);
        let mut running = JoinSet::new();
        for client in 0..clients {
            let share = count / clients + usize::from(client < count % clients);
            let seed = self.common.seed.wrapping_mul(1_000_003) ^ (part << 32) ^ client as u64;
            let (port, scene) = (server.port(), Arc::clone(scene));
            running.spawn(async move { run_client(port, &scene, share, Random::new(seed)).await });
        }
        let mut seen = Seen::default();
        while let Some(client) = running.join_next().await {
            seen.add(client??);
            progress::print(format_args!("raw-requests: {} requests sent", seen.requests));
        }
        Ok(seen)
    }
}

async fn run_client(port: u16, scene: &Scene, count: usize, mut random: Random) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    while seen.requests < count {
        let requests = (1 + random.below(PIPELINED)).min(count - seen.requests);
        let bytes = bytes_of(scene, requests, &mut random);
        let delivery = Delivery::random(&mut random);
        let leaving = if random.below(10) == 0 { Leaving::Vanish } else { Leaving::HalfClose };
        let ended = exchange(port, &bytes, delivery, leaving, &mut random).await?;
        judge(&ended, &bytes, &mut seen);
        seen.requests += requests;
        seen.connections += 1;
        if seen.connections.is_multiple_of(HEALTH_EVERY) && !is_healthy(port).await {
            seen.violation(format!("health was not answered within {HEALTH_TIME:?}"));
        }
    }
    Ok(seen)
}

/// Requests that follow each other at once, most of them altered.
fn bytes_of(scene: &Scene, requests: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..requests {
        let mut request: RawRequest = valid(scene, random);
        for _ in 0..random.below(4) {
            mutate(&mut request, random);
        }
        let mut sent = request.bytes();
        if random.below(4) == 0 {
            let other = valid(scene, random).bytes();
            (0..=random.below(3)).for_each(|_| mutate_bytes(&mut sent, &other, random));
        }
        bytes.extend(sent);
    }
    bytes
}

fn judge(ended: &Ended, sent: &[u8], seen: &mut Seen) {
    let received = match ended {
        Ended::Unread => return,
        Ended::Hangs => {
            return seen.violation(format!("the server neither answers nor closes: {}", shown(sent)));
        }
        Ended::Answers(received) => received,
    };
    let answers = match answers(received) {
        Ok(answers) => answers,
        Err(rest) => return seen.violation(format!("no answer but {}: {}", shown(rest), shown(sent))),
    };
    for answer in answers {
        *seen.statuses.entry(answer.status).or_default() += 1;
        if answer.status >= 500 && !is_documented(answer.text) {
            seen.violation(format!("{}: {}", shown(answer.text), shown(sent)));
        }
    }
}

/// A server with too much to do may say so.
fn is_documented(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    text.starts_with("http/1.1 503") && text.contains("retry-after:") && text.contains("problem:overloaded")
}

fn shown(bytes: &[u8]) -> String {
    let cut = if bytes.len() > SHOWN_BYTES { "…" } else { "" };
    format!("\"{}\"{cut}", bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii())
}

async fn is_healthy(port: u16) -> bool {
    let asked = async {
        let mut connection = Connection::open(port).await?;
        let status = connection.exchange(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await?.status();
        Ok::<_, Error>(status == 200)
    };
    matches!(timeout(HEALTH_TIME, asked).await, Ok(Ok(true)))
}

/// What the server holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    memory_kib: Option<u64>,
    descriptors: Option<usize>,
}

/// What the server holds when its connections have ended: when it has no more descriptors than before, or after a while.
async fn at_rest(server: &Server, before: Option<usize>) -> Held {
    let begun = Instant::now();
    loop {
        sleep(Duration::from_millis(500)).await;
        let held = Held { memory_kib: server.resident_kib(), descriptors: server.descriptors() };
        let is_back = before.is_some_and(|before| held.descriptors.is_some_and(|now| now <= before));
        if is_back || begun.elapsed() > BACK_WITHIN {
            return held;
        }
    }
}

fn judge_growth(before: Held, after: Held, seen: &mut Seen) {
    if let (Some(before), Some(after)) = (before.descriptors, after.descriptors)
        && after > before + MORE_DESCRIPTORS
    {
        seen.violation(format!("{after} descriptors are open instead of {before}"));
    }
    if let (Some(before), Some(after)) = (before.memory_kib, after.memory_kib)
        && after > before + MORE_MEMORY_KIB
    {
        seen.violation(format!("the server holds {after} KiB of memory instead of {before}"));
    }
}
