//! `cargo xtask schemathesis`: thousands of generated requests, each answer held against the server's own description.
//!
//! A request that fails is one that the server answers with a status, content type, header or body it does not
//! describe, refuses although it fits the description, accepts although it does not, or answers with 5xx. Which
//! checks are left out for which operation, and why, is in `xtask/schemathesis.toml`.

mod report;
mod tool;

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use chatstore_testkit::server::{PostgresServer, Settings, ensure_postgres_installed};

use crate::command::{self, Error, Readable};
use crate::service::{self, Service};

use report::Report;

/// How the configuration is given the key.
const KEY: &str = "CHATSTORE_SCHEMATHESIS_KEY";

/// Requests of one run to one operation, beside those that follow from the description alone.
const EXAMPLES_EACH: &str = "150";

/// What to send to which databases.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Requests to each database at least; fewer are a failure
    #[arg(long, default_value_t = 5_000)]
    cases: u64,
    /// The databases to run the server on
    #[arg(long, value_enum, default_value = "both")]
    backend: Backend,
    /// What the first run's requests follow from; the next run's from the next number
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Backend {
    Sqlite,
    Postgres,
    Both,
}

/// What a run sends, and as whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    WithoutNul,
    /// The server refuses U+0000 in every text, also deep in metadata, which JSON Schema cannot say: what fits the
    /// description may rightly be refused here.
    WithNul,
    /// What only administrators may ask for, with a service key, which cannot take its own rights away. Last,
    /// because it may erase the user of the other runs.
    AsService,
}

impl Kind {
    const ALL: [Self; 3] = [Self::WithoutNul, Self::WithNul, Self::AsService];

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::WithoutNul => &["--generation-allow-x00", "false"],
            Self::WithNul => {
                &["--generation-allow-x00", "true", "--exclude-checks", "positive_data_acceptance"]
            }
            Self::AsService => &[
                "--generation-allow-x00",
                "false",
                // Without a user to act for it is refused on the routes of oneself.
                "--exclude-checks",
                "positive_data_acceptance",
                "--include-tag",
                "users",
                "--include-tag",
                "keys",
            ],
        }
    }
}

/// Runs it on each database; the exit code says whether nothing was found.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let program = tool::ensure_installed()?;
    if !service::build()? {
        return Ok(ExitCode::FAILURE);
    }
    let mut clean = true;
    if arguments.backend != Backend::Postgres {
        clean &= run_on(
            "sqlite",
            |folder| format!("sqlite://{}", folder.join("server.db").display()),
            &program,
            arguments,
        )?;
    }
    if arguments.backend != Backend::Sqlite {
        ensure_postgres_installed()?;
        let postgres = PostgresServer::start(Settings { durable: false })?;
        clean &= run_on("postgres", |_| postgres.url(), &program, arguments)?;
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_on(
    backend: &str,
    database_url: impl FnOnce(&Path) -> String,
    program: &Path,
    arguments: &Arguments,
) -> Result<bool, Error> {
    let folder = command::root().join("target/schemathesis").join(backend);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let database_url = database_url(&folder);
    let service = Service::start(&folder, &database_url)?;
    let begun = Instant::now();
    let mut total = Report::default();
    let mut cut_off = false;
    for (seed, kind) in (arguments.seed..).zip(Kind::ALL) {
        if kind == Kind::AsService {
            // A request may have taken the key away, or the server.
            cut_off = !service.answers("/api/v1/conversations", service.key());
        }
        total.add(run_once(program, &service, &folder, seed, kind)?);
    }
    cut_off |= !service.answers("/api/v1/users", service.service_key());
    let reached = total.cases >= arguments.cases;
    let clean = total.findings.is_empty() && !cut_off && reached;
    println!(
        "{backend}: {} requests in {} runs, {} after {}; reports in {}",
        total.cases,
        total.runs,
        if clean { "nothing found".to_owned() } else { format!("{} findings", total.findings.len()) },
        Readable(begun.elapsed()),
        folder.display()
    );
    for finding in &total.findings {
        println!("{backend}: {finding}");
    }
    for operation in &total.unreached {
        println!("{backend}: note: {operation} was answered with nothing but 404");
    }
    if cut_off {
        println!(
            "{backend}: the server is gone or takes the key no more, so that later requests have shown nothing"
        );
    }
    if !reached {
        println!("{backend}: {} requests were asked for", arguments.cases);
    }
    Ok(clean)
}

fn run_once(
    program: &Path,
    service: &Service,
    folder: &Path,
    seed: u64,
    kind: Kind,
) -> Result<Report, Error> {
    let json = folder.join(format!("run-{seed}.json"));
    let mut command = Command::new(program);
    command.arg("--config-file").arg(command::root().join("xtask/schemathesis.toml"));
    command.arg("run").arg(service.url("/openapi.json"));
    command.args(["--max-examples", EXAMPLES_EACH, "--seed", &seed.to_string()]);
    command.args(kind.arguments());
    command.args(["--generation-database", "none", "--no-color", "--report", "json,junit"]);
    command.arg("--report-json-path").arg(&json);
    command.arg("--report-junit-path").arg(folder.join(format!("run-{seed}.xml")));
    let output = fs::File::create(folder.join(format!("run-{seed}.txt")))?;
    let key = if kind == Kind::AsService { service.service_key() } else { service.key() };
    command.current_dir(folder).env(KEY, key);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let status = command::run(&mut command)?;
    let text = fs::read_to_string(&json).map_err(|error| {
        format!("{status} without a report; see run-{seed}.txt in {}: {error}", folder.display())
    })?;
    report::read(&text, status.success())
}
