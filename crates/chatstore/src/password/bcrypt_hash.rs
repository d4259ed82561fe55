//! bcrypt hashes, `$2b$12$` with 22 characters of salt and 31 of digest.

use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
use subtle::ConstantTimeEq as _;

/// Some makers leave bits in the last character of a part that mean nothing.
const BASE64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// The cheapest and the most expensive that is checked; 14 takes about a second.
const COSTS: std::ops::RangeInclusive<u32> = 4..=14;

/// bcrypt looks at no more bytes of a password, its final NUL among them.
const MOST_BYTES: usize = 72;

/// Characters before the salt, and of the whole.
const PREFIX: usize = 7;
const SALT: usize = 22;
const WHOLE: usize = 60;

/// A bcrypt hash.
#[derive(Debug)]
pub(super) struct BcryptHash {
    cost: u32,
    salt: [u8; 16],
    digest: [u8; 23],
}

impl BcryptHash {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.len() != WHOLE {
            return None;
        }
        let (prefix, rest) = text.split_at(PREFIX);
        let cost = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| prefix.strip_prefix(version))?;
        let cost = cost.strip_suffix('$')?;
        if !cost.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (salt, digest) = rest.split_at(SALT);
        Some(Self {
            cost: cost.parse().ok().filter(|cost| COSTS.contains(cost))?,
            salt: BASE64.decode(salt).ok()?.try_into().ok()?,
            digest: BASE64.decode(digest).ok()?.try_into().ok()?,
        })
    }

    /// Whether a hash would be another one if anything of this password, or its end, were different.
    pub(super) const fn depends_on_all_of(password: &[u8]) -> bool {
        password.len() < MOST_BYTES
    }

    /// Whether it is the hash of this password.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut terminated = password.to_vec();
        terminated.push(0);
        terminated.truncate(MOST_BYTES);
        let digest = bcrypt::bcrypt(self.cost, self.salt, &terminated);
        digest[..self.digest.len()].ct_eq(&self.digest).into()
    }
}
