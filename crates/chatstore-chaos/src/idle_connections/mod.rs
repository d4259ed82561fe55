//! `idle-connections`: thousands of connections that do nothing keep no client out.
//!
//! Connections are opened, answered once and left idle, more than the server keeps. Meanwhile ordinary clients go on over
//! theirs, which are never the longest unused, and a new connection is opened for each of many requests for health.

use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::Latencies;
use chatstore_bench::server::{Installation, Server, with_installation};
use chatstore_bench::wire::{self, Connection};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use crate::slow_clients::files;

/// The 99th percentile of a request for health over a connection of its own, in milliseconds.
const HEALTH_MS: f64 = 50.0;

/// How long an answer may take before it counts as none.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that are opened at the same time.
const AT_ONCE: usize = 100;

/// The pause between two requests of an ordinary client, and of health.
const PAUSE: Duration = Duration::from_millis(5);

/// Files that the client needs beside one for each connection.
const SPARE_FILES: u64 = 256;

/// Hold thousands of idle connections open, and watch new ones
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is done
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Idle connections
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Ordinary clients
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Requests for health, each over a new connection
    #[arg(long, default_value_t = 500)]
    requests: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        // The server inherits it.
        files::allow(self.connections as u64 + self.clients as u64 + SPARE_FILES)?;
        let kind = recorder.kind;
        let run = async |installation: &Installation| self.run(installation, recorder).await;
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

impl Arguments {
    async fn run(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let server = installation.start().await?;
        let (mut health, mut violations, mut open) = (Latencies::default(), Vec::new(), Vec::new());
        for round in 1..=self.rounds.max(1) {
            progress::print(format_args!("idle-connections {} round {round}", recorder.kind.as_str()));
            self.run_round(&server, installation.key(), &mut health, &mut violations).await?;
            open.push(server.descriptors());
        }
        server.stop().await?;
        let health_ms @ [_, p99, _] = health.summary();
        if self.bounds.apply() && (health.count() == 0 || p99 > HEALTH_MS) {
            violations.push(format!("the 99th percentile of health is {p99} ms"));
        }
        let figures: Value = json!({
            "rounds": self.rounds,
            "connections": self.connections,
            "clients": self.clients,
            "health_requests": health.count(),
            "health_ms": health_ms,
            "descriptors": open,
            "bounds": self.bounds.apply(),
        });
        recorder.record("idle-connections", figures, &violations);
        Ok(())
    }

    async fn run_round(
        &self,
        server: &Server,
        key: &str,
        health: &mut Latencies,
        violations: &mut Vec<String>,
    ) -> Result<(), Error> {
        let port = server.port();
        let mut ordinary = JoinSet::new();
        let (end, ended) = tokio::sync::watch::channel(false);
        for _ in 0..self.clients {
            let (request, ended) = (wire::get("/api/v1/conversations?limit=1", key), ended.clone());
            ordinary.spawn(async move { use_one_connection(port, &request, || *ended.borrow()).await });
        }
        let mut idle = Vec::with_capacity(self.connections);
        while idle.len() < self.connections {
            let count = AT_ONCE.min(self.connections - idle.len());
            let mut opening = JoinSet::new();
            for _ in 0..count {
                opening.spawn(async move { timeout(TIMEOUT, used_once(port)).await });
            }
            for opened in opening.join_all().await {
                idle.push(opened.map_err(|_| "an idle connection was not answered in time")??);
            }
        }
        for _ in 0..self.requests {
            let begun = Instant::now();
            match timeout(TIMEOUT, used_once(port)).await {
                Ok(Ok(_)) => health.push(begun.elapsed()),
                Ok(Err(error)) => violations.push(format!("health was not answered: {error}")),
                Err(_) => violations.push("health was not answered within 10 s".to_owned()),
            }
            tokio::time::sleep(PAUSE).await;
        }
        end.send_replace(true);
        for client in ordinary.join_all().await {
            if let Err(error) = client {
                violations.push(format!("the connection of an ordinary client was closed: {error}"));
            }
        }
        Ok(())
    }
}

/// A new connection that was answered once.
async fn used_once(port: u16) -> Result<Connection, Error> {
    let mut connection = Connection::open(port).await?;
    let status = connection.exchange(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await?.status();
    if status == 200 { Ok(connection) } else { Err(format!("the answer is {status}").into()) }
}

/// Sends a request again and again over one connection, which must stay open.
async fn use_one_connection(port: u16, request: &[u8], is_over: impl Fn() -> bool) -> Result<(), Error> {
    let mut connection = Connection::open(port).await?;
    while !is_over() {
        let status = timeout(TIMEOUT, connection.exchange(request)).await??.status();
        if status != 200 && status != 503 {
            return Err(format!("the answer is {status}").into());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
