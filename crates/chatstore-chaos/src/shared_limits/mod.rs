//! `shared-limits`: two servers with one Redis keep within one limit together, and within twice that without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::rounded;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_bench::wire::{self, Connection};
use chatstore_testkit::free_port;
use chatstore_testkit::server::RedisServer;
use serde_json::{Value, json};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use crate::experiment::{Bounds, Common, Experiment, Recorder};

/// The period of the limit: what is older counts no more.
const PERIOD: Duration = Duration::from_secs(60);

/// When Redis is given up.
const GIVEN_UP: Duration = Duration::from_secs(20);

/// Requests beyond the limit, as its multiple: nearly all of them are refused.
const REQUESTS: usize = 3;

/// Count what two servers accept together, with a Redis and without
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is tried
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Requests per minute that are allowed
    #[arg(long, default_value_t = 5_000)]
    limit: usize,
    /// Clients that send at the same time, half of them to each server
    #[arg(long, default_value_t = 64)]
    clients: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What happens to Redis while clients send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Present,
    Killed,
    Gone,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Present, Self::Killed, Self::Gone];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Killed => "killed",
            Self::Gone => "gone",
        }
    }

    /// The least and the most that may be accepted. Where machines are busy, Redis is not answered in time.
    const fn bounds(self, limit: usize, is_busy: bool) -> (usize, usize) {
        match self {
            Self::Present if !is_busy => (limit - limit / 100, limit + limit / 100),
            _ => (limit - limit / 100, 2 * limit),
        }
    }
}

/// What clients have sent, and how many were accepted.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicUsize,
    accepted: AtomicUsize,
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
        let port = free_port()?;
        let mut redis = Some(start_redis(port).await?);
        let settings = format!(
            "REDIS_URL=redis://127.0.0.1:{port}/0\nCHATSTORE_RATE_LIMIT={}\nCHATSTORE_METRICS_BIND=off\n",
            self.limit
        );
        installation.write_settings(&settings)?;
        let servers = [installation.start().await?, installation.start().await?];
        let ports = servers.each_ref().map(chatstore_bench::server::Server::port);
        let mut violations = Vec::new();
        let mut accepted: [Vec<usize>; Phase::ALL.len()] = Default::default();
        let mut slowest = Duration::ZERO;
        for round in 1..=self.rounds.max(1) {
            for (phase, counted) in Phase::ALL.into_iter().zip(&mut accepted) {
                progress::print(format_args!("shared-limits {} round {round}", phase.as_str()));
                let key = installation.create_user(&format!("{}-{round}", phase.as_str()))?;
                if phase == Phase::Present {
                    if redis.is_none() {
                        redis = Some(start_redis(port).await?);
                    }
                    for port in ports {
                        until_used(port).await?;
                    }
                }
                let begun = Instant::now();
                let count = self.count(ports, &key, || {
                    if phase == Phase::Killed {
                        drop(redis.take());
                    }
                });
                let count = count.await?;
                let took = begun.elapsed();
                slowest = slowest.max(took);
                let (least, most) = phase.bounds(self.limit, !self.bounds.apply());
                if took >= PERIOD {
                    violations.push(format!("{}: {took:?} is too long to tell", phase.as_str()));
                } else if !(least..=most).contains(&count) {
                    violations.push(format!("{}: {count} were accepted", phase.as_str()));
                }
                counted.push(count);
            }
        }
        let figures = json!({
            "limit": self.limit,
            "clients": self.clients,
            "accepted_with_redis": accepted[0],
            "accepted_while_it_is_killed": accepted[1],
            "accepted_without": accepted[2],
            "slowest_s": rounded(slowest.as_secs_f64()),
        });
        recorder.record("shared-limits", figures, &violations);
        for server in servers {
            server.stop().await?;
        }
        Ok(())
    }

    /// How many requests of one user are accepted; `half_way` is called when half of the limit was sent.
    async fn count(&self, ports: [u16; 2], key: &str, half_way: impl FnOnce()) -> Result<usize, Error> {
        let (counts, requests) = (Arc::new(Counts::default()), REQUESTS * self.limit);
        let request: Arc<[u8]> = wire::get("/api/v1/users/me", key).into();
        let mut clients = JoinSet::new();
        for number in 0..self.clients {
            let (counts, request) = (Arc::clone(&counts), Arc::clone(&request));
            clients.spawn(send(ports[number % ports.len()], request, counts, requests));
        }
        while counts.sent.load(Ordering::Relaxed) < self.limit / 2 {
            if let Some(sent) = clients.try_join_next() {
                sent??;
            }
            sleep(Duration::from_millis(1)).await;
        }
        half_way();
        while let Some(sent) = clients.join_next().await {
            sent??;
        }
        Ok(counts.accepted.load(Ordering::Relaxed))
    }
}

/// Sends until all clients together have sent so many.
async fn send(port: u16, request: Arc<[u8]>, counts: Arc<Counts>, requests: usize) -> Result<(), Error> {
    let mut connection = Connection::open(port).await?;
    while counts.sent.fetch_add(1, Ordering::Relaxed) < requests {
        match connection.exchange(&request).await?.status() {
            200 => {
                counts.accepted.fetch_add(1, Ordering::Relaxed);
            }
            429 => {}
            other => return Err(format!("a request was answered with {other}").into()),
        }
    }
    Ok(())
}

async fn start_redis(port: u16) -> Result<RedisServer, Error> {
    Ok(spawn_blocking(move || RedisServer::start_with(port, &[])).await??)
}

/// Waits until the server uses Redis.
async fn until_used(port: u16) -> Result<(), Error> {
    let begun = Instant::now();
    let mut connection = Connection::open(port).await?;
    while begun.elapsed() < GIVEN_UP {
        let answer = connection.exchange(&wire::get("/readyz", "")).await?;
        let body: Value = serde_json::from_slice(answer.body())?;
        if body["dependencies"]["redis"]["status"] == "ready" {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err("the server does not use Redis".into())
}
