//! `cargo xtask bench` and `cargo xtask chaos`: benchmarks and experiments, built in release mode, with a server program
//! and a PostgreSQL server that waits for the disk.

use std::ffi::OsString;
use std::process::ExitCode;

use chatstore_testkit::server::{Settings, ensure_postgres_installed};

use crate::command::{self, Failure, Postgres};

const POSTGRES_URL: &str = "CHATSTORE_BENCH_POSTGRES_URL";
/// Where `pgbench` is, which the benchmarks measure themselves against.
const POSTGRES_BIN: &str = "CHATSTORE_BENCH_POSTGRES_BIN";
/// The server that they start, kill and load.
const SERVER_BINARY: &str = "CHATSTORE_BENCH_SERVER_BINARY";

/// Runs the program of a package; the exit code is its own.
pub(crate) fn run(package: &str, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let bin_dir = match command::variable(POSTGRES_BIN) {
        Some(given) => given,
        None => ensure_postgres_installed()?.into(),
    };
    let server = match command::variable(SERVER_BINARY) {
        Some(given) => given,
        None => {
            let mut cargo = command::cargo();
            cargo.args(["build", "--release", "--locked", "-p", "chatstore-cli"]);
            let status = command::run(&mut cargo)?;
            if !status.success() {
                return Ok(command::exit_code(status));
            }
            command::binary("release").into()
        }
    };
    let postgres = Postgres::given_or_private(POSTGRES_URL, Settings { durable: true })?;
    let mut cargo = command::cargo();
    cargo.args(["run", "--release", "--locked", "-p", package, "--"]).args(arguments);
    cargo.env(POSTGRES_URL, postgres.url()).env(POSTGRES_BIN, bin_dir).env(SERVER_BINARY, server);
    let status = command::run(&mut cargo)?;
    drop(postgres);
    Ok(command::exit_code(status))
}
