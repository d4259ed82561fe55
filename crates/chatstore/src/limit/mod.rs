//! Limits of how often something may be done.
//!
//! A limit promises that of what was granted and not given back, never more than the quota's count lies in
//! any stretch of time of its period, however the calls come. For counts of up to 32 it refuses nothing that
//! keeps within that; beyond, what was done is remembered in steps of a 32nd of the period, and a place may
//! become free by so much later. Each process counts for itself unless a [`Limiter`] of several takes its
//! place, like that of the crate `chatstore-redis`, whose tests hold both to the same cases.

mod memory;
mod network;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use chatstore_model::{Timestamp, UserId, UserName};
use sha2::{Digest, Sha256};

pub use memory::LocalLimiter;
pub use network::ClientNetwork;

/// The largest count of which every place is remembered by itself.
const EXACT_ENTRIES: u32 = 32;

/// How many in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// In how long.
    pub period: Duration,
}

impl Quota {
    /// The step in which what is taken now is remembered, in microseconds: the last instant of it counts.
    #[must_use]
    pub const fn step_us(self) -> i64 {
        if self.count <= EXACT_ENTRIES {
            return 1;
        }
        match self.period_us() / EXACT_ENTRIES as i64 {
            0 => 1,
            step => step,
        }
    }

    /// The period in microseconds.
    #[must_use]
    pub const fn period_us(self) -> i64 {
        let microseconds = self.period.as_micros();
        if microseconds > i64::MAX as u128 { i64::MAX } else { microseconds as i64 }
    }

    /// The instant, in microseconds since 1970, as which something taken `now` is remembered: no earlier.
    #[must_use]
    pub const fn remembered_at(self, now: i64) -> i64 {
        now.saturating_add(now.saturating_neg().rem_euclid(self.step_us()))
    }
}

/// What is counted. Counts of one kind never push those of another out of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Requests of a user from an address.
    Request,
    /// Logins that failed, and registrations, from an address.
    FailuresOfAddress,
    /// Logins from an address, also those that succeeded.
    LoginsOfAddress,
    /// Logins to an account that failed, from anywhere.
    FailuresOfAccount,
    /// The same from one address.
    FailuresOfAccountFrom,
    /// Logins under a name that no account has, from anywhere.
    FailuresOfName,
    /// The same from one address.
    FailuresOfNameFrom,
    /// Wrong passwords of a user who is logged in, from one address.
    Confirmation,
}

impl LimitKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Request,
        Self::FailuresOfAddress,
        Self::LoginsOfAddress,
        Self::FailuresOfAccount,
        Self::FailuresOfAccountFrom,
        Self::FailuresOfName,
        Self::FailuresOfNameFrom,
        Self::Confirmation,
    ];

    /// What metrics call it, like `failures_of_account`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::FailuresOfAddress => "failures_of_address",
            Self::LoginsOfAddress => "logins_of_address",
            Self::FailuresOfAccount => "failures_of_account",
            Self::FailuresOfAccountFrom => "failures_of_account_from",
            Self::FailuresOfName => "failures_of_name",
            Self::FailuresOfNameFrom => "failures_of_name_from",
            Self::Confirmation => "confirmation",
        }
    }
}

/// Whose count it is: a kind, and a text of parts that cannot run into each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey {
    kind: LimitKind,
    text: String,
}

impl LimitKey {
    /// Requests of a user from an address: `rate:{user}:{address}`, with `-` for what is not known.
    #[must_use]
    pub fn request(user: Option<UserId>, address: Option<IpAddr>) -> Self {
        let user = user.map_or_else(|| "-".to_owned(), |user| user.to_string());
        Self::new(LimitKind::Request, format!("rate:{user}:{}", ClientNetwork::of(address)))
    }

    /// Failed logins and registrations from a network: `login:address:{network}`.
    #[must_use]
    pub fn failures_of(network: ClientNetwork) -> Self {
        Self::new(LimitKind::FailuresOfAddress, format!("login:address:{network}"))
    }

    /// All logins from a network: `login:all:{network}`.
    #[must_use]
    pub fn logins_of(network: ClientNetwork) -> Self {
        Self::new(LimitKind::LoginsOfAddress, format!("login:all:{network}"))
    }

    /// Failed logins to an account, from anywhere: `login:user:{id}`, or `login:name:{digest}` for a name that nobody
    /// has.
    #[must_use]
    pub fn login(account: &LoginAccount) -> Self {
        let kind = match account {
            LoginAccount::User(_) => LimitKind::FailuresOfAccount,
            LoginAccount::Unknown(_) => LimitKind::FailuresOfName,
        };
        Self::new(kind, format!("login:{account}"))
    }

    /// The same from one network: `login:user:{id}:{network}`.
    #[must_use]
    pub fn login_from(account: &LoginAccount, network: ClientNetwork) -> Self {
        let kind = match account {
            LoginAccount::User(_) => LimitKind::FailuresOfAccountFrom,
            LoginAccount::Unknown(_) => LimitKind::FailuresOfNameFrom,
        };
        Self::new(kind, format!("login:{account}:{network}"))
    }

