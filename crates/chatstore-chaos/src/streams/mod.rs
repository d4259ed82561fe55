//! `streams`: a very long conversation is read as lines by fast clients and by clients that stop reading, and others
//! hardly notice.
//!
//! Meanwhile messages are appended to it and to another conversation, whose newest messages are read too; the server's
//! memory is watched. In the end the conversation is deleted under a client that reads it, which has to notice.

mod reader;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::client::Client;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::samples::{Latencies, rounded};
use chatstore_bench::server::{Installation, Server, with_installation};
use chatstore_bench::wire_caller::Prepared;
use serde_json::json;

use crate::experiment::{Bounds, Common, Experiment, Recorder};
use crate::others::{Others, Seen};
use crate::probe::{Probe, Sample};

use reader::{Counts, Ending, Slow, delete_while_reading, read_again_and_again};

/// How many times what they were without streams the 99th percentiles of others may be.
const RATIO: f64 = 2.0;

/// How much more memory the server may take than before, in KiB.
const MEMORY_KIB: u64 = 64 * 1_024;

/// Between two looks at the memory, two appends to the long conversation, and two pages of the other one.
const WATCH: Duration = Duration::from_millis(50);
const APPEND_EVERY: Duration = Duration::from_millis(20);
const PAGE_EVERY: Duration = Duration::from_millis(5);

/// Messages that are appended together.
const BATCH: usize = 1_000;

/// Read a very long conversation as lines, and watch the others
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is done
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Messages of the conversation
    #[arg(long, default_value_t = 200_000)]
    messages: usize,
    /// Bytes of each
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// Clients that read it again and again
    #[arg(long, default_value_t = 1)]
    readers: usize,
    /// Clients that ask for it and stop reading, more than the server has connections to its database
    #[arg(long, default_value_t = 24)]
    slow: usize,
    /// How long the others are measured, with and without the streams
    #[arg(long, default_value_t = 15.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    seconds: f64,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What others see.
struct Watched {
    others: Seen,
    page_p99_ms: f64,
    failed: usize,
    memory_kib: u64,
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
        let key = installation.create_user("other")?;
        let server = installation.start().await?;
        let other = Client::new(server.port(), &key)?.create_conversation().await?;
        for round in 1..=self.rounds.max(1) {
            progress::print(format_args!("streams {} round {round}", recorder.kind.as_str()));
            let long = self.fill(&server, installation.key()).await?;
            let append = Prepared::append(&other, &key, r#"{"content":"hello"}"#);
            let page = Prepared::newest(&other, &key);
            self.run_round(&server, installation.key(), &long, (&append, &page), recorder).await?;
        }
        server.stop().await
    }

    /// The new conversation.
    async fn fill(&self, server: &Server, key: &str) -> Result<String, Error> {
        let conversation = server.client().create_conversation().await?;
        let url = format!("http://127.0.0.1:{}/api/v1/conversations/{conversation}/messages", server.port());
        let client = reqwest::Client::new();
        let message = json!({"content": "x".repeat(self.bytes)});
        let mut left = self.messages;
        while left > 0 {
            let count = left.min(BATCH);
            let body = json!({"messages": vec![&message; count]}).to_string();
            let request = client.post(&url).bearer_auth(key).header("Content-Type", "application/json");
            let answer = request.body(body).send().await?;
            if answer.status() != 201 {
                return Err(format!("a batch was answered with {}", answer.status()).into());
            }
            left -= count;
        }
        Ok(conversation)
    }

