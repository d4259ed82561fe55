//! How many connections a server has.

use std::time::Duration;

use super::counts::ConnectionCounts;
use crate::client::TrustedProxies;

/// Connections beyond the limit, each for one request: a client that only asks for health is answered also when
/// all others are busy.
const RESERVE: usize = 256;

/// How many connections there may be, and how long they stay.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Connections at the same time; 8,192 by default. When there are more, those without a request are closed, of
    /// the address with the most the longest unused first; when all have one in progress, 256 more are each answered
    /// once.
    pub max_connections: usize,
    /// Connections of one address, or of a /64 of IPv6, at the same time; 4,096 by default. When there are more, its own
    /// longest without a request are closed; when all have one in progress, no more are taken.
    pub max_connections_per_address: usize,
    /// Addresses to which that does not apply, because the connections of many clients come from them; none by default.
    pub trusted_proxies: TrustedProxies,
    /// How long a connection stays open between two requests; 75 seconds by default, longer than most proxies keep
    /// theirs, so that none sends a request into a connection that is being closed.
    pub idle_time: Duration,
    /// Where the connections are counted; [`Api::connection_counts`](crate::Api::connection_counts) for its metrics.
    pub counts: ConnectionCounts,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            max_connections: 8_192,
            max_connections_per_address: 4_096,
            trusted_proxies: TrustedProxies::default(),
            idle_time: Duration::from_secs(75),
            counts: ConnectionCounts::default(),
        }
    }
}

impl ServeOptions {
    /// The maximum number of sockets that serving with these options has open at the same time.
    #[must_use]
    pub const fn sockets(&self) -> usize {
        self.with_reserve() + 1
    }

    /// The maximum number of connections, those of the reserve included.
    pub(super) const fn with_reserve(&self) -> usize {
        self.max_connections + RESERVE
    }
}
