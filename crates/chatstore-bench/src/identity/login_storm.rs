//! `login_storm`: many logins at once are let in a few at a time or refused, and disturb others little.
//!
//! Appends are measured without logins, then while as many log in again and again as find a place, so that passwords
//! are hashed without a pause, then while hundreds log in at the same moment twice a second, then while as many ask for
//! `GET /healthz` instead, which is what a crowd costs that wants nothing. The load generator is one thread, so that it
//! takes no more of the machine than it must.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use chatstore::{ApiKeyScope, NewConversation, Store};
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

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

/// Between the beginnings of two storms.
const STORM_EVERY: Duration = Duration::from_millis(500);

/// Between two appends of a client.
const INTERVAL: Duration = Duration::from_millis(10);

/// An append may take so many times as long as without the storm, 99 times of 100.
const TIMES: f64 = 3.0;

/// Logins that find a place for each permit: one whose password is hashed, and those that wait.
const PLACES_A_PERMIT: usize = 17;

/// Memory that one password takes while it is hashed.
const KIB_EACH_HASH: u64 = 19 * 1_024;

/// Memory that each connection may take.
const KIB_EACH_CONNECTION: u64 = 64;

/// What became of a login.
struct Outcome {
    status: u16,
    has_retry_after: bool,
    latency: Duration,
}

/// What became of many.
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

    let length = Duration::from_secs_f64(arguments.seconds);
    let appenders = start_appenders(port, &append);
    tokio::time::sleep(length).await;
    let idle = finish(appenders).await?;
    let (baseline, _) = servers.resident_kib()?;

    let appenders = start_appenders(port, &append);
    let steady = Arc::clone(&requests);
    let steady = on_one_thread(async move || steadily(port, &steady, length).await).await?;
    let hashing = finish(appenders).await?;

    let (storms, at_once) = (arguments.storms, arguments.logins);
    let appenders = start_appenders(port, &append);
    let stormy = on_one_thread(async move || storm(port, &requests, storms, at_once).await).await?;
    let in_storm = finish(appenders).await?;

    let health = Arc::new(vec![Prepared::health().bytes().to_vec()]);
    let appenders = start_appenders(port, &append);
    let crowd = on_one_thread(async move || storm(port, &health, storms, at_once).await).await?;
    let in_crowd = finish(appenders).await?;
    let (_, most) = servers.resident_kib()?;
    servers.stop()?;
    let appends = [idle, hashing, in_storm, in_crowd];
    Ok(judge(arguments, [steady, stormy, crowd], &appends, (baseline, most)))
}

/// Runs a load generator on a thread of its own.
async fn on_one_thread<F>(work: F) -> Result<Logins, Failure>
where
    F: AsyncFnOnce() -> Result<Logins, Failure> + Send + 'static,
{
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    };
    tokio::task::spawn_blocking(run).await?
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

/// As many logins as find a place, again and again.
async fn steadily(port: u16, requests: &Arc<Vec<Vec<u8>>>, length: Duration) -> Result<Logins, Failure> {
    let end = Instant::now() + length;
    let mut tasks = JoinSet::new();
    for number in 0..PLACES_A_PERMIT * permits() {
        let (mut connection, requests) = (Connection::open(port).await?, Arc::clone(requests));
        tasks.spawn(async move {
            let mut logins = Logins::default();
            while Instant::now() < end {
                logins.note(&login(&mut connection, &requests[number % requests.len()]).await?);
            }
            Ok::<_, Failure>(logins)
        });
    }
    let mut logins = Logins::default();
    while let Some(finished) = tasks.join_next().await {
        logins.add(finished??);
    }
    Ok(logins)
}

