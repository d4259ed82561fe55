//! By what part of their address clients are told apart.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// What one customer of a provider has: an IPv4 address, however it is written, or a /64 of IPv6. Clients whose address
/// is not known are one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ClientNetwork(Option<IpAddr>);

impl ClientNetwork {
    /// The network of an address, if it is known.
    #[must_use]
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        }))
    }

    /// Whether the address of the client is known.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Display for ClientNetwork {
    /// `192.0.2.1`, `2001:db8::/64`, or `-` for what is not known.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("-"),
            Some(IpAddr::V4(address)) => address.fmt(formatter),
            Some(IpAddr::V6(address)) => write!(formatter, "{address}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_its_own_network_and_of_ipv6_64_bits_count() {
        for (address, network) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::ffff:0:0:2", "2001:db8::/64"),
            ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
            ("::192.0.2.1", "::/64"),
        ] {
            assert_eq!(ClientNetwork::of(address.parse().ok()).to_string(), network, "{address}");
        }
        assert_eq!(ClientNetwork::of(None).to_string(), "-");
    }
}
