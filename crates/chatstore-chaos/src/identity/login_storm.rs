//! `login_storm`: many logins at once are let in a few at a time or refused, and disturb others little.
//!
//! Three clients append all the time. Their answers are grouped by what goes on meanwhile, in turns of half a second,
//! so that a machine that is slower for a while is so for all: nothing; as many logins as find a place, again and
//! again, so that passwords are hashed without a pause; hundreds of logins at the same moment; as many
//! `GET /healthz` instead, which is what a burst costs that asks for nothing. The burst comes from one thread, so that it
//! takes no more of the machine than it must.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use chatstore::{ApiKeyScope, NewConversation, Store};
use chatstore_bench::error::Error;
use chatstore_bench::samples::{Latencies, rounded};
use chatstore_bench::wire::Connection;
use chatstore_bench::wire_caller::Prepared;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::client::login_request;
use super::place::{PASSWORD, Place, member};
use super::server::Servers;
use super::{Arguments, Finding};
use crate::probe::{Probe, Sample};

/// Users who log in.
const USERS: usize = 16;

/// Clients that append meanwhile.
const APPENDERS: usize = 3;

/// How long each turn takes at least.
const TURN: Duration = Duration::from_millis(500);

/// Between two appends of a client.
const INTERVAL: Duration = Duration::from_millis(10);

/// The 99th percentile of appends may become this many times what it is without the storm.
const TIMES: f64 = 3.0;

/// Logins that find a place for each thread that hashes: one whose password is hashed, and those that wait.
const PLACES_A_THREAD: usize = 17;

/// Memory that one password takes while it is hashed.
const KIB_EACH_HASH: u64 = 19 * 1_024;

/// Memory that each connection may take.
const KIB_EACH_CONNECTION: u64 = 64;

/// The answer to a request.
struct Outcome {
    status: u16,
    has_retry_after: bool,
    latency: Duration,
}

/// The answers to many.
#[derive(Default)]
struct Logins {
    succeeded: Latencies,
    refused: Latencies,
    violations: Vec<String>,
}

/// What goes on while the appenders append.
#[derive(Default)]
struct Turns {
    /// From when to when each of its turns took.
    windows: Vec<[Instant; 2]>,
    logins: Logins,
}

/// All turns of a kind each.
#[derive(Default)]
struct Rounds {
    idle: Turns,
    hashing: Turns,
    storm: Turns,
    burst: Turns,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    let store = place.open().await?;
    let requests = prepare_logins(&store).await?;
    let append = prepare_append(&store).await?;
    store.close().await;
    let servers = Servers::start(place, 1)?;
    let port = servers.ports()[0];

    let appenders: Vec<_> = (0..APPENDERS).map(|_| Probe::start(port, append.clone(), INTERVAL)).collect();
    tokio::time::sleep(TURN).await;
    let (baseline, _) = servers.resident_kib()?;
    let (rounds, at_once) = (arguments.rounds, arguments.logins);
    let played = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(play(port, &requests, rounds, at_once))
    });
    let rounds = played.await??;
    let mut appends = Vec::new();
    for appender in appenders {
        appends.extend(appender.finish().await?);
    }
    let (_, most) = servers.resident_kib()?;
    servers.stop()?;
    Ok(judge(arguments, rounds, &appends, (baseline, most)))
}

/// One kind of turn after the other, again and again.
async fn play(
    port: u16,
    requests: &Arc<Vec<Vec<u8>>>,
    rounds: usize,
    at_once: usize,
) -> Result<Rounds, Error> {
    let health = Arc::new(vec![Prepared::health().bytes().to_vec()]);
    let mut connections = Vec::with_capacity(at_once);
    for _ in 0..at_once {
        connections.push(Connection::open(port).await?);
    }
    let mut played = Rounds::default();
    for _ in 0..rounds {
        played.idle.take(async || Ok(Logins::default())).await?;
        played.hashing.take(async || steadily(port, requests).await).await?;
        played.storm.take(async || all_at_once(&mut connections, requests).await).await?;
        played.burst.take(async || all_at_once(&mut connections, &health).await).await?;
    }
    Ok(played)
}

impl Turns {
    /// Plays one, to its end.
    async fn take(&mut self, mut work: impl AsyncFnMut() -> Result<Logins, Error>) -> Result<(), Error> {
        let begun = Instant::now();
        self.logins.add(work().await?);
        tokio::time::sleep_until((begun + TURN).into()).await;
        self.windows.push([begun, Instant::now()]);
        Ok(())
    }

    /// Those of the samples that began in one of the turns.
    fn select(&self, samples: &[Sample]) -> Latencies {
        let mut found = Latencies::default();
        for sample in samples {
            if self.windows.iter().any(|[begin, end]| (*begin..*end).contains(&sample.begun)) {
                found.push(sample.latency);
            }
        }
        found
    }

    fn seconds(&self) -> f64 {
        self.windows.iter().map(|[begin, end]| (*end - *begin).as_secs_f64()).sum()
    }
}

