//! `start`: how soon the server is there, and how much memory it takes under load.

use std::sync::Arc;
use std::time::Duration;

use chatstore_bench::arguments::{Databases, ServerBinary};
use chatstore_bench::drive::{Span, drive};
use chatstore_bench::error::Error;
use chatstore_bench::samples::median;
use chatstore_bench::server::{Installation, Server, memory_limit_kib, with_installation};
use chatstore_bench::wire_caller::{Prepared, WireCaller};
use chatstore_sql::DatabaseKind;
use serde_json::json;

/// Clients that load the server.
const CLIENTS: usize = 64;

/// Conversations they write to and read.
const CONVERSATIONS: usize = 256;

/// The server is to be ready so soon, in milliseconds.
const READY_MS: f64 = 150.0;

/// Measure how soon the server is ready, and its memory under load
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerBinary,
    /// How often it is started
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// How long it is loaded
    #[arg(long, default_value_t = 20.0, value_parser = chatstore_bench::arguments::positive_seconds)]
    seconds: f64,
    #[command(flatten)]
    databases: Databases,
}

impl Arguments {
    /// Measures and prints one line for each database.
    pub(crate) async fn run(self) -> Result<(), Error> {
        for kind in self.databases.backend.kinds() {
            let measure = async |installation: &Installation| self.measure(installation, kind).await;
            with_installation(&self.server, kind, &self.databases, measure).await?;
        }
        Ok(())
    }

    async fn measure(&self, installation: &Installation, kind: DatabaseKind) -> Result<(), Error> {
        let mut ready = Vec::with_capacity(self.runs);
        for _ in 0..self.runs.max(1) {
            let server = installation.start().await?;
            ready.push(server.ready_after().as_secs_f64() * 1_000.0);
            server.stop().await?;
        }
        let slowest = ready.iter().copied().fold(0.0, f64::max);
        let server = installation.start().await?;
        let idle = server.resident_kib();
        let (requests_per_second, resident) = self.load(&server, installation.key()).await?;
        let most = resident.iter().copied().max();
        server.stop().await?;
        println!(
            "{}",
            json!({
                "experiment": "start",
                "backend": kind.as_str(),
                "runs": ready.len(),
                "ready_ms_median": rounded(median(&ready)),
                "ready_ms_max": rounded(slowest),
                "ready_met": median(&ready) <= READY_MS,
                "clients": CLIENTS,
                "seconds": self.seconds,
                "requests_per_second": requests_per_second.round(),
                "resident_kib_idle": idle,
                "resident_kib_by_quarter": resident,
                "resident_met": most.map(|kib| kib <= memory_limit_kib(kind)),
            })
        );
        Ok(())
    }

    /// Requests a second, and the server's memory after each quarter of the time. Clients append a message or read the
    /// newest 50.
    async fn load(&self, server: &Server, key: &str) -> Result<(f64, Vec<u64>), Error> {
        let body = json!({ "content": chatstore_bench::data::content() }).to_string();
        let mut requests = Vec::with_capacity(2 * CONVERSATIONS);
        for _ in 0..CONVERSATIONS {
            let conversation = server.client().create_conversation().await?;
            requests.push(Prepared::append(&conversation, key, &body));
            requests.push(Prepared::newest(&conversation, key));
        }
        let length = Duration::from_secs_f64(self.seconds);
        let callers = WireCaller::many(CLIENTS, server.port(), 0, &Arc::new(requests)).await?;
        let loading = tokio::spawn(drive(Span::from_cold(length), callers));
        let mut resident = Vec::new();
        for _ in 0..4 {
            tokio::time::sleep(length / 4).await;
            resident.extend(server.resident_kib());
        }
        Ok((loading.await??.per_second(), resident))
    }
}

fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 10.0).round() / 10.0
}
