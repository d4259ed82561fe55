//! Answers of models, remembered for applications that ask the models themselves.

use std::time::Duration;

use chatstore_model::{FieldCode, Invalid, Timestamp, UserId};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::shared_cache::CacheSlot;
use crate::store::Store;
use crate::user_scope::AsUser;

/// How long an answer is remembered when nothing is said, and how long at most.
pub const RESPONSE_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long at most.
pub const MAX_RESPONSE_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Maximum bytes of an answer as JSON.
pub const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// Characters of a hash at most.
const MAX_HASH: usize = 128;

/// Who sees an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResponseScope {
    /// The user for whom it was written.
    #[default]
    Own,
    /// Everybody. Only applications and administrators write such answers.
    Shared,
}

/// What a model was asked, as a short text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestHash(String);

impl RequestHash {
    /// A hash of the application's own.
    ///
    /// # Errors
    /// `Invalid`, unless it has 1 to 128 characters, letters, digits and any of `-`, `_`, `.`.
    pub fn new(text: &str) -> std::result::Result<Self, Invalid> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        match (1..=MAX_HASH).contains(&text.len()) && text.bytes().all(is_allowed) {
            true => Ok(Self(text.to_owned())),
            false => {
                let message = "must have 1 to 128 characters, letters, digits and any of - _ .";
                Err(Invalid::field("hash", FieldCode::InvalidFormat, message))
            }
        }
    }

    /// The hash of a request: SHA-256 in lower-case hexadecimal digits of the JSON text
    /// `{"messages":…,"model":…,"parameters":…}` without blanks, with the names of all objects in the order of their bytes.
    #[must_use]
    pub fn of(model: &str, messages: &Value, parameters: &Value) -> Self {
        let request = serde_json::json!({ "messages": messages, "model": model, "parameters": parameters });
        Self(hex(&Sha256::digest(request.to_string())))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An answer that is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedResponse {
    /// What was written, as JSON.
    pub value: Value,
    /// Until when it is remembered.
    pub expires_at: Timestamp,
}

/// Answers of models, as a user sees them.
#[derive(Debug, Clone, Copy)]
pub struct ResponseCache<'s> {
    store: &'s Store,
    user: UserId,
}

impl<'s> AsUser<'s> {
    /// Answers of models that are remembered for the user: in Redis where there is one, else 16 MiB in this process. Any
    /// of them may be forgotten at any time.
    #[must_use]
    pub const fn response_cache(&self) -> ResponseCache<'s> {
        ResponseCache { store: self.store, user: self.user }
    }
}

impl ResponseCache<'_> {
    /// The answer to a request, if it is remembered.
    pub async fn get(self, hash: &RequestHash, scope: ResponseScope) -> Option<CachedResponse> {
        let lookup = self.store.shared.get(&self.slot(hash, scope)).await.ok()?;
        let entry = lookup.found?;
        let value = serde_json::from_str(&entry.value).ok()?;
        Some(CachedResponse { value, expires_at: self.store.now().plus(entry.expires_in) })
    }

    /// Remembers an answer for so long, in place of any other one to the same request. Whether it is: a cache that does not
    /// answer is no failure. Who may write shared ones is for the application to decide.
    ///
    /// # Errors
    /// `Invalid` for an answer of more than [`MAX_RESPONSE_BYTES`] and for more than [`MAX_RESPONSE_LIFETIME`].
    pub async fn put(
        self,
        hash: &RequestHash,
        scope: ResponseScope,
        value: &Value,
        lifetime: Duration,
    ) -> Result<bool> {
        let text = value.to_string();
        if text.len() > MAX_RESPONSE_BYTES {
            let message = format!("must have at most {MAX_RESPONSE_BYTES} bytes as JSON");
            return Err(Error::from(Invalid::field("value", FieldCode::TooLong, message)));
        }
        if lifetime.is_zero() || lifetime > MAX_RESPONSE_LIFETIME {
            let message = format!("must be 1 to {}", MAX_RESPONSE_LIFETIME.as_secs());
            return Err(Error::from(Invalid::field("ttl_seconds", FieldCode::OutOfRange, message)));
        }
        let slot = self.slot(hash, scope);
        let Ok(lookup) = self.store.shared.get(&slot).await else { return Ok(false) };
        Ok(self.store.shared.put(&slot, &text, lifetime, &lookup.ticket).await.unwrap_or(false))
    }

    /// Forgets an answer; whether there was one.
    pub async fn remove(self, hash: &RequestHash, scope: ResponseScope) -> bool {
        self.store.shared.remove(&self.slot(hash, scope)).await.unwrap_or(false)
    }

    /// Where an answer is. Nobody finds another's by its hash: the user is part of the digest.
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
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hash_of_a_request_does_not_depend_on_the_order_of_names() {
        let one: Value = serde_json::from_str(r#"{"temperature": 0, "seed": 1}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"seed":1,"temperature":0}"#).unwrap();
        let messages = json!([{ "role": "user", "content": "hi" }]);
        assert_eq!(RequestHash::of("echo", &messages, &one), RequestHash::of("echo", &messages, &other));
        assert_ne!(RequestHash::of("echo", &messages, &one), RequestHash::of("ohce", &messages, &one));
        // printf '{"messages":[{"content":"hi","role":"user"}],"model":"echo","parameters":{}}' | sha256sum
        let hash = RequestHash::of("echo", &messages, &json!({}));
        assert_eq!(hash.as_str(), "cda76ec748f1f2f1b1abaeb87bf6892b2574b4fccd564adb1cbcfa64bce969bd");
    }

    #[test]
    fn a_hash_of_an_application_is_short_and_plain() {
        for text in ["a", "0b-_.Z", &"a".repeat(128)] {
            assert_eq!(RequestHash::new(text).unwrap().as_str(), text);
        }
        for text in ["", "a b", "a:b", "é", &"a".repeat(129)] {
            assert!(RequestHash::new(text).is_err(), "{text}");
        }
    }
}
