//! API keys: made once, checked against their hash.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chatstore_model::{ApiKeyId, ApiKeyScope, IdSource, Timestamp, UserId, UserRole};
use sha2::{Digest, Sha256};

/// How every key begins.
const PREFIX: &str = "cs_";

/// Characters of a user's short id, and of 32 secret bytes in base 64.
const USER: usize = 22;
const SECRET: usize = 43;

/// Characters of a key that its owner is shown later: the beginning of the secret says which it is.
const SHOWN: usize = PREFIX.len() + USER + 1 + 6;

/// Who a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// The user's role.
    pub role: UserRole,
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
    fn texts_of_another_form_are_no_keys() {
        for text in
            ["", "cs_", "Bearer x", "cs_é111111111111111111111_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
