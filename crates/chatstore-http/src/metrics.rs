//! Metrics, in the text format of Prometheus.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use chatstore::StandbyReads;
use chatstore::operations::EventLogCounts;
use chatstore::shared_cache::CacheStatus;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds: appends take one to ten milliseconds, and a request times out after five seconds.
const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

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
}

/// Labels of events of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    outcome: &'static str,
}

/// Labels of a read of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlaceLabels {
    place: &'static str,
}

/// The metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram, fn() -> Histogram>,
    present: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self { requests: Family::default(), durations, present: Gauge::default() }
    }
}

impl Metrics {
    /// Counts a request in.
    pub(crate) fn begin(&self) -> InProgress {
        self.present.inc();
        InProgress(self.present.clone())
    }

    /// To be called when a request is answered; `route` is the pattern it matched.
    pub(crate) fn end(&self, method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
        let (method, route) = (method_label(method), route.unwrap_or("none").to_owned());
        let labels = RequestLabels { method, route: route.clone(), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&DurationLabels { method, route }).observe(took.as_secs_f64());
    }

    /// All of them, beside the number of statements sent to the database, what became of events, what was asked of the
    /// shared cache, and what reads did with standbys, as Prometheus reads them.
    pub(crate) fn encode(
        &self,
        statements: u64,
        events: EventLogCounts,
        cache: &CacheStatus,
        standbys: Option<StandbyReads>,
    ) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("chatstore");
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Seconds from a request's head to the head of its answer",
            self.durations.clone(),
        );
        registry.register("http_requests_present", "Requests in progress", self.present.clone());
        let counts = [
            ("database_statements", "Statements sent to the database", statements),
            ("cache_hits", "Look-ups in the shared cache that found an entry", cache.hits),
            ("cache_misses", "Look-ups in the shared cache that found none", cache.misses),
            ("cache_errors", "Commands to the shared cache that failed or took too long", cache.errors),
            ("cache_losses", "Times that the shared cache was found not to answer", cache.losses),
        ];
        for (name, help, count) in counts {
            let counter: Counter = Counter::default();
            counter.inc_by(count);
            registry.register(name, help, counter);
        }
        let is_up: Gauge = Gauge::default();
        is_up.set(cache.is_up.into());
        registry.register("cache_up", "Whether the shared cache is in use: 0 or 1", is_up);
        let EventLogCounts { stored, dropped, waiting } = events;
        let outcomes: Family<EventLabels, Counter> = Family::default();
        for (outcome, count) in [("stored", stored), ("dropped", dropped)] {
            outcomes.get_or_create(&EventLabels { outcome }).inc_by(count);
        }
        registry.register("log_events", "Events of the log that the server was to store", outcomes);
        let present: Gauge = Gauge::default();
        present.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        registry.register("log_events_waiting", "Events of the log that wait for the database", present);
        if let Some(reads) = standbys {
            register_standbys(&mut registry, reads);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn register_standbys(registry: &mut Registry, reads: StandbyReads) {
    let in_use: Gauge = Gauge::default();
    in_use.set(i64::try_from(reads.in_use).unwrap_or(i64::MAX));
    registry.register("standbys_in_use", "Standbys that answer reads now", in_use);
    let places: Family<PlaceLabels, Counter> = Family::default();
    for (place, count) in [("standby", reads.answered), ("primary", reads.on_primary)] {
        places.get_or_create(&PlaceLabels { place }).inc_by(count);
    }
    registry.register("list_reads", "Reads of lists, by the server that answered", places);
    for (name, help, count) in [
        ("standby_waits", "Reads that waited for a standby to replay a write", reads.waited),
        (
            "standby_falls_back",
            "Reads that a standby did not finish and the primary answered",
            reads.fallen_back,
        ),
    ] {
        let counter: Counter = Counter::default();
        counter.inc_by(count);
        registry.register(name, help, counter);
    }
}

/// A request in progress, until it is dropped: also when its client disconnects.
#[derive(Debug)]
pub(crate) struct InProgress(Gauge);

impl Drop for InProgress {
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
