//! Everything that is known at one moment, as Prometheus reads it.

use std::fmt::Result;

use chatstore::operations::{
    ConnectionMeasures, DatabaseMeasures, EventLogCounts, ModelMeasures, SqliteMeasures, StoreMeasures,
};
use chatstore::shared_cache::CacheStatus;
use chatstore::{StandbyReads, Store};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Metrics;
use super::catalog as of;
use super::exposition::Exposition;
use super::process::Process;

/// What is known at one moment.
#[derive(Debug)]
pub(super) struct Scrape {
    metrics: Metrics,
    store: StoreMeasures,
    events: EventLogCounts,
    cache: CacheStatus,
    standbys: Option<StandbyReads>,
    database: &'static str,
    process: Process,
}

impl Scrape {
    /// What is known now.
    pub(super) fn new(metrics: Metrics, store: &Store) -> Self {
        Self {
            metrics,
            store: store.operations().measures(),
            events: store.event_log().counts(),
            cache: store.shared_cache().status(),
            standbys: store.standby_reads(),
            database: store.kind().as_str(),
            process: Process::read(),
        }
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result {
        let mut to = Exposition(encoder);
        self.metrics.encode(&mut to)?;
        database(&mut to, &self.store.database)?;
        let events = self.store.security_events.iter();
        to.counters(
            &of::SECURITY_EVENTS,
            events.map(|(event, outcome, count)| ([*event, *outcome], *count)),
        )?;
        self.limits(&mut to)?;
        models(&mut to, &self.store.models)?;
        cache(&mut to, &self.cache)?;
        let EventLogCounts { stored, dropped, waiting } = self.events;
        to.counters(&of::LOG_EVENTS, [(["stored"], stored), (["dropped"], dropped)])?;
        to.gauge(&of::LOG_EVENTS_WAITING, waiting)?;
        if let Some(reads) = &self.standbys {
            standbys(&mut to, reads)?;
        }
        let info = [env!("CARGO_PKG_VERSION"), self.metrics.revision(), self.database];
        to.gauges(&of::BUILD_INFO, [(info, 1_u64)])?;
        self.process.encode(&mut to)
    }
}

impl Scrape {
    fn limits(&self, to: &mut Exposition<'_>) -> Result {
        let decisions = self.store.limits.iter().flat_map(|limit| {
            let kind = limit.kind.as_str();
            [([kind, "granted"], limit.granted), ([kind, "refused"], limit.refused)]
        });
        to.counters(&of::LIMIT_DECISIONS, decisions)
    }
}

fn database(to: &mut Exposition<'_>, measures: &DatabaseMeasures) -> Result {
    let statements = &measures.statements;
    to.counters(&of::STATEMENTS, statements.iter().map(|statement| ([statement.name], statement.runs)))?;
    let times = statements.iter().map(|statement| ([statement.name], statement.time.as_secs_f64()));
    to.counters(&of::STATEMENT_TIMES, times)?;
    let failures = statements.iter().map(|statement| ([statement.name], statement.failures));
    to.counters(&of::STATEMENT_FAILURES, failures)?;
    to.counter(&of::STATEMENTS_SLOW, measures.slow_statements)?;
    let connection_timeouts = measures.connections.as_ref().map_or(0, |connections| connections.timeouts);
    let timeouts = [(["connection"], connection_timeouts), (["statement"], measures.statement_timeouts)];
    to.counters(&of::TIMEOUTS, timeouts)?;
    to.counter(&of::CONFLICT_RETRIES, measures.conflict_retries)?;
    if let Some(connections) = &measures.connections {
        database_connections(to, connections)?;
    }
    match &measures.sqlite {
        Some(measures) => sqlite(to, measures),
        None => Ok(()),
    }
}

fn database_connections(to: &mut Exposition<'_>, measures: &ConnectionMeasures) -> Result {
    let idle = measures.open.saturating_sub(measures.busy);
    to.gauges(&of::DATABASE_CONNECTIONS, [(["busy"], measures.busy), (["idle"], idle)])?;
    to.gauge(&of::DATABASE_CONNECTIONS_MAX, measures.max)?;
    to.histogram(&of::DATABASE_CONNECTION_WAITS, &measures.waits)
}

fn sqlite(to: &mut Exposition<'_>, measures: &SqliteMeasures) -> Result {
    to.histogram(&of::GROUP_SIZES, &measures.group_sizes)?;
    to.histogram(&of::GROUP_TIMES, &measures.group_times)?;
    to.gauge(&of::QUEUED_WRITES, measures.queued_writes)?;
    to.gauge(&of::WAL_BYTES, measures.log_bytes)?;
    let checkpoints = measures.checkpoints.iter().map(|(outcome, count)| ([*outcome], *count));
    to.counters(&of::CHECKPOINTS, checkpoints)?;
    to.counter(&of::LONG_READS, measures.long_reads)
}

fn models(to: &mut Exposition<'_>, models: &[ModelMeasures]) -> Result {
    let replies = models.iter().flat_map(|model| {
        let name = model.model.as_str();
        [([name, "model"], model.replies), ([name, "cache"], model.cached_replies)]
    });
    to.counters(&of::MODEL_REPLIES, replies)?;
    let tokens = models.iter().flat_map(|model| {
        let name = model.model.as_str();
        [
            ([name, "prompt"], model.prompt_tokens),
            ([name, "completion"], model.completion_tokens),
            ([name, "cached"], model.cached_tokens),
        ]
    });
    to.counters(&of::MODEL_TOKENS, tokens)
}

fn cache(to: &mut Exposition<'_>, status: &CacheStatus) -> Result {
    to.counter(&of::CACHE_HITS, status.hits)?;
    to.counter(&of::CACHE_MISSES, status.misses)?;
    to.counter(&of::CACHE_ERRORS, status.errors)?;
    to.counter(&of::CACHE_LOSSES, status.losses)?;
    to.gauge(&of::CACHE_UP, u32::from(status.is_up))
}

fn standbys(to: &mut Exposition<'_>, reads: &StandbyReads) -> Result {
    to.gauge(&of::STANDBYS_IN_USE, reads.in_use)?;
    to.counters(&of::LIST_READS, [(["standby"], reads.answered), (["primary"], reads.on_primary)])?;
    to.counter(&of::STANDBY_WAITS, reads.waited)?;
    to.counter(&of::STANDBY_FALLS_BACK, reads.fallen_back)
}
