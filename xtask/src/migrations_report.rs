//! `cargo xtask migrations-report`: the long experiments on migrations, with their figures.

use std::ffi::OsString;
use std::process::ExitCode;

use chatstore_testkit::server::Settings;

use crate::command::{self, Error, Postgres};

const POSTGRES_URL: &str = "CHATSTORE_BENCH_POSTGRES_URL";

/// Runs the experiments; the exit code is theirs. They are about what happens, not how fast, so the
/// program is not optimised.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode, Error> {
    let postgres = Postgres::given_or_private(POSTGRES_URL, Settings { durable: true })?;
    let mut cargo = command::cargo();
    cargo.args(["run", "--locked", "-p", "chatstore-chaos", "--", "migrations"]).args(arguments);
    cargo.env(POSTGRES_URL, postgres.url());
    let status = command::run(&mut cargo)?;
    drop(postgres);
    Ok(command::exit_code(status))
}
