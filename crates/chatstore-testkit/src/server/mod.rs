//! A private PostgreSQL server: on a free port of the loopback interface, in a temporary directory, gone with the
//! process that started it.
//!
//! [`PostgresServer::start`] is all a caller needs where PostgreSQL is installed; [`ensure_postgres_installed`]
//! comes before it where it may not be. PostgreSQL refuses to run as root, so a root process runs the server as the
//! user `postgres`, or `nobody` where there is no such user.
//!
//! A server that outlives its tests would fill a developer's machine, so three things end it: dropping the value; a
//! guard process that waits for the end of this process, however that comes about; and the next start, which
//! removes what is left when the guard was killed as well.

mod account;
pub mod apt;
mod directory;
mod error;
mod install;
mod pooler;
mod redis;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use directory::ServerDirectory;
pub use error::ServerError;
pub use install::{ensure_postgres_installed, find_postgres};
pub use pooler::{Pooler, StartupOptions, ensure_pooler_installed};
pub use redis::{RedisServer, ensure_redis_installed};

/// The superuser of a private server.
pub const USER: &str = "chatstore";
const LOG_TAIL_LINES: usize = 20;
const PORT_ATTEMPTS: usize = 5;

/// What a private server is for.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `true` keeps PostgreSQL's defaults, under which a commit survives a power loss: for benchmarks. `false` never
    /// waits for the disk: for tests.
    pub durable: bool,
}

/// A running private server. Dropping it stops the server and deletes its directory.
pub struct PostgresServer {
    directory: ServerDirectory,
    port: u16,
    password: String,
}

impl PostgresServer {
    /// Creates a new database cluster and starts a server on it; returns when it accepts connections.
    ///
    /// Also removes what killed processes of this user left behind.
    ///
    /// # Errors
    /// [`ServerError::NotInstalled`] without binaries, [`ServerError::NoAccount`] for root on a system without a user
    /// to run the server as, [`ServerError::Failed`] with the end of the server's log when it does not start.
    pub fn start(settings: Settings) -> Result<Self, ServerError> {
        Self::start_on(settings, free_port)
    }

    fn start_on(
        settings: Settings,
        choose_port: impl FnMut() -> Result<u16, ServerError>,
    ) -> Result<Self, ServerError> {
        let bin_dir = find_postgres().ok_or(ServerError::NotInstalled)?;
        let parent = std::env::temp_dir();
        directory::sweep(&parent, &bin_dir);
        let directory = ServerDirectory::create(&parent, bin_dir)?;
        let password = random_password()?;
        create_cluster(&directory, &password, settings)?;
        let port = start_on_free_port(&directory, choose_port)?;
        Ok(Self { directory, port, password })
    }

    /// A copy of this server that replays what is written to it, on a free port; it takes the same password. A server that
    /// never waits for the disk.
    ///
    /// # Errors
    /// [`ServerError::Failed`] when it cannot be copied or the copy does not start.
    pub fn start_standby(&self) -> Result<Self, ServerError> {
        // What is committed is on its way to standbys, also where the server does not wait for its own disk.
        self.psql("alter system set synchronous_commit = on")?;
        self.psql("select pg_reload_conf()")?;
        let directory = ServerDirectory::create(&std::env::temp_dir(), self.bin_dir().to_owned())?;
        let mut copy = directory.command("pg_basebackup");
        copy.args([
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-sync",
            "--dbname",
        ]);
        copy.arg(self.url()).arg("--pgdata").arg(directory.data());
        let output = error::run(&mut copy)?;
        if !output.status.success() {
            return Err(ServerError::failed(&copy, &output, String::new()));
        }
        append_configuration(&directory, Settings { durable: false })?;
        let port = start_on_free_port(&directory, free_port)?;
        Ok(Self { directory, port, password: self.password.clone() })
    }

    /// Stops the server as a crash does; [`revive`](Self::revive) starts it again.
    ///
    /// # Errors
    /// [`ServerError::Failed`] when it does not stop.
    pub fn crash(&self) -> Result<(), ServerError> {
        self.control(&["stop", "--mode", "immediate"])
    }

    /// Starts the server again on its port.
    ///
    /// # Errors
    /// [`ServerError::Failed`] when it does not start.
    pub fn revive(&self) -> Result<(), ServerError> {
        self.control(&["start", "--options", &format!("-p {}", self.port)])
    }

