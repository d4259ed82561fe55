//! A token: what it says, and whether that is to be believed (RFC 7515, RFC 7519, RFC 8725, RFC 9068).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chatstore::auth::VerifiedToken;
use chatstore::{IdentityName, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::issuer::Issuer;
use crate::keys::{Algorithm, Key};
use crate::roles::RoleRules;

/// Bytes of a token at most. Those with many groups have about 8 KiB.
const MAX_BYTES: usize = 16 * 1024;

/// By how much the clocks of the provider and of this machine may differ.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(30);

/// Claims that an ID token or a logout token has and an access token does not: what tells a client who has signed in
/// must not open another service.
const NOT_OF_ACCESS_TOKENS: [&str; 3] = ["at_hash", "c_hash", "events"];

/// Why a token is refused, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is signed with another algorithm than RS256, ES256 or EdDSA")]
    Algorithm,
    #[error("it has critical extensions")]
    Critical,
    #[error("its type is neither at+jwt nor JWT")]
    Type,
    #[error("the provider has no such key for its algorithm")]
    UnknownKey,
    #[error("its signature is not one of its key")]
    Signature,
    #[error("its claims are not those of an access token: iss, sub, aud, exp and iat are required")]
    Claims,
    #[error("it is an ID token or a logout token")]
    OtherToken,
    #[error("it is for another audience")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYetValid,
}

/// A token whose signature was not looked at: nothing of it is true.
#[derive(Debug)]
pub(crate) struct Unverified<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    header: Header,
    payload: Vec<u8>,
    issuer: String,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that have to be understood; none is.
    #[serde(default, deserialize_with = "present")]
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct IssuerClaim {
    iss: String,
}

/// The claims that decide; their types are checked, and none is given twice.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Audience,
    exp: Instant,
    iat: Instant,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Instant>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Seconds since 1970, of which there may be fractions.
#[derive(Clone, Copy)]
struct Instant(Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let microseconds = seconds * 1e6;
        // Exact up to the year 2255; further away nothing depends on a microsecond.
        #[allow(clippy::cast_possible_truncation, reason = "it saturates, and the range is checked")]
        let at = Timestamp::from_microseconds(microseconds as i64);
        at.map(Self).map_err(serde::de::Error::custom)
    }
}

/// A value that is there, of which null is another one than none.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Audience {
    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(name) => name == audience,
            Self::Several(names) => names.iter().any(|name| name == audience),
        }
    }
}

impl<'t> Unverified<'t> {
    /// The parts of a text that has the form of a token.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let payload = decode(payload)?;
        let IssuerClaim { iss } = serde_json::from_slice(&payload).ok()?;
        Some(Self {
            signed,
            signature: decode(signature)?,
            header: serde_json::from_slice(&decode(header)?).ok()?,
            payload,
            issuer: iss,
        })
    }

    /// The issuer that it names, by which the keys are chosen that it has to be signed with.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The id of its key, and its algorithm.
    pub(crate) fn key(&self) -> Result<(Option<&str>, Algorithm), Refusal> {
        let algorithm = Algorithm::named(&self.header.alg).ok_or(Refusal::Algorithm)?;
        if self.header.crit.is_some() {
            return Err(Refusal::Critical);
        }
        let has_type = self.header.typ.as_deref().is_some_and(|kind| {
            ["at+jwt", "application/at+jwt", "jwt"].iter().any(|name| kind.eq_ignore_ascii_case(name))
        });
        if has_type { Ok((self.header.kid.as_deref(), algorithm)) } else { Err(Refusal::Type) }
    }

    /// What it says, if this key of the issuer signed it, for one of the audiences, and it is valid at this instant.
    pub(crate) fn verify(
        &self,
        key: &Key,
        issuer: &Issuer,
        audiences: &[String],
        roles: &RoleRules,
        now: Timestamp,
    ) -> Result<VerifiedToken, Refusal> {
        if !key.has_signed(self.signed.as_bytes(), &self.signature) {
            return Err(Refusal::Signature);
        }
        if self.issuer != issuer.as_str() {
            return Err(Refusal::Claims);
        }
        let claims: Claims = serde_json::from_slice(&self.payload).map_err(|_| Refusal::Claims)?;
        let others: Map<String, Value> =
            serde_json::from_slice(&self.payload).map_err(|_| Refusal::Claims)?;
        if is_other_token(&others) {
            return Err(Refusal::OtherToken);
        }
        if !audiences.iter().any(|audience| claims.aud.contains(audience)) {
            return Err(Refusal::Audience);
        }
        let expires_at = check_times(&claims, now)?;
        let identity = IdentityName { issuer: self.issuer.clone(), subject: claims.sub };
        if !is_storable(&identity.subject) {
            return Err(Refusal::Claims);
        }
        let text = |name: &str| others.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(VerifiedToken {
            identity,
            issued_at: claims.iat.0,
            expires_at,
            role: roles.role(&others),
            preferred_username: text("preferred_username"),
            full_name: text("name"),
        })
    }
}

/// Until when a token is accepted that is valid now.
fn check_times(claims: &Claims, now: Timestamp) -> Result<Timestamp, Refusal> {
    let latest = now.plus(CLOCK_DIFFERENCE);
    if claims.iat.0 > latest || claims.nbf.is_some_and(|Instant(not_before)| not_before > latest) {
        return Err(Refusal::NotYetValid);
    }
    let expires_at = claims.exp.0.plus(CLOCK_DIFFERENCE);
    if now < expires_at { Ok(expires_at) } else { Err(Refusal::Expired) }
}

fn is_other_token(claims: &Map<String, Value>) -> bool {
    // Keycloak says by this claim what a token is for.
    let kind = claims.get("typ").and_then(Value::as_str);
    NOT_OF_ACCESS_TOKENS.iter().any(|name| claims.contains_key(*name))
        || kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer"))
}

/// Whether it is what OpenID Connect allows as a subject: up to 255 characters of ASCII.
fn is_storable(subject: &str) -> bool {
    let is_plain = subject.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain && (1..=chatstore::limits::SUBJECT).contains(&subject.len())
}
