//! What other clients see while the server is under load: its health, and the appends of another user.

use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::samples::Latencies;
use chatstore_bench::server::Server;
use chatstore_bench::wire_caller::Prepared;

use crate::probe::{Probe, Sample};

/// Between two requests for the server's health.
const INTERVAL: Duration = Duration::from_millis(10);

/// Probes at work.
pub(crate) struct Others {
    begun: Instant,
    health: Probe,
    appends: Vec<Probe>,
}

/// What they saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) health_p99_ms: f64,
    pub(crate) append_p99_ms: f64,
    pub(crate) appends_a_second: f64,
    /// Requests that were not answered as they should be.
    pub(crate) failed: usize,
}

impl Others {
    /// One that asks for the health, and so many that append without a pause.
    pub(crate) fn start(server: &Server, append: &Prepared, appenders: usize) -> Self {
        let health = Probe::start(server.port(), Prepared::health().bytes().to_vec(), INTERVAL);
        let start = |_| Probe::start(server.port(), append.bytes().to_vec(), Duration::ZERO);
        Self { begun: Instant::now(), health, appends: (0..appenders).map(start).collect() }
    }

    /// Ends them.
    pub(crate) async fn finish(self) -> Result<Seen, Error> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let health = self.health.finish().await?;
        let mut appends = Vec::new();
        for probe in self.appends {
            appends.extend(probe.finish().await?);
        }
        let appended = appends.iter().filter(|sample| sample.status == Some(201)).count();
        let healthy = health.iter().filter(|sample| sample.status == Some(200)).count();
        Ok(Seen {
            health_p99_ms: p99(&health),
            append_p99_ms: p99(&appends),
            appends_a_second: appended as f64 / seconds,
            failed: appends.len() - appended + health.len() - healthy,
        })
    }
}

fn p99(samples: &[Sample]) -> f64 {
    let mut latencies = Latencies::default();
    for sample in samples {
        latencies.push(sample.latency);
    }
    latencies.percentile(99)
}
