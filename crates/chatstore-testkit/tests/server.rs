//! What callers of a private PostgreSQL server may rely on. Needs PostgreSQL's programs, or the right to install them.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chatstore_testkit::server::{PostgresServer, ServerError, Settings, ensure_postgres_installed};

fn start() -> Result<PostgresServer, ServerError> {
    ensure_postgres_installed()?;
    PostgresServer::start(Settings { durable: false })
}

fn accepts_connections(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn directory_of(data_dir: &Path) -> PathBuf {
    data_dir.parent().map(Path::to_path_buf).unwrap_or_default()
}

fn becomes_true(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    condition()
}

#[test]
fn two_servers_run_at_once_on_different_ports() {
    let first = start().unwrap();
    let second = start().unwrap();

    assert_ne!(first.port(), second.port());
    assert_ne!(first.data_dir(), second.data_dir());
    assert!(accepts_connections(first.port()));
    assert!(accepts_connections(second.port()));
}

#[test]
fn a_dropped_server_refuses_connections_and_its_directory_is_gone() {
    let server = start().unwrap();
    let port = server.port();
    let directory = directory_of(&server.data_dir());
    assert!(directory.join("data").is_dir());

    drop(server);

    assert!(!accepts_connections(port));
    assert!(!directory.exists());
}

#[test]
fn a_durable_server_waits_for_the_disk_and_a_test_server_does_not() {
    for durable in [true, false] {
        ensure_postgres_installed().unwrap();
        let server = PostgresServer::start(Settings { durable }).unwrap();

        let setting = Command::new(server.bin_dir().join("postgres"))
            .args(["-C", "fsync", "-D"])
            .arg(server.data_dir())
            .output()
            .unwrap();

        assert_eq!(String::from_utf8_lossy(&setting.stdout).trim(), if durable { "on" } else { "off" });
    }
}

#[test]
fn a_server_ends_and_its_directory_goes_when_its_owner_is_killed() {
    ensure_postgres_installed().unwrap();
    let mut owner = Command::new(env!("CARGO_BIN_EXE_private-postgres"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    let directory = directory_of(Path::new(&lines.next().unwrap().unwrap()));
    let port = url.rsplit(':').next().unwrap().trim_end_matches("/postgres").parse().unwrap();
    assert!(accepts_connections(port));
    assert!(directory.exists());

    owner.kill().unwrap();
    owner.wait().unwrap();

    assert!(becomes_true(|| !directory.exists()));
    assert!(!accepts_connections(port));
}
