//! `cargo xtask migrations-report`: the long experiments on migrations, with their figures.
//!
//! The changes and pairs of schemas are tests of `chatstore-migrate`, and what takes processes is an experiment of
//! `chatstore-chaos`. They are about what happens, not how fast, so neither is optimised.

use std::ffi::OsString;
use std::process::ExitCode;

use chatstore_testkit::server::Settings;

use crate::command::{self, Error, Postgres};

const POSTGRES_URL: &str = "CHATSTORE_BENCH_POSTGRES_URL";
const TEST_POSTGRES_URL: &str = "CHATSTORE_TEST_POSTGRES_URL";

const CHANGES: &str = "each_kind_of_change_is_detected_and_applied_without_losing_a_row";
const PAIRS: &str = "random_schemas_become_each_other_and_lose_no_row_in_columns_that_stay";

/// For each database the option and the variable for the number of pairs, and the number without the option.
const DATABASES: [(&str, &str, &str, &str); 2] = [
    ("sqlite", "--pairs", "CHATSTORE_TEST_PAIRS", "1000"),
    ("postgres", "--postgres-pairs", "CHATSTORE_TEST_POSTGRES_PAIRS", "200"),
];

/// Runs the experiments and the tests; the exit code is that of the first that fails.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode, Error> {
    let postgres = Postgres::given_or_private(POSTGRES_URL, Settings { durable: true })?;
    let mut arguments = separate(arguments);
    let mut tests = command::cargo();
    tests.args(["test", "--locked", "-p", "chatstore-migrate", "--test", "generated", "--"]);
    tests.args(["--nocapture", "--test-threads", "2"]).env(TEST_POSTGRES_URL, postgres.url());
    tests.env("CHATSTORE_TEST_SEED", value(&arguments, "--seed").unwrap_or("1".into()));
    let backend = value(&arguments, "--backend").unwrap_or("both".into());
    for (database, option, variable, usual) in DATABASES {
        let pairs = take(&mut arguments, option).unwrap_or(usual.into());
        if backend != "both" && backend != database {
            continue;
        }
        tests.arg(format!("{CHANGES}::{database}"));
        if pairs != "0" {
            tests.arg(format!("{PAIRS}::{database}")).env(variable, pairs);
        }
    }
    let is_question = arguments.iter().any(|argument| argument == "--help" || argument == "-h");
    let mut experiments = command::cargo();
    experiments.args(["run", "--locked", "-p", "chatstore-chaos", "--", "migrations"]).args(arguments);
    experiments.env(POSTGRES_URL, postgres.url());
    let mut status = command::run(&mut experiments)?;
    // 2 says that there is no such argument.
    if !is_question && status.code() != Some(2) {
        let tested = command::run(&mut tests)?;
        status = if status.success() { tested } else { status };
    }
    drop(postgres);
    Ok(command::exit_code(status))
}

/// The arguments with `--option=value` as two.
fn separate(arguments: &[OsString]) -> Vec<OsString> {
    let parts = |argument: &OsString| match argument.to_str().and_then(|text| text.split_once('=')) {
        Some((option, value)) if option.starts_with("--") => vec![option.into(), value.into()],
        _ => vec![argument.clone()],
    };
    arguments.iter().flat_map(parts).collect()
}

/// Removes an option and its value.
fn take(arguments: &mut Vec<OsString>, option: &str) -> Option<OsString> {
    let index = arguments.iter().position(|argument| argument == option)?;
    let end = arguments.len().min(index + 2);
    arguments.drain(index..end).nth(1)
}

fn value(arguments: &[OsString], option: &str) -> Option<OsString> {
    take(&mut arguments.to_vec(), option)
}
