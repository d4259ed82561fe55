//! `revocation`: a logout on one server holds there at once, and on another within 5 seconds.

use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_bench::samples::rounded;
use chatstore_bench::wire::Connection;
use serde_json::json;
use tokio::task::JoinSet;

use super::client::{login, logout_request, me_request};
use super::place::{Place, member};
use super::server::Servers;
use super::{Arguments, Finding};

/// How long another server may still accept requests.
const MOST: Duration = Duration::from_secs(5);

/// How long a server remembers a session, in milliseconds: the logouts fall into all of it.
const REMEMBERED: usize = 4_000;

/// A client whose requests were all refused for this long counts as logged out.
const OUT: Duration = Duration::from_secs(1);

/// When a client that is never refused gives up.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Between an answer and a client's next request.
const INTERVAL: Duration = Duration::from_millis(1);

/// Clients of the server without logouts.
const CLIENTS_ELSEWHERE: usize = 2;

const USER: &str = "leaver";

/// One request.
struct Visit {
    sent: Instant,
    answered: Instant,
    status: u16,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    let store = place.open().await?;
    member(&store, USER).await?;
    store.close().await;
    let servers = Servers::start(place, 2)?;
    let (here, elsewhere) = (servers.ports()[0], servers.ports()[1]);
    let (mut random, mut violations) = (Random::new(arguments.common.seed), Vec::new());
    let (mut delays, mut visits) = (Vec::new(), 0);
    for number in 0..arguments.logouts {
        // Every second time the other server has just asked the database, which is the worst moment.
        let pause = if number % 2 == 0 { 100 } else { random.below(REMEMBERED) };
        let access = login(here, USER).await?.access;
        let mut clients = JoinSet::new();
        for port in std::iter::once(here).chain([elsewhere; CLIENTS_ELSEWHERE]) {
            let access = access.clone();
            clients.spawn(async move { Ok::<_, Error>((port, hammer(port, &access).await?)) });
        }
        tokio::time::sleep(Duration::from_millis(pause as u64)).await;
        let mut connection = Connection::open(here).await?;
        let status = connection.exchange(&logout_request(&access)).await?.status();
        let out = Instant::now();
        if status != 204 {
            violations.push(format!("logout {number} was answered with {status}"));
        }
        while let Some(finished) = clients.join_next().await {
            let (port, of_client) = finished??;
            visits += of_client.len();
            let others = of_client.iter().filter(|visit| !matches!(visit.status, 200 | 401));
            violations.extend(others.map(|visit| format!("a request was answered with {}", visit.status)));
            let accepted: Vec<&Visit> = of_client.iter().filter(|visit| visit.status == 200).collect();
            let Some(last) = accepted.last() else {
                violations.push(format!("logout {number}: a client was never let in"));
                continue;
            };
            if port == elsewhere {
                delays.push(last.answered.saturating_duration_since(out));
            } else if accepted.iter().any(|visit| visit.sent > out) {
                violations.push(format!("logout {number}: let in afterwards on the same server"));
            }
        }
    }
    servers.stop()?;
    let longest = delays.iter().max().copied().unwrap_or_default();
    if longest > MOST {
        violations.push(format!("let in {longest:?} after the logout on the other server"));
    }
    let figures = json!({
        "logouts": arguments.logouts,
        "requests": visits,
        "longest_delay_s": rounded(longest.as_secs_f64()),
    });
    Ok(Finding { figures, violations })
}

/// Sends one request after the other until all were refused for a while.
async fn hammer(port: u16, access: &str) -> Result<Vec<Visit>, Error> {
    let (mut connection, request) = (Connection::open(port).await?, me_request(access));
    let (mut visits, begun) = (Vec::new(), Instant::now());
    let mut last_accepted = begun;
    while last_accepted.elapsed() < OUT && begun.elapsed() < TIMEOUT {
        let sent = Instant::now();
        let status = connection.exchange(&request).await?.status();
        let answered = Instant::now();
        if status == 200 {
            last_accepted = answered;
        }
        visits.push(Visit { sent, answered, status });
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(visits)
}
