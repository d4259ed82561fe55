//! The real server as a process: installed on a fresh database, started, stopped, killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use chatstore_sql::DatabaseKind;
use chatstore_testkit::{Program, free_port};
use tempfile::TempDir;

use crate::arguments::{Databases, ServerBinary};
use crate::client::Client;
use crate::databases::TemporaryDatabase;
use crate::error::Error;
use crate::machine;

/// How long a start may take before it counts as failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server may take to stop of its own accord.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Lines of the server's log that are shown when it fails.
const LOG_TAIL: usize = 20;

/// The user of every installation.
pub const USER: &str = "experiment";

/// Memory in KiB that a server may hold after an ordinary load.
pub const fn memory_limit_kib(kind: DatabaseKind) -> u64 {
    match kind {
        DatabaseKind::Sqlite => 100 * 1_024,
        DatabaseKind::Postgres => 40 * 1_024,
    }
}

/// Runs `work` with the program on a fresh database, which is deleted afterwards even when the work fails.
///
/// # Errors
/// When the database cannot be prepared or deleted, and those of `work`.
pub async fn with_installation<T>(
    server: &ServerBinary,
    kind: DatabaseKind,
    databases: &Databases,
    work: impl AsyncFnOnce(&Installation) -> Result<T, Error>,
) -> Result<T, Error> {
    let installation = Installation::prepare(server.path()?, kind, databases).await?;
    let done = work(&installation).await;
    installation.remove().await?;
    done
}

/// The program with a migrated database, and a user with an API key.
#[derive(Debug)]
pub struct Installation {
    program: Program,
    key: String,
    /// Where the program runs: a folder of its own, so that no configuration file lies there.
    folder: TempDir,
    /// The database, unless it existed before and stays.
    database: Option<TemporaryDatabase>,
}

impl Installation {
    async fn prepare(binary: &Path, kind: DatabaseKind, databases: &Databases) -> Result<Self, Error> {
        let database = TemporaryDatabase::create(kind, databases, "server").await?;
        let folder = databases.temporary_folder()?;
        let program = program(binary, database.url(), &folder)?;
        program.run(&["migrate", "upgrade"])?;
        program.run(&["user", "create", "--username", USER])?;
        let mut installation = Self { program, key: String::new(), folder, database: Some(database) };
        installation.key = installation.create_key(USER)?;
        Ok(installation)
    }

    /// On a database that exists already and stays; the key is that of its user `username`.
    ///
    /// # Errors
    /// When the program is missing or cannot create the key.
    pub fn over(binary: &Path, database_url: &str, username: &str, folder: TempDir) -> Result<Self, Error> {
        let program = program(binary, database_url, &folder)?;
        let mut installation = Self { program, key: String::new(), folder, database: None };
        installation.key = installation.create_key(username)?;
        Ok(installation)
    }

    /// The SQLite file of an installation with a database of its own.
    pub fn file(&self) -> Option<&Path> {
        let database = self.database.as_ref()?;
        (database.kind() == DatabaseKind::Sqlite).then(|| database.file())
    }

    /// The database, to be read beside the server.
    pub fn database_url(&self) -> &str {
        &self.program.database_url
    }

    /// The API key of the user.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Creates another user with an API key, and returns the key.
    ///
    /// # Errors
    /// When the program fails.
    pub fn create_user(&self, username: &str) -> Result<String, Error> {
        self.program.run(&["user", "create", "--username", username])?;
        self.create_key(username)
    }

    /// Creates an administrator with an API key, and returns the key.
    ///
    /// # Errors
    /// When the program fails.
    pub fn create_admin(&self, username: &str) -> Result<String, Error> {
        self.program.run(&["user", "create", "--username", username, "--role", "admin"])?;
        self.create_key(username)
    }

    /// Creates an API key for a user of the database, and returns it.
    ///
    /// # Errors
    /// When the program fails.
    pub fn create_key(&self, username: &str) -> Result<String, Error> {
        Ok(self.program.run(&["key", "create", "--user", username])?)
    }

    /// Further settings, as lines of `.env`, for servers that are started from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_settings(&self, lines: &str) -> Result<(), Error> {
        Ok(fs::write(self.folder.path().join(".env"), lines)?)
    }

    /// Deletes the database.
    async fn remove(self) -> Result<(), Error> {
        match self.database {
            Some(database) => database.remove().await,
            None => Ok(()),
        }
    }

    /// Starts the server on a free port; returns when it answers.
    ///
    /// # Errors
    /// When it ends or does not answer in time.
    pub async fn start(&self) -> Result<Server, Error> {
        let port = free_port()?;
        let client = Client::new(port, &self.key)?;
        let log = self.folder.path().join(format!("server-{port}.log"));
        let begun = Instant::now();
        let child = self.program.serve(port, &log)?;
        let mut server = Server { child, port, client, log: log.clone(), ready_after: Duration::ZERO };
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
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    client: Client,
    log: PathBuf,
    ready_after: Duration,
}

impl Server {
    /// A client with the user's key.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where it listens, on the loopback interface.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How many files and connections the process has open, where the system tells.
    pub fn descriptors(&self) -> Option<usize> {
        Some(fs::read_dir(format!("/proc/{}/fd", self.child.id())).ok()?.count())
    }

    /// How long it took from the start of the process to the first answer.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Memory of the process in KiB, where the system tells.
    pub fn resident_kib(&self) -> Option<u64> {
        machine::resident_kib(self.child.id())
    }

    /// Ends it without a chance to do anything more.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(mut self) -> Result<(), Error> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    /// When it is still running after 10 seconds.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.ask_to_stop()?;
        self.ended(STOP_TIMEOUT).await.map(drop)
    }

    /// Sends it SIGTERM.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn ask_to_stop(&self) -> Result<(), Error> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        if asked.success() { Ok(()) } else { Err("the server could not be asked to stop".into()) }
    }

    /// Waits for its end, and says how it ended.
    ///
    /// # Errors
    /// When it is still running after this time.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus, Error> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
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
fn program(binary: &Path, database_url: &str, folder: &TempDir) -> Result<Program, Error> {
    let path = fs::canonicalize(binary)
        .map_err(|error| format!("there is no server at {}: {error}", binary.display()))?;
    Ok(Program { path, folder: folder.path().to_owned(), database_url: database_url.to_owned() })
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}