    /// What `psql` prints for a statement that the superuser runs.
    ///
    /// # Errors
    /// [`ServerError::Failed`] with what the server says about the statement.
    pub fn psql(&self, sql: &str) -> Result<String, ServerError> {
        let mut psql = self.directory.command("psql");
        psql.args(["-XAtq", "--dbname"]).arg(self.url()).arg("--command").arg(sql);
        let output = error::run(&mut psql)?;
        if !output.status.success() {
            return Err(ServerError::failed(&psql, &output, String::new()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Stops the server from doing anything, as a machine that hangs, until [`thaw`](Self::thaw).
    ///
    /// # Errors
    /// [`ServerError::Failed`] when it cannot be told so.
    pub fn freeze(&self) -> Result<(), ServerError> {
        self.signal("STOP")
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// [`ServerError::Failed`] when it cannot be told so.
    pub fn thaw(&self) -> Result<(), ServerError> {
        self.signal("CONT")
    }

    /// Sends a signal to the server and all of its processes.
    fn signal(&self, name: &str) -> Result<(), ServerError> {
        let mut script = self.script(&format!(
            "server=$(head -n 1 data/postmaster.pid); kill -{name} $server; pkill -{name} -P $server || true"
        ));
        let output = error::run(&mut script)?;
        if output.status.success() {
            Ok(())
        } else {
            Err(ServerError::failed(&script, &output, String::new()))
        }
    }

    fn control(&self, arguments: &[&str]) -> Result<(), ServerError> {
        let output = pg_ctl(&self.directory, arguments)?;
        if output.status.success() { Ok(()) } else { Err(start_failure(&self.directory, &output)) }
    }

    /// The address of the server's `postgres` database, for its superuser. Contains the password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://{USER}:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    /// The password of the superuser.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the programs of this PostgreSQL are, `pgbench` among them.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        self.directory.bin_dir()
    }

    /// A shell script, to be run as the user of the server, in the directory that is deleted with it.
    #[must_use]
    pub fn script(&self, text: &str) -> Command {
        self.directory.script(text)
    }

    /// The data directory; the server's log is `server.log` beside it.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory.data()
    }

    /// Stops the server and deletes its directory, as dropping it does, but says when that failed.
    ///
    /// # Errors
    /// [`ServerError::Files`] when the directory cannot be deleted, [`ServerError::Run`] when the guard cannot be run.
    pub fn stop(mut self) -> Result<(), ServerError> {
        self.directory.close()
    }
}

/// The server's URL with another database's name.
#[must_use]
pub fn database_url(server: &str, name: &str) -> String {
    let (rest, parameters) = server.split_once('?').unwrap_or((server, ""));
    let host = rest.rsplit_once('/').map_or(rest, |(host, _)| host);
    let parameters = if parameters.is_empty() { String::new() } else { format!("?{parameters}") };
    format!("{host}/{name}{parameters}")
}

fn create_cluster(
    directory: &ServerDirectory,
    password: &str,
    settings: Settings,
) -> Result<(), ServerError> {
    let password_file = directory.write_file("password", password)?;
    let mut initdb = directory.command("initdb");
    initdb.args(["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--username", USER]);
    initdb.arg("--pwfile").arg(&password_file).arg("--pgdata").arg(directory.data());
    if !settings.durable {
        initdb.arg("--no-sync");
    }
    let output = error::run(&mut initdb)?;
    fs::remove_file(&password_file).map_err(ServerError::files("delete", &password_file))?;
    if !output.status.success() {
        return Err(ServerError::failed(&initdb, &output, String::new()));
    }

    append_configuration(directory, settings)
}

fn append_configuration(directory: &ServerDirectory, settings: Settings) -> Result<(), ServerError> {
    let configuration = directory.data().join("postgresql.conf");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&configuration)
        .map_err(ServerError::files("open", &configuration))?;
    file.write_all(configuration_of(directory, settings).as_bytes())
        .map_err(ServerError::files("write", &configuration))
}

fn configuration_of(directory: &ServerDirectory, settings: Settings) -> String {
    let socket_directory = directory.data().display().to_string().replace('\'', "''");
    let common = format!(
        "
listen_addresses = '127.0.0.1'
unix_socket_directories = '{socket_directory}'
max_connections = 300
"
    );
    let purpose = if settings.durable {
        "shared_buffers = 256MB\n"
    } else {
        "shared_buffers = 128MB\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
    };
    common + purpose
}

fn start_on_free_port(
    directory: &ServerDirectory,
    mut choose_port: impl FnMut() -> Result<u16, ServerError>,
) -> Result<u16, ServerError> {
    let mut attempt = 1;
    loop {
        let port = choose_port()?;
        let output = pg_ctl(directory, &["start", "--options", &format!("-p {port}")])?;
        if output.status.success() {
            return Ok(port);
        }
        let failure = start_failure(directory, &output);
        let port_was_taken = failure.to_string().contains("Address already in use");
        if !port_was_taken || attempt == PORT_ATTEMPTS {
            return Err(failure);
        }
        let log = directory.log();
        fs::remove_file(&log).map_err(ServerError::files("delete", &log))?;
        attempt += 1;
    }
}

fn pg_ctl(directory: &ServerDirectory, arguments: &[&str]) -> Result<Output, ServerError> {
    let mut command = directory.command("pg_ctl");
    command.args(arguments).arg("--wait").arg("--pgdata").arg(directory.data());
    command.arg("--log").arg(directory.log());
    error::run(&mut command)
}

fn start_failure(directory: &ServerDirectory, output: &Output) -> ServerError {
    let log = fs::read(directory.log()).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
    ServerError::failed(&directory.command("pg_ctl"), output, tail)
}

/// The port may be taken again before the server binds it: the caller tries several.
fn free_port() -> Result<u16, ServerError> {
    let address = "127.0.0.1:0";
    let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    Ok(bound.map_err(ServerError::files("bind", Path::new(address)))?.port())
}

fn random_password() -> Result<String, ServerError> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(ServerError::files("read", source))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_taken_in_the_meantime_is_replaced_by_another() {
        ensure_postgres_installed().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken_port = taken.local_addr().unwrap().port();
        let mut ports = [taken_port, free_port().unwrap()].into_iter();

        let server =
            PostgresServer::start_on(Settings { durable: false }, || Ok(ports.next().unwrap())).unwrap();

        assert_ne!(server.port(), taken_port);
    }

    #[test]
    fn a_server_that_cannot_start_says_so_with_the_end_of_its_log() {
        ensure_postgres_installed().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken_port = taken.local_addr().unwrap().port();

        let failure = PostgresServer::start_on(Settings { durable: false }, || Ok(taken_port)).err().unwrap();

        let message = failure.to_string();
        assert!(message.contains("could not bind IPv4 address \"127.0.0.1\""), "{message}");
    }

    #[test]
    fn a_url_keeps_everything_but_the_database() {
        let server = "postgresql://ada:secret@localhost:5432/postgres?connect_timeout=3";
        let url = database_url(server, "bench");
        assert_eq!(url, "postgresql://ada:secret@localhost:5432/bench?connect_timeout=3");
    }
}
