//! Callers that send requests built beforehand, each over a connection of its own.

use std::sync::Arc;

use crate::drive::{Caller, Kind};
use crate::error::Error;
use crate::random::Random;
use crate::wire::{self, Connection};

/// Messages of the newest page.
pub const NEWEST: usize = 50;

/// A request, and how it is answered when all is well.
#[derive(Debug)]
pub struct Prepared {
    bytes: Vec<u8>,
    expected: u16,
    kind: Kind,
}

impl Prepared {
    /// A message, or a batch of them, appended by the user with this key.
    pub fn append(conversation: &str, key: &str, body: &str) -> Self {
        let bytes = wire::post(&messages(conversation), key, body);
        Self { bytes, expected: 201, kind: Kind::Write }
    }

    /// The newest messages.
    pub fn newest(conversation: &str, key: &str) -> Self {
        Self::get(&format!("{}?limit={NEWEST}&order=desc", messages(conversation)), key)
    }

    /// What is at a path, for the caller with this key.
    pub fn get(path: &str, key: &str) -> Self {
        Self { bytes: wire::get(path, key), expected: 200, kind: Kind::Read }
    }

    /// The least that the server can be asked.
    pub fn health() -> Self {
        let bytes = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
        Self { bytes, expected: 200, kind: Kind::Read }
    }

    /// What is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn messages(conversation: &str) -> String {
    format!("/api/v1/conversations/{conversation}/messages")
}

/// Sends one request after the other, chosen at random.
#[derive(Debug)]
pub struct WireCaller {
    connection: Connection,
    requests: Arc<Vec<Prepared>>,
    random: Random,
}

impl WireCaller {
    /// Several of them, connected.
    pub async fn many(
        count: usize,
        port: u16,
        seed: u64,
        requests: &Arc<Vec<Prepared>>,
    ) -> Result<Vec<Self>, Error> {
        let mut callers = Vec::with_capacity(count);
        for number in 0..count {
            let (connection, random) =
                (Connection::open(port).await?, Random::new(seed.wrapping_add(number as u64)));
            callers.push(Self { connection, requests: Arc::clone(requests), random });
        }
        Ok(callers)
    }
}

impl Caller for WireCaller {
    async fn run(&mut self) -> Result<Kind, Error> {
        let request = &self.requests[self.random.below(self.requests.len())];
        let status = self.connection.exchange(&request.bytes).await?.status();
        if status != request.expected {
            return Err(format!("the server answered {status} instead of {}", request.expected).into());
        }
        Ok(request.kind)
    }
}
