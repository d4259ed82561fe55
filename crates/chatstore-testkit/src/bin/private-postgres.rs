//! Runs a private PostgreSQL server until its standard input ends: `cargo run -p chatstore-testkit`. Prints the
//! server's address and its data directory, one a line.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks through its standard streams"
)]

use std::error::Error;
use std::io;
use std::process::ExitCode;

use chatstore_testkit::server::{PostgresServer, Settings, ensure_postgres_installed};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    ensure_postgres_installed()?;
    let server = PostgresServer::start(Settings { durable: false })?;
    println!("{}\n{}", server.url(), server.data_dir().display());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    server.stop()?;
    Ok(())
}
