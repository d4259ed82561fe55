//! Programs and packages from PyPI, each set in a virtual environment of its own below `target/tools`.

use std::path::PathBuf;
use std::process::Command;

use chatstore_testkit::server::apt;

use crate::command::{self, Error};

const HINT: &str = "Python 3.10 or newer with its module venv is needed: apt install python3-venv, \
                    dnf install python3, brew install python";

const SQLALCHEMY: &str = "2.1.9";
/// What compares our tables with models of them.
const ALEMBIC: &str = "1.20.1";
/// The models of one of them.
const SQLMODEL: &str = "0.0.50";
/// What writes the files of old applications without a database.
const TINYDB: &str = "4.9.0";
/// SQLAlchemy's way to PostgreSQL.
const PSYCOPG: &str = "3.3.9";

/// What writes clients in Python, what they are made with, and what checks them.
const CLIENT_GENERATORS: [&str; 6] = [
    "openapi-python-client==0.29.1",
    "datamodel-code-generator==0.89.0",
    "httpx==0.28.1",
    "mypy==2.4.1",
    "pydantic==2.14.4",
    "ruff==0.17.6",
];

/// Installs these packages, versions and all, into `target/tools/<name>` unless they are there; returns the folder of
/// the environment's programs, `python` among them.
pub(crate) fn ensure_environment(name: &str, packages: &[String]) -> Result<PathBuf, Error> {
    let folder = command::root().join("target/tools").join(name);
    let programs = folder.join("bin");
    // Written last, so that an installation that was interrupted begins again.
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(programs);
    }
    eprintln!("installing {} from PyPI into {}", packages.join(" and "), folder.display());
    let mut environment = Command::new("python3");
    environment.args(["-m", "venv", "--clear"]).arg(&folder);
    if !succeeds(&mut environment) {
        if !apt::can_install()? {
            return Err(HINT.into());
        }
        apt::install("Python with its module venv", "python3-venv")?;
        if !succeeds(&mut environment) {
            return Err(HINT.into());
        }
    }
    let mut pip = Command::new(programs.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    if !command::run(&mut pip)?.success() {
        return Err(format!("{} could not be installed from PyPI", packages.join(" and ")).into());
    }
    std::fs::write(complete, "")?;
    Ok(programs)
}

/// The Python of an environment with SQLAlchemy, Alembic and TinyDB, by which the tests create the databases of old applications
/// and compare our tables with models.
pub(crate) fn with_sqlalchemy() -> Result<PathBuf, Error> {
    let packages = [
        format!("sqlalchemy=={SQLALCHEMY}"),
        format!("alembic=={ALEMBIC}"),
        format!("psycopg[binary]=={PSYCOPG}"),
        format!("tinydb=={TINYDB}"),
        format!("sqlmodel=={SQLMODEL}"),
    ];
    let name = format!("sqlalchemy-{SQLALCHEMY}-alembic-{ALEMBIC}-tinydb-{TINYDB}-sqlmodel-{SQLMODEL}");
    Ok(ensure_environment(&name, &packages)?.join("python"))
}

/// The programs of an environment with the generators of clients, and with what the clients need.
pub(crate) fn with_client_generators() -> Result<PathBuf, Error> {
    let packages = CLIENT_GENERATORS.map(str::to_owned);
    let [whole, models, ..] = CLIENT_GENERATORS.map(|package| package.replace("==", "-"));
    ensure_environment(&format!("{whole}-{models}"), &packages)
}

/// A program that is missing is no success either.
fn succeeds(command: &mut Command) -> bool {
    command::run(command).is_ok_and(|status| status.success())
}
