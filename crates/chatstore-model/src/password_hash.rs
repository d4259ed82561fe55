//! Hashes of passwords, told from passwords by their form.

use std::fmt;

/// How a hash of a known form begins: PHC strings and what passlib, bcrypt, werkzeug and Django write.
const HASH_FORMS: [&str; 25] = [
    "$argon2id$",
    "$argon2id-of-pbkdf2-sha256$",
    "$argon2i$",
    "$argon2d$",
    "$2a$",
    "$2b$",
    "$2y$",
    "$bcrypt-sha256$",
    "$pbkdf2-sha256$",
    "$pbkdf2-sha512$",
    "$pbkdf2$",
    "$scrypt$",
    "pbkdf2:",
    "scrypt:",
    "pbkdf2_sha256$",
    "argon2$argon2",
    "pbkdf2_sha1$",
    "bcrypt$",
    "bcrypt_sha256$",
    "scrypt$",
    "sha256$",
    "$pbkdf2-sha1$",
    "$5$",
    "$6$",
    "$scrypt-sha256$",
];

/// The maximum number of bytes of a hash.
const MAX_BYTES: usize = 512;

/// The hash of a password, in the form of the system that computed it. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a hash of a known form: a PHC string, what bcrypt, passlib, werkzeug or Django write, or the
    /// salt and SHA-256 digest of PBKDF2 as two texts or as one, with a maximum of 512 bytes. `None` for anything
    /// else, which may be a password itself.
    #[must_use]
    pub fn known(text: &str) -> Option<Self> {
        let is_plain = text.len() <= MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_known = HASH_FORMS.iter().any(|form| text.starts_with(form))
            || is_hexadecimal_pair(text)
            || is_base64_pair(text)
            || is_base64_of_salt_and_digest(text);
        (is_plain && is_known).then(|| Self(text.to_owned()))
    }

    /// Takes a hash that chatstore itself has just computed.
    #[must_use]
    pub fn made(text: String) -> Self {
        Self(text)
    }

    /// The hash, to be stored or compared with.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(***)")
    }
}

/// `salt:digest` or `salt$digest`: a salt of 8 to 64 bytes and a digest of 32, both in hexadecimal.
fn is_hexadecimal_pair(text: &str) -> bool {
    let Some((salt, digest)) = text.split_once([':', '$']) else { return false };
    let is_salt = (16..=128).contains(&salt.len()) && salt.len().is_multiple_of(2);
    is_salt && digest.len() == 64 && is_hexadecimal(salt) && is_hexadecimal(digest)
}

/// `salt:digest`: a salt of 16 or 32 bytes and a digest of 32, both in base 64.
fn is_base64_pair(text: &str) -> bool {
    let Some((salt, digest)) = text.split_once(':') else { return false };
    matches!(base64_bytes(salt), Some(16 | 32)) && base64_bytes(digest) == Some(32)
}

/// A salt of 16 or 32 bytes and a digest of 32 in one text. Sixty-four hexadecimal digits are a bare digest
/// of something else, and random bytes hardly ever lack a capital, a small letter or a digit.
fn is_base64_of_salt_and_digest(text: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    matches!(base64_bytes(text), Some(48 | 64))
        && !is_hexadecimal(text)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How many bytes a text in standard base 64 holds, with its padding or without.
fn base64_bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let is_base64 = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/');
    let is_padded = padding == 0 || (padding <= 2 && text.len().is_multiple_of(4));
    (is_base64 && is_padded && digits.len() % 4 != 1).then_some(digits.len() * 3 / 4)
}

#[cfg(test)]
mod tests {
    use super::PasswordHash;

    /// 32 bytes, whatever they are.
    const HEX: &str = "c8d122ecdb9477cd48a6b1750c5985c0b8b05158d040d20517ccdb49865de436";
    const BASE64: &str = "yNEi7NuUd81IprF1DFmFwLiwUVjQQNIFF8zbSYZd5DY=";

    #[test]
    fn a_hash_has_a_known_form_and_is_never_shown() {
        for text in [
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
            "$argon2id-of-pbkdf2-sha256$i=100000$c2FsdA$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
            "$2b$12$KIXQJ5QxV0mE6Q",
            "$pbkdf2-sha256$100000$c2FsdA$aGFzaA",
            "pbkdf2:sha256:260000$salt$hash",
            "pbkdf2_sha256$260000$salt$hash",
        ] {
            let hash = PasswordHash::known(text).unwrap();
            assert_eq!(hash.expose(), text);
            assert_eq!(format!("{hash:?}"), "PasswordHash(***)");
        }
        for text in ["", "secret", "$2b$12$with blank", "5f4dcc3b5aa765d61d8327deb882cf99"] {
            assert_eq!(PasswordHash::known(text), None, "{text}");
        }
    }

    #[test]
    fn salt_and_digest_are_known_by_their_exact_lengths() {
        let salt = "000102030405060708090a0b0c0d0e0f";
        for text in [
            format!("{salt}:{HEX}"),
            format!("{salt}${}", HEX.to_uppercase()),
            format!("AAECAwQFBgcICQoLDA0ODw==:{BASE64}"),
            format!("{BASE64}:{BASE64}"),
            "AAECAwQFBgcICQoLDA0OD8jRIuzblHfNSKaxdQxZhcC4sFFY0EDSBRfM20mGXeQ2".to_owned(),
        ] {
            assert!(PasswordHash::known(&text).is_some(), "{text}");
        }
        for text in [
            format!("{salt}:{}", &HEX[2..]),
            format!("{salt}:{HEX}00"),
            format!("{}:{HEX}", &salt[1..]),
            format!("0011:{HEX}"),
            format!("{salt}:{}g", &HEX[1..]),
            format!("{salt}::{HEX}"),
            format!("c2FsdA==:{BASE64}"),
            format!("{BASE64}:secret"),
            HEX.to_owned(),
            BASE64.to_owned(),
            "a".repeat(64),
            "abcdefg1".repeat(8),
            "ABCDEFG1".repeat(8),
            "abcdABCG".repeat(8),
        ] {
            assert_eq!(PasswordHash::known(&text), None, "{text}");
        }
    }
}
