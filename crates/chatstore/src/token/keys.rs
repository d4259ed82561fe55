//! The secret that tokens are signed with.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Bytes of a key: as many as the digest of the signature has.
const KEY: usize = 32;

/// Bytes of HMAC-SHA256's own key, which a shorter one is filled up to with zeros.
const BLOCK: usize = 64;

/// Different bytes in a key. Of 32 random ones about 30 differ.
const FEWEST_DIFFERENT: usize = 16;

/// Pairs of neighboring bytes with the same difference. Of 31 in a random key hardly two have the same.
const MOST_ALIKE: usize = 12;

/// Keys in the tests of this program, which are good ones otherwise.
const PUBLISHED: [&str; 2] =
    ["bdb+t4ym4+/NJrOjT4PNQ4F0IbwK0X5Mks/IttktZng=", "0sVAPURGIRoce3E8XW9+IIwcMW3ZRaKNiDrsvmUFFZk="];

/// Keeps a key's name from telling anything about other digests of the key.
const NAME_LABEL: &[u8] = b"chatstore token key name\0";

/// Standard base 64 with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text is no key. Says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokenKey {
    /// There is none.
    #[error("there is no token key; generate one with `openssl rand -base64 32`")]
    Missing,
    /// More than two.
    #[error("there are more than two token keys: the first signs, and one more may be accepted")]
    TooMany,
    /// Characters that base 64 does not have, or bits that mean nothing.
    #[error("a token key is not base 64; generate one with `openssl rand -base64 32`")]
    NotBase64,
    /// Another number of bytes than 32.
    #[error("a token key has {0} bytes and must have 32; generate one with `openssl rand -base64 32`")]
    WrongLength(usize),
}

/// The secret that tokens are signed with, and perhaps the one before it. Never shown.
#[derive(Clone)]
pub struct TokenKeys(Arc<Live>);

/// The keys that are accepted.
struct Live {
    signing: TokenKey,
    before: Option<TokenKey>,
}

/// One key.
pub(super) struct TokenKey {
    secret: [u8; KEY],
    /// The header of every access token that it signs, in base 64.
    pub(super) header: String,
}

/// Whether bytes are not random: few different ones, a text, a piece repeated, or a sequence with a constant step.
fn is_regular(secret: &[u8; KEY]) -> bool {
    let different = secret.iter().collect::<HashSet<_>>().len();
    let is_text = secret.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let mut alike = [0_usize; 256];
    for pair in secret.windows(2) {
        alike[usize::from(pair[1].wrapping_sub(pair[0]))] += 1;
    }
    let is_repeated = (1..=KEY / 2).any(|piece| secret[piece..] == secret[..KEY - piece]);
    different < FEWEST_DIFFERENT || is_text || is_repeated || alike.iter().any(|count| *count > MOST_ALIKE)
}

fn is_published(secret: &[u8; KEY]) -> bool {
    PUBLISHED.iter().any(|text| BASE64.decode(text).is_ok_and(|published| published == secret))
}

impl TokenKeys {
    /// One key, or two separated by a comma: the first signs, both are accepted. Each is 32 bytes in base
    /// 64, standard or URL-safe, padded or not; white space around it is ignored.
    ///
    /// # Errors
    /// [`InvalidTokenKey`], which says what is wrong and how to generate a key.
    pub fn parse(text: &str) -> Result<Self, InvalidTokenKey> {
        if text.trim().is_empty() {
            return Err(InvalidTokenKey::Missing);
        }
        let mut texts = text.split(',');
        let signing = TokenKey::parse(texts.next().unwrap_or_default())?;
        let before = texts.next().map(TokenKey::parse).transpose()?;
        if texts.next().is_some() {
            return Err(InvalidTokenKey::TooMany);
        }
        Ok(Self(Arc::new(Live { signing, before })))
    }

    /// A new key, and its text for a key file. `random` fills bytes with randomness that cannot be predicted.
    pub fn generate(random: impl FnOnce(&mut [u8])) -> (Self, String) {
        let mut secret = [0; KEY];
        random(&mut secret);
        let keys = Live { signing: TokenKey::new(secret), before: None };
        (Self(Arc::new(keys)), BASE64_STANDARD.encode(secret))
    }

    /// Whether a key is no secret: not random, for example a word or a sequence, or one that was published with this
    /// program.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.all().any(|key| is_regular(&key.secret) || is_published(&key.secret))
    }

    /// The keys that are accepted, the one that signs first.
    pub(super) fn all(&self) -> impl Iterator<Item = &TokenKey> {
        [&self.0.signing].into_iter().chain(&self.0.before)
    }

    pub(super) fn signing(&self) -> &TokenKey {
        &self.0.signing
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenKeys(***)")
    }
}

