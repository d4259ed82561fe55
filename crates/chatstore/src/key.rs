//! API keys: made once, checked against their hash, remembered for a few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chatstore_model::{ApiKeyId, ApiKeyScope, IdSource, Timestamp, UserId};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

/// How every key begins.
const PREFIX: &str = "cs_";

/// Characters of a user's short id, and of 32 secret bytes in base 64.
const USER: usize = 22;
const SECRET: usize = 43;

/// Characters of a key that its owner is shown later: the beginning of the secret says which it is.
const SHOWN: usize = PREFIX.len() + USER + 1 + 6;

/// A key withdrawn by another process is refused after this time at the latest; in the same process
/// at once.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Keys remembered at a time.
const CAPACITY: u64 = 10_000;

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// Whether the key speaks for its user or for a whole application.
    pub scope: ApiKeyScope,
    /// The key.
    pub key_id: ApiKeyId,
    pub(crate) expires_at: Option<Timestamp>,
}

/// The text of a new key, its shown beginning and its hash.
pub(crate) struct KeyText {
    pub(crate) text: String,
    pub(crate) prefix: String,
    pub(crate) hash: [u8; 32],
}

impl KeyText {
    pub(crate) fn new(user: UserId, ids: &Arc<dyn IdSource>) -> Self {
        let mut secret = [0; 32];
        ids.random(&mut secret);
        let text = format!("{PREFIX}{}_{}", user.short(), BASE64_URL_SAFE_NO_PAD.encode(secret));
        let prefix = text[..SHOWN].to_owned();
        Self { hash: hash(&text), prefix, text }
    }
}

/// The user in a text that has the form of a key, and its hash.
pub(crate) fn parse(text: &str) -> Option<(UserId, [u8; 32])> {
    let rest = text.strip_prefix(PREFIX)?;
    if !rest.is_ascii() || rest.len() != USER + 1 + SECRET {
        return None;
    }
    let (user, secret) = rest.split_at(USER);
    let user = user.parse().ok()?;
    secret.starts_with('_').then(|| (user, hash(text)))
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Keys that were checked a moment ago.
#[derive(Clone)]
pub(crate) struct KeyCache {
    keys: Cache<[u8; 32], Principal>,
    /// How often everything was forgotten.
    forgotten: Arc<AtomicU64>,
}

impl KeyCache {
    pub(crate) fn new() -> Self {
        let keys = Cache::builder().max_capacity(CAPACITY).time_to_live(REMEMBERED).build();
        Self { keys, forgotten: Arc::new(AtomicU64::new(0)) }
    }

    pub(crate) fn get(&self, hash: &[u8; 32]) -> Option<Principal> {
        self.keys.get(hash)
    }

    /// To be asked before a key is read from the database.
    pub(crate) fn generation(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    /// Remembers what was read, unless everything was forgotten since `generation`: then the key may
    /// have been withdrawn after it was read.
    pub(crate) fn remember(&self, generation: u64, hash: [u8; 32], principal: Principal) {
        self.keys.insert(hash, principal);
        if self.generation() != generation {
            self.keys.invalidate(&hash);
        }
    }

    /// To be called when a key or a user may have become invalid.
    pub(crate) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.keys.invalidate_all();
    }
}

#[cfg(test)]
mod tests {
    use chatstore_model::RandomIds;

    use super::*;

    #[test]
    fn a_key_names_its_user_and_hides_most_of_its_secret() {
        let ids: Arc<dyn IdSource> = Arc::new(RandomIds(|bytes| bytes.fill(7)));
        let user = UserId::from_uuid(uuid::Uuid::from_u128(99));
        let key = KeyText::new(user, &ids);
        assert_eq!(key.text.len(), 69);
        assert_eq!(parse(&key.text), Some((user, key.hash)));
        assert_eq!(key.prefix.len(), 32);
    }

    #[test]
    fn a_key_read_before_everything_was_forgotten_is_not_remembered() {
        let principal = Principal {
            user_id: UserId::from_uuid(uuid::Uuid::from_u128(1)),
            scope: ApiKeyScope::User,
            key_id: ApiKeyId::from_uuid(uuid::Uuid::from_u128(2)),
            expires_at: None,
        };
        let cache = KeyCache::new();
        let before = cache.generation();
        cache.forget_all();
        cache.remember(before, [1; 32], principal.clone());
        assert_eq!(cache.get(&[1; 32]), None);
        cache.remember(cache.generation(), [1; 32], principal.clone());
        assert_eq!(cache.get(&[1; 32]), Some(principal));
    }

    #[test]
    fn texts_of_another_form_are_no_keys() {
        for text in
            ["", "cs_", "Bearer x", "cs_é111111111111111111111_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
