//! Metrics, in the text format of OpenMetrics.
//!
//! `catalog` describes each of them once; `scrape` collects what is known at one moment, `exposition` writes it.

mod catalog;
mod exposition;
mod process;
mod scrape;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use chatstore::Store;
use chatstore::operations::Histogram as LockFreeHistogram;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::admission::MAX_CONCURRENT;
use crate::error::{Problem, Shortage};
use crate::serve::ConnectionCounts;
pub use catalog::{MetricDescription, MetricKind};
use exposition::Exposition;
use scrape::Scrape;

/// Seconds: appends take one to ten milliseconds, and a request times out after five seconds.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Every metric that is served, in the order of the documentation.
#[must_use]
pub const fn metric_descriptions() -> &'static [MetricDescription] {
    catalog::ALL
}

/// Labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

/// Labels of a duration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    method: &'static str,
    route: String,
    status_class: &'static str,
}

/// Labels of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProblemLabels {
    problem: &'static str,
    shortage: &'static str,
}

/// The metrics of requests and connections. Cheap to clone; the clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram, fn() -> Histogram>,
    problems: Family<ProblemLabels, Counter>,
    present: Gauge,
    permit_waits: Arc<LockFreeHistogram>,
    permits_busy: Gauge,
    connections: ConnectionCounts,
    revision: Arc<str>,
}

impl Default for Metrics {
    fn default() -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self {
            requests: Family::default(),
            durations,
            problems: Family::default(),
            present: Gauge::default(),
            permit_waits: Arc::new(LockFreeHistogram::of_times()),
            permits_busy: Gauge::default(),
            connections: ConnectionCounts::default(),
            revision: "".into(),
        }
    }
}

impl Metrics {
    /// Those of an API over this store.
    pub(crate) fn new(store: &Store) -> Self {
        Self { revision: newest_revision(store).into(), ..Self::default() }
    }

    /// Counts a request in.
    pub(crate) fn begin(&self) -> Counted {
        Counted::begin(&self.present)
    }

    /// To be called when a request is answered; `route` is the pattern it matched.
    pub(crate) fn end(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let (method, route) = (method_label(method), route.unwrap_or("none").to_owned());
        let labels = RequestLabels { method, route: route.clone(), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        let labels = DurationLabels { method, route, status_class: status_class(status) };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a problem with which a request is answered, by its stable name.
    pub(crate) fn count_problem(&self, problem: &Problem) {
        let shortage = problem.shortage().map_or("none", Shortage::as_str);
        self.problems.get_or_create(&ProblemLabels { problem: problem.slug(), shortage }).inc();
    }

    /// Waits for a permit and counts it as in use.
    pub(crate) async fn permit<P, E>(
        &self,
        acquire: impl Future<Output = Result<P, E>>,
    ) -> Result<(P, Counted), E> {
        let since = Instant::now();
        let acquired = acquire.await;
        self.permit_waits.observe_time(since.elapsed());
        Ok((acquired?, Counted::begin(&self.permits_busy)))
    }

    /// The counts of the server that serves the API.
    pub(crate) fn connections(&self) -> &ConnectionCounts {
        &self.connections
    }

    /// The newest revision of the tables that this program knows.
    fn revision(&self) -> &str {
        &self.revision
    }

    /// All of them beside those of the store, as Prometheus reads them.
    pub(crate) fn text(&self, store: &Store) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape::new(self.clone(), store)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    fn encode(&self, to: &mut Exposition<'_>) -> std::fmt::Result {
        to.metric(&catalog::REQUESTS, &self.requests)?;
        to.metric(&catalog::REQUEST_TIMES, &self.durations)?;
        to.metric(&catalog::REQUESTS_PRESENT, &self.present)?;
        to.metric(&catalog::PROBLEMS, &self.problems)?;
        to.histogram(&catalog::PERMIT_WAITS, &self.permit_waits.read())?;
        to.metric(&catalog::PERMITS_BUSY, &self.permits_busy)?;
        to.gauge(&catalog::PERMITS_MAX, MAX_CONCURRENT)?;
        let connections = self.connections.read();
        to.gauge(&catalog::CONNECTIONS, connections.open)?;
        to.gauge(&catalog::CONNECTIONS_MAX, connections.max)?;
        let closed = [(["evicted"], connections.evicted), (["refused"], connections.refused)];
        to.counters(&catalog::CONNECTIONS_CLOSED, closed)
    }
}

/// The newest revision of the tables that this program knows; several if the line of revisions has several ends.
fn newest_revision(store: &Store) -> String {
    let Ok(migrations) = store.migrations() else { return String::new() };
    let heads: Vec<&str> =
        migrations.graph().heads().into_iter().map(|revision| revision.id.as_str()).collect();
    heads.join(",")
}

/// Something in progress, until it is dropped: also when its client disconnects.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A bounded set of labels: a client may send any word as a method.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
