//! `identity`: logins, sessions and refresh tokens keep what is promised of them.
//!
//! What depends on time to the microsecond drives the store in this process with a clock of its own; what depends on
//! several clients or servers goes over HTTP to servers that are processes of their own.
//!
//! To add a scenario: a variant of [`Scenario`], and a file with a function that takes the [`Place`] and returns
//! a [`Finding`].

mod client;
mod expiry;
mod login_storm;
mod login_timing;
mod place;
mod refresh_lost;
mod refresh_misuse;
mod refresh_tabs;
mod revocation;
mod scene;
mod server;

use chatstore_bench::error::Error;
use chatstore_bench::progress;
use clap::ValueEnum;
use serde_json::Value;

use crate::experiment::{Bounds, Common, Experiment, Recorder};

pub(crate) use client::login;
pub(crate) use place::member;
pub(crate) use revocation::{Leaving, Seen};
pub(crate) use server::IdentityServer;

use place::Place;

/// Log in, carry sessions on and end them, as clients, attackers and bursts of them do
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The experiments to run, all when left out
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Failed logins of each kind
    #[arg(long, default_value_t = 500)]
    login_requests: usize,
    /// Logins at the same moment
    #[arg(long, default_value_t = 500)]
    logins: usize,
    /// How often there are that many
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Answers to a refresh that are lost
    #[arg(long, default_value_t = 1_000)]
    lost: usize,
    /// How often 16 tabs show a token at the same moment
    #[arg(long, default_value_t = 500)]
    tab_rounds: usize,
    /// How often they do so on two servers, and how often the servers take turns after that
    #[arg(long, default_value_t = 100)]
    server_rounds: usize,
    /// Tokens that are shown again too late
    #[arg(long, default_value_t = 100)]
    replays: usize,
    /// Tokens that an attacker shows
    #[arg(long, default_value_t = 100)]
    thefts: usize,
    /// Logouts that another server has to hear of
    #[arg(long, default_value_t = 10)]
    logouts: usize,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Scenario {
    /// Whether the time a failed login takes tells why it failed
    LoginTiming,
    /// What many logins at once cost others
    LoginStorm,
    /// Answers to a refresh that are lost
    RefreshLost,
    /// Tabs that show one token at once
    RefreshTabs,
    /// A token that is shown again too late
    RefreshReplay,
    /// A token that an attacker shows
    RefreshAttacker,
    /// Sessions that are not carried on, or for too long
    Expiry,
    /// Tabs and turns on two servers
    RefreshServers,
    /// How soon a logout holds
    Revocation,
}

/// What an experiment found.
struct Finding {
    figures: Value,
    violations: Vec<String>,
}

impl Experiment for Arguments {
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error> {
        for scenario in Scenario::value_variants() {
            if self.only.is_empty() || self.only.contains(scenario) {
                self.run(*scenario, recorder).await?;
            }
        }
        Ok(())
    }
}

impl Arguments {
    async fn run(&self, scenario: Scenario, recorder: &mut Recorder) -> Result<(), Error> {
        let name = scenario.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        progress::print(format_args!("identity {} {name}", recorder.kind.as_str()));
        let place = Place::create(recorder.kind, &self.common).await?;
        let found = match scenario {
            Scenario::LoginTiming => login_timing::run(&place, self).await,
            Scenario::LoginStorm => login_storm::run(&place, self).await,
            Scenario::RefreshLost => refresh_lost::run(&place, self).await,
            Scenario::RefreshTabs => refresh_tabs::tabs(&place, self).await,
            Scenario::RefreshReplay => refresh_misuse::replay(&place, self).await,
            Scenario::RefreshAttacker => refresh_misuse::attacker(&place, self).await,
            Scenario::Expiry => expiry::run(&place, self).await,
            Scenario::RefreshServers => refresh_tabs::servers(&place, self).await,
            Scenario::Revocation => revocation::run(&place, self).await,
        };
        place.remove().await?;
        let Finding { mut figures, violations } = found?;
        figures["seed"] = self.common.seed.into();
        recorder.record(&name, figures, &violations);
        Ok(())
    }
}
