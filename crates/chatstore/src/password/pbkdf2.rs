//! PBKDF2-HMAC-SHA256 hashes in the forms that applications have written them in:
//!
//! 1. `salt:digest` and `salt$digest` in hexadecimal,
//! 2. `pbkdf2_sha256$100000$salt$digest` (Django: the salt is text, the digest base 64; others: both in
//!    hexadecimal, or both in base 64),
//! 3. `$pbkdf2-sha256$100000$salt$digest` (passlib's base 64, with `.` for `+`) and
//!    `$pbkdf2-sha256$i=100000,l=32$salt$digest` (PHC),
//! 4. `pbkdf2:sha256:100000$salt$digest` (werkzeug: the salt is text, the digest hexadecimal),
//! 5. `salt:digest` in base 64, and base 64 of salt and digest together, the salt of 16 or 32 bytes.
//!
//! Where the salt's text does not say whether it or the bytes it stands for were the salt, both are tried.
//! Forms 1 and 5 do not name the iterations: they are 100,000.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

const UNNAMED_ITERATIONS: u32 = 100_000;

/// More would be a way to stop the server.
const MOST_ITERATIONS: u32 = 10_000_000;

/// Bytes of the longest salt.
const LONGEST_SALT: usize = 128;

/// Bytes of a digest.
pub(super) const DIGEST: usize = 32;

/// Standard base 64 with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A PBKDF2 hash.
#[derive(Debug)]
pub(super) struct Pbkdf2Hash {
    pub(super) recipe: Recipe,
    pub(super) digest: [u8; DIGEST],
}

/// How a digest is computed from a password.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) iterations: u32,
    /// The salt, or the two that it may be.
    pub(super) salts: Vec<Vec<u8>>,
}

impl Pbkdf2Hash {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("$pbkdf2-sha256$") {
            return passlib_or_phc(rest);
        }
        if let Some(rest) = text.strip_prefix("pbkdf2_sha256$") {
            return django(rest);
        }
        if let Some(rest) = text.strip_prefix("pbkdf2:sha256:") {
            let [count, salt, digest] = three(rest)?;
            return Self::new(iterations(count)?, vec![salt.as_bytes().to_vec()], &hexadecimal(digest)?);
        }
        let (salts, digest) =
            hexadecimal_pair(text).or_else(|| base64_pair(text)).or_else(|| joined(text))?;
        Self::new(UNNAMED_ITERATIONS, salts, &digest)
    }

    fn new(iterations: u32, salts: Vec<Vec<u8>>, digest: &[u8]) -> Option<Self> {
        let recipe = Recipe::new(iterations, salts)?;
        Some(Self { recipe, digest: digest.try_into().ok()? })
    }

    /// Whether it is the hash of this password.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let compare = |digest: [u8; DIGEST]| digest.ct_eq(&self.digest);
        self.recipe.digests(password).map(compare).fold(Choice::from(0), |all, one| all | one).into()
    }
}

impl Recipe {
    pub(super) fn new(iterations: u32, salts: Vec<Vec<u8>>) -> Option<Self> {
        let is_sane = |salt: &Vec<u8>| (1..=LONGEST_SALT).contains(&salt.len());
        let are_sane = (1..=2).contains(&salts.len()) && salts.iter().all(is_sane);
        are_sane.then_some(Self { iterations, salts })
    }

    /// The digest of a password, or the two that it may be.
    pub(super) fn digests(&self, password: &[u8]) -> impl Iterator<Item = [u8; DIGEST]> {
        self.salts
            .iter()
            .map(move |salt| pbkdf2::pbkdf2_hmac_array::<Sha256, DIGEST>(password, salt, self.iterations))
    }
}

/// A count of iterations in plain digits.
pub(super) fn iterations(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|count| is_plain && (1..=MOST_ITERATIONS).contains(count))
}

fn passlib_or_phc(rest: &str) -> Option<Pbkdf2Hash> {
    let [costs, salt, digest] = three(rest)?;
    let count = match costs.strip_prefix("i=") {
        Some(count) => count.strip_suffix(",l=32").unwrap_or(count),
        None => costs,
    };
    let decode = |text: &str| BASE64.decode(text.replace('.', "+")).ok();
    Pbkdf2Hash::new(iterations(count)?, vec![decode(salt)?], &decode(digest)?)
}

fn django(rest: &str) -> Option<Pbkdf2Hash> {
    let [count, salt, digest] = three(rest)?;
    let mut salts = vec![salt.as_bytes().to_vec()];
    let digest = match hexadecimal(digest) {
        Some(digest) => {
            salts.extend(hexadecimal(salt));
            digest
        }
        None => {
            salts.extend(BASE64.decode(salt));
            BASE64.decode(digest).ok()?
        }
    };
    salts.retain(|salt| !salt.is_empty());
    Pbkdf2Hash::new(iterations(count)?, salts, &digest)
}

fn hexadecimal_pair(text: &str) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let (salt, digest) = text.split_once([':', '$'])?;
    Some((vec![hexadecimal(salt)?, salt.as_bytes().to_vec()], hexadecimal(digest)?))
}

fn base64_pair(text: &str) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let (salt, digest) = text.split_once(':')?;
    let salt = BASE64.decode(salt).ok().filter(|salt| matches!(salt.len(), 16 | 32))?;
    Some((vec![salt], BASE64.decode(digest).ok()?))
}

fn joined(text: &str) -> Option<(Vec<Vec<u8>>, Vec<u8>)> {
    let bytes = BASE64.decode(text).ok().filter(|bytes| matches!(bytes.len(), 48 | 64))?;
    let (salt, digest) = bytes.split_at(bytes.len() - DIGEST);
    Some((vec![salt.to_vec()], digest.to_vec()))
}

fn three(text: &str) -> Option<[&str; 3]> {
    let parts: Vec<&str> = text.split('$').collect();
    parts.try_into().ok()
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|start| u8::from_str_radix(&text[start..start + 2], 16).ok()).collect()
}
