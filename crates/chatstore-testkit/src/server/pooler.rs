//! A private PgBouncer in front of a private server.

use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::{fs, thread, time};

use super::account::Account;
use super::directory::{create_private, write_owned};
use super::error::ServerError;
use super::{apt, free_port};

const PREFIX: &str = "chatstore-pgbouncer-";
const PROGRAM: &str = "pgbouncer";
const DEBIAN_PROGRAM: &str = "/usr/sbin/pgbouncer";

/// Ends the pooler when its owner ends, however that comes about. Arguments: the program, its directory.
const GUARD: &str = r#"
"$1" -q "$2/pgbouncer.ini" < /dev/null & pooler=$!
cat > /dev/null
kill -TERM "$pooler"
wait "$pooler"
rm -rf -- "$2"
"#;

/// How often the pooler is asked whether it accepts connections, a hundredth of a second apart.
const START_ATTEMPTS: u32 = 1_000;

/// How a pooler treats session settings that a client sends when it connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartupOptions {
    /// Refuses the client: the default.
    Refused,
    /// Takes no notice of them.
    Ignored,
}

/// A running PgBouncer in transaction mode. Dropping it stops it.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    directory: PathBuf,
    guard: Child,
}

/// Finds PgBouncer; installs it first when it is missing and that is possible, as
/// [`ensure_postgres_installed`](super::ensure_postgres_installed) does.
///
/// # Errors
/// [`ServerError::NoPooler`] where it may not install, [`ServerError::Failed`] when `apt-get` fails.
pub fn ensure_pooler_installed() -> Result<PathBuf, ServerError> {
    if let Some(program) = find_pooler() {
        return Ok(program);
    }
    if !apt::can_install()? {
        return Err(ServerError::NoPooler);
    }
    apt::install("PgBouncer", PROGRAM)?;
    find_pooler().ok_or(ServerError::NoPooler)
}

fn find_pooler() -> Option<PathBuf> {
    let path = apt::path_variable();
    let on_path = std::env::split_paths(&path).map(|directory| directory.join(PROGRAM));
    on_path.chain([PathBuf::from(DEBIAN_PROGRAM)]).find(|program| program.is_file())
}

impl Pooler {
    /// Starts a pooler in front of the server on a port of the loopback interface, with this many connections to
    /// it for each user and database.
    ///
    /// # Errors
    /// [`ServerError::NoPooler`] without the program, [`ServerError::Failed`] when it does not start.
    pub fn start(
        server_port: u16,
        user: &str,
        password: &str,
        connections: usize,
        options: StartupOptions,
    ) -> Result<Self, ServerError> {
        let program = ensure_pooler_installed()?;
        let account = Account::for_server()?;
        let directory = create_private(&std::env::temp_dir(), PREFIX, account)?;
        let port = free_port()?;
        let ignored = if options == StartupOptions::Ignored { ", options" } else { "" };
        let users = directory.join("users.txt");
        write_owned(&users, &format!("\"{user}\" \"{password}\"\n"), account)?;
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 1000\n\
             ignore_startup_parameters = extra_float_digits{ignored}\n",
            users.display()
        );
        write_owned(&directory.join("pgbouncer.ini"), &settings, account)?;
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "chatstore-pgbouncer-guard"]).arg(&program).arg(&directory);
        command.uid(account.user).gid(account.group).process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = command.spawn().map_err(ServerError::run(&command))?;
        let pooler = Self { port, directory, guard };
        for _ in 0..START_ATTEMPTS {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(pooler);
            }
            thread::sleep(time::Duration::from_millis(10));
        }
        Err(ServerError::Failed {
            program,
            output: "it accepts no connections".to_owned(),
            log: String::new(),
        })
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // What the guard could not delete is in the directory for temporary files.
        let _ = self.guard.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
