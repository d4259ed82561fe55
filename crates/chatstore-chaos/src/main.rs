//! Experiments that hold chatstore to its promises by killing, overloading and misusing it:
//! `cargo xtask chaos -- EXPERIMENT`.
//!
//! A new experiment is a variant of [`Command`] and a module whose arguments implement
//! [`Experiment`](experiment::Experiment). Measurements of speed are in `chatstore-bench`.

#![allow(clippy::print_stdout, reason = "figures go to standard output")]

mod backup;
mod branches;
mod crash;
mod database_faults;
mod deletion;
mod drain;
mod experiment;
mod file;
mod idempotency;
mod identity;
mod idle_connections;
mod import;
mod import_lines;
mod large_answers;
mod logs;
mod long_import;
mod long_reads;
mod migrations;
mod open;
mod others;
mod overload;
mod probe;
mod processes;
mod raw_requests;
mod redis_faults;
mod shared_limits;
mod shares;
mod slow_clients;
mod standbys;
mod streams;
mod tabs;

use std::process::ExitCode;

use chatstore_bench::arguments::Backends;
use chatstore_bench::progress;
use clap::{Parser, Subcommand};

use experiment::run;

#[derive(Parser)]
#[command(name = "chatstore-chaos", about = "Experiments that hold chatstore to its promises")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Backup(backup::Arguments),
    Branches(branches::Arguments),
    Crash(crash::Arguments),
    DatabaseFaults(database_faults::Arguments),
    Deletion(deletion::Arguments),
    Drain(drain::Arguments),
    File(file::Arguments),
    Idempotency(idempotency::Arguments),
    Identity(identity::Arguments),
    IdleConnections(idle_connections::Arguments),
    Import(import::Arguments),
    ImportLines(import_lines::Arguments),
    LargeAnswers(large_answers::Arguments),
    Logs(logs::Arguments),
    LongImport(long_import::Arguments),
    LongReads(long_reads::Arguments),
    Migrations(migrations::Arguments),
    Open(open::Arguments),
    Overload(overload::Arguments),
    RawRequests(raw_requests::Arguments),
    RedisFaults(redis_faults::Arguments),
    SharedLimits(shared_limits::Arguments),
    Shares(shares::Arguments),
    SlowClients(slow_clients::Arguments),
    Standbys(standbys::Arguments),
    Streams(streams::Arguments),
    Tabs(tabs::Arguments),
    #[command(hide = true)]
    IdentityServer(identity::IdentityServer),
    #[command(hide = true)]
    LogsServer(logs::LogsServer),
    #[command(hide = true)]
    OpenOne(open::One),
    #[command(hide = true)]
    MigrateOne(migrations::One),
}

#[tokio::main]
async fn main() -> ExitCode {
    let kept = match Arguments::parse().command {
        Command::Backup(arguments) => run(Backends::Sqlite, arguments).await,
        Command::Branches(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Crash(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::DatabaseFaults(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Deletion(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Drain(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::File(arguments) => run(Backends::Sqlite, arguments).await,
        Command::Idempotency(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Identity(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::IdleConnections(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::LongImport(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Import(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::ImportLines(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::LargeAnswers(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Logs(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::LongReads(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Migrations(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Open(arguments) => run(Backends::Sqlite, arguments).await,
        Command::Overload(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::RawRequests(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::RedisFaults(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::SharedLimits(arguments) => run(Backends::Postgres, arguments).await,
        Command::Shares(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::SlowClients(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Standbys(arguments) => run(Backends::Postgres, arguments).await,
        Command::Streams(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::Tabs(arguments) => run(arguments.common.databases.backend, arguments).await,
        Command::IdentityServer(arguments) => arguments.run().await.map(|()| true),
        Command::LogsServer(arguments) => arguments.run().await.map(|()| true),
        Command::OpenOne(arguments) => arguments.run().await.map(|()| true),
        Command::MigrateOne(arguments) => arguments.run().await.map(|()| true),
    };
    match kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            progress::print(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
