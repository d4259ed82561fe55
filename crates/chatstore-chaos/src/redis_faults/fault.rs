//! What Redis can suffer.

use std::process::Command;

use chatstore_bench::error::Error;
use chatstore_testkit::free_port;
use chatstore_testkit::server::RedisServer;

use super::proxy::{Answers, Proxy};

/// What Redis can suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// There is none when the server starts.
    Absent,
    /// It is gone, and back without what it knew.
    Killed,
    /// It answers nothing, and later everything.
    Frozen,
    /// It answers what no Redis answers.
    Garbage,
    /// It has no memory left and evicts nothing.
    Full,
    /// Each answer is two seconds late.
    Slow,
}

impl Fault {
    pub(super) const ALL: [Self; 6] =
        [Self::Absent, Self::Killed, Self::Frozen, Self::Garbage, Self::Full, Self::Slow];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Killed => "killed",
            Self::Frozen => "frozen",
            Self::Garbage => "garbage",
            Self::Full => "full",
            Self::Slow => "slow",
        }
    }
}

/// A Redis behind a proxy.
pub(super) struct Redis {
    port: u16,
    server: Option<RedisServer>,
    proxy: Proxy,
}

impl Redis {
    pub(super) async fn start() -> Result<Self, Error> {
        let port = free_port()?;
        let server = Some(RedisServer::start_with(port, &[])?);
        Ok(Self { port, server, proxy: Proxy::start(port).await? })
    }

    /// Where the servers reach it.
    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.proxy.port())
    }

    pub(super) fn begin(&mut self, fault: Fault) -> Result<(), Error> {
        match fault {
            Fault::Absent | Fault::Killed => self.server = None,
            Fault::Frozen => self.signal("-STOP")?,
            Fault::Garbage => self.proxy.set(Answers::Garbage),
            Fault::Full => self.configure("1")?,
            Fault::Slow => self.proxy.set(Answers::Slow),
        }
        Ok(())
    }

    pub(super) fn end(&mut self, fault: Fault) -> Result<(), Error> {
        match fault {
            Fault::Absent | Fault::Killed => self.server = Some(RedisServer::start_with(self.port, &[])?),
            Fault::Frozen => self.signal("-CONT")?,
            Fault::Garbage | Fault::Slow => self.proxy.set(Answers::Passed),
            Fault::Full => self.configure("0")?,
        }
        Ok(())
    }

    fn signal(&self, name: &str) -> Result<(), Error> {
        let server = self.server.as_ref().ok_or("there is no Redis to be sent a signal")?;
        let status = Command::new("kill").args([name, &server.process_id()?.to_string()]).status()?;
        if status.success() { Ok(()) } else { Err("Redis took no signal".into()) }
    }

    /// Sets how many bytes it may use; any number for 0.
    fn configure(&self, bytes: &str) -> Result<(), Error> {
        use std::io::{Read as _, Write as _};

        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(format!("CONFIG SET maxmemory {bytes}\r\n").as_bytes())?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer)?;
        if &answer == b"+OK\r\n" { Ok(()) } else { Err("Redis took no setting".into()) }
    }
}
