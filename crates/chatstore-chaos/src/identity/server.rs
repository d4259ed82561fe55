//! Servers as processes of their own: this program again, with a hidden command.
//!
//! It serves until its input ends. On PostgreSQL every server is a process; a
//! SQLite file belongs to one process, in which several stores stand for several servers.

use std::io::Read as _;

use chatstore_bench::error::Error;
use chatstore_bench::machine;
use chatstore_sql::DatabaseKind;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::place::{Place, builder};
use crate::processes::Process;

/// Serve a database until the input ends
#[derive(Debug, clap::Args)]
pub(crate) struct IdentityServer {
    /// The database's URL
    url: String,
    /// How many stores, each with a port of its own
    stores: usize,
}

impl IdentityServer {
    /// Says where it listens, then serves.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let (ending, ended) = watch::channel(());
        let (mut ports, mut serving) = (Vec::new(), JoinSet::new());
        for _ in 0..self.stores {
            let store = builder(&self.url)?.connect().await?;
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            ports.push(listener.local_addr()?.port().to_string());
            let mut ended = ended.clone();
            let stop = async move { ended.changed().await.unwrap_or_default() };
            serving.spawn(async move {
                let served =
                    chatstore_http::serve(listener, chatstore_http::router(store.clone()), stop).await;
                store.close().await;
                served
            });
        }
        println!("{}", ports.join(" "));
        tokio::task::spawn_blocking(|| std::io::stdin().lock().read_to_end(&mut Vec::new())).await??;
        drop(ending);
        while let Some(served) = serving.join_next().await {
            served??;
        }
        Ok(())
    }
}

/// Running servers over one database.
pub(super) struct Servers {
    processes: Vec<Process>,
    ports: Vec<u16>,
}

impl Servers {
    pub(super) fn start(place: &Place, count: usize) -> Result<Self, Error> {
        let (processes, stores) = match place.kind() {
            DatabaseKind::Sqlite => (1, count),
            DatabaseKind::Postgres => (count, 1),
        };
        let mut servers = Self { processes: Vec::new(), ports: Vec::new() };
        for _ in 0..processes {
            let mut process = Process::start(&["identity-server", place.url(), &stores.to_string()])?;
            let said = process.hear()?;
            let ports: Result<Vec<u16>, _> = said.split_whitespace().map(str::parse).collect();
            match ports {
                Ok(ports) if ports.len() == stores => servers.ports.extend(ports),
                _ => return Err(format!("a server did not start: {:?}", process.failure()?).into()),
            }
            servers.processes.push(process);
        }
        Ok(servers)
    }

    pub(super) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Memory of the first process in KiB: now, and the most so far.
    pub(super) fn resident_kib(&self) -> Result<(u64, u64), Error> {
        let process = self.processes.first().ok_or("no server")?.id();
        let known = machine::resident_kib(process).zip(machine::peak_resident_kib(process));
        known.ok_or_else(|| "the system does not tell what memory a process holds".into())
    }

    /// Lets them end.
    pub(super) fn stop(self) -> Result<(), Error> {
        for process in self.processes {
            if let Some(failure) = process.failure()? {
                return Err(format!("a server failed: {failure}").into());
            }
        }
        Ok(())
    }
}
