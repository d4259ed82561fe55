//! `tabs`: many tabs of one user append, pop, replace and save in one conversation at once, and nothing that was acknowledged
//! disappears without an acknowledged request that removed it.

mod tab;

use std::collections::BTreeMap;

use chatstore_bench::arguments::ServerBinary;
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_bench::random::Random;
use chatstore_bench::server::{Installation, Server, with_installation};
use serde_json::{Value, json};

use crate::experiment::{Common, Experiment, Recorder};

use tab::{Tab, Tally};

/// Let many tabs change one conversation
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How often it is done
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Tabs of the user
    #[arg(long, default_value_t = 64)]
    tabs: usize,
    /// Requests of each
    #[arg(long, default_value_t = 200)]
    requests: usize,
    #[command(flatten)]
    server: ServerBinary,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        let kind = recorder.kind;
        let run = async |installation: &Installation| self.run(installation, recorder).await;
        with_installation(&self.server, kind, &self.common.databases, run).await
    }
}

impl Arguments {
    async fn run(&self, installation: &Installation, recorder: &mut Recorder) -> Result<(), Error> {
        let server = installation.start().await?;
        let mut violations = Vec::new();
        let mut total = Tally::default();
        for round in 0..self.rounds.max(1) {
            progress::print(format_args!("tabs {} round {}", recorder.kind.as_str(), round + 1));
            let tally = self.run_round(&server, installation.key(), round).await?;
            violations.extend(check(&server, installation.key(), &tally).await?);
            total.add(tally);
        }
        let figures = json!({
            "rounds": self.rounds,
            "seed": self.common.seed,
            "tabs": self.tabs,
            "appended": total.appended.len(),
            "popped": total.popped.len(),
            "swapped": total.swapped,
            "lost_swaps": total.lost_swaps,
            "saved": total.saved,
            "lost_saves": total.lost_saves,
            "refused": total.refused,
        });
        recorder.record("tabs", figures, &violations);
        server.stop().await
    }

    async fn run_round(&self, server: &Server, key: &str, round: usize) -> Result<Tally, Error> {
        let conversation = server.client().create_conversation().await?;
        let tabs: Vec<_> = (0..self.tabs)
            .map(|number| {
                let seed = self.common.seed + (round * self.tabs + number) as u64;
                let tab = Tab::new(server.port(), &conversation, key, number, Random::new(seed));
                tokio::spawn(tab.run(self.requests))
            })
            .collect();
        let mut tally = Tally { conversation, ..Tally::default() };
        for tab in tabs {
            tally.add(tab.await??);
        }
        Ok(tally)
    }
}

/// What is left of a conversation and what was removed, held to what was appended.
async fn check(server: &Server, key: &str, tally: &Tally) -> Result<Vec<String>, Error> {
    let url = format!(
        "http://127.0.0.1:{}/api/v1/conversations/{}/messages?view=parts&branch=all",
        server.port(),
        tally.conversation
    );
    let request = reqwest::Client::new().get(url).bearer_auth(key).header("Accept", "application/x-ndjson");
    let text = request.send().await?.error_for_status()?.text().await?;
    let mut violations = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let left = text.lines().filter(|line| line.starts_with('['));
    for parts in
        left.map(str::to_owned).chain(tally.popped.iter().cloned()).chain(tally.replaced.iter().cloned())
    {
        let name = serde_json::from_str::<Value>(&parts)?[0]["name"].as_str().unwrap_or_default().to_owned();
        *places.entry(name).or_default() += 1;
    }
    for name in &tally.appended {
        match places.remove(name) {
            Some(1) => {}
            Some(_) if tally.listed.contains(name) => {}
            Some(count) => violations.push(format!("{name} is in {count} places")),
            None => violations.push(format!("{name} disappeared")),
        }
    }
    violations.extend(places.into_keys().map(|name| format!("{name} was never acknowledged")));
    Ok(violations)
}