    async fn run_round(
        &self,
        server: &Server,
        key: &str,
        long: &str,
        (append, page): (&Prepared, &Prepared),
        recorder: &mut Recorder,
    ) -> Result<(), Error> {
        let to_long = Prepared::append(long, key, r#"{"content":"meanwhile"}"#);
        let idle = self.watch(server, append, page, &to_long).await?;
        let mut slow = Vec::new();
        for _ in 0..self.slow {
            slow.push(Slow::open(server.port(), long, key).await?);
        }
        let counts = Arc::new(Counts::default());
        let readers: Vec<_> = (0..self.readers)
            .map(|_| {
                let (port, long, key) = (server.port(), long.to_owned(), key.to_owned());
                tokio::spawn(read_again_and_again(port, long, key, Arc::clone(&counts)))
            })
            .collect();
        let begun = Instant::now();
        let loaded = self.watch(server, append, page, &to_long).await?;
        counts.is_over.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        drop(slow);
        let ending = delete_while_reading(server.port(), long, key).await?;
        self.judge(&idle, &loaded, &counts, (seconds, ending), recorder);
        Ok(())
    }

    /// What others see for some time.
    async fn watch(
        &self,
        server: &Server,
        append: &Prepared,
        page: &Prepared,
        to_long: &Prepared,
    ) -> Result<Watched, Error> {
        let length = Duration::from_secs_f64(self.seconds);
        let others = Others::start(server, append, 1);
        let pages = Probe::start(server.port(), page.bytes().to_vec(), PAGE_EVERY);
        let appends = Probe::start(server.port(), to_long.bytes().to_vec(), APPEND_EVERY);
        let begun = Instant::now();
        let mut memory_kib = 0;
        while begun.elapsed() < length {
            memory_kib = memory_kib.max(server.resident_kib().unwrap_or(0));
            tokio::time::sleep(WATCH).await;
        }
        let (others, pages, appends) =
            (others.finish().await?, pages.finish().await?, appends.finish().await?);
        let failed = |samples: &[Sample], status| {
            samples.iter().filter(|sample| sample.status != Some(status)).count()
        };
        let failed = others.failed + failed(&pages, 200) + failed(&appends, 201);
        let mut latencies = Latencies::default();
        pages.iter().for_each(|sample| latencies.push(sample.latency));
        Ok(Watched { others, page_p99_ms: latencies.percentile(99), failed, memory_kib })
    }

    fn judge(
        &self,
        idle: &Watched,
        loaded: &Watched,
        counts: &Counts,
        (seconds, ending): (f64, Ending),
        recorder: &mut Recorder,
    ) {
        let [streams, lines, wrong] =
            [&counts.streams, &counts.lines, &counts.wrong].map(|count| count.load(Ordering::Relaxed));
        let append_ratio = loaded.others.append_p99_ms / idle.others.append_p99_ms;
        let page_ratio = loaded.page_p99_ms / idle.page_p99_ms;
        let grown_kib = loaded.memory_kib.saturating_sub(idle.memory_kib);
        let mut violations = Vec::new();
        if streams == 0 || wrong > 0 {
            violations.push(format!("{streams} whole streams, {wrong} with gaps, repetitions or no end"));
        }
        if idle.failed + loaded.failed > 0 {
            violations.push(format!("{} requests of others failed", idle.failed + loaded.failed));
        }
        if ending == Ending::Wrong {
            violations
                .push("the lines of a deleted conversation had an end, but not its messages".to_owned());
        }
        if self.bounds.apply() {
            let measured = [
                ("appends to idle, 99th percentile", append_ratio, RATIO),
                ("pages to idle, 99th percentile", page_ratio, RATIO),
                ("memory above idle in KiB", grown_kib as f64, MEMORY_KIB as f64),
            ];
            let above = measured.iter().filter(|(_, figure, bound)| figure >= bound);
            violations
                .extend(above.map(|(what, figure, bound)| format!("{what}: {figure:.1}, not below {bound}")));
        }
        let figures = json!({
            "rounds": self.rounds,
            "seed": self.common.seed,
            "messages": self.messages,
            "readers": self.readers,
            "slow": self.slow,
            "streams": streams,
            "cut_off_by_deletion": ending == Ending::CutOff,
            "lines_a_second": rounded(lines as f64 / seconds),
            "append_p99_ms": [idle.others.append_p99_ms, loaded.others.append_p99_ms],
            "append_p99_ratio": append_ratio,
            "page_p99_ms": [idle.page_p99_ms, loaded.page_p99_ms],
            "page_p99_ratio": page_ratio,
            "health_p99_ms": [idle.others.health_p99_ms, loaded.others.health_p99_ms],
            "memory_mib": [idle.memory_kib / 1_024, loaded.memory_kib / 1_024],
            "bounds": self.bounds.apply(),
        });
        recorder.record("streams", figures, &violations);
    }
}
