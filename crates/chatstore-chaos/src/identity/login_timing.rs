//! `login_timing`: how long a failed login takes does not tell why it failed.
//!
//! What the client chooses may change the time: an address may mean two users, and a decomposed password is tried twice.
//! So logins are compared within groups of the same choice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chatstore::auth::Password;
use chatstore::{Email, NewUser, UserName, UserPatch};
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

/// A password that is typed with a mark of its own.
const DECOMPOSED: &str = "wrong ho\u{308}rse battery";

/// One way to fail.
struct Kind {
    group: &'static str,
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
    let mut groups: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for kind in &mut kinds {
        let median = kind.latencies.percentile(50);
        let (least, most) = groups.entry(kind.group).or_insert((f64::MAX, 0.0));
        (*least, *most) = (least.min(median), most.max(median));
        medians.insert(kind.name.to_owned(), rounded(median).into());
        nineties.insert(kind.name.to_owned(), rounded(kind.latencies.percentile(90)).into());
    }
    let mut largest_difference = 0.0_f64;
    for (group, (least, most)) in groups {
        largest_difference = largest_difference.max(most - least);
        if arguments.bounds.apply() && most - least > MOST_APART {
            violations.push(format!("the medians of {group} lie {:.2} ms apart", most - least));
        }
    }
    let figures = json!({
        "requests_of_each": requests,
        "median_ms": medians,
        "p90_ms": nineties,
        "largest_difference_ms": rounded(largest_difference),
    });
    Ok(Finding { figures, violations })
}

/// Creates users who cannot log in, and users who have or claim addresses.
async fn prepare(place: &Place) -> Result<(), Error> {
    let store = place.open().await?;
    member(&store, "wrong-password").await?;
    let disabled = member(&store, "disabled").await?;
    let patch = UserPatch { is_active: Some(false), ..UserPatch::default() };
    store.users().update(disabled.id, patch).await?;
    store.users().create(NewUser::named(UserName::new("without-password")?)).await?;
    let erased = member(&store, "erased").await?;
    store.users().erase(erased.id).await?;
    for (address, is_email_verified) in [
        ("verified@example.org", true),
        ("claimed@example.org", false),
        ("both@example.org", true),
        ("both@example.org", false),
    ] {
        let new = NewUser { is_email_verified, ..NewUser::with_email(Email::new(address)?) };
        store.users().create_with_password(new, Password::new(PASSWORD)).await?;
    }
    store.users().create(NewUser::with_verified_email(Email::new("service@example.org")?)).await?;
    store.close().await;
    Ok(())
}

fn kinds() -> Vec<Kind> {
    let kind = |group, name, field, who, password| Kind {
        group,
        name,
        request: login_request(field, who, password),
        latencies: Latencies::default(),
    };
    let by_name = |name, who, password| kind("names", name, "username", who, password);
    let by_email = |name, who, password| kind("addresses", name, "email", who, password);
    let decomposed = |name, who| kind("decomposed passwords", name, "username", who, DECOMPOSED);
    vec![
        by_name("unknown_name", "unknown-name", PASSWORD),
        by_name("wrong_password", "wrong-password", "wrong horse battery"),
        by_name("disabled", "disabled", PASSWORD),
        by_name("without_password", "without-password", PASSWORD),
        by_name("erased", "erased", PASSWORD),
        by_email("unknown_email", "unknown@example.org", PASSWORD),
        by_email("verified_email", "verified@example.org", "wrong horse battery"),
        by_email("claimed_email", "claimed@example.org", "wrong horse battery"),
        by_email("verified_and_claimed_email", "both@example.org", "wrong horse battery"),
        by_email("email_without_password", "service@example.org", PASSWORD),
        kind("addresses", "email_as_name", "username", "both@example.org", "wrong horse battery"),
        decomposed("decomposed_for_unknown_name", "unknown-name"),
        decomposed("decomposed_for_wrong_password", "wrong-password"),
        decomposed("decomposed_for_disabled", "disabled"),
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
