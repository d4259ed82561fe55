//! `cargo xtask fixtures`: databases of other programs, written by these programs themselves, for the tests of imports.
//!
//! The results are checked in, so that the tests need none of the programs. `stamp` has the digest of the script and of
//! the versions that wrote them; a test fails when one of these has changed since.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use chatstore_testkit::server::{Settings, database_url, ensure_postgres_installed};

use crate::command::{self, Error, Postgres};
use crate::python::ensure_environment;

const FOLDER: &str = "crates/chatstore-cli/tests/fixtures";
/// Where a server that is to be used is named.
const POSTGRES_URL: &str = "CHATSTORE_TEST_POSTGRES_URL";
/// What the frameworks write, and whether also into PostgreSQL.
const MAKERS: [(&str, bool); 6] = [
    ("langchain", true),
    ("openai-agents", false),
    ("openai-agents-sqlalchemy", true),
    ("chainlit", true),
    ("adk", true),
    ("adk-pickled", true),
];

/// Prints the statements that write a SQLite file.
const DUMP: &str = "import sqlite3, sys\nfor line in sqlite3.connect(sys.argv[1]).iterdump(): print(line)";
/// Prints the digest of some files.
const DIGEST: &str = "import hashlib, sys\n\
                      files = [open(name, 'rb').read() for name in sys.argv[1:]]\n\
                      print(hashlib.sha256(b''.join(files)).hexdigest())";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many sessions each framework writes
    #[arg(long, default_value_t = 5)]
    sessions: u32,
    /// Where they go; CHATSTORE_FIXTURES names the folder to the tests then [default: where the tests find them]
    #[arg(long)]
    into: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let folder = command::root().join(FOLDER);
    let (script, pins) = (folder.join("frameworks.py"), folder.join("frameworks.txt"));
    let versions = std::fs::read_to_string(&pins)?;
    let packages: Vec<String> = versions.lines().map(str::to_owned).collect();
    let into = arguments.into.clone().unwrap_or_else(|| folder.join("frameworks"));
    std::fs::create_dir_all(&into)?;
    let pinned = digest(&[&pins])?;
    let programs = ensure_environment(&format!("frameworks-{:.12}", pinned), &packages)?;
    let python = programs.join("python");
    let stamp = digest(&[&script, &pins])?;
    let server = Postgres::given_or_private(POSTGRES_URL, Settings { durable: false })?;
    let binaries = ensure_postgres_installed()?;
    let scratch = programs.join("scratch");
    let sessions = arguments.sessions.to_string();
    for (maker, has_postgres) in MAKERS {
        drop(std::fs::remove_dir_all(&scratch));
        std::fs::create_dir_all(&scratch)?;
        let file = scratch.join("framework.db");
        let url = format!("sqlite:///{}", file.display());
        let write = |url: &str, dialect: &str| {
            let mut script_run = Command::new(&python);
            script_run.arg(&script).args([maker, url, &sessions]).current_dir(&scratch);
            std::fs::write(into.join(format!("{maker}.{dialect}.json")), output(&mut script_run)?)?;
            Ok::<_, Error>(())
        };
        write(&url, "sqlite")?;
        let dump = output(Command::new(&python).args(["-c", DUMP]).arg(&file))?;
        std::fs::write(into.join(format!("{maker}.sqlite.sql")), dump)?;
        if has_postgres {
            let server = server.url().to_string_lossy().into_owned();
            let name = format!("fixture_{}", maker.replace('-', "_"));
            for statement in [format!("drop database if exists {name}"), format!("create database {name}")] {
                output(Command::new(binaries.join("psql")).args([&server, "-qc", &statement]))?;
            }
            let url = database_url(&server, &name);
            write(&url.replacen("postgresql://", "postgresql+psycopg://", 1), "postgres")?;
            let dump =
                output(Command::new(binaries.join("pg_dump")).args(["--inserts", "--no-owner", &url]))?;
            std::fs::write(into.join(format!("{maker}.postgres.sql")), plain(&dump))?;
        }
        eprintln!("{maker}: {sessions} sessions");
    }
    std::fs::write(into.join("stamp"), stamp)?;
    Ok(ExitCode::SUCCESS)
}

fn digest(files: &[&Path]) -> Result<String, Error> {
    output(Command::new("python3").args(["-c", DIGEST]).args(files))
}

/// Without what is for psql alone, and comments.
fn plain(dump: &str) -> String {
    let is_statement = |line: &&str| !line.starts_with('\\') && !line.starts_with("--") && !line.is_empty();
    dump.lines().filter(is_statement).map(|line| format!("{line}\n")).collect()
}

fn output(program: &mut Command) -> Result<String, Error> {
    let run = program.output().map_err(|error| command::cannot_run(program, &error))?;
    if !run.status.success() {
        let said = String::from_utf8_lossy(&run.stderr);
        return Err(format!("{}: {said}", Path::new(program.get_program()).display()).into());
    }
    Ok(String::from_utf8(run.stdout)?)
}
