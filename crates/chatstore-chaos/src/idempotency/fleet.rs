//! One or several servers on one database, any of which may be killed and started again.

use std::sync::{Arc, Mutex, PoisonError};

use chatstore_bench::client::Client;
use chatstore_bench::error::Error;
use chatstore_bench::random::Random;
use chatstore_bench::server::{Installation, Server};

/// Where the servers listen at the moment; they get a new port with every start.
#[derive(Debug, Clone)]
pub(super) struct Ports(Arc<Mutex<Vec<u16>>>);

/// The servers.
pub(super) struct Fleet<'i> {
    installation: &'i Installation,
    servers: Vec<Server>,
    count: usize,
    ports: Ports,
}

impl Ports {
    /// The port of one of them.
    pub(super) fn pick(&self, random: &mut Random) -> u16 {
        let ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ports[random.below(ports.len())]
    }

    /// Creates a conversation on the first server.
    pub(super) async fn create_conversation(&self, key: &str) -> Result<String, Error> {
        let port = self.pick(&mut Random::new(0));
        Client::new(port, key)?.create_conversation().await
    }

    fn set(&self, servers: &[Server]) {
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *ports = servers.iter().map(Server::port).collect();
    }
}

impl<'i> Fleet<'i> {
    pub(super) async fn start(installation: &'i Installation, count: usize) -> Result<Self, Error> {
        let ports = Ports(Arc::default());
        let mut fleet = Self { installation, servers: Vec::new(), count, ports };
        fleet.resume().await?;
        Ok(fleet)
    }

    pub(super) const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Kills one without warning and starts it again. Its old address stands until then, so that requests meet a
    /// server that is gone.
    pub(super) async fn kill_one(&mut self, random: &mut Random) -> Result<(), Error> {
        let victim = self.servers.swap_remove(random.below(self.servers.len()));
        victim.kill()?;
        self.servers.push(self.installation.start().await?);
        self.ports.set(&self.servers);
        Ok(())
    }

    /// Stops all of them in an orderly way.
    pub(super) async fn pause(&mut self) -> Result<(), Error> {
        for server in self.servers.drain(..) {
            server.stop().await?;
        }
        Ok(())
    }

    /// Starts those that are missing.
    pub(super) async fn resume(&mut self) -> Result<(), Error> {
        while self.servers.len() < self.count {
            self.servers.push(self.installation.start().await?);
        }
        self.ports.set(&self.servers);
        Ok(())
    }
}
