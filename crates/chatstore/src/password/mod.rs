//! Passwords: what a new one must be, and how one is checked against its hash.
//!
//! New hashes are Argon2id with 19 MiB, two passes and one lane (OWASP's password storage sheet), as PHC
//! strings. What users bring from elsewhere is checked as it is (PBKDF2-HMAC-SHA256 in the forms of
//! [`pbkdf2`], bcrypt, Argon2 of other parameters) and answered with [`Verification::NeedsRehash`], so that the
//! caller puts a new hash in its place, unless it proves less than the whole password. A PBKDF2 hash can also be
//! strengthened without its password: see [`wrapped`].
//!
//! What is hashed anew is the password in the one form that all its spellings have: see [`opaque`].

mod argon2id;
mod bcrypt_hash;
mod gate;
mod hasher;
mod line;
mod opaque;
mod pbkdf2;
mod rules;
mod stored;
mod wrapped;

use std::borrow::Cow;
use std::fmt;

pub(crate) use gate::{Passwords, Permit};
pub(crate) use stored::Verification;

/// Bytes of the longest password.
const MOST_BYTES: usize = 1_024;

/// Too many passwords are being hashed, or there is no memory to hash one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// A password as it was typed. It is never shown.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes any text; whether it may become a user's password is what [`check`](Self::check) says.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The form that is hashed.
    pub(crate) fn to_hash(&self) -> Cow<'_, str> {
        opaque::opaque_string(&self.0)
    }

    /// Whether they are the same password, however each was typed.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.to_hash() == other.to_hash()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(***)")
    }
}
