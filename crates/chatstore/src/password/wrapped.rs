//! Argon2id over PBKDF2: what a PBKDF2 hash becomes without its password.
//!
//! The secret of the outer hash is the digest of the inner one:
//! `$argon2id-of-pbkdf2-sha256$i=100000$SALT$argon2id$v=19$m=19456,t=2,p=1$OUTER_SALT$OUTER_DIGEST`. First
//! the kind and the iterations of the inner hash and its salt in base 64 without padding — or two, with a
//! comma between them, where the old form did not say which it was —, then the outer hash as it would stand
//! alone. The inner digest is not kept: with it one could try passwords against it.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use super::Busy;
use super::argon2id::{Argon2Hash, Memory, SALT};
use super::pbkdf2::{Pbkdf2Hash, Recipe, iterations};

const PREFIX: &str = "$argon2id-of-pbkdf2-sha256$i=";
const OUTER: &str = "$argon2id$";

/// A PBKDF2 hash inside an Argon2id hash.
#[derive(Debug)]
pub(super) struct Wrapped {
    inner: Recipe,
    outer: Argon2Hash,
}

impl Wrapped {
    pub(super) fn make(inner: Pbkdf2Hash, salt: [u8; SALT], memory: &mut Memory) -> Result<Self, Busy> {
        Ok(Self { outer: Argon2Hash::make(&inner.digest, salt, memory)?, inner: inner.recipe })
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (inner, _) = rest.split_once(OUTER)?;
        let outer = Argon2Hash::parse(&rest[inner.len()..])?;
        let (count, salts) = inner.split_once('$')?;
        let salts: Result<_, _> = salts.split(',').map(|salt| BASE64_STANDARD_NO_PAD.decode(salt)).collect();
        Some(Self { inner: Recipe::new(iterations(count)?, salts.ok()?)?, outer })
    }

    /// Whether it is the hash of this password.
    pub(super) fn matches(&self, password: &[u8], memory: &mut Memory) -> Result<bool, Busy> {
        for digest in self.inner.digests(password) {
            if self.outer.matches(&digest, memory)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let salts: Vec<String> =
            self.inner.salts.iter().map(|salt| BASE64_STANDARD_NO_PAD.encode(salt)).collect();
        write!(formatter, "{PREFIX}{}${}{}", self.inner.iterations, salts.join(","), self.outer)
    }
}