/// A request on each of many connections, all at the same moment, several times.
async fn storm(
    port: u16,
    requests: &Arc<Vec<Vec<u8>>>,
    storms: usize,
    at_once: usize,
) -> Result<Logins, Failure> {
    let (mut logins, mut connections) = (Logins::default(), Vec::with_capacity(at_once));
    for _ in 0..at_once {
        connections.push(Connection::open(port).await?);
    }
    let mut due = tokio::time::interval(STORM_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..storms {
        due.tick().await;
        let (barrier, mut tasks) = (Arc::new(Barrier::new(at_once)), JoinSet::new());
        for (number, mut connection) in connections.drain(..).enumerate() {
            let (barrier, requests) = (Arc::clone(&barrier), Arc::clone(requests));
            tasks.spawn(async move {
                barrier.wait().await;
                let outcome = login(&mut connection, &requests[number % requests.len()]).await?;
                Ok::<_, Failure>((connection, outcome))
            });
        }
        while let Some(finished) = tasks.join_next().await {
            let (connection, outcome) = finished??;
            connections.push(connection);
            logins.note(&outcome);
        }
    }
    Ok(logins)
}

async fn login(connection: &mut Connection, request: &[u8]) -> Result<Outcome, Failure> {
    let begun = Instant::now();
    let answer = connection.exchange(request).await?;
    let has_retry_after = answer.header("retry-after").is_some();
    Ok(Outcome { status: answer.status(), has_retry_after, latency: begun.elapsed() })
}

impl Logins {
    fn note(&mut self, outcome: &Outcome) {
        match (outcome.status, outcome.has_retry_after) {
            (200, _) => self.succeeded.push(outcome.latency),
            (503, true) => self.refused.push(outcome.latency),
            (503, false) => self.violations.push("a 503 without Retry-After".to_owned()),
            (status, _) => self.violations.push(format!("a request was answered with {status}")),
        }
    }

    fn add(&mut self, other: Self) {
        self.succeeded.append(other.succeeded);
        self.refused.append(other.refused);
        self.violations.extend(other.violations);
    }
}

fn permits() -> usize {
    available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1)
}

/// Holds what was found against the bounds.
fn judge(
    arguments: &Arguments,
    [steady, mut storms, crowd]: [Logins; 3],
    appends: &[Vec<Sample>; 4],
    (baseline, most): (u64, u64),
) -> Finding {
    let mut violations: Vec<String> =
        [&steady, &storms, &crowd].into_iter().flat_map(|logins| logins.violations.clone()).collect();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for sample in appends.iter().flatten().filter(|sample| sample.status != Some(201)) {
        *others.entry(format!("{:?}", sample.status)).or_default() += 1;
    }
    violations.extend(others.iter().map(|(status, count)| format!("{count} appends answered {status}")));
    if steady.succeeded.count() == 0 || storms.succeeded.count() == 0 {
        violations.push("nobody was let in".to_owned());
    }
    let [mut idle, mut hashing, mut stormy, mut crowded] =
        appends.each_ref().map(|samples| latencies(samples));
    let before = idle.percentile(99);
    let ratio = stormy.percentile(99) / before;
    let connections = KIB_EACH_CONNECTION * arguments.logins as u64;
    let bound = baseline + KIB_EACH_HASH * permits() as u64 + connections;
    if arguments.has_bounds() && most > bound {
        violations.push(format!("the server took {most} KiB"));
    }
    if arguments.has_bounds() && ratio >= TIMES {
        violations.push(format!("appends took {ratio:.2} times as long, 99 times of 100"));
    }
    let figures = json!({
        "logins_a_second": rounded(per_second(steady.succeeded.count(), arguments.seconds)),
        "storms": arguments.storms,
        "logins_at_once": arguments.logins,
        "let_in": storms.succeeded.count(),
        "refused": storms.refused.count(),
        "let_in_ms": three(&mut storms.succeeded),
        "refused_ms": three(&mut storms.refused),
        "appends": [idle.count(), hashing.count(), stormy.count(), crowded.count()],
        "append_ms_idle": three(&mut idle),
        "append_ms_while_hashing": three(&mut hashing),
        "append_ms_in_storm": three(&mut stormy),
        "append_ms_in_other_crowd": three(&mut crowded),
        "append_p99_ratio_while_hashing": rounded(hashing.percentile(99) / before),
        "append_p99_ratio_in_other_crowd": rounded(crowded.percentile(99) / before),
        "append_p99_ratio": rounded(ratio),
        "resident_kib_before": baseline,
        "resident_kib_max": most,
        "resident_kib_bound": bound,
    });
    Finding { figures, violations }
}

#[expect(clippy::cast_precision_loss, reason = "a number of logins")]
fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
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
