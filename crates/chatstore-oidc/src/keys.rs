//! The public keys of a provider (RFC 7517), each for one algorithm.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

/// Keys of a provider at most; what is beyond is not read.
const MAX_KEYS: usize = 64;

/// Bytes of the modulus of an RSA key: 2,048 to 8,192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Bytes of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE: usize = 32;

/// The first byte of a point that is given by both of its coordinates (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// How a token may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name in the header of a token.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Rs256, Self::Es256, Self::EdDsa].into_iter().find(|algorithm| algorithm.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

#[derive(Debug)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256([u8; 1 + 2 * COORDINATE]),
    Ed25519([u8; COORDINATE]),
}

/// A key.
#[derive(Debug)]
pub(crate) struct Key {
    id: Option<String>,
    material: Material,
}

/// The keys of a provider that can be used.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<Key>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// The keys in a document that are for verifying with an accepted algorithm; others are passed over, since a provider
    /// publishes all of its keys. `None` for another document.
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        let document: Document = serde_json::from_slice(document).ok()?;
        let parse = |value| serde_json::from_value::<Jwk>(value).ok().and_then(Key::new);
        Some(Self(document.keys.into_iter().take(MAX_KEYS).filter_map(parse).collect()))
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of this id for this algorithm; of a token that names none, the only one for the algorithm.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut suitable = self.0.iter().filter(|key| key.algorithm() == algorithm);
        if let Some(id) = id {
            return suitable.find(|key| key.id.as_deref() == Some(id));
        }
        let only = suitable.next()?;
        suitable.next().is_none().then_some(only)
    }
}

impl Key {
    fn new(key: Jwk) -> Option<Self> {
        let material = match (key.kty.as_str(), key.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { modulus: number(key.n)?, exponent: number(key.e)? },
            ("EC", Some("P-256")) => Material::P256(point(&bytes(key.x)?, &bytes(key.y)?)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(key.x)?.try_into().ok()?),
            _ => return None,
        };
        if matches!(&material, Material::Rsa { modulus, .. } if !MODULUS.contains(&modulus.len())) {
            return None;
        }
        let is_for_signatures = key.usage.is_none_or(|usage| usage == "sig");
        let new = Self { id: key.kid, material };
        let is_for_algorithm = key.alg.is_none_or(|name| name == new.algorithm().name());
        (is_for_signatures && is_for_algorithm).then_some(new)
    }

    const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether the signature of a message is one of this key.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified =
            match &self.material {
                Material::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
                Material::P256(point) => {
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
                }
                Material::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            };
        verified.is_ok()
    }
}

fn bytes(text: Option<String>) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text?).ok()
}

/// The bytes of a number without zeros before it.
fn number(text: Option<String>) -> Option<Vec<u8>> {
    let bytes = bytes(text)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(bytes[zeros..].to_vec())
}

fn point(x: &[u8], y: &[u8]) -> Option<[u8; 1 + 2 * COORDINATE]> {
    if x.len() != COORDINATE || y.len() != COORDINATE {
        return None;
    }
    [&[UNCOMPRESSED], x, y].concat().try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn coordinate() -> String {
        BASE64_URL_SAFE_NO_PAD.encode([7; COORDINATE])
    }

    fn modulus(bytes: usize) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(vec![0xff; bytes])
    }

    fn parse(keys: &[Value]) -> KeySet {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn keys_for_other_purposes_and_algorithms_are_passed_over() {
        let (x, n) = (coordinate(), modulus(256));
        let used = [
            json!({ "kty": "RSA", "kid": "a", "n": n, "e": "AQAB" }),
            json!({ "kty": "RSA", "kid": "b", "n": n, "e": "AQAB", "alg": "RS256", "use": "sig" }),
            json!({ "kty": "EC", "kid": "c", "crv": "P-256", "x": x, "y": x }),
            json!({ "kty": "OKP", "kid": "d", "crv": "Ed25519", "x": x, "alg": "EdDSA", "key_ops": ["verify"] }),
        ];
        assert_eq!(parse(&used).len(), 4);
        let passed_over = [
            json!({ "kty": "RSA", "n": n, "e": "AQAB", "use": "enc" }),
            json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS384" }),
            json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "PS256" }),
            json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "HS256" }),
            json!({ "kty": "RSA", "n": modulus(128), "e": "AQAB" }),
            json!({ "kty": "RSA", "n": modulus(1025), "e": "AQAB" }),
            json!({ "kty": "RSA", "n": n }),
            json!({ "kty": "RSA", "n": "+/+/", "e": "AQAB" }),
            json!({ "kty": "EC", "crv": "P-384", "x": x, "y": x }),
            json!({ "kty": "EC", "crv": "P-256", "x": x }),
            json!({ "kty": "EC", "crv": "P-256", "x": x, "y": "AAAA" }),
            json!({ "kty": "OKP", "crv": "X25519", "x": x }),
            json!({ "kty": "oct", "k": x, "alg": "HS256" }),
            json!({ "kid": "x" }),
            json!("key"),
            json!(null),
        ];
        assert!(parse(&passed_over).is_empty());
    }

    #[test]
    fn a_key_is_found_by_its_id_and_algorithm_or_as_the_only_one() {
        let x = coordinate();
        let set = parse(&[
            json!({ "kty": "OKP", "kid": "a", "crv": "Ed25519", "x": x }),
            json!({ "kty": "OKP", "kid": "b", "crv": "Ed25519", "x": x }),
            json!({ "kty": "EC", "kid": "a", "crv": "P-256", "x": x, "y": x }),
        ]);
        let is_found = |id, algorithm| set.find(id, algorithm).is_some();
        assert!(is_found(Some("a"), Algorithm::EdDsa) && is_found(Some("b"), Algorithm::EdDsa));
        assert!(is_found(Some("a"), Algorithm::Es256) && !is_found(Some("b"), Algorithm::Es256));
        assert!(!is_found(Some("a"), Algorithm::Rs256) && !is_found(Some("c"), Algorithm::EdDsa));
        assert!(is_found(None, Algorithm::Es256), "there is one for it");
        assert!(!is_found(None, Algorithm::EdDsa), "there are two for it");
    }

    #[test]
    fn of_many_keys_a_bounded_number_is_read_and_another_document_is_none() {
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": coordinate() });
        assert_eq!(parse(&vec![key; 1_000]).len(), MAX_KEYS);
        for text in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>"] {
            assert!(KeySet::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
