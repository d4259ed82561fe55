//! The names of things in Redis.

use std::fmt;
use std::str::FromStr;

/// What the keys of one installation begin with, so that several can share a Redis. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPrefix(String);

/// Why a text is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix of keys has at most 64 characters, letters, digits and any of - _ . : /")]
pub struct InvalidPrefix;

/// Characters of a prefix at most.
const MAX_LENGTH: usize = 64;

impl FromStr for KeyPrefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let is_allowed = |character: char| character.is_ascii_alphanumeric() || "-_.:/".contains(character);
        match text.len() <= MAX_LENGTH && text.chars().all(is_allowed) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidPrefix),
        }
    }
}

impl KeyPrefix {
    /// The key in Redis for one of ours.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_short_and_has_no_character_with_a_meaning_in_patterns() {
        for text in ["", "chat:", "Chat_1.eu/x-"] {
            assert_eq!(text.parse::<KeyPrefix>().unwrap().key("rate:-:-"), format!("{text}rate:-:-"));
        }
        for text in ["a b", "chat*", "{chat}", "é", "a\n", &"a".repeat(65)] {
            assert_eq!(text.parse::<KeyPrefix>(), Err(InvalidPrefix), "{text}");
        }
    }
}