impl TokenKey {
    fn parse(text: &str) -> Result<Self, InvalidTokenKey> {
        let standard = text.trim().replace('-', "+").replace('_', "/");
        let secret = BASE64.decode(standard).map_err(|_| InvalidTokenKey::NotBase64)?;
        let bytes = secret.len();
        Ok(Self::new(secret.try_into().map_err(|_| InvalidTokenKey::WrongLength(bytes))?))
    }

    fn new(secret: [u8; KEY]) -> Self {
        let digest = Sha256::new_with_prefix(NAME_LABEL).chain_update(secret).finalize();
        let name: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let header = json!({ "alg": "HS256", "kid": name, "typ": "at+jwt" }).to_string();
        Self { secret, header: BASE64_URL_SAFE_NO_PAD.encode(header) }
    }

    /// HMAC-SHA256 of the parts, one after the other.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Whether it is [`sign`](Self::sign) of the parts; takes as long for every wrong one.
    pub(super) fn has_signed(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.mac(parts).verify_slice(signature).is_ok()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut block = [0; BLOCK];
        block[..KEY].copy_from_slice(&self.secret);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD_PADDED: &str = "++//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw=";

    #[test]
    fn a_key_is_32_bytes_in_either_base_64_padded_or_not() {
        let header = |text: &str| TokenKeys::parse(text).unwrap().signing().header.clone();
        let url_safe = STANDARD_PADDED.replace('+', "-").replace('/', "_");
        for text in [
            STANDARD_PADDED.trim_end_matches('=').to_owned(),
            url_safe.trim_end_matches('=').to_owned(),
            url_safe,
            format!("\n {STANDARD_PADDED}\r\n"),
        ] {
            assert_eq!(header(&text), header(STANDARD_PADDED), "{text}");
        }
    }

    #[test]
    fn each_mistake_in_a_key_is_named_and_the_key_is_not() {
        let three = [STANDARD_PADDED; 3].join(",");
        for (text, error) in [
            (" \n", InvalidTokenKey::Missing),
            (three.as_str(), InvalidTokenKey::TooMany),
            ("change-me!", InvalidTokenKey::NotBase64),
            ("Y2hhbmdlbWU=", InvalidTokenKey::WrongLength(8)),
            (&format!("{STANDARD_PADDED},"), InvalidTokenKey::WrongLength(0)),
        ] {
            assert_eq!(TokenKeys::parse(text).unwrap_err(), error, "{text}");
            assert!(!error.to_string().contains("hang"), "{error}");
        }
        assert_eq!(
            InvalidTokenKey::WrongLength(8).to_string(),
            "a token key has 8 bytes and must have 32; generate one with `openssl rand -base64 32`"
        );
    }

    #[test]
    fn a_generated_key_reads_back_from_its_text_and_is_not_shown() {
        let (keys, text) =
            TokenKeys::generate(|bytes| bytes.iter_mut().zip(0..).for_each(|(byte, index)| *byte = index));
        assert_eq!(text, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(TokenKeys::parse(&text).unwrap().signing().secret, keys.signing().secret);
        assert_eq!(format!("{keys:?}"), "TokenKeys(***)");
    }

    #[test]
    fn a_key_that_is_no_secret_is_weak_also_beside_a_strong_one() {
        let random: [u8; KEY] = Sha256::digest(b"as good as random").into();
        let strong = BASE64_STANDARD.encode(random);
        let twice: Vec<u8> = random[..16].iter().chain(&random[..16]).copied().collect();
        let steps: Vec<u8> = (0..32).map(|step: u8| step.wrapping_mul(37)).collect();
        let mut nearly_steps = steps.clone();
        nearly_steps[16] ^= 0x55;
        for weak in [
            b"secretsecretsecretsecretsecretse".to_vec(),
            b"The quick brown fox jumps over t".to_vec(),
            b"9f86d081884c7d659a2feaa0c55ad015".to_vec(),
            (0..32).collect(),
            (0..32).rev().collect(),
            vec![0; 32],
            twice,
            steps,
            nearly_steps,
        ] {
            let weak = BASE64_STANDARD.encode(weak);
            assert!(TokenKeys::parse(&weak).unwrap().is_weak(), "{weak}");
            assert!(TokenKeys::parse(&format!("{strong},{weak}")).unwrap().is_weak(), "{weak}");
        }
        for published in PUBLISHED {
            assert!(TokenKeys::parse(published).unwrap().is_weak(), "{published}");
        }
        assert!(!TokenKeys::parse(&strong).unwrap().is_weak());
    }
}
