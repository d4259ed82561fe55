//! Limits of how often something may be done.
//!
//! A limit promises that of what was granted and not given back, never more than the quota's count lies in
//! any stretch of time of its period, however the calls come. For counts of up to 32 it refuses nothing that
//! keeps within that; beyond, what was done is remembered in steps of a 32nd of the period, and a place may
//! become free by so much later. Each process counts for itself unless a [`Limiter`] of several takes its
//! place, which then has to pass the cases of `conformance`.

mod memory;

#[cfg(test)]
mod conformance;

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::time::Duration;

use chatstore_model::{Timestamp, UserId, UserName};
use sha2::{Digest, Sha256};

pub use memory::LocalLimiter;

/// How many in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// In how long.
    pub period: Duration,
}

/// Whose count it is: a text of parts that cannot run into each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey(String);

impl LimitKey {
    /// Requests of a user from an address: `rate:{user}:{address}`, with `-` for what is not known.
    #[must_use]
    pub fn request(user: Option<UserId>, address: Option<IpAddr>) -> Self {
        let user = user.map_or_else(|| "-".to_owned(), |user| user.to_string());
        Self(format!("rate:{user}:{}", network(address)))
    }

    /// Logins under a name, whether or not there is such a user: `login:account:{digest}`. The same for all
    /// spellings of a name, and no text of a user is in it.
    #[must_use]
    pub fn login_account(name: &str) -> Self {
        let digest = Sha256::digest(UserName::key_of(name));
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("login:account:{digits}"))
    }

    /// Logins from an address: `login:address:{address}`.
    #[must_use]
    pub fn login_address(address: Option<IpAddr>) -> Self {
        Self(format!("login:address:{}", network(address)))
    }

    /// The key as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What one customer has: an IPv4 address, however it is written, or a /64 of IPv6.
fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "-".to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            format!("{}/64", Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
    }
}

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may, and is counted.
    Granted,
    /// It may not, and is not counted.
    Refused {
        /// After this time a place is free, unless another caller takes it.
        retry_after: Duration,
    },
}

/// What an asynchronous method of a [`Limiter`] returns.
pub type LimiterFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Counts what was done lately. One in this process is built in; one that several processes share can take
/// its place. A key is always asked for with the same quota.
pub trait Limiter: Send + Sync + fmt::Debug + 'static {
    /// Takes a place, if one is free at this instant.
    fn take<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission>;

    /// Gives the place back that was taken last, because what it was taken for shall not count.
    fn give_back<'a>(&'a self, key: &'a LimitKey, quota: Quota) -> LimiterFuture<'a, ()>;
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn keys_of_different_things_differ_and_those_of_one_are_equal() {
        let ada = Some(UserId::from_uuid(Uuid::from_u128(1)));
        let same = [
            (
                LimitKey::request(ada, address("192.0.2.1")),
                LimitKey::request(ada, address("::ffff:192.0.2.1")),
            ),
            (
                LimitKey::login_address(address("2001:db8::1")),
                LimitKey::login_address(address("2001:db8::ffff:0:0:2")),
            ),
            (LimitKey::login_account("Straße"), LimitKey::login_account(" STRASSE")),
        ];
        for (one, other) in same {
            assert_eq!(one, other);
        }
        let different = [
            LimitKey::request(None, None),
            LimitKey::request(ada, None),
            LimitKey::request(None, address("192.0.2.1")),
            LimitKey::request(ada, address("192.0.2.1")),
            LimitKey::request(ada, address("192.0.2.11")),
            LimitKey::request(ada, address("2001:db8::1")),
            LimitKey::request(ada, address("2001:db8:0:1::1")),
            LimitKey::login_address(None),
            LimitKey::login_address(address("192.0.2.1")),
            LimitKey::login_address(address("::192.0.2.1")),
            LimitKey::login_address(address("2001:db8::1")),
            LimitKey::login_account(""),
            LimitKey::login_account("-"),
            LimitKey::login_account("192.0.2.1"),
            LimitKey::login_account("a:b"),
            LimitKey::login_account("a"),
        ];
        for (index, one) in different.iter().enumerate() {
            assert!(!different[..index].contains(one), "{one:?}");
        }
        assert_eq!(different[3].as_str(), "rate:00000000-0000-0000-0000-000000000001:192.0.2.1");
        assert_eq!(different[5].as_str(), "rate:00000000-0000-0000-0000-000000000001:2001:db8::/64");
        assert!(!LimitKey::login_account("ada lovelace").as_str().contains("ada"));
    }
}
