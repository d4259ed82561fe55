//! Logouts while Redis is frozen, which no messenger tells and no cache forgets: each is refused everywhere within 5
//! seconds.

use std::time::Duration;

use chatstore::Store;
use chatstore_bench::error::Error;
use chatstore_bench::server::Installation;
use chatstore_sql::DatabaseKind;
use tokio::task::JoinSet;

use super::back_in_use;
use super::fault::{Fault, Redis};
use crate::identity::{Leaving, Seen, login, member};

/// Between an answer and a client's next request.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long a session is used before its logout.
const IN_USE: Duration = Duration::from_millis(300);

/// Creates the users, while no server runs.
pub(super) async fn users(database_url: &str, logouts: usize) -> Result<(), Error> {
    let store = Store::connect(database_url).await?;
    for user in 0..logouts {
        member(&store, &name(user)).await?;
    }
    store.close().await;
    Ok(())
}

/// Lets every user log in, freezes Redis, and lets one after the other use their session and log out within a span. A SQLite file has one
/// server, PostgreSQL two.
pub(super) async fn run(
    installation: &Installation,
    redis: &mut Redis,
    kind: DatabaseKind,
    logouts: usize,
    span: Duration,
) -> Result<Seen, Error> {
    let mut servers = vec![installation.start().await?];
    if kind == DatabaseKind::Postgres {
        servers.push(installation.start().await?);
    }
    for server in &servers {
        back_in_use(server.port()).await?;
    }
    let (here, elsewhere) = (servers[0].port(), servers[servers.len() - 1].port());
    let leaving = Leaving { here, elsewhere, interval: INTERVAL };
    let mut leavers = JoinSet::new();
    let mut sessions = Vec::new();
    for user in 0..logouts {
        sessions.push(login(here, &name(user)).await?.access);
    }
    redis.begin(Fault::Frozen)?;
    for (user, access) in sessions.into_iter().enumerate() {
        let wait = span.mul_f64(user as f64 / logouts as f64);
        leavers.spawn(async move {
            tokio::time::sleep(wait).await;
            let mut seen = Seen::default();
            leaving.leave(access, IN_USE, &mut seen).await?;
            Ok::<_, Error>(seen)
        });
    }
    let mut all = Seen::default();
    while let Some(seen) = leavers.join_next().await {
        all.append(seen??);
    }
    redis.end(Fault::Frozen)?;
    for server in servers {
        server.stop().await?;
    }
    Ok(all)
}

fn name(user: usize) -> String {
    format!("leaver{user}")
}
