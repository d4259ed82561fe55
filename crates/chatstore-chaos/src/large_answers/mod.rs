//! `large-answers`: clients that read very large pages, and clients that do not read theirs, cost others little.
//!
//! A user has hundreds of messages of a megabyte. Some clients ask for 200 of them again and again, others ask and
//! never read. Meanwhile another user appends, and the server's health is asked for; its memory is watched, and looked
//! at again when all have gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::client::Answer;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::server::{Installation, Server, with_installation};
use chatstore_bench::wire;
use chatstore_bench::wire_caller::Prepared;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use crate::others::{Others, Seen};

/// The health's 99th percentile, in milliseconds, and how many times what it was the appends' may be.
const HEALTH_MS: f64 = 50.0;
const APPEND_RATIO: f64 = 3.0;

/// The server's memory at most, and afterwards, in KiB.
const MEMORY_KIB: u64 = 300 * 1_024;
const MEMORY_AFTER_KIB: u64 = 100 * 1_024;

/// Between two looks at the memory.
const WATCH: Duration = Duration::from_millis(50);

/// Read very large pages, or leave them unread, and watch the others
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is done
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Messages of the conversation
    #[arg(long, default_value_t = 200)]
    messages: usize,
    /// Bytes of each
    #[arg(long, default_value_t = 1_000_000)]
    bytes: usize,
    /// Clients that read pages of 200
    #[arg(long, default_value_t = 16)]
    readers: usize,
    /// Clients that ask for such a page and do not read it
    #[arg(long, default_value_t = 24)]
    stalled: usize,
    /// How long the others are measured, with and without the load
    #[arg(long, default_value_t = 15.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    seconds: f64,
    /// How long the server rests before its memory is looked at again
    #[arg(long, default_value_t = 60.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    rest: f64,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What one round found.
struct Round {
    idle: Seen,
    loaded: Seen,
    pages: usize,
    refused: usize,
    failed: usize,
    memory_kib: u64,
    memory_after_kib: u64,
}

/// What the readers count.
#[derive(Default)]
struct Counts {
    pages: AtomicUsize,
    refused: AtomicUsize,
    failed: AtomicUsize,
    is_over: AtomicBool,
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
        let server = installation.start().await?;
        let conversation = server.client().create_conversation().await?;
        let text = "x".repeat(self.bytes);
        for _ in 0..self.messages {
            match server.client().append(&conversation, &text).await {
                Answer::Stored(_) => {}
                answer => return Err(format!("a message was not stored: {answer:?}").into()),
            }
        }
        let others = chatstore_bench::client::Client::new(server.port(), &other)?;
        let append = Prepared::append(&others.create_conversation().await?, &other, r#"{"content":"hello"}"#);
        for round in 1..=self.rounds.max(1) {
            progress::print(format_args!("large-answers {} round {round}", recorder.kind.as_str()));
            let found = self.run_round(&server, installation.key(), &conversation, &append).await?;
            self.judge(&found, recorder);
        }
        server.stop().await
    }

    async fn run_round(
        &self,
        server: &Server,
        key: &str,
        conversation: &str,
        append: &Prepared,
    ) -> Result<Round, Error> {
        let length = Duration::from_secs_f64(self.seconds);
        let idle = Others::start(server, append, 1);
        tokio::time::sleep(length).await;
        let idle = idle.finish().await?;

        let path = format!("/api/v1/conversations/{conversation}/messages?limit=200");
        let mut stalled = Vec::new();
        for _ in 0..self.stalled {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await?;
            stream.write_all(&wire::get(&path, key)).await?;
            stalled.push(stream);
        }
        let counts = Arc::new(Counts::default());
        let url = format!("http://127.0.0.1:{}{path}", server.port());
        let readers: Vec<_> = (0..self.readers)
            .map(|_| tokio::spawn(read(url.clone(), key.to_owned(), Arc::clone(&counts))))
            .collect();
        let others = Others::start(server, append, 1);
        let begun = tokio::time::Instant::now();
        let mut memory_kib = 0;
        while begun.elapsed() < length {
            memory_kib = memory_kib.max(server.resident_kib().unwrap_or(0));
            tokio::time::sleep(WATCH).await;
        }
        let loaded = others.finish().await?;
        counts.is_over.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await?;
        }
        drop(stalled);
        tokio::time::sleep(Duration::from_secs_f64(self.rest)).await;
        Ok(Round {
            idle,
            loaded,
            pages: counts.pages.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            memory_kib,
            memory_after_kib: server.resident_kib().unwrap_or(0),
        })
    }

    fn judge(&self, found: &Round, recorder: &mut Recorder) {
        let Round { idle, loaded, pages, refused, failed, memory_kib, memory_after_kib } = found;
        let ratio = loaded.append_p99_ms / idle.append_p99_ms;
        let mut violations = Vec::new();
        if *pages == 0 || *failed > 0 || idle.failed + loaded.failed > 0 {
            let others = idle.failed + loaded.failed;
            violations
                .push(format!("{pages} pages were read, {failed} not; {others} requests of others failed"));
        }
        if self.bounds.apply() {
            let measured = [
                ("health, 99th percentile in ms", loaded.health_p99_ms, HEALTH_MS),
                ("appends to idle, 99th percentile", ratio, APPEND_RATIO),
                ("memory in KiB", *memory_kib as f64, MEMORY_KIB as f64),
                ("memory afterwards in KiB", *memory_after_kib as f64, MEMORY_AFTER_KIB as f64),
            ];
            let above = measured.iter().filter(|(_, figure, bound)| figure >= bound);
            violations
                .extend(above.map(|(what, figure, bound)| format!("{what}: {figure:.1}, not below {bound}")));
        }
        let figures = json!({
            "rounds": self.rounds,
            "seed": self.common.seed,
            "readers": self.readers,
            "stalled": self.stalled,
            "pages": pages,
            "refused": refused,
            "health_p99_ms": [idle.health_p99_ms, loaded.health_p99_ms],
            "append_p99_ms": [idle.append_p99_ms, loaded.append_p99_ms],
            "append_p99_ratio": ratio,
            "memory_mib": memory_kib / 1_024,
            "memory_after_mib": memory_after_kib / 1_024,
            "bounds": self.bounds.apply(),
        });
        recorder.record("large-answers", figures, &violations);
    }
}

/// Reads the page again and again.
async fn read(url: String, key: String, counts: Arc<Counts>) {
    let client = reqwest::Client::new();
    while !counts.is_over.load(Ordering::Relaxed) {
        let count = match read_once(&client, &url, &key).await {
            Ok(200) => &counts.pages,
            Ok(503) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                &counts.refused
            }
            Ok(_) | Err(_) => &counts.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The status, once the whole answer is read.
async fn read_once(client: &reqwest::Client, url: &str, key: &str) -> reqwest::Result<u16> {
    let answer = client.get(url).bearer_auth(key).send().await?;
    let status = answer.status().as_u16();
    answer.bytes().await?;
    Ok(status)
}