    /// Wrong passwords of a user who is logged in, from one network: `confirm:{user}:{network}`.
    #[must_use]
    pub fn confirmation(user: UserId, network: ClientNetwork) -> Self {
        Self::new(LimitKind::Confirmation, format!("confirm:{user}:{network}"))
    }

    const fn new(kind: LimitKind, text: String) -> Self {
        Self { kind, text }
    }

    /// What is counted.
    #[must_use]
    pub const fn kind(&self) -> LimitKind {
        self.kind
    }

    /// The key as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Whose password a login tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoginAccount {
    /// A user, by whatever name.
    User(UserId),
    /// A name that no user has, by its digest: the same for all spellings of it, and no text of a user.
    Unknown([u8; 32]),
}

impl LoginAccount {
    /// The account that a name was found to name.
    #[must_use]
    pub fn of(user: Option<UserId>, name: &str) -> Self {
        user.map_or_else(|| Self::Unknown(Sha256::digest(UserName::key_of(name)).into()), Self::User)
    }
}

impl fmt::Display for LoginAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(formatter, "user:{id}"),
            Self::Unknown(digest) => {
                formatter.write_str("name:")?;
                digest.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }
    }
}

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may, and is counted.
    Granted {
        /// How often it may be done again until then.
        remaining: u32,
        /// After this time one more place is free: that of the oldest that is counted.
        reset_after: Duration,
    },
    /// It may not, and is not counted.
    Refused {
        /// After this time a place is free, unless another caller takes it.
        retry_after: Duration,
    },
}

impl Permission {
    /// Whether it may be done.
    #[must_use]
    pub const fn is_granted(self) -> bool {
        matches!(self, Self::Granted { .. })
    }
}

/// What an asynchronous method of a [`Limiter`] returns.
pub type LimiterFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Counts what was done lately. One in this process is built in; one that several processes share can take
/// its place. A key is always asked for with the same quota.
pub trait Limiter: Send + Sync + fmt::Debug + 'static {
    /// Whether a place is free at this instant. Takes none and remembers nothing.
    fn peek<'a>(&'a self, key: &'a LimitKey, quota: Quota, now: Timestamp) -> LimiterFuture<'a, Permission>;

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
        let network = |text| ClientNetwork::of(address(text));
        let unknown = |name| LoginAccount::of(None, name);
        let same = [
            (
                LimitKey::request(ada, address("192.0.2.1")),
                LimitKey::request(ada, address("::ffff:192.0.2.1")),
            ),
            (
                LimitKey::failures_of(network("2001:db8::1")),
                LimitKey::failures_of(network("2001:db8::ffff:0:0:2")),
            ),
            (LimitKey::login(&unknown("Straße")), LimitKey::login(&unknown(" STRASSE"))),
            (
                LimitKey::login(&LoginAccount::of(ada, "ada")),
                LimitKey::login(&LoginAccount::of(ada, "ada@example.org")),
            ),
        ];
        for (one, other) in same {
            assert_eq!(one, other);
        }
        let user = LoginAccount::of(ada, "ada");
        let different = [
            LimitKey::request(None, None),
            LimitKey::request(ada, None),
            LimitKey::request(None, address("192.0.2.1")),
            LimitKey::request(ada, address("192.0.2.1")),
            LimitKey::request(ada, address("192.0.2.11")),
            LimitKey::request(ada, address("2001:db8::1")),
            LimitKey::request(ada, address("2001:db8:0:1::1")),
            LimitKey::failures_of(ClientNetwork::of(None)),
            LimitKey::failures_of(network("192.0.2.1")),
            LimitKey::logins_of(network("192.0.2.1")),
            LimitKey::login(&user),
            LimitKey::login_from(&user, ClientNetwork::of(None)),
            LimitKey::login_from(&user, network("192.0.2.1")),
            LimitKey::confirmation(UserId::from_uuid(Uuid::from_u128(1)), network("192.0.2.1")),
            LimitKey::login(&unknown("00000000-0000-0000-0000-000000000001")),
            LimitKey::login(&unknown("")),
            LimitKey::login(&unknown("-")),
            LimitKey::login(&unknown("a:b")),
            LimitKey::login(&unknown("a")),
            LimitKey::login_from(&unknown("a"), network("192.0.2.1")),
        ];
        for (index, one) in different.iter().enumerate() {
            assert!(!different[..index].iter().any(|other| other.as_str() == one.as_str()), "{one:?}");
        }
        assert_eq!(different[3].as_str(), "rate:00000000-0000-0000-0000-000000000001:192.0.2.1");
        assert_eq!(different[5].as_str(), "rate:00000000-0000-0000-0000-000000000001:2001:db8::/64");
        assert_eq!(different[12].as_str(), "login:user:00000000-0000-0000-0000-000000000001:192.0.2.1");
        assert!(!LimitKey::login(&unknown("ada lovelace")).as_str().contains("ada"));
    }

    #[test]
    fn every_kind_is_listed_at_its_place() {
        for (index, kind) in LimitKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
