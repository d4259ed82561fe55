//! `cargo xtask bench` and `cargo xtask chaos`: benchmarks and experiments, built in release mode, with a server program
//! and a PostgreSQL server that waits for the disk.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use chatstore_testkit::server::{Settings, ensure_postgres_installed};

use crate::command::{self, Error, Postgres};

const POSTGRES_URL: &str = "CHATSTORE_BENCH_POSTGRES_URL";
/// Where `pgbench` is, which the benchmarks measure themselves against.
const POSTGRES_BIN: &str = "CHATSTORE_BENCH_POSTGRES_BIN";
/// The server that they start, kill and load.
const SERVER_BINARY: &str = "CHATSTORE_BENCH_SERVER_BINARY";

/// Runs the program of a package, which has the package's name; the exit code is its own.
pub(crate) fn run(package: &str, arguments: &[OsString]) -> Result<ExitCode, Error> {
    let bin_dir = match command::variable(POSTGRES_BIN) {
        Some(given) => given,
        None => ensure_postgres_installed()?.into(),
    };
    let given_server = command::variable(SERVER_BINARY);
    // Both in one command: built one after the other, they would share fewer dependencies.
    let mut build = command::cargo();
    build.args(["build", "--release", "--locked", "-p", package]);
    if given_server.is_none() {
        build.args(["-p", "chatstore-cli"]);
    }
    let status = command::run(&mut build)?;
    if !status.success() {
        return Ok(command::exit_code(status));
    }
    let server = given_server.unwrap_or_else(|| command::binary("release", "chatstore").into());
    let postgres = Postgres::given_or_private(POSTGRES_URL, Settings { durable: true })?;
    let mut program = Command::new(command::binary("release", package));
    program.args(arguments).current_dir(command::root());
    program.env(POSTGRES_URL, postgres.url()).env(POSTGRES_BIN, bin_dir).env(SERVER_BINARY, server);
    let status = command::run(&mut program)?;
    drop(postgres);
    Ok(command::exit_code(status))
}
