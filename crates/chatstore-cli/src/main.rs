//! The chatstore server and command line: the only crate that reads arguments, the environment and
//! files.
//!
//! Data goes to standard output, messages to standard error. Every command is a file under
//! `commands/`; a new one is added there and to [`Command`].

mod commands;
mod config;
mod failure;
mod progress;
mod server_lock;
mod telemetry;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use config::DatabaseSettings;
use failure::Failure;

/// Stores the conversations of chat and AI-assistant applications, in SQLite or PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "chatstore", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with rows skipped, 65 bad data, \
    66 no such file, 69 database unreachable, 73 cannot create, 74 damaged or input/output, 75 try again, \
    77 no permission, 78 configuration (also: pending migrations).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a database with sample conversations and serve it
    Demo(commands::demo::Arguments),
    /// Serve the HTTP API
    Serve(commands::serve::Arguments),
    /// Make, upgrade or undo the tables
    #[command(subcommand)]
    Migrate(commands::migrate::Command),
    /// Manage users
    #[command(subcommand)]
    User(commands::user::Command),
    /// Manage API keys
    #[command(subcommand)]
    Key(commands::key::Command),
    /// Bring conversations along
    #[command(subcommand)]
    Import(commands::import::Command),
    /// Count what is stored
    Stats(commands::stats::Arguments),
}

fn main() -> ExitCode {
    if let Err(failure) = config::read_env_file() {
        return failure.report();
    }
    let arguments = Arguments::parse();
    telemetry::start();
    let outcome = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(Failure::new(1, format!("the runtime did not start: {error}"))),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let database = &arguments.database;
    match arguments.command {
        Command::Demo(arguments) => commands::demo::run(database, arguments).await,
        Command::Serve(arguments) => commands::serve::run(database, arguments).await,
        Command::Migrate(command) => commands::migrate::run(database, command).await,
        Command::User(command) => commands::user::run(database, command).await,
        Command::Key(command) => commands::key::run(database, command).await,
        Command::Import(command) => commands::import::run(database, command).await,
        Command::Stats(arguments) => commands::stats::run(database, arguments).await,
    }
}
