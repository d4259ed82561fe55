//! `login_storm`: many logins at once are let in a few at a time or refused, and disturb others little.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use chatstore::{ApiKeyScope, NewConversation, Store};
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::client::login_request;
use super::place::{PASSWORD, Place, member};
use super::server::Servers;
use super::{Arguments, Finding, rounded};
use crate::Failure;
use crate::probe::{Probe, Sample};
use crate::samples::Latencies;
use crate::wire::Connection;
use crate::wire_caller::Prepared;

/// Users who log in.
const USERS: usize = 16;

/// Clients that append meanwhile.
const APPENDERS: usize = 3;

/// Between two appends of a client.
const INTERVAL: Duration = Duration::from_millis(10);

/// An append may take so many times as long as without the storm, 99 times of 100.
const TIMES: f64 = 3.0;

/// Memory that one password takes while it is hashed.
const KIB_EACH_HASH: u64 = 19 * 1_024;

/// Memory that each connection may take.
const KIB_EACH_CONNECTION: u64 = 64;

/// What became of the logins.
#[derive(Default)]
struct Logins {
    succeeded: Latencies,
    refused: Latencies,
    violations: Vec<String>,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Finding, Failure> {
    let store = place.open().await?;
    let requests = prepare_logins(&store).await?;
    let append = prepare_append(&store).await?;
    store.close().await;
    let servers = Servers::start(place, 1)?;
    let port = servers.ports()[0];

    let appenders = start_appenders(port, &append);
    tokio::time::sleep(Duration::from_secs_f64(arguments.seconds)).await;
    let idle = finish(appenders).await?;
    let (baseline, _) = servers.resident_kib()?;
    let mut connections = Vec::with_capacity(arguments.logins);
    for _ in 0..arguments.logins {
        connections.push(Connection::open(port).await?);
    }
    let mut logins = Logins::default();
    let appenders = start_appenders(port, &append);
    for _ in 0..arguments.storms {
        connections = storm(connections, &requests, &mut logins).await?;
    }
    let stormy = finish(appenders).await?;
    drop(connections);
    let (_, most) = servers.resident_kib()?;
    servers.stop()?;
    Ok(judge(arguments, logins, (idle, stormy), (baseline, most)))
}

async fn prepare_logins(store: &Store) -> Result<Arc<Vec<Vec<u8>>>, Failure> {
    let mut requests = Vec::with_capacity(USERS);
    for number in 0..USERS {
        let name = format!("login-{number}");
        member(store, &name).await?;
        requests.push(login_request("username", &name, PASSWORD));
    }
    Ok(Arc::new(requests))
}

async fn prepare_append(store: &Store) -> Result<Vec<u8>, Failure> {
    let user = member(store, "appender").await?.id;
    let key = store.keys().create(user, ApiKeyScope::User, None, None).await?.text;
    let conversation = store.as_user(user).conversations().create(NewConversation::titled("Storm")).await?;
    let append = Prepared::append(&conversation.id.to_string(), &key, r#"{"content": "hello"}"#);
    Ok(append.bytes().to_vec())
}

fn start_appenders(port: u16, append: &[u8]) -> Vec<Probe> {
    (0..APPENDERS).map(|_| Probe::start(port, append.to_vec(), INTERVAL)).collect()
}

async fn finish(appenders: Vec<Probe>) -> Result<Vec<Sample>, Failure> {
    let mut samples = Vec::new();
    for appender in appenders {
        samples.extend(appender.finish().await?);
    }
    Ok(samples)
}

/// A login on each connection, all at the same moment.
async fn storm(
    connections: Vec<Connection>,
    requests: &Arc<Vec<Vec<u8>>>,
    logins: &mut Logins,
) -> Result<Vec<Connection>, Failure> {
    let (barrier, mut tasks) = (Arc::new(Barrier::new(connections.len())), JoinSet::new());
    for (number, mut connection) in connections.into_iter().enumerate() {
        let (barrier, requests) = (Arc::clone(&barrier), Arc::clone(requests));
        tasks.spawn(async move {
            barrier.wait().await;
            let begun = Instant::now();
            let answer = connection.exchange(&requests[number % requests.len()]).await?;
            let (status, retry_after) = (answer.status(), answer.header("retry-after").is_some());
            Ok::<_, Failure>((connection, status, retry_after, begun.elapsed()))
        });
    }
    let mut connections = Vec::new();
    while let Some(finished) = tasks.join_next().await {
        let (connection, status, has_retry_after, latency) = finished??;
        connections.push(connection);
        match (status, has_retry_after) {
            (200, _) => logins.succeeded.push(latency),
            (503, true) => logins.refused.push(latency),
            (503, false) => logins.violations.push("a 503 without Retry-After".to_owned()),
            _ => logins.violations.push(format!("a login was answered with {status}")),
        }
    }
    Ok(connections)
}

fn judge(
    arguments: &Arguments,
    mut logins: Logins,
    (idle, stormy): (Vec<Sample>, Vec<Sample>),
    (baseline, most): (u64, u64),
) -> Finding {
    let mut violations = std::mem::take(&mut logins.violations);
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for sample in idle.iter().chain(&stormy).filter(|sample| sample.status != Some(201)) {
        *others.entry(format!("{:?}", sample.status)).or_default() += 1;
    }
    violations.extend(others.iter().map(|(status, count)| format!("{count} appends answered {status}")));
    if logins.succeeded.count() == 0 {
        violations.push("nobody was let in".to_owned());
    }
    let (mut idle, mut stormy) = (latencies(&idle), latencies(&stormy));
    let ratio = stormy.percentile(99) / idle.percentile(99);
    let permits = available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1);
    let connections = KIB_EACH_CONNECTION * arguments.logins as u64;
    let bound = baseline + KIB_EACH_HASH * permits as u64 + connections;
    if arguments.has_bounds() && most > bound {
        violations.push(format!("the server took {most} KiB"));
    }
    if arguments.has_bounds() && ratio >= TIMES {
        violations.push(format!("appends took {ratio:.2} times as long, 99 times of 100"));
    }
    let figures = json!({
        "storms": arguments.storms,
        "logins_at_once": arguments.logins,
        "let_in": logins.succeeded.count(),
        "refused": logins.refused.count(),
        "let_in_ms": three(&mut logins.succeeded),
        "refused_ms": three(&mut logins.refused),
        "appends": [idle.count(), stormy.count()],
        "append_ms_idle": three(&mut idle),
        "append_ms_in_storm": three(&mut stormy),
        "append_p99_ratio": rounded(ratio),
        "resident_kib_before": baseline,
        "resident_kib_max": most,
        "resident_kib_bound": bound,
    });
    Finding { figures, violations }
}

fn latencies(samples: &[Sample]) -> Latencies {
    let mut found = Latencies::default();
    for sample in samples {
        found.push(sample.latency);
    }
    found
}

/// Median, 99th percentile and maximum.
fn three(latencies: &mut Latencies) -> [f64; 3] {
    [50, 99, 100].map(|hundredths| rounded(latencies.percentile(hundredths)))
}
