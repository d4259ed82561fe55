//! `long-reads`: reads whose time grows with what is stored cost others little.
//!
//! A user has many conversations. Clients ask for a page far behind the beginning, others count, again and again.
//! Meanwhile writers append, and the server's health is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::server::{Installation, Server, USER, with_installation};
use chatstore_bench::wire_caller::Prepared;
use chatstore_model::NewConversation;
use chatstore_sql::{Database, DatabaseOptions, StoreError, WriteTx};
use serde_json::json;

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use crate::others::{Others, Seen};

/// The health's 99th percentile, in milliseconds, and the least that writers keep of their rate.
const HEALTH_MS: f64 = 50.0;
const WRITERS_KEEP: f64 = 0.8;

/// Conversations of one transaction while they are loaded.
const BATCH: usize = 2_000;

/// Page far behind the beginning and count, and watch the others
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is done
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Conversations of the user
    #[arg(long, default_value_t = 100_000)]
    conversations: usize,
    /// Clients that ask for a page nine tenths behind the beginning
    #[arg(long, default_value_t = 2)]
    offset_clients: usize,
    /// Clients that count
    #[arg(long, default_value_t = 4)]
    count_clients: usize,
    /// Writers
    #[arg(long, default_value_t = 4)]
    writers: usize,
    /// How long each load lasts
    #[arg(long, default_value_t = 10.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    seconds: f64,
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
        let run = async |installation: &Installation| self.run(installation, recorder).await;
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

impl Arguments {
    async fn run(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let other = installation.create_user("other")?;
        load(installation.database_url(), self.conversations).await?;
        let server = installation.start().await?;
        let writers = chatstore_bench::client::Client::new(server.port(), &other)?;
        let append =
            Prepared::append(&writers.create_conversation().await?, &other, r#"{"content":"hello"}"#);
        let offset = self.conversations / 10 * 9;
        let loads = [
            ("offset", format!("/api/v1/conversations?offset={offset}"), self.offset_clients),
            ("count", "/api/v1/conversations/count".to_owned(), self.count_clients),
        ];
        for round in 1..=self.rounds.max(1) {
            for (name, path, clients) in &loads {
                progress::print(format_args!("long-reads {} {name} round {round}", recorder.kind.as_str()));
                let idle = self.measure(&server, &append).await?;
                let load = Load::start(&server, installation.key(), path, *clients);
                let loaded = self.measure(&server, &append).await?;
                let answered = load.finish().await?;
                self.judge(name, (idle, loaded), answered, recorder);
            }
        }
        server.stop().await
    }

    async fn measure(&self, server: &Server, append: &Prepared) -> Result<Seen, Error> {
        let others = Others::start(server, append, self.writers);
        tokio::time::sleep(Duration::from_secs_f64(self.seconds)).await;
        others.finish().await
    }

    fn judge(&self, load: &str, (idle, loaded): (Seen, Seen), answered: Answered, recorder: &mut Recorder) {
        let kept = loaded.appends_a_second / idle.appends_a_second;
        let mut violations = Vec::new();
        if answered.read == 0 || answered.failed > 0 || idle.failed + loaded.failed > 0 {
            violations
                .push(format!("{load}: {answered:?}; {} of others failed", idle.failed + loaded.failed));
        }
        if self.bounds.apply() && loaded.health_p99_ms >= HEALTH_MS {
            violations
                .push(format!("{load}: the health's 99th percentile is {:.1} ms", loaded.health_p99_ms));
        }
        if self.bounds.apply() && kept < WRITERS_KEEP {
            violations.push(format!("{load}: writers keep {kept:.2} of their rate"));
        }
        let figures = json!({
            "rounds": self.rounds,
            "seed": self.common.seed,
            "load": load,
            "conversations": self.conversations,
            "reads": answered.read,
            "refused": answered.refused,
            "health_p99_ms": [idle.health_p99_ms, loaded.health_p99_ms],
            "append_p99_ms": [idle.append_p99_ms, loaded.append_p99_ms],
            "appends_a_second": [idle.appends_a_second, loaded.appends_a_second],
            "writers_keep": kept,
            "bounds": self.bounds.apply(),
        });
        recorder.record("long-reads", figures, &violations);
    }
}

/// Clients that send one request again and again.
struct Load {
    is_over: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Answered>>,
}

/// How they were answered.
#[derive(Debug, Clone, Copy, Default)]
struct Answered {
    read: usize,
    refused: usize,
    failed: usize,
}

impl Load {
    fn start(server: &Server, key: &str, path: &str, clients: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let url = format!("http://127.0.0.1:{}{path}", server.port());
        let start = |_| tokio::spawn(ask(url.clone(), key.to_owned(), Arc::clone(&is_over)));
        Self { clients: (0..clients).map(start).collect(), is_over }
    }

    async fn finish(self) -> Result<Answered, Error> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Answered::default();
        for client in self.clients {
            let Answered { read, refused, failed } = client.await?;
            all.read += read;
            all.refused += refused;
            all.failed += failed;
        }
        Ok(all)
    }
}

async fn ask(url: String, key: String, is_over: Arc<AtomicBool>) -> Answered {
    let client = reqwest::Client::new();
    let mut answered = Answered::default();
    while !is_over.load(Ordering::Relaxed) {
        match client.get(&url).bearer_auth(&key).send().await.map(|answer| answer.status().as_u16()) {
            Ok(200) => answered.read += 1,
            Ok(503) => {
                answered.refused += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            _ => answered.failed += 1,
        }
    }
    answered
}

/// Creates the user's conversations, faster than the server would.
async fn load(url: &str, conversations: usize) -> Result<(), Error> {
    let database = Database::open(DatabaseOptions::new(url)).await?;
    let find = async |tx: &mut chatstore_sql::ReadTx<'_>| tx.users().find_by_username(USER).await;
    let owner = database.read("find", find).await?.ok_or("the user of the experiment is gone")?.id;
    let mut left = conversations;
    while left > 0 {
        let batch = left.min(BATCH);
        let create = async move |tx: &mut WriteTx<'_>| {
            for _ in 0..batch {
                tx.conversations().create(owner, &NewConversation::titled("experiment")).await?;
            }
            Ok::<_, StoreError>(())
        };
        database.write("load", create).await?;
        left -= batch;
    }
    database.close().await;
    Ok(())
}
