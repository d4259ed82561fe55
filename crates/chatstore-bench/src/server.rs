//! The real server as a process: installed on a fresh database, started, stopped, killed.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chatstore_sql::DatabaseKind;
use tempfile::TempDir;

use crate::client::Client;
use crate::places::{PostgresPlace, url};
use crate::{Failure, Postgres, machine};

/// How long a start may take before it counts as failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server may take to stop of its own accord.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Lines of the server's log that are shown when it fails.
const LOG_TAIL: usize = 20;

/// The SQLite file of an installation.
const FILE: &str = "server.db";

/// What tokens are signed with, which a server on PostgreSQL has to be told.
const TOKEN_KEY: &str = "bdb+t4ym4+/NJrOjT4PNQ4F0IbwK0X5Mks/IttktZng=";

/// The user of every installation.
pub(crate) const USER: &str = "experiment";

/// The program with a migrated database, one user and a key of his.
#[derive(Debug)]
pub(crate) struct Installation {
    binary: PathBuf,
    kind: DatabaseKind,
    database_url: String,
    key: String,
    place: Option<PostgresPlace>,
    folder: TempDir,
}

impl Installation {
    /// Makes the database and what a client needs. The program runs in a folder of its own, so that no configuration
    /// file lies there.
    pub(crate) async fn prepare(
        binary: &Path,
        kind: DatabaseKind,
        postgres: &Postgres,
        parent: &Path,
    ) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("chatstore-bench-").tempdir_in(parent)?;
        let place = match kind {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => Some(PostgresPlace::create(postgres.url()?, "server").await?),
        };
        let file = folder.path().join(FILE);
        let database_url = place.as_ref().map_or_else(|| url(&file), |place| place.url().to_owned());
        let binary = found(binary)?;
        let mut installation = Self { binary, kind, database_url, key: String::new(), place, folder };
        installation.run(&["migrate", "upgrade"])?;
        installation.run(&["user", "create", "--username", USER])?;
        installation.key = installation.create_key(USER)?;
        Ok(installation)
    }

    /// On a database that is there already and stays; the key is that of `username`, who is in it.
    pub(crate) fn over(
        binary: &Path,
        kind: DatabaseKind,
        database_url: &str,
        username: &str,
        parent: &Path,
    ) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("chatstore-bench-").tempdir_in(parent)?;
        let (binary, database_url) = (found(binary)?, database_url.to_owned());
        let mut installation = Self { binary, kind, database_url, key: String::new(), place: None, folder };
        installation.key = installation.create_key(username)?;
        Ok(installation)
    }

    /// Where files of the experiment may be put.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The SQLite file.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self.kind {
            DatabaseKind::Sqlite => Some(self.folder.path().join(FILE)),
            DatabaseKind::Postgres => None,
        }
    }

    /// The database, for whoever reads it beside the server.
    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The API key of the user.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Gives a user of the database a key, and returns it.
    pub(crate) fn create_key(&self, username: &str) -> Result<String, Failure> {
        self.run(&["key", "create", "--user", username])
    }

    /// Deletes the database.
    pub(crate) async fn remove(self) -> Result<(), Failure> {
        match self.place {
            Some(place) => place.remove().await,
            None => Ok(()),
        }
    }

    /// Starts the server on a free port; returns when it answers.
    pub(crate) async fn start(&self) -> Result<Server, Failure> {
        let port = free_port()?;
        let client = Client::new(port, &self.key)?;
        let log = self.folder.path().join(format!("server-{port}.log"));
        let output = File::create(&log)?;
        let mut command = self.command(&["serve", "--bind", &format!("127.0.0.1:{port}")]);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let begun = Instant::now();
        let child = command.spawn()?;
        let mut server = Server { child, port, client, ready_after: Duration::ZERO };
        loop {
            if server.client.is_healthy().await {
                server.ready_after = begun.elapsed();
                return Ok(server);
            }
            let ended = server.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > START_TIMEOUT {
                return Err(format!("the server did not start:\n{}", tail(&log)).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Runs a command of the program to its end and returns what it prints.
    fn run(&self, arguments: &[&str]) -> Result<String, Failure> {
        let output = self.command(arguments).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(format!("{arguments:?} failed: {message}").into());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(self.folder.path());
        command.env("DATABASE_URL", &self.database_url).env("CHATSTORE_TOKEN_KEY", TOKEN_KEY);
        command
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    client: Client,
    ready_after: Duration,
}

impl Server {
    /// A client with the user's key.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Where it listens, on the loopback interface.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// How many files and connections the process has open, where the system tells.
    pub(crate) fn descriptors(&self) -> Option<usize> {
        Some(fs::read_dir(format!("/proc/{}/fd", self.child.id())).ok()?.count())
    }

    /// How long it took from the start of the process to the first answer.
    pub(crate) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Memory of the process in KiB, where the system tells.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        machine::resident_kib(self.child.id())
    }

    /// Ends it without a chance to do anything more.
    pub(crate) fn kill(mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits for that.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let begun = Instant::now();
        while asked.success() && begun.elapsed() < STOP_TIMEOUT {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err("the server did not stop when asked to".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already in the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program by a path that holds in every folder.
fn found(binary: &Path) -> Result<PathBuf, Failure> {
    fs::canonicalize(binary)
        .map_err(|error| format!("there is no server at {}: {error}", binary.display()).into())
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}