async fn prepare_logins(store: &Store) -> Result<Arc<Vec<Vec<u8>>>, Error> {
    let mut requests = Vec::with_capacity(USERS);
    for number in 0..USERS {
        let name = format!("login-{number}");
        member(store, &name).await?;
        requests.push(login_request("username", &name, PASSWORD));
    }
    Ok(Arc::new(requests))
}

async fn prepare_append(store: &Store) -> Result<Vec<u8>, Error> {
    let user = member(store, "appender").await?.id;
    let key = store.keys().create(user, ApiKeyScope::User, None, None).await?.text;
    let conversation = store.as_user(user).conversations().create(NewConversation::titled("Storm")).await?;
    let append = Prepared::append(&conversation.id.to_string(), &key, r#"{"content": "hello"}"#);
    Ok(append.bytes().to_vec())
}

/// As many logins as find a place, again and again.
async fn steadily(port: u16, requests: &Arc<Vec<Vec<u8>>>) -> Result<Logins, Error> {
    let end = Instant::now() + TURN;
    let mut tasks = JoinSet::new();
    for number in 0..PLACES_A_THREAD * threads() {
        let (mut connection, requests) = (Connection::open(port).await?, Arc::clone(requests));
        tasks.spawn(async move {
            let mut logins = Logins::default();
            while Instant::now() < end {
                logins.note(&ask(&mut connection, &requests[number % requests.len()]).await?);
            }
            Ok::<_, Error>(logins)
        });
    }
    let mut logins = Logins::default();
    while let Some(finished) = tasks.join_next().await {
        logins.add(finished??);
    }
    Ok(logins)
}

/// A request on each of many connections, all at the same moment.
async fn all_at_once(
    connections: &mut Vec<Connection>,
    requests: &Arc<Vec<Vec<u8>>>,
) -> Result<Logins, Error> {
    let (barrier, mut tasks) = (Arc::new(Barrier::new(connections.len())), JoinSet::new());
    for (number, mut connection) in connections.drain(..).enumerate() {
        let (barrier, requests) = (Arc::clone(&barrier), Arc::clone(requests));
        tasks.spawn(async move {
            barrier.wait().await;
            let outcome = ask(&mut connection, &requests[number % requests.len()]).await?;
            Ok::<_, Error>((connection, outcome))
        });
    }
    let mut logins = Logins::default();
    while let Some(finished) = tasks.join_next().await {
        let (connection, outcome) = finished??;
        connections.push(connection);
        logins.note(&outcome);
    }
    Ok(logins)
}

async fn ask(connection: &mut Connection, request: &[u8]) -> Result<Outcome, Error> {
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

fn threads() -> usize {
    available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1)
}

/// Holds what was found against the bounds.
fn judge(arguments: &Arguments, rounds: Rounds, appends: &[Sample], (baseline, most): (u64, u64)) -> Finding {
    let Rounds { idle, hashing, mut storm, burst } = rounds;
    let mut violations: Vec<String> =
        [&hashing, &storm, &burst].into_iter().flat_map(|turns| turns.logins.violations.clone()).collect();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for sample in appends.iter().filter(|sample| sample.status != Some(201)) {
        *others.entry(format!("{:?}", sample.status)).or_default() += 1;
    }
    violations.extend(others.iter().map(|(status, count)| format!("{count} appends answered {status}")));
    if hashing.logins.succeeded.count() == 0 || storm.logins.succeeded.count() == 0 {
        violations.push("no login succeeded".to_owned());
    }
    let [mut undisturbed, mut while_hashing, mut in_storm, mut in_burst] =
        [&idle, &hashing, &storm, &burst].map(|turns| turns.select(appends));
    let before = undisturbed.percentile(99);
    let ratio = in_storm.percentile(99) / before;
    let connections = KIB_EACH_CONNECTION * arguments.logins as u64;
    let bound = baseline + KIB_EACH_HASH * threads() as u64 + connections;
    if arguments.bounds.apply() && most > bound {
        violations.push(format!("the server took {most} KiB"));
    }
    if arguments.bounds.apply() && ratio >= TIMES {
        violations.push(format!("appends took {ratio:.2} times as long, 99 times of 100"));
    }
    let counts = [&undisturbed, &while_hashing, &in_storm, &in_burst].map(Latencies::count);
    let figures = json!({
        "logins_a_second": rounded(per_second(hashing.logins.succeeded.count(), hashing.seconds())),
        "rounds": arguments.rounds,
        "logins_at_once": arguments.logins,
        "let_in": storm.logins.succeeded.count(),
        "refused": storm.logins.refused.count(),
        "let_in_ms": storm.logins.succeeded.summary(),
        "refused_ms": storm.logins.refused.summary(),
        "appends": counts,
        "append_ms_idle": undisturbed.summary(),
        "append_ms_while_hashing": while_hashing.summary(),
        "append_ms_in_storm": in_storm.summary(),
        "append_ms_in_other_burst": in_burst.summary(),
        "append_p99_ratio_while_hashing": rounded(while_hashing.percentile(99) / before),
        "append_p99_ratio_in_other_burst": rounded(in_burst.percentile(99) / before),
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
