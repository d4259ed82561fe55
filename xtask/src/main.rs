//! The development commands of chatstore: `cargo xtask test`, `cargo xtask ci`, `cargo xtask circles`,
//! `cargo xtask bench`, `cargo xtask chaos`, `cargo xtask clients`, `cargo xtask fixtures`,
//! `cargo xtask migrations-report`, `cargo xtask schemathesis`.
//!
//! `ci` is all that the continuous integration runs, so that a change that passes it here passes it there. This
//! package builds before everything else and so must not depend on the store. A new command is a variant of
//! [`Task`] and a file of its own; a new check of the continuous integration is one more step in `ci.rs`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks through its standard streams"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the environment is how this program is told about servers and files"
)]

mod bench;
mod ci;
mod circles;
mod clients;
mod command;
mod fixtures;
mod migrations_report;
mod python;
mod schemathesis;
mod service;
mod test;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The development commands of chatstore")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test on both databases
    ///
    /// Uses the PostgreSQL server at CHATSTORE_TEST_POSTGRES_URL and the Redis at CHATSTORE_TEST_REDIS_URL, else starts
    /// private ones. The cases that need real
    /// conversations read the file at CHATSTORE_DIALOGS. Old applications' databases are created with SQLAlchemy, and
    /// our tables compared by Alembic, by the Python at CHATSTORE_TEST_PYTHON, else by one in target/tools, installed
    /// from PyPI when it is not there.
    Test {
        /// Reach the PostgreSQL databases of the cases through a private PgBouncer in transaction mode
        ///
        /// Migrations need a session and cannot: pass over their tests with `-- -- --skip migration`.
        #[arg(long)]
        pooler: bool,
        /// Arguments for `cargo test`, such as `-p chatstore-sql` or the name of a test
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Run everything a change has to pass, and stop at the first failure
    Ci,
    /// Print the files of one crate that import each other in a circle, and what ties them
    ///
    /// Fails where xtask/circles.toml does not allow a circle, or allows one that does not exist.
    Circles(circles::Arguments),
    /// Run the benchmarks
    ///
    /// Uses the PostgreSQL server at CHATSTORE_BENCH_POSTGRES_URL, else starts a private one that waits for the disk
    /// as a real one does.
    Bench {
        /// Arguments for the benchmark program
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Run an experiment that kills, overloads or misuses the server and checks what it promises
    ///
    /// Uses the PostgreSQL server at CHATSTORE_BENCH_POSTGRES_URL, else starts a private one that waits for the disk
    /// as a real one does.
    Chaos {
        /// The experiment and its arguments, such as `crash --rounds 50`
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Generate clients in Python and TypeScript, type-check them strictly and use them against servers
    ///
    /// The generators are installed from PyPI and npm into target/tools when they are not there; Node.js 20 with npm is
    /// needed. The programs are those of docs/clients.md; the servers and their databases are private ones.
    Clients,
    /// Let chat frameworks write the databases that the tests import
    ///
    /// Installs the frameworks from PyPI into target/tools when they are not there. Uses the PostgreSQL server at
    /// CHATSTORE_TEST_POSTGRES_URL, else starts a private one.
    Fixtures(fixtures::Arguments),
    /// Change tables with rows, upgrade from many processes at once and kill upgrades, and print what came of it
    ///
    /// Uses the PostgreSQL server at CHATSTORE_BENCH_POSTGRES_URL, else starts a private one.
    MigrationsReport {
        /// Arguments for the experiments, such as `--kills 20` or `--backend sqlite`, and for the pairs of schemas,
        /// `--pairs 1000` on SQLite and `--postgres-pairs 200`; 0 leaves an experiment out
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// Hold the server's answers to thousands of generated requests against its own description
    ///
    /// Installs schemathesis from PyPI into target/tools when it is not there, and starts private servers only.
    Schemathesis(schemathesis::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test { pooler, arguments } => test::run(pooler, &arguments),
        Task::Ci => ci::run(),
        Task::Circles(arguments) => circles::run(arguments),
        Task::Bench { arguments } => bench::run("chatstore-bench", &arguments),
        Task::Chaos { arguments } => bench::run("chatstore-chaos", &arguments),
        Task::Clients => clients::run(),
        Task::Fixtures(arguments) => fixtures::run(&arguments),
        Task::MigrationsReport { arguments } => migrations_report::run(&arguments),
        Task::Schemathesis(arguments) => schemathesis::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
