//! `refresh_tabs` and `refresh_servers`: tabs that show one token at the same moment all get the same successor, also
//! from different servers.

use std::sync::Arc;

use chatstore_bench::error::Error;
use chatstore_bench::wire::Connection;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::client::{Tokens, login, me_request, read_tokens, refresh_request};
use super::place::{Place, breaks, member, sessions};
use super::server::Servers;
use super::{Arguments, Finding};

/// Tabs that show one token.
const TABS: usize = 16;

const USER: &str = "tabs";

/// On one server.
pub(super) async fn tabs(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    run(place, 1, arguments.tab_rounds, 0).await
}

/// On two servers, which then take turns.
pub(super) async fn servers(place: &Place, arguments: &Arguments) -> Result<Finding, Error> {
    run(place, 2, arguments.server_rounds, arguments.server_rounds).await
}

async fn run(place: &Place, count: usize, rounds: usize, turns: usize) -> Result<Finding, Error> {
    let store = place.open().await?;
    let user = member(&store, USER).await?;
    store.close().await;
    let servers = Servers::start(place, count)?;
    let mut connections = Vec::with_capacity(TABS);
    for tab in 0..TABS {
        connections.push(Connection::open(servers.ports()[tab % count]).await?);
    }
    let mut chain = Chain {
        tokens: login(servers.ports()[0], USER).await?,
        exchanges: 0,
        successors: 0,
        violations: Vec::new(),
    };
    for _ in 0..rounds {
        connections = chain.show_at_once(connections, TABS).await?;
    }
    for _ in 0..turns {
        // The neighbouring connection leads to the other server.
        connections.rotate_left(1);
        connections = chain.show_at_once(connections, 1).await?;
    }
    drop(connections);
    servers.stop()?;

    let store = place.open().await?;
    for (session, tokens) in sessions(&store, user.id).await? {
        chain.violations.extend(breaks(&session, &tokens, chain.exchanges));
    }
    store.close().await;
    let figures = json!({
        "servers": count,
        "rounds": rounds,
        "tabs": TABS,
        "turns": turns,
        "answered_with_the_successor": chain.successors,
    });
    Ok(Finding { figures, violations: chain.violations })
}

/// A session that is carried on.
struct Chain {
    tokens: Tokens,
    exchanges: usize,
    successors: usize,
    violations: Vec<String>,
}

impl Chain {
    /// Shows the token on several connections at the same moment and goes on with its successor.
    async fn show_at_once(
        &mut self,
        mut connections: Vec<Connection>,
        tabs: usize,
    ) -> Result<Vec<Connection>, Error> {
        let request: Arc<Vec<u8>> = Arc::new(refresh_request(&self.tokens.refresh));
        let (barrier, mut tasks) = (Arc::new(Barrier::new(tabs)), JoinSet::new());
        let others = connections.split_off(tabs);
        for (tab, mut connection) in connections.into_iter().enumerate() {
            let (request, barrier) = (Arc::clone(&request), Arc::clone(&barrier));
            tasks.spawn(async move {
                barrier.wait().await;
                let tokens = read_tokens(&connection.exchange(&request).await?)?;
                Ok::<_, Error>((tab, connection, tokens))
            });
        }
        let mut answered = Vec::with_capacity(tabs);
        while let Some(finished) = tasks.join_next().await {
            answered.push(finished??);
        }
        self.exchanges += 1;
        answered.sort_by_key(|(tab, ..)| *tab);
        let mut connections = Vec::with_capacity(TABS);
        let mut successor: Option<Tokens> = None;
        for (_, mut connection, tokens) in answered {
            match tokens {
                Err(status) => self.violations.push(format!("a tab was answered with {status}")),
                Ok(tokens) => {
                    let status = connection.exchange(&me_request(&tokens.access)).await?.status();
                    let first = successor.get_or_insert_with(|| tokens.clone());
                    if status != 200 {
                        self.violations.push(format!("a tab's access token was answered with {status}"));
                    }
                    if tokens.refresh == first.refresh && tokens.refresh != self.tokens.refresh {
                        self.successors += 1;
                    } else {
                        self.violations.push("two tabs got different successors".to_owned());
                    }
                }
            }
            connections.push(connection);
        }
        self.tokens = successor.ok_or("no tab got a successor")?;
        connections.extend(others);
        Ok(connections)
    }
}
