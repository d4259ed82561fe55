//! The client that a request comes from.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, header};
use chatstore::auth::{ClientInfo, ClientNetwork};
use chatstore::limits;
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose `X-Forwarded-For` is trusted. Any other client could send an arbitrary address there.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is not a list of addresses and networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidProxies(String);

impl std::fmt::Display for InvalidProxies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?} is neither an address nor a network like 10.0.0.0/8", self.0)
    }
}

impl std::error::Error for InvalidProxies {}

impl FromStr for TrustedProxies {
    type Err = InvalidProxies;

    /// Reads addresses and networks, separated by commas; none from an empty text.
    fn from_str(text: &str) -> Result<Self, InvalidProxies> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let networks = parts.map(|part| {
            let network = part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| InvalidProxies(part.to_owned()))
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Whether any client at all is taken for a proxy, so that each may send whatever address it likes.
    #[must_use]
    pub fn trust_everyone(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }

    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client: that of the connection, unless it is a proxy's; then the last one named by
    /// the proxies that is not one of theirs.
    pub(crate) fn client(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
        let mut client = peer.ip().to_canonical();
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let named = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        for name in named {
            if !self.contain(client) {
                break;
            }
            let Some(address) = address(name.trim()) else { break };
            client = address;
        }
        Some(client)
    }
}

/// An address as proxies write it, some of them with a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    text.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// The address of the client, if it is known; the middleware determines it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

impl ClientAddress {
    pub(crate) fn of(parts: &Parts) -> Option<IpAddr> {
        Self::within(&parts.extensions)
    }

    /// By what the client is told apart from others.
    pub(crate) fn network(parts: &Parts) -> ClientNetwork {
        ClientNetwork::of(Self::of(parts))
    }

    pub(crate) fn within(extensions: &Extensions) -> Option<IpAddr> {
        extensions.get::<Self>().and_then(|address| address.0)
    }
}

/// The client that a request comes from.
#[derive(Debug)]
pub(crate) struct Client(pub(crate) ClientInfo);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let user_agent = parts.headers.get(header::USER_AGENT).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.chars().take(limits::USER_AGENT).collect()
        });
        Ok(Self(ClientInfo { address: ClientAddress::of(parts), user_agent }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &str, peer: &str, forwarded: &[&str]) -> String {
        let proxies: TrustedProxies = proxies.parse().unwrap();
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4711)));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        proxies.client(&extensions, &headers).unwrap().to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_who_the_client_is() {
        let proxies = "10.0.0.0/8, 2001:db8::1";
        for (peer, forwarded, expected) in [
            ("192.0.2.7", &["203.0.113.9"] as &[&str], "192.0.2.7"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.1.2.3", &["203.0.113.9:443"], "203.0.113.9"),
            ("10.1.2.3", &["1.1.1.1, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
            ("10.1.2.3", &["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            ("2001:db8::1", &["[2001:db8::7]:80"], "2001:db8::7"),
            ("10.1.2.3", &["203.0.113.9, unknown"], "10.1.2.3"),
            ("10.1.2.3", &["10.0.0.9"], "10.0.0.9"),
        ] {
            assert_eq!(client(proxies, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(client("", "10.1.2.3", &["203.0.113.9"]), "10.1.2.3");
    }

    #[test]
    fn a_network_of_all_addresses_trusts_everyone() {
        let trusts_everyone = |text: &str| text.parse::<TrustedProxies>().unwrap().trust_everyone();
        assert!(trusts_everyone("10.0.0.1,0.0.0.0/0") && trusts_everyone("::/0"));
        assert!(!trusts_everyone("10.0.0.0/8,::1") && !trusts_everyone(""));
    }

    #[test]
    fn an_invalid_network_is_named() {
        let error = "10.0.0.0/8,example.org".parse::<TrustedProxies>().unwrap_err();
        assert_eq!(error.to_string(), "\"example.org\" is neither an address nor a network like 10.0.0.0/8");
    }
}
