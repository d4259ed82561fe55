//! Where entries are.

use chatstore_model::{UserId, UserName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

/// What entries are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheFamily {
    /// What was read from the database: users and sessions.
    Database,
    /// Answers of models.
    Responses,
}

/// Where an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheSlot {
    /// Of what it is.
    pub family: CacheFamily,
    /// Its name, which no other entry has.
    pub key: String,
    /// What is removed with it: all entries with the same text.
    pub scope: String,
    /// Whose it is, for the erasure of the user; `None` where it says nothing of a person, or is gone in seconds.
    pub owner: Option<UserId>,
}

/// What may stand in a part of a key as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'@');

impl CacheSlot {
    /// A user by name: `user:{username}`, in the one form of all its spellings.
    pub(crate) fn user(username: &str) -> Self {
        let key = format!("user:{}", utf8_percent_encode(&UserName::key_of(username), PLAIN));
        Self { family: CacheFamily::Database, scope: key.clone(), key, owner: None }
    }

    /// A session by its access token: `sess:{user_id}:{access_jti}`. All of a user are removed together.
    pub(crate) fn session(user: UserId, access_jti: Uuid) -> Self {
        let scope = format!("sess:{user}");
        Self { family: CacheFamily::Database, key: format!("{scope}:{access_jti}"), scope, owner: None }
    }

    /// An answer of a model: `ai_cache:{digest}`.
    pub(crate) fn response(digest: &str, owner: Option<UserId>) -> Self {
        let key = format!("ai_cache:{digest}");
        Self { family: CacheFamily::Responses, scope: key.clone(), key, owner }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_things_differ_and_spellings_of_a_name_are_one() {
        let keys = ["ada", "ada lovelace", "ada:lovelace", "ada%3Alovelace", "a*", "m\u{fc}ller"]
            .map(|name| CacheSlot::user(name).key);
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{key}");
            assert!(key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*'), "{key}");
        }
        assert_eq!(keys[0], "user:ada");
        assert_eq!(CacheSlot::user(" ADA ").key, "user:ada");
        let user = UserId::from_uuid(Uuid::from_u128(1));
        assert_eq!(
            CacheSlot::session(user, Uuid::from_u128(2)).key,
            "sess:00000000-0000-0000-0000-000000000001:00000000-0000-0000-0000-000000000002"
        );
    }
}
