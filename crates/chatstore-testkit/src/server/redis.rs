//! A private Redis.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, thread, time};

use super::account::Account;
use super::directory::create_private;
use super::error::ServerError;
use super::{apt, free_port};

const PREFIX: &str = "chatstore-redis-";
const PROGRAM: &str = "redis-server";

/// Ends the server when its owner ends, however that comes about. Arguments: its directory, then the program with its
/// arguments. A server frozen by an experiment has to go on to be able to end.
const GUARD: &str = r#"
directory="$1"; shift
"$@" < /dev/null & server=$!
echo "$server" > "$directory/pid.new" && mv "$directory/pid.new" "$directory/pid"
cat > /dev/null
kill -CONT "$server"
kill -KILL "$server"
wait "$server"
rm -rf -- "$directory"
"#;

/// How often the server is asked whether it answers, a hundredth of a second apart.
const START_ATTEMPTS: u32 = 1_000;

/// A running Redis that keeps nothing on disk. Dropping it stops it.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    directory: PathBuf,
    guard: Child,
}

/// Finds Redis; installs it first when it is missing and that is possible, as
/// [`ensure_postgres_installed`](super::ensure_postgres_installed) does.
///
/// # Errors
/// [`ServerError::NoRedis`] where it may not install, [`ServerError::Failed`] when `apt-get` fails.
pub fn ensure_redis_installed() -> Result<PathBuf, ServerError> {
    if let Some(program) = find_redis() {
        return Ok(program);
    }
    if !apt::can_install()? {
        return Err(ServerError::NoRedis);
    }
    apt::install("Redis", PROGRAM)?;
    find_redis().ok_or(ServerError::NoRedis)
}

fn find_redis() -> Option<PathBuf> {
    let path = apt::path_variable();
    std::env::split_paths(&path).map(|directory| directory.join(PROGRAM)).find(|program| program.is_file())
}

impl RedisServer {
    /// Starts a server on a free port of the loopback interface; returns when it answers.
    ///
    /// # Errors
    /// [`ServerError::NoRedis`] without the program, [`ServerError::Failed`] when it does not start.
    pub fn start() -> Result<Self, ServerError> {
        Self::start_with(free_port()?, &[])
    }

    /// Starts a server on this port, with further arguments such as `["--maxmemory", "1mb"]`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(port: u16, arguments: &[&str]) -> Result<Self, ServerError> {
        let program = ensure_redis_installed()?;
        let account = Account::for_server()?;
        let directory = create_private(&std::env::temp_dir(), PREFIX, account)?;
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "chatstore-redis-guard"]).arg(&directory).arg(&program);
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.arg("--dir").arg(&directory).args(arguments);
        command.uid(account.user).gid(account.group).process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = command.spawn().map_err(ServerError::run(&command))?;
        let server = Self { port, directory, guard };
        for _ in 0..START_ATTEMPTS {
            if server.answers() {
                return Ok(server);
            }
            thread::sleep(time::Duration::from_millis(10));
        }
        Err(ServerError::Failed { program, output: "it does not answer".to_owned(), log: String::new() })
    }

    /// The address of the first of its databases.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The id of the server's process.
    ///
    /// # Errors
    /// [`ServerError::Files`] when the file that says so cannot be read.
    pub fn process_id(&self) -> Result<u32, ServerError> {
        let file = self.directory.join("pid");
        let text = fs::read_to_string(&file).map_err(ServerError::files("read", &file))?;
        Ok(text.trim().parse().unwrap_or_default())
    }

    fn answers(&self) -> bool {
        is_answered(self.port).unwrap_or(false) && Path::new(&self.directory.join("pid")).exists()
    }
}

fn is_answered(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(time::Duration::from_secs(1)))?;
    stream.write_all(b"PING\r\n")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("+PONG"))
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // What the guard could not delete is in the directory for temporary files.
        let _ = self.guard.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
