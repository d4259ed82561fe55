//! `cargo xtask clients`: clients that generators write from the description of the API, held to their compilers and
//! used against a server.
//!
//! The programs that use them are those of `docs/clients.md`, so that what the page shows is what runs. The versions
//! of the generators are pinned: those for Python in `python.rs`, those for TypeScript in `xtask/clients`.

mod change;
mod examples;
mod generators;
mod node;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use chatstore_testkit::server::{PostgresServer, Settings, ensure_postgres_installed};

use crate::command::{self, Error, Readable};
use crate::service::{self, Service};

use change::Need;
use generators::Program;

/// The description that the clients are generated from.
const DESCRIPTION: &str = "crates/chatstore-http/openapi.json";

/// The page with the programs.
const PAGE: &str = "docs/clients.md";

/// Runs it; the exit code says whether everything passed.
pub(crate) fn run() -> Result<ExitCode, Error> {
    Ok(if check()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same where description or programs have changed, for the continuous integration; says why it passes over.
pub(crate) fn check_if_changed() -> Result<bool, Error> {
    match change::need()? {
        Need::Run(reason) => {
            eprintln!("clients: {reason}");
            check()
        }
        Need::Skip(reason) => {
            eprintln!("clients: not generated: {reason}; `cargo xtask clients` does it anyway");
            Ok(true)
        }
    }
}

fn check() -> Result<bool, Error> {
    let begun = Instant::now();
    let folder = command::root().join("target/clients");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let Some(programs) = generators::generate(&folder)? else { return Ok(false) };
    if !service::build()? {
        return Ok(false);
    }
    let sqlite = |data: &Path| format!("sqlite://{}", data.join("server.db").display());
    if !use_against(&folder, "sqlite", sqlite, &programs)? {
        return Ok(false);
    }
    ensure_postgres_installed()?;
    let postgres = PostgresServer::start(Settings { durable: false })?;
    if !use_against(&folder, "postgres", |_| postgres.url(), &programs)? {
        return Ok(false);
    }
    change::remember()?;
    eprintln!("clients: {} programs passed after {}", programs.len(), Readable(begun.elapsed()));
    Ok(true)
}

/// Runs every program against a server on this database.
fn use_against(
    folder: &Path,
    backend: &str,
    database_url: impl FnOnce(&Path) -> String,
    programs: &[Program],
) -> Result<bool, Error> {
    let data: PathBuf = folder.join(backend);
    fs::create_dir_all(&data)?;
    let service = Service::start(&data, &database_url(&data))?;
    for program in programs {
        eprintln!("clients: {} against a server on {backend}", program.name);
        let mut command = Command::new(&program.command[0]);
        command.args(&program.command[1..]).current_dir(folder);
        command.env("CHATSTORE_URL", service.url("")).env("KEY", service.service_key());
        if !command::run(&mut command)?.success() {
            eprintln!("clients: {} failed on {backend}", program.name);
            return Ok(false);
        }
    }
    Ok(true)
}
