//! Clients hang up 2 ms after they sent an append, which the server does nevertheless.
//!
//! Their appends cost what appends cost. So others are compared with the time in which the same clients wait for
//! their answers; the time without them is reported too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chatstore_bench::error::Error;
use chatstore_bench::samples::rounded;
use chatstore_bench::server::{Installation, with_installation};
use chatstore_bench::wire::Connection;
use chatstore_bench::wire_caller::Prepared;
use chatstore_sql::DatabaseKind;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::ledger::{Writers, append_request, check, rate};
use super::{Arguments, Findings, SHARE, conversations, figures};

/// Clients with conversations of their own.
const OTHERS: usize = 8;

/// Clients that come in a second.
const RATES: [u32; 2] = [200, 950];

/// How long an impatient client waits, and a patient one.
const IMPATIENT: Duration = Duration::from_millis(2);
const PATIENT: Duration = Duration::from_secs(10);

/// Conversations to which the clients append.
const VISITED: usize = 64;

pub(super) async fn run(arguments: &Arguments, kind: DatabaseKind) -> Result<Vec<Findings>, Error> {
    let mut found = Vec::new();
    for each_second in RATES {
        let run = async |installation: &Installation| hang_up(arguments, installation, each_second).await;
        found.push(with_installation(&arguments.server, kind, &arguments.common.databases, run).await?);
    }
    Ok(found)
}

async fn hang_up(
    arguments: &Arguments,
    installation: &Installation,
    each_second: u32,
) -> Result<Findings, Error> {
    let server = installation.start().await?;
    let key = installation.key();
    let visited = conversations(&server, VISITED).await?;
    let visits: Arc<Vec<Prepared>> =
        Arc::new(visited.iter().map(|id| append_request(id, key, "in passing")).collect());
    let others = Writers::start(server.port(), key, &conversations(&server, OTHERS).await?);
    let mut moments = Vec::new();
    for patience in [None, Some(PATIENT), Some(IMPATIENT)] {
        tokio::time::sleep(arguments.length() / 10).await;
        let begun = Instant::now();
        let ended = Arc::new(AtomicBool::new(false));
        let visitors = patience.map(|patience| {
            let (visits, ended) = (Arc::clone(&visits), Arc::clone(&ended));
            tokio::spawn(visit(server.port(), visits, each_second, patience, ended))
        });
        tokio::time::sleep(arguments.length()).await;
        moments.push((begun, Instant::now()));
        ended.store(true, Ordering::Relaxed);
        if let Some(visitors) = visitors {
            visitors.await??;
        }
    }
    let ledgers = others.finish().await?;
    let rates: Vec<f64> = moments.iter().map(|&(begun, ended)| rate(&ledgers, begun, ended)).collect();
    let mut violations = check(server.client(), &ledgers).await?;
    let share = rates[2] / rates[1];
    violations
        .extend(arguments.bound(share >= SHARE, || format!("others kept {share:.2} of their throughput")));
    server.stop().await?;
    let mut figures = figures(&ledgers);
    figures["hang_ups_per_second"] = each_second.into();
    figures["others_per_second_alone"] = rates[0].round().into();
    figures["others_per_second_beside_patient_clients"] = rates[1].round().into();
    figures["others_per_second_beside_hang_ups"] = rates[2].round().into();
    figures["ratio"] = rounded(share).into();
    figures["ratio_to_alone"] = rounded(rates[2] / rates[0]).into();
    Ok(Findings { name: "clients_hang_up", figures, violations })
}

/// Lets clients come at even intervals, each with a connection and an append.
async fn visit(
    port: u16,
    visits: Arc<Vec<Prepared>>,
    each_second: u32,
    patience: Duration,
    ended: Arc<AtomicBool>,
) -> Result<(), Error> {
    let mut clients = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / each_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut number = 0;
    while !ended.load(Ordering::Relaxed) {
        ticks.tick().await;
        let visits = Arc::clone(&visits);
        number += 1;
        clients.spawn(async move {
            // A client who is refused a connection goes as well.
            if let Ok(mut connection) = Connection::open(port).await {
                let append = connection.exchange(visits[number % visits.len()].bytes());
                drop(timeout(patience, append).await);
            }
        });
        while clients.try_join_next().is_some() {}
    }
    while let Some(client) = clients.join_next().await {
        client?;
    }
    Ok(())
}
