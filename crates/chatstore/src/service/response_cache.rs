//! Responses of models, cached for applications that ask the models themselves.

use std::time::Duration;

use chatstore_model::{
    CanonicalJson, FieldCode, IntoValid, Invalid, ModelRequest, NewCachedResponse, ResponseScope, Timestamp,
    UserId,
};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::shared_cache::{CacheSlot, Cached};
use crate::store::Store;
use crate::user_scope::AsUser;

/// The maximum number of characters of a hash.
const MAX_HASH: usize = 128;

/// How often a response is written that something else was removed beside.
const ATTEMPTS: usize = 3;

/// What a model was asked, as a short text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestHash(String);

impl RequestHash {
    /// A hash of the application's own.
    ///
    /// # Errors
    /// `Invalid` with field `hash`, unless it has 1 to 128 letters, digits and any of `-`, `_` and `.`, and begins with
    /// another one than `.`.
    pub fn new(text: &str) -> std::result::Result<Self, Invalid> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_plain = text.bytes().all(is_allowed) && !text.starts_with('.');
        match (1..=MAX_HASH).contains(&text.len()) && is_plain {
            true => Ok(Self(text.to_owned())),
            false => {
                let message = "must have 1 to 128 letters, digits, `-`, `_` and `.`, and not begin with `.`";
                Err(Invalid::field("hash", FieldCode::InvalidFormat, message))
            }
        }
    }

    /// The hash of a request: SHA-256 of [`ModelRequest::canonical`], in lower-case hexadecimal digits.
    #[must_use]
    pub fn of(request: &ModelRequest) -> Self {
        Self(hex(&Sha256::digest(request.canonical())))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Cached responses of models, as a user finds them.
#[derive(Debug, Clone, Copy)]
pub struct ResponseCache<'s> {
    store: &'s Store,
    user: UserId,
}

impl<'s> AsUser<'s> {
    /// Responses of models that are cached for the user: in Redis where the store has one, otherwise 16 MiB in this
    /// process. Any of them may be lost at any time.
    #[must_use]
    pub const fn response_cache(&self) -> ResponseCache<'s> {
        ResponseCache { store: self.store, user: self.user }
    }
}

impl ResponseCache<'_> {
    /// The response to a request, if it is cached and the cache answers.
    pub async fn get(self, hash: &RequestHash, scope: ResponseScope) -> Option<Cached<CanonicalJson>> {
        let lookup = self.store.shared.get(&self.slot(hash, scope)).await.ok()?;
        let entry = lookup.found?;
        let value = CanonicalJson::parse(&entry.value).ok()?;
        Some(Cached { value, expires_at: self.store.now().plus(entry.expires_in) })
    }

    /// Caches a response in place of any other one to the same request. When it is no longer found; `None` if it is not
    /// cached, because the cache does not answer or the response is removed at the same time. Who may write responses that
    /// every user finds is for the application to decide.
    ///
    /// # Errors
    /// `Invalid`.
    pub async fn put(
        self,
        hash: &RequestHash,
        scope: ResponseScope,
        new: impl IntoValid<NewCachedResponse>,
    ) -> Result<Option<Timestamp>> {
        let new = new.into_valid()?;
        let lifetime = Duration::from_secs(new.ttl_seconds.unsigned_abs());
        let slot = self.slot(hash, scope);
        for _ in 0..ATTEMPTS {
            let expires_at = self.store.now().plus(lifetime);
            let Ok(lookup) = self.store.shared.get(&slot).await else { return Ok(None) };
            match self.store.shared.put(&slot, new.value.as_str(), lifetime, &lookup.ticket).await {
                Ok(true) => return Ok(Some(expires_at)),
                Ok(false) => {}
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Removes a response. Whether there was one: true as well while the cache does not answer, which finds no response of
    /// before once it answers again.
    pub async fn remove(self, hash: &RequestHash, scope: ResponseScope) -> bool {
        self.store.shared.remove(&self.slot(hash, scope)).await.unwrap_or(true)
    }

    /// Where a response is. Knowing a hash finds nothing of others: the user is part of the digest.
    fn slot(&self, hash: &RequestHash, scope: ResponseScope) -> CacheSlot {
        let owner = match scope {
            ResponseScope::Own => Some(self.user),
            ResponseScope::Shared => None,
        };
        let whose = owner.map_or_else(|| "shared".to_owned(), |user| user.to_string());
        CacheSlot::response(&hex(&Sha256::digest(format!("{whose} {}", hash.as_str()))), owner)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(model: &str, parameters: &str) -> ModelRequest {
        ModelRequest {
            model: model.to_owned(),
            messages: CanonicalJson::parse(r#"[{"role": "user", "content": "hi"}]"#).unwrap(),
            parameters: CanonicalJson::parse(parameters).unwrap(),
        }
    }

    #[test]
    fn the_hash_of_a_request_does_not_depend_on_the_order_of_names() {
        let one = RequestHash::of(&request("echo", r#"{"temperature": 0, "seed": 1}"#));
        assert_eq!(one, RequestHash::of(&request("echo", r#"{"seed":1,"temperature":0.0}"#)));
        assert_ne!(one, RequestHash::of(&request("ohce", r#"{"seed":1,"temperature":0}"#)));
        // printf '{"messages":[{"content":"hi","role":"user"}],"model":"echo","parameters":{}}' | sha256sum
        assert_eq!(
            RequestHash::of(&request("echo", "{}")).as_str(),
            "cda76ec748f1f2f1b1abaeb87bf6892b2574b4fccd564adb1cbcfa64bce969bd"
        );
    }

    #[test]
    fn a_hash_of_an_application_is_short_and_plain() {
        for text in ["a", "0b-_.Z", "-", &"a".repeat(128)] {
            assert_eq!(RequestHash::new(text).unwrap().as_str(), text);
        }
        for text in ["", ".", "..", ".a", "a b", "a:b", "é", &"a".repeat(129)] {
            assert!(RequestHash::new(text).is_err(), "{text}");
        }
    }
}
