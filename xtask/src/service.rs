//! A server on an empty database, with a user's key and a service key.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use chatstore_testkit::{Program, free_port};

use crate::command::{self, Error};

const USER: &str = "ada";

const START_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server; killed when dropped.
pub(crate) struct Service {
    child: Child,
    port: u16,
    key: String,
    service_key: String,
}

/// Builds the server: the debug build, which stops at an overflow, with the dependencies that the tests have too, so that
/// these are compiled once.
pub(crate) fn build() -> Result<bool, Error> {
    let mut cargo = command::cargo();
    cargo.args(["test", "--workspace", "--locked", "--no-run", "--test", "command_line"]);
    Ok(command::run(&mut cargo)?.success())
}

impl Service {
    /// Migrates the empty database, creates a user with a key and a service key, and starts the server in
    /// `folder`, where its log is.
    pub(crate) fn start(folder: &Path, database_url: &str) -> Result<Self, Error> {
        let path = command::binary("debug", "chatstore");
        let program = Program { path, folder: folder.to_owned(), database_url: database_url.to_owned() };
        program.run(&["migrate", "upgrade"])?;
        program.run(&["user", "create", "--username", USER])?;
        let key = program.run(&["key", "create", "--user", USER])?;
        let service_key = program.run(&["key", "create", "--service"])?;
        let port = free_port()?;
        let log = folder.join("server.log");
        let child = program.serve(port, &log)?;
        let mut service = Self { child, port, key, service_key };
        let begun = Instant::now();
        while !service.answers("/healthz", &service.key) {
            if service.child.try_wait()?.is_some() || begun.elapsed() > START_TIMEOUT {
                let log = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("the server did not start:\n{log}").into());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(service)
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn service_key(&self) -> &str {
        &self.service_key
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Whether GET with a key is answered with 200.
    pub(crate) fn answers(&self, path: &str, key: &str) -> bool {
        self.status(path, key).is_ok_and(|status| status == 200)
    }

    fn status(&self, path: &str, key: &str) -> Result<u16, Error> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let port = self.port;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n\
             Connection: close\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok(status.ok_or("no HTTP answer")?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
