//! `cargo xtask test`: every test on both databases, and on Redis.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use chatstore_testkit::server::{Pooler, Settings, StartupOptions, USER};

use crate::command::{self, Error, Postgres, Readable, Redis};
use crate::python;

const POSTGRES_URL: &str = "CHATSTORE_TEST_POSTGRES_URL";
const REDIS_URL: &str = "CHATSTORE_TEST_REDIS_URL";
const POOLER_PORT: &str = "CHATSTORE_TEST_POOLER_PORT";
/// Connections of the pooler to each database.
const POOLED_CONNECTIONS: usize = 4;
const DIALOGS: &str = "CHATSTORE_DIALOGS";
/// The Python that creates the databases of old applications and compares our tables.
const PYTHON: &str = "CHATSTORE_TEST_PYTHON";

/// Runs the tests; the exit code is theirs.
pub(crate) fn run(is_pooled: bool, arguments: &[OsString]) -> Result<ExitCode, Error> {
    let start = Instant::now();
    let python = python_with_sqlalchemy()?;
    let postgres = Postgres::given_or_private(POSTGRES_URL, Settings { durable: false })?;
    let redis = Redis::given_or_private(REDIS_URL)?;
    let mut tests = cargo_test(&postgres, &redis, &python, arguments);
    let pooler = if is_pooled { Some(pooler(&postgres)?) } else { None };
    if let Some(pooler) = &pooler {
        tests.env(POOLER_PORT, pooler.port().to_string());
    }
    let status = command::run(&mut tests)?;
    drop((pooler, postgres, redis));
    eprintln!("tests on SQLite and PostgreSQL: {}", Readable(start.elapsed()));
    report_missing_dialogs();
    Ok(command::exit_code(status))
}

/// A pooler in front of a private server.
fn pooler(postgres: &Postgres) -> Result<Pooler, Error> {
    let Postgres::Private(server) = postgres else {
        return Err(format!("--pooler needs a private server: unset {POSTGRES_URL}").into());
    };
    let pooler =
        Pooler::start(server.port(), USER, server.password(), POOLED_CONNECTIONS, StartupOptions::Refused)?;
    eprintln!("PgBouncer: a private one on 127.0.0.1:{}", pooler.port());
    Ok(pooler)
}

/// Runs the tests as the continuous integration does, where a test marked as ignored is a failure: it would never
/// run, and that would not be noticed. Returns whether all of them ran and passed.
pub(crate) fn run_all() -> Result<bool, Error> {
    let python = python_with_sqlalchemy()?;
    let postgres = Postgres::given_or_private(POSTGRES_URL, Settings { durable: false })?;
    let redis = Redis::given_or_private(REDIS_URL)?;
    let (status, ignored) = run_watched(&mut cargo_test(&postgres, &redis, &python, &[]))?;
    drop((postgres, redis));
    report_missing_dialogs();
    if ignored.count > 0 {
        eprintln!("{} ignored, which counts as a failure here:", ignored.count);
        for name in &ignored.names {
            eprintln!("  {name}");
        }
    }
    Ok(status.success() && ignored.count == 0)
}

fn python_with_sqlalchemy() -> Result<OsString, Error> {
    match command::variable(PYTHON) {
        Some(given) => Ok(given),
        None => Ok(python::with_sqlalchemy()?.into()),
    }
}

fn cargo_test(postgres: &Postgres, redis: &Redis, python: &OsStr, arguments: &[OsString]) -> Command {
    let mut cargo = command::cargo();
    cargo.arg("test");
    // With both, cargo would pass over the chosen packages.
    if !chooses_packages(arguments) {
        cargo.arg("--workspace");
    }
    cargo.arg("--locked").args(arguments).env(POSTGRES_URL, postgres.url());
    cargo.env(REDIS_URL, redis.url()).env(PYTHON, python);
    cargo
}

fn chooses_packages(arguments: &[OsString]) -> bool {
    let for_cargo = arguments.iter().take_while(|argument| *argument != "--");
    for_cargo
        .map(|argument| argument.to_string_lossy())
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"))
}

fn report_missing_dialogs() {
    if command::variable(DIALOGS).is_none() {
        eprintln!(
            "not run: the cases that need {DIALOGS} (a file of real conversations); set it to run them"
        );
    }
}

#[derive(Debug, Default, PartialEq)]
struct Ignored {
    count: u64,
    names: Vec<String>,
}

fn run_watched(command: &mut Command) -> Result<(ExitStatus, Ignored), Error> {
    let started = command.stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| command::cannot_run(command, &error))?;
    let ignored = match child.stdout.take() {
        Some(output) => forward(output, io::stdout().lock())?,
        None => Ignored::default(),
    };
    Ok((child.wait()?, ignored))
}

/// Passes the output of tests on, line by line, and collects which tests were ignored.
fn forward(from: impl Read, mut to: impl Write) -> io::Result<Ignored> {
    let mut ignored = Ignored::default();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        let text = String::from_utf8_lossy(&line);
        ignored.count += ignored_count(&text);
        ignored.names.extend(ignored_name(&text).map(str::to_owned));
        line.clear();
    }
    Ok(ignored)
}

fn ignored_count(line: &str) -> u64 {
    let Some(counts) = line.strip_prefix("test result: ") else { return 0 };
    let ignored = counts.split("; ").find_map(|count| count.strip_suffix(" ignored"));
    ignored.and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn ignored_name(line: &str) -> Option<&str> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    outcome.starts_with("ignored").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_tests_are_counted_over_all_summaries_and_named() {
        let output = "\
running 3 tests
test users::a_name_is_unique ... ok
test users::a_slow_one ... ignored, needs an hour
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
test src/lib.rs - example (line 3) ... ignored
test result: ok. 0 passed; 0 failed; 11 ignored; 0 measured; 0 filtered out; finished in 0.01s
";
        let mut passed_on = Vec::new();

        let ignored = forward(output.as_bytes(), &mut passed_on).unwrap();

        assert_eq!(ignored.count, 12);
        assert_eq!(ignored.names, ["users::a_slow_one", "src/lib.rs - example (line 3)"]);
        assert_eq!(passed_on, output.as_bytes());
    }

    #[test]
    fn output_that_only_looks_like_a_summary_counts_nothing() {
        let output = "printed by a test; 3 ignored; 0 measured\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n";

        let ignored = forward(output.as_bytes(), io::sink()).unwrap();

        assert_eq!(ignored, Ignored::default());
    }

    #[test]
    fn packages_are_chosen_before_the_arguments_of_the_tests() {
        let chooses = |arguments: &[&str]| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            chooses_packages(&arguments)
        };

        assert!(chooses(&["-p", "chatstore-sql"]));
        assert!(chooses(&["--package=chatstore-sql"]));
        assert!(!chooses(&["a_name", "--", "-p"]));
        assert!(!chooses(&[]));
    }
}
