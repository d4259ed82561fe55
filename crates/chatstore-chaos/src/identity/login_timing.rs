//! `login_timing`: how long a failed login takes does not tell why it failed.

use std::time::{Duration, Instant};

use chatstore::{NewUser, UserName, UserPatch};
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_bench::samples::{Latencies, rounded};
use chatstore_bench::wire::Connection;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::client::login_request;
use super::place::{PASSWORD, Place, member};
use super::server::Servers;
use super::{Arguments, Finding};

/// The medians may lie so far apart, in milliseconds.
const MOST_APART: f64 = 2.0;

/// Logins of each kind that do not count.
const WARM_UP: usize = 3;

/// Longer than any answer takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One way to fail.
struct Kind {
    name: &'static str,
    request: Vec<u8>,
    latencies: Latencies,
}

pub(super) async fn run(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    prepare(place).await?;
    let servers = Servers::start(place, 1)?;
    let (port, requests, seed) = (servers.ports()[0], arguments.login_requests, arguments.common.seed);
    let measured = measure(port, requests, seed).await;
    servers.stop()?;
    let (mut kinds, mut violations) = measured?;
    let (mut medians, mut nineties) = (Map::new(), Map::new());
    let (mut least, mut most) = (f64::MAX, 0.0_f64);
    for kind in &mut kinds {
        let median = kind.latencies.percentile(50);
        (least, most) = (least.min(median), most.max(median));
        medians.insert(kind.name.to_owned(), rounded(median).into());
        nineties.insert(kind.name.to_owned(), rounded(kind.latencies.percentile(90)).into());
    }
    if arguments.bounds.apply() && most - least > MOST_APART {
        violations.push(format!("the medians lie {:.2} ms apart", most - least));
    }
    let figures = json!({
        "requests_of_each": requests,
        "median_ms": medians,
        "p90_ms": nineties,
        "largest_difference_ms": rounded(most - least),
    });
    Ok(Finding { figures, violations })
}

/// Creates users who cannot log in.
async fn prepare(place: &Place) -> Result<(), Error> {
    let store = place.open().await?;
    member(&store, "wrong-password").await?;
    let disabled = member(&store, "disabled").await?;
    let patch = UserPatch { is_active: Some(false), ..UserPatch::default() };
    store.users().update(disabled.id, patch).await?;
    store.users().create(NewUser::named(UserName::new("without-password")?)).await?;
    let erased = member(&store, "erased").await?;
    store.users().erase(erased.id).await?;
    store.close().await;
    Ok(())
}

fn kinds() -> Vec<Kind> {
    let kind = |name, field, who, password| Kind {
        name,
        request: login_request(field, who, password),
        latencies: Latencies::default(),
    };
    vec![
        kind("unknown_name", "username", "unknown-name", PASSWORD),
        kind("unknown_email", "email", "unknown@example.org", PASSWORD),
        kind("wrong_password", "username", "wrong-password", "wrong horse battery"),
        kind("disabled", "username", "disabled", PASSWORD),
        kind("without_password", "username", "without-password", PASSWORD),
        kind("erased", "username", "erased", PASSWORD),
    ]
}

/// Sends them in turn, each time in another order.
async fn measure(port: u16, requests: usize, seed: u64) -> Result<(Vec<Kind>, Vec<String>), Error> {
    let mut connection = Connection::open(port).await?;
    let (mut kinds, mut violations, mut random) = (kinds(), Vec::new(), Random::new(seed));
    let mut first: Option<Value> = None;
    for round in 0..requests + WARM_UP {
        for last in (1..kinds.len()).rev() {
            kinds.swap(last, random.below(last + 1));
        }
        for kind in &mut kinds {
            let begun = Instant::now();
            let answer = timeout(TIMEOUT, connection.exchange(&kind.request)).await??;
            let latency = begun.elapsed();
            if round >= WARM_UP {
                kind.latencies.push(latency);
            }
            let mut body: Value = serde_json::from_slice(answer.body())?;
            body["request_id"] = Value::Null;
            if answer.status() != 401 || body != *first.get_or_insert_with(|| body.clone()) {
                violations.push(format!("{} was answered with {}: {body}", kind.name, answer.status()));
            }
        }
    }
    kinds.sort_by_key(|kind| kind.name);
    Ok((kinds, violations))
}
