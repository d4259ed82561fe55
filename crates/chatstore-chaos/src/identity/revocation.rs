//! `revocation`: a logout on one server holds there at once, and on another as soon as it hears of it, at the latest after 5
//! seconds.

use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_bench::samples::rounded;
use chatstore_bench::wire::Connection;
use chatstore_sql::DatabaseKind;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::client::{login, logout_request, me_request};
use super::place::{Place, member};
use super::server::Servers;
use super::{Arguments, Finding};

/// How long another server may still accept requests, and how long if it hears of logouts, as from PostgreSQL.
const MOST: Duration = Duration::from_secs(5);
const MOST_IF_TOLD: Duration = Duration::from_millis(200);

/// How long a server remembers a session, in milliseconds: the logouts fall into all of it.
const REMEMBERED: usize = 4_000;

/// A client whose requests were all refused for this long counts as logged out.
const OUT: Duration = Duration::from_secs(1);

/// When a client that is never refused gives up, after the pause before the logout.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Between an answer and a client's next request.
const INTERVAL: Duration = Duration::from_millis(2);

/// Clients of the server without logouts.
const CLIENTS_ELSEWHERE: usize = 2;

/// Users who log in and out at the same time, each again and again.
const USERS: usize = 8;

/// One request.
struct Visit {
    sent: Instant,
    answered: Instant,
    status: u16,
}

/// What the clients of users saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// Between a logout and the last acceptance by the other server.
    pub(crate) delays: Vec<Duration>,
    pub(crate) requests: usize,
    pub(crate) violations: Vec<String>,
}

impl Seen {
    pub(crate) fn append(&mut self, other: Self) {
        self.delays.extend(other.delays);
        self.requests += other.requests;
        self.violations.extend(other.violations);
    }

    pub(crate) fn longest_delay(&self) -> Duration {
        self.delays.iter().max().copied().unwrap_or_default()
    }
}

/// Where users log out, and where else their clients send requests.
#[derive(Clone, Copy)]
pub(crate) struct Leaving {
    pub(crate) here: u16,
    /// May be the same server.
    pub(crate) elsewhere: u16,
    /// Between an answer and a client's next request.
    pub(crate) interval: Duration,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    let users = USERS.min(arguments.logouts);
    let store = place.open().await?;
    for user in 0..users {
        member(&store, &name(user)).await?;
    }
    store.close().await;
    let servers = Servers::start(place, 2)?;
    let leaving = Leaving { here: servers.ports()[0], elsewhere: servers.ports()[1], interval: INTERVAL };
    let mut leavers = JoinSet::new();
    for user in 0..users {
        let (seed, numbers) = (arguments.common.seed, (user..arguments.logouts).step_by(users));
        leavers.spawn(async move {
            let (mut random, mut seen) = (Random::new(seed + user as u64), Seen::default());
            for number in numbers {
                // Every second time the other server has just asked the database, which is the worst moment.
                let pause = if number % 2 == 0 { 100 } else { random.below(REMEMBERED) };
                let access = login(leaving.here, &name(user)).await?.access;
                leaving.leave(access, Duration::from_millis(pause as u64), &mut seen).await?;
            }
            Ok::<_, Error>(seen)
        });
    }
    let mut seen = Seen::default();
    while let Some(finished) = leavers.join_next().await {
        seen.append(finished??);
    }
    servers.stop()?;
    let longest = seen.longest_delay();
    let is_told = place.kind() == DatabaseKind::Postgres && arguments.bounds.apply();
    let most = if is_told { MOST_IF_TOLD } else { MOST };
    if longest > most {
        seen.violations.push(format!("let in {longest:?} after the logout on the other server"));
    }
    let figures = json!({
        "logouts": arguments.logouts,
        "requests": seen.requests,
        "longest_delay_s": rounded(longest.as_secs_f64()),
    });
    Ok(Finding { figures, violations: seen.violations })
}

fn name(user: usize) -> String {
    format!("leaver{user}")
}

impl Leaving {
    /// Uses a session on both servers, logs out on the first after a pause, and sees how long it is still let in.
    pub(crate) async fn leave(self, access: String, pause: Duration, seen: &mut Seen) -> Result<(), Error> {
        let mut clients = JoinSet::new();
        let times = [self.interval, pause + TIMEOUT];
        let (let_in, mut all_let_in) = mpsc::channel::<()>(1);
        for port in std::iter::once(self.here).chain([self.elsewhere; CLIENTS_ELSEWHERE]) {
            let (access, let_in) = (access.clone(), let_in.clone());
            clients.spawn(async move { Ok::<_, Error>((port, hammer(port, &access, times, let_in).await?)) });
        }
        drop(let_in);
        while all_let_in.recv().await.is_some() {}
        tokio::time::sleep(pause).await;
        let mut connection = Connection::open(self.here).await?;
        let status = connection.exchange(&logout_request(&access)).await?.status();
        let out = Instant::now();
        if status != 204 {
            seen.violations.push(format!("a logout was answered with {status}"));
        }
        while let Some(finished) = clients.join_next().await {
            let (port, visits) = finished??;
            seen.requests += visits.len();
            let others = visits.iter().filter(|visit| !matches!(visit.status, 200 | 401));
            seen.violations
                .extend(others.map(|visit| format!("a request was answered with {}", visit.status)));
            let accepted: Vec<&Visit> = visits.iter().filter(|visit| visit.status == 200).collect();
            let Some(last) = accepted.last() else {
                seen.violations.push("a client was never let in".to_owned());
                continue;
            };
            if port != self.here {
                seen.delays.push(last.answered.saturating_duration_since(out));
            } else if accepted.iter().any(|visit| visit.sent > out) {
                seen.violations.push("let in afterwards on the same server".to_owned());
            }
        }
        Ok(())
    }
}

/// Sends a request after each interval until all were refused for a while after the first was accepted, which drops
/// `let_in`, but no longer than so long.
async fn hammer(
    port: u16,
    access: &str,
    [interval, longest]: [Duration; 2],
    let_in: mpsc::Sender<()>,
) -> Result<Vec<Visit>, Error> {
    let (mut connection, request) = (Connection::open(port).await?, me_request(access));
    let (mut visits, begun) = (Vec::new(), Instant::now());
    let (mut let_in, mut last_accepted) = (Some(let_in), None::<Instant>);
    while last_accepted.is_none_or(|at| at.elapsed() < OUT) && begun.elapsed() < longest {
        let sent = Instant::now();
        let status = connection.exchange(&request).await?.status();
        let answered = Instant::now();
        if status == 200 {
            last_accepted = Some(answered);
            drop(let_in.take());
        }
        visits.push(Visit { sent, answered, status });
        tokio::time::sleep(interval).await;
    }
    Ok(visits)
}
