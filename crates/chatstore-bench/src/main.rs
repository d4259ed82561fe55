//! The benchmarks and experiments of chatstore: `cargo xtask bench -- COMMAND`.
//!
//! `bench` measures the store beside the bare drivers and `pgbench`; the other commands are
//! experiments, each of which answers one question or holds one promise to account and prints one
//! line of JSON. A new command is a variant of [`Command`] and a module of its own.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program talks through its standard streams"
)]

mod bare;
mod bench;
mod client;
mod crash;
mod data;
mod drive;
mod idempotency;
mod identity;
mod import;
mod machine;
mod migrations;
mod open;
mod overload;
mod places;
mod probe;
mod processes;
mod random;
mod reads;
mod report;
mod samples;
mod server;
mod slow_clients;
mod start;
mod table;
mod verdict;
mod wire;
mod wire_caller;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chatstore_sql::DatabaseKind;
use clap::{Parser, Subcommand};

/// Why a command could not be carried out.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(name = "chatstore-bench", about = "The benchmarks and experiments of chatstore")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Arguments),
    Reads(reads::Arguments),
    Crash(crash::Arguments),
    Idempotency(idempotency::Arguments),
    Identity(identity::Arguments),
    Import(import::Arguments),
    Migrations(migrations::Arguments),
    Open(open::Arguments),
    Overload(overload::Arguments),
    SlowClients(slow_clients::Arguments),
    Start(start::Arguments),
    #[command(hide = true)]
    IdentityServer(identity::IdentityServer),
    #[command(hide = true)]
    OpenOne(open::One),
    #[command(hide = true)]
    MigrateOne(migrations::One),
}

/// The databases a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Backends {
    Sqlite,
    Postgres,
    Both,
}

impl Backends {
    pub(crate) const fn sqlite(self) -> bool {
        matches!(self, Self::Sqlite | Self::Both)
    }

    pub(crate) const fn postgres(self) -> bool {
        matches!(self, Self::Postgres | Self::Both)
    }

    pub(crate) fn kinds(self) -> Vec<DatabaseKind> {
        match self {
            Self::Sqlite => vec![DatabaseKind::Sqlite],
            Self::Postgres => vec![DatabaseKind::Postgres],
            Self::Both => vec![DatabaseKind::Sqlite, DatabaseKind::Postgres],
        }
    }
}

/// Where PostgreSQL is; `cargo xtask bench` starts a private server and says so.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Postgres {
    /// A server on which databases may be made
    #[arg(long = "postgres-url", env = "CHATSTORE_BENCH_POSTGRES_URL", hide_env_values = true)]
    url: Option<String>,
    /// The folder of PostgreSQL's programs
    #[arg(long = "postgres-bin", env = "CHATSTORE_BENCH_POSTGRES_BIN")]
    programs: Option<PathBuf>,
}

impl Postgres {
    pub(crate) fn url(&self) -> Result<&str, Failure> {
        let given = self.url.as_deref().filter(|url| !url.is_empty());
        given.ok_or_else(|| {
            "no PostgreSQL server: run `cargo xtask bench`, which starts one, or give --postgres-url, \
             or leave it out by --backend sqlite"
                .into()
        })
    }

    pub(crate) fn programs(&self) -> Option<&Path> {
        self.programs.as_deref()
    }
}

/// Where the server's program is; `cargo xtask bench` builds it and says so.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServerBinary {
    /// The program `chatstore`
    #[arg(long = "server-binary", env = "CHATSTORE_BENCH_SERVER_BINARY")]
    path: Option<PathBuf>,
}

impl ServerBinary {
    pub(crate) fn path(&self) -> Result<&Path, Failure> {
        self.given().ok_or_else(|| {
            "no server program: run `cargo xtask bench`, which builds it, or give --server-binary".into()
        })
    }

    pub(crate) fn given(&self) -> Option<&Path> {
        self.path.as_deref().filter(|path| !path.as_os_str().is_empty())
    }
}

/// Tells whoever waits what is going on.
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Reads a number of seconds above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= 86_400.0 => Ok(number),
        _ => Err("a number of seconds above 0 and at most a day".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Bench(arguments) => arguments.run().await.map(|()| true),
        Command::Reads(arguments) => arguments.run().await.map(|()| true),
        Command::Crash(arguments) => arguments.run().await,
        Command::Idempotency(arguments) => arguments.run().await,
        Command::Identity(arguments) => arguments.run().await,
        Command::Import(arguments) => arguments.run().await,
        Command::Migrations(arguments) => arguments.run().await,
        Command::Open(arguments) => arguments.run().await,
        Command::Overload(arguments) => arguments.run().await,
        Command::SlowClients(arguments) => arguments.run().await,
        Command::Start(arguments) => arguments.run().await.map(|()| true),
        Command::IdentityServer(arguments) => arguments.run().await,
        Command::OpenOne(arguments) => arguments.run().await,
        Command::MigrateOne(arguments) => arguments.run().await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
