//! Answers of the database, remembered for a few seconds.
//!
//! What is looked up is named by a key of its own type, which says what its value is, how long it is
//! remembered and under which text. A value that was read before something was forgotten is never remembered:
//! it may have been changed after it was read.
//!
//! Another implementation beside [`MemoryCache`] has to pass the cases of `conformance`.

mod memory;

#[cfg(test)]
mod conformance;

use std::fmt::Display;
use std::hash::Hash;
use std::time::Duration;

use chatstore_model::{IdentityName, IdentityState, SessionId, SessionState, UserId};

use crate::principal::{ActingUser, Principal};
use crate::user_reference::UserReference;

pub(crate) use memory::MemoryCache;

/// What another process changed is seen 5 seconds later at the latest, what this one changed at once. The time
/// counts from when the answer of the database arrived, which is later than when it was true.
pub(crate) const CALLER_TTL: Duration = Duration::from_secs(4);

/// What is looked up. Displayed, it is a text that no other key has, of whatever type, and that tells no secret.
pub(crate) trait CacheKey: Clone + Display + Eq + Hash + Send + Sync + 'static {
    /// What is remembered for it.
    type Value: Clone + Send + Sync + 'static;

    /// How long.
    const TTL: Duration;
}

/// A cache of one kind of key.
pub(crate) trait Cache<K: CacheKey>: Sync {
    /// The value that is remembered, or else what `load` finds, which is remembered from then on. `load` is
    /// called only when it is needed; that there is nothing is not remembered.
    fn get_or_load<E, F>(
        &self,
        key: &K,
        load: impl FnOnce() -> F + Send,
    ) -> impl Future<Output = Result<Option<K::Value>, E>> + Send
    where
        E: Send,
        F: Future<Output = Result<Option<K::Value>, E>> + Send;

    /// The same where `load` finds how long the value may be remembered, too.
    fn get_or_load_for<E, F>(
        &self,
        key: &K,
        load: impl FnOnce() -> F + Send,
    ) -> impl Future<Output = Result<Option<K::Value>, E>> + Send
    where
        E: Send,
        F: Future<Output = Result<Option<(K::Value, Duration)>, E>> + Send;

    /// To be called when the value of one key may have changed.
    fn forget(&self, key: &K);

    /// To be called when the value of any key may have changed.
    fn forget_all(&self);
}

/// An API key, by the hash of its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ApiKeyHash(pub(crate) [u8; 32]);

impl CacheKey for ApiKeyHash {
    type Value = Principal;
    const TTL: Duration = CALLER_TTL;
}

impl Display for ApiKeyHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("api_key:")?;
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// A session of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey(pub(crate) UserId, pub(crate) SessionId);

impl CacheKey for SessionKey {
    type Value = SessionState;
    const TTL: Duration = CALLER_TTL;
}

impl Display for SessionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "session:{}:{}", self.0, self.1)
    }
}

/// A person whom an identity provider knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct IdentityKey(pub(crate) IdentityName);

impl CacheKey for IdentityKey {
    type Value = IdentityState;
    const TTL: Duration = CALLER_TTL;
}

impl Display for IdentityKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let IdentityName { issuer, subject } = &self.0;
        write!(formatter, "identity:{}:{issuer}:{subject}", issuer.len())
    }
}

/// A user that a service acts for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ActingKey(pub(crate) UserReference);

impl CacheKey for ActingKey {
    type Value = ActingUser;
    const TTL: Duration = CALLER_TTL;
}

impl Display for ActingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            UserReference::Id(id) => write!(formatter, "acting:{id}"),
            UserReference::Username(name) => write!(formatter, "acting:name:{name}"),
            UserReference::Email(email) => write!(formatter, "acting:email:{email}"),
            UserReference::External(id) => write!(formatter, "acting:ext:{} {}", id.namespace(), id.id()),
            UserReference::Anonymous => formatter.write_str("acting:anonymous"),
        }
    }
}

/// Who callers are: everything that a change of a user or a key may make untrue.
#[derive(Clone, Default)]
pub(crate) struct Callers {
    pub(crate) api_keys: MemoryCache<ApiKeyHash>,
    pub(crate) sessions: MemoryCache<SessionKey>,
    pub(crate) acting: MemoryCache<ActingKey>,
    pub(crate) identities: MemoryCache<IdentityKey>,
}

impl Callers {
    /// To be called when a user or a key may have changed.
    pub(crate) fn forget_all(&self) {
        self.api_keys.forget_all();
        self.sessions.forget_all();
        self.acting.forget_all();
        self.identities.forget_all();
    }
}

#[cfg(test)]
mod tests {
    use chatstore_model::{ExternalId, Namespace};
    use uuid::Uuid;

    use super::*;

    fn external(namespace: &str, id: &str) -> ActingKey {
        let namespace = Namespace::new(namespace).unwrap();
        ActingKey(UserReference::External(ExternalId::new(namespace, id).unwrap()))
    }

    #[test]
    fn keys_of_different_things_have_different_texts() {
        let user = UserId::from_uuid(Uuid::from_u128(1));
        let texts = [
            ApiKeyHash([0xab; 32]).to_string(),
            SessionKey(user, SessionId::from_uuid(Uuid::from_u128(2))).to_string(),
            ActingKey(UserReference::Id(user)).to_string(),
            ActingKey(UserReference::Username("anonymous".to_owned())).to_string(),
            ActingKey(UserReference::Email("anonymous".to_owned())).to_string(),
            ActingKey(UserReference::Anonymous).to_string(),
            IdentityKey(IdentityName { issuer: "a:b".to_owned(), subject: "c".to_owned() }).to_string(),
            IdentityKey(IdentityName { issuer: "a".to_owned(), subject: "b:c".to_owned() }).to_string(),
            external("anonymous", "a").to_string(),
            external("anonymous", "anonymous a").to_string(),
            external("a", "anonymous a").to_string(),
        ];
        for (index, text) in texts.iter().enumerate() {
            assert!(!texts[..index].contains(text), "{text}");
        }
        assert_eq!(texts[0], format!("api_key:{}", "ab".repeat(32)));
        assert_eq!(texts[3], "acting:name:anonymous");
    }
}
