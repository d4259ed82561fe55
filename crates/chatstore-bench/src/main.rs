//! The benchmarks of chatstore: `cargo xtask bench -- COMMAND`.
//!
//! `bench` measures the store beside the bare drivers and `pgbench`; each other command answers one question. A new
//! command is a variant of [`Command`] and a module of its own. What breaks things on purpose is in `chatstore-chaos`.

#![allow(clippy::print_stdout, reason = "figures go to standard output")]

mod bare;
mod bench;
mod kinds;
mod reads;
mod report;
mod start;

use std::process::ExitCode;

use chatstore_bench::progress;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "chatstore-bench", about = "The benchmarks of chatstore")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Arguments),
    Reads(reads::Arguments),
    Start(start::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Bench(arguments) => arguments.run().await,
        Command::Reads(arguments) => arguments.run().await,
        Command::Start(arguments) => arguments.run().await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::print(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
