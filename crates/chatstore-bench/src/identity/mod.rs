//! `identity`: logins, sessions and refresh tokens keep what is promised of them.
//!
//! What depends on time to the microsecond drives the store in this process with a clock of its own; what depends on
//! several clients or servers goes over HTTP to servers that are processes of their own.
//!
//! To add an experiment: a variant of [`Experiment`], and a file with a function that takes the [`Place`] and returns
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
mod server;

use std::path::PathBuf;

use chatstore_sql::DatabaseKind;
use clap::ValueEnum;
use serde_json::Value;

use crate::{Backends, Failure, Postgres, verdict};

use place::Place;

pub(crate) use server::IdentityServer;

/// Log in, carry sessions on and end them, as clients, thieves and crowds do
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The experiments to run, all when left out
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Experiment>,
    /// The databases to run it on
    #[arg(long, value_enum, default_value = "both")]
    backend: Backends,
    /// Failed logins of each kind
    #[arg(long, default_value_t = 500)]
    login_requests: usize,
    /// Logins at the same moment
    #[arg(long, default_value_t = 500)]
    logins: usize,
    /// How often there are so many
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
    /// Tokens that a thief shows
    #[arg(long, default_value_t = 100)]
    thefts: usize,
    /// Logouts that another server has to hear of
    #[arg(long, default_value_t = 10)]
    logouts: usize,
    /// Print the figures without holding them to the bounds, for a run too short to have a meaning
    #[arg(long)]
    no_bounds: bool,
    /// What orders, moments and the token key follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where SQLite's file is made
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    #[command(flatten)]
    postgres: Postgres,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Experiment {
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
    /// A token that somebody else shows
    RefreshThief,
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

impl Arguments {
    /// Runs the experiments; true when every promise was kept.
    pub(crate) async fn run(self) -> Result<bool, Failure> {
        let mut kept = true;
        for kind in self.backend.kinds() {
            for experiment in Experiment::value_variants() {
                if self.only.is_empty() || self.only.contains(experiment) {
                    kept &= self.run_one(*experiment, kind).await?;
                }
            }
        }
        Ok(kept)
    }

    async fn run_one(&self, experiment: Experiment, kind: DatabaseKind) -> Result<bool, Failure> {
        let name = experiment.to_possible_value().map(|value| value.get_name().to_owned());
        crate::say(&format!("identity {} {}", kind.as_str(), name.as_deref().unwrap_or_default()));
        let place = Place::create(kind, &self.postgres, &self.folder, self.seed).await?;
        let found = match experiment {
            Experiment::LoginTiming => login_timing::run(&place, self).await,
            Experiment::LoginStorm => login_storm::run(&place, self).await,
            Experiment::RefreshLost => refresh_lost::run(&place, self).await,
            Experiment::RefreshTabs => refresh_tabs::tabs(&place, self).await,
            Experiment::RefreshReplay => refresh_misuse::replay(&place, self).await,
            Experiment::RefreshThief => refresh_misuse::thief(&place, self).await,
            Experiment::Expiry => expiry::run(&place, self).await,
            Experiment::RefreshServers => refresh_tabs::servers(&place, self).await,
            Experiment::Revocation => revocation::run(&place, self).await,
        };
        place.remove().await?;
        let Finding { mut figures, violations } = found?;
        figures["experiment"] = name.into();
        figures["backend"] = kind.as_str().into();
        figures["seed"] = self.seed.into();
        Ok(verdict::print(figures, &violations))
    }

    const fn has_bounds(&self) -> bool {
        !self.no_bounds
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
