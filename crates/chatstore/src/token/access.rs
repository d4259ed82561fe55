//! Access tokens: JWTs that say who a user is for ten minutes.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chatstore_model::{SessionId, Timestamp, UserId};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::TokenKeys;

/// Issuer and audience: only chatstore issues these tokens, and only for itself.
const CHATSTORE: &str = "chatstore";

/// How long a token is good for.
const LIFETIME: Duration = Duration::from_secs(600);

/// By how much the clocks of two servers may differ: so far in the future a token may have been issued.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(5);

/// Bytes of the longest text that is looked at; ours have about 420.
const MOST_BYTES: usize = 2_048;

/// What an access token says. Its times are whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccessClaims {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) jti: Uuid,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// The place in the session of the refresh token that it was given with.
    pub(crate) counter: i64,
}

impl AccessClaims {
    /// The claims of a token that is issued now and lasts ten minutes.
    pub(crate) fn new(user: UserId, session: SessionId, jti: Uuid, now: Timestamp) -> Self {
        let part_of_a_second = now.as_microseconds().rem_euclid(1_000_000);
        let issued_at = now.plus_microseconds(-part_of_a_second);
        Self { user, session, jti, issued_at, expires_at: issued_at.plus(LIFETIME), counter: 0 }
    }

    /// The same beside the refresh token at this place in the session.
    pub(crate) const fn beside(self, counter: i64) -> Self {
        Self { counter, ..self }
    }
}

/// The claims as they are written; others are ignored, as RFC 7519 demands.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// Left out in the first token of a session.
    #[serde(default)]
    rtc: i64,
}

impl TokenKeys {
    /// Signs a token; what is less than a second of its times is cut off.
    pub(crate) fn access_token(&self, claims: &AccessClaims) -> String {
        let issued_at = seconds(claims.issued_at);
        let mut payload = json!({
            "iss": CHATSTORE,
            "aud": CHATSTORE,
            "sub": claims.user.to_string(),
            "sid": claims.session.to_string(),
            "jti": claims.jti.to_string(),
            "iat": issued_at,
            "nbf": issued_at,
            "exp": seconds(claims.expires_at),
        });
        if claims.counter > 0 {
            payload["rtc"] = claims.counter.into();
        }
        let payload = BASE64_URL_SAFE_NO_PAD.encode(payload.to_string());
        let key = self.signing();
        let signed = format!("{}.{payload}", key.header);
        let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(&[signed.as_bytes()]));
        format!("{signed}.{signature}")
    }

    /// What a token says, if one of the keys signed it and it is good at this instant. The header must be
    /// exactly the one that [`access_token`](Self::access_token) writes, so that algorithm, type and key are
    /// never the token's to choose; nothing of the claims is read before the signature was found good.
    pub(crate) fn verify_access(&self, text: &str, now: Timestamp) -> Option<AccessClaims> {
        if text.len() > MOST_BYTES {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let key = self.all().find(|key| key.header == header)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !key.has_signed(&[signed.as_bytes()], &signature) {
            return None;
        }
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims: Claims = serde_json::from_slice(&payload).ok()?;
        check(&claims, now)
    }
}

fn check(claims: &Claims, now: Timestamp) -> Option<AccessClaims> {
    if claims.iss != CHATSTORE || claims.aud != CHATSTORE {
        return None;
    }
    let issued_at = instant(claims.iat)?;
    let not_before = instant(claims.nbf)?;
    let expires_at = instant(claims.exp)?;
    let latest = now.plus(CLOCK_DIFFERENCE);
    if issued_at > latest || not_before > latest || expires_at <= now {
        return None;
    }
    if expires_at > issued_at.plus(LIFETIME) {
        return None;
    }
    let user = claims.sub.parse().ok().filter(|user| *user != UserId::ANONYMOUS)?;
    let session = claims.sid.parse().ok()?;
    let jti = Uuid::try_parse(&claims.jti).ok()?;
    Some(AccessClaims { user, session, jti, issued_at, expires_at, counter: claims.rtc })
}

fn seconds(at: Timestamp) -> i64 {
    at.as_microseconds().div_euclid(1_000_000)
}

fn instant(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_microseconds(seconds.checked_mul(1_000_000)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(now: Timestamp) -> AccessClaims {
        let session = SessionId::from_uuid(Uuid::from_u128(2));
        AccessClaims::new(UserId::from_uuid(Uuid::from_u128(1)), session, Uuid::from_u128(3), now)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Generated by Python's `hmac.new(bytes(range(32)), …, "sha256")` over `json.dumps(…, sort_keys=True)`;
    /// PyJWT 2.15.1 decodes it.
    const PYTHON: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6Ijk3ZWI5Zjc2OWY3N2IyYTgiLCJ0eXAiOiJhdCtqd3QifQ.eyJhdWQiOiJjaGF0c3RvcmUiLCJleHAiOjE3Njk4NjE0MDAsImlhdCI6MTc2OTg2MDgwMCwiaXNzIjoiY2hhdHN0b3JlIiwianRpIjoiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAzIiwibmJmIjoxNzY5ODYwODAwLCJzaWQiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDIiLCJzdWIiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDEifQ.irpkp_otNNJcq0-lK_sf1OJbmI74kUcYxCCYo7cz1Mg";

    #[test]
    fn a_token_is_the_one_that_another_implementation_makes() {
        let now = at("2026-01-31T12:00:00.999999Z");
        let keys = TokenKeys::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        assert_eq!(keys.access_token(&claims(now)), PYTHON);
        assert_eq!(keys.verify_access(PYTHON, now), Some(claims(now)));
    }

    #[test]
    fn a_token_says_beside_which_refresh_token_it_was_given() {
        let now = at("2026-01-31T12:00:00Z");
        let (keys, _) = TokenKeys::generate(|bytes| bytes.fill(7));
        for counter in [0, 1, i64::MAX] {
            let token = keys.access_token(&claims(now).beside(counter));
            assert_eq!(keys.verify_access(&token, now), Some(claims(now).beside(counter)));
        }
    }

    #[test]
    fn a_token_is_good_for_ten_minutes_and_for_clocks_five_seconds_apart() {
        let (keys, _) = TokenKeys::generate(|bytes| bytes.fill(7));
        let issued = at("2026-01-31T12:00:00Z");
        let token = keys.access_token(&claims(issued));
        for (now, is_good) in [
            ("2026-01-31T11:59:54.999999Z", false),
            ("2026-01-31T11:59:55Z", true),
            ("2026-01-31T12:09:59.999999Z", true),
            ("2026-01-31T12:10:00Z", false),
        ] {
            assert_eq!(keys.verify_access(&token, at(now)).is_some(), is_good, "{now}");
        }
    }

    #[test]
    fn the_key_before_is_accepted_until_it_is_taken_away() {
        let now = at("2026-01-31T12:00:00Z");
        let (old, old_text) = TokenKeys::generate(|bytes| bytes.fill(1));
        let (new, new_text) = TokenKeys::generate(|bytes| bytes.fill(2));
        let both = TokenKeys::parse(&format!("{new_text},{old_text}")).unwrap();
        let token = old.access_token(&claims(now));
        assert_eq!(both.verify_access(&token, now), Some(claims(now)));
        assert_eq!(new.verify_access(&token, now), None);
        assert_eq!(both.access_token(&claims(now)), new.access_token(&claims(now)));
    }
}
