//! What every experiment is: arguments, a run on each database, and for each promise one line of JSON with the
//! violations that were found.

use chatstore_bench::arguments::{Backends, Databases};
use chatstore_bench::error::Error;
use chatstore_bench::progress;
use chatstore_sql::DatabaseKind;
use serde_json::Value;

/// Violations that are spelled out; the others are only counted.
const SHOWN: usize = 20;

/// An experiment with its arguments.
pub(crate) trait Experiment {
    /// Runs on the recorder's database and records each promise that it tried.
    async fn run_on(&self, recorder: &mut Recorder) -> Result<(), Error>;
}

/// Options that experiments have in common.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    #[command(flatten)]
    pub(crate) databases: Databases,
    /// What everything random follows from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Whether figures are held to bounds, for experiments that measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Bounds {
    /// Print the figures without holding them to the bounds, for a run too short to have a meaning
    #[arg(long = "no-bounds")]
    ignored: bool,
}

impl Bounds {
    pub(crate) const fn apply(&self) -> bool {
        !self.ignored
    }
}

/// Prints what an experiment finds on one database.
pub(crate) struct Recorder {
    pub(crate) kind: DatabaseKind,
    violations: usize,
}

impl Recorder {
    /// Prints the violations of one promise for people, and `figures` as a line of JSON for programs.
    pub(crate) fn record(&mut self, experiment: &str, mut figures: Value, violations: &[String]) {
        for violation in violations.iter().take(SHOWN) {
            progress::print(format_args!("violation: {violation}"));
        }
        figures["experiment"] = experiment.into();
        figures["backend"] = self.kind.as_str().into();
        figures["violations"] = violations.len().into();
        println!("{figures}");
        self.violations += violations.len();
    }
}

/// Runs an experiment on these databases; true when every promise was kept.
pub(crate) async fn run(backends: Backends, experiment: impl Experiment) -> Result<bool, Error> {
    let mut violations = 0;
    for kind in backends.kinds() {
        let mut recorder = Recorder { kind, violations: 0 };
        experiment.run_on(&mut recorder).await?;
        violations += recorder.violations;
    }
    Ok(violations == 0)
}
