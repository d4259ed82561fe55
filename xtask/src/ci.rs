//! `cargo xtask ci`: everything a change has to pass.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::circles;
use crate::clients;
use crate::command::{self, Error, Readable};
use crate::test;

/// In this order: what fails fast and often comes first.
const STEPS: [Step; 9] = [
    Step::Cargo("fmt --all --check"),
    Step::Circles,
    Step::Cargo("clippy --workspace --all-targets --locked -- -D warnings"),
    Step::Documentation("doc --workspace --no-deps --locked"),
    Step::Deny("deny --locked check bans licenses sources"),
    Step::Cargo("check -p chatstore-sql --no-default-features --features sqlite --locked"),
    Step::Cargo("check -p chatstore-sql --no-default-features --features postgres --locked"),
    Step::Clients,
    Step::Test,
];

/// The strings are arguments of cargo, separated by spaces.
#[derive(Clone, Copy)]
enum Step {
    Cargo(&'static str),
    Circles,
    /// With warnings denied, which takes an environment variable.
    Documentation(&'static str),
    /// With a cargo-deny that is installed first where it is missing.
    Deny(&'static str),
    /// Passed over where the description has not changed.
    Clients,
    Test,
}

impl Step {
    fn title(self) -> String {
        match self {
            Self::Cargo(arguments) | Self::Deny(arguments) => format!("cargo {arguments}"),
            Self::Documentation(arguments) => format!("RUSTDOCFLAGS=\"-D warnings\" cargo {arguments}"),
            Self::Circles => "circles of imports".to_owned(),
            Self::Clients => "generated clients".to_owned(),
            Self::Test => "tests on SQLite and PostgreSQL".to_owned(),
        }
    }

    fn run(self) -> Result<bool, Error> {
        let mut command = match self {
            Self::Cargo(_) => command::cargo(),
            Self::Documentation(_) => {
                let mut cargo = command::cargo();
                cargo.env("RUSTDOCFLAGS", "-D warnings");
                cargo
            }
            Self::Deny(_) => cargo_with_deny()?,
            Self::Circles => return circles::check(&command::root()),
            Self::Clients => return clients::check_if_changed(),
            Self::Test => return test::run_all(),
        };
        if let Self::Cargo(arguments) | Self::Documentation(arguments) | Self::Deny(arguments) = self {
            command.args(arguments.split(' '));
        }
        Ok(command::run(&mut command)?.success())
    }
}

/// Runs the steps up to the first that fails, each announced with one line, and sums up.
pub(crate) fn run() -> Result<ExitCode, Error> {
    let start = Instant::now();
    let mut passed: Vec<(Step, Duration)> = Vec::new();
    for (index, step) in STEPS.into_iter().enumerate() {
        let step_start = Instant::now();
        eprintln!("== {}/{} {}", index + 1, STEPS.len(), step.title());
        let has_passed = step.run().unwrap_or_else(|error| {
            eprintln!("error: {error}");
            false
        });
        let duration = step_start.elapsed();
        eprintln!("== {} after {}", if has_passed { "passed" } else { "failed" }, Readable(duration));
        if !has_passed {
            print_summary(&passed, Some((step, duration)), start.elapsed());
            return Ok(ExitCode::FAILURE);
        }
        passed.push((step, duration));
    }
    print_summary(&passed, None, start.elapsed());
    Ok(ExitCode::SUCCESS)
}

fn print_summary(passed: &[(Step, Duration)], failed: Option<(Step, Duration)>, total: Duration) {
    eprintln!("\nci {} after {}", if failed.is_some() { "failed" } else { "passed" }, Readable(total));
    for (step, duration) in passed {
        eprintln!("  passed   {:>12}  {}", Readable(*duration).to_string(), step.title());
    }
    let Some((step, duration)) = failed else { return };
    eprintln!("  failed   {:>12}  {}", Readable(duration).to_string(), step.title());
    for step in &STEPS[passed.len() + 1..] {
        eprintln!("  not run  {:>12}  {}", "", step.title());
    }
}

/// A cargo that knows `deny`: from the system, else from `target/tools`, where it is built once.
fn cargo_with_deny() -> Result<Command, Error> {
    let mut installed = command::cargo();
    installed.args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if command::run(&mut installed)?.success() {
        return Ok(command::cargo());
    }
    let tools = command::root().join("target/tools");
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        eprintln!("cargo-deny is missing: building it in {}, which takes some minutes", tools.display());
        let mut install = command::cargo();
        install.args(["install", "--locked", "cargo-deny", "--root"]).arg(&tools);
        if !command::run(&mut install)?.success() {
            return Err("cargo-deny could not be installed; see above".into());
        }
    }
    let mut command = Command::new(program);
    command.current_dir(command::root());
    Ok(command)
}
