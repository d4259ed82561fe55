//! Argon2 hashes as PHC strings: `$argon2id$v=19$m=19456,t=2,p=1$salt$digest`, without padding.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::Busy;

/// What new hashes cost: KiB of memory, passes, lanes.
const MEMORY: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of a new salt and of a new digest.
pub(super) const SALT: usize = 16;
const DIGEST: usize = 32;

/// The most expensive hash that is checked; a more expensive one would be a way to stop the server.
const MOST_MEMORY: u32 = 64 * 1_024;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 16;

/// The memory of one hash after another on a thread, as much as a new hash takes.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    /// This many blocks; `None` when they are more than a new hash takes.
    fn blocks(&mut self, count: usize) -> Result<Option<&mut [Block]>, Busy> {
        const MOST: usize = MEMORY as usize;
        if self.0.is_empty() {
            self.0.try_reserve_exact(MOST).map_err(|_| Busy)?;
            self.0.resize(MOST, Block::new());
        }
        Ok(self.0.get_mut(..count))
    }
}

/// An Argon2 hash of any sane parameters.
#[derive(Debug)]
pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Argon2Hash {
    /// Hashes a secret as all new ones are.
    pub(super) fn make(secret: &[u8], salt: [u8; SALT], memory: &mut Memory) -> Result<Self, Busy> {
        let params = Params::new(MEMORY, PASSES, LANES, Some(DIGEST)).map_err(|_| Busy)?;
        let mut hash = Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params,
            salt: salt.to_vec(),
            digest: vec![0; DIGEST],
        };
        hash.digest = hash.digest_of(secret, memory)?;
        Ok(hash)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('$')?.split('$').peekable();
        let algorithm = match parts.next()? {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            "argon2d" => Algorithm::Argon2d,
            _ => return None,
        };
        let version = match parts.next_if(|part| part.starts_with("v=")) {
            Some("v=19") => Version::V0x13,
            Some("v=16") | None => Version::V0x10,
            Some(_) => return None,
        };
        let mut costs = parts.next()?.split(',');
        let memory = cost(costs.next()?, "m=", MOST_MEMORY)?;
        let passes = cost(costs.next()?, "t=", MOST_PASSES)?;
        let lanes = cost(costs.next()?, "p=", MOST_LANES)?;
        let salt = BASE64_STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let digest = BASE64_STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let is_whole = costs.next().is_none() && parts.next().is_none();
        let is_sane = (8..=64).contains(&salt.len()) && (16..=64).contains(&digest.len());
        let params = Params::new(memory, passes, lanes, Some(digest.len())).ok()?;
        (is_whole && is_sane).then_some(Self { algorithm, version, params, salt, digest })
    }

    /// Whether it is the hash of this secret.
    pub(super) fn matches(&self, secret: &[u8], memory: &mut Memory) -> Result<bool, Busy> {
        Ok(self.digest_of(secret, memory)?.ct_eq(&self.digest).into())
    }

    /// Whether it is no weaker than a new one.
    pub(super) fn is_current(&self) -> bool {
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && self.params.m_cost() >= MEMORY
            && self.params.t_cost() >= PASSES
            && self.salt.len() >= SALT
            && self.digest.len() >= DIGEST
    }

    /// The only error that remains is that there is no memory.
    fn digest_of(&self, secret: &[u8], memory: &mut Memory) -> Result<Vec<u8>, Busy> {
        let mut digest = vec![0; self.digest.len()];
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        match memory.blocks(self.params.block_count())? {
            Some(blocks) => argon2.hash_password_into_with_memory(secret, &self.salt, &mut digest, blocks),
            None => argon2.hash_password_into(secret, &self.salt, &mut digest),
        }
        .map_err(|_| Busy)?;
        Ok(digest)
    }
}

fn cost(text: &str, name: &str, most: u32) -> Option<u32> {
    let digits = text.strip_prefix(name)?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|cost| is_plain && *cost <= most)
}

impl fmt::Display for Argon2Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "${}$v={}$m={},t={},p={}${}${}",
            self.algorithm,
            u32::from(self.version),
            self.params.m_cost(),
            self.params.t_cost(),
            self.params.p_cost(),
            BASE64_STANDARD_NO_PAD.encode(&self.salt),
            BASE64_STANDARD_NO_PAD.encode(&self.digest),
        )
    }
}
