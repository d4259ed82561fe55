//! Refresh tokens: opaque texts, each good for one exchange, each deriving the one after it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chatstore_model::{IdSource, SessionId, UserId};
use sha2::{Digest as _, Sha256};

use super::TokenKeys;
use super::keys::TokenKey;

/// How every refresh token begins.
const PREFIX: &str = "cr_";

/// Characters of a short id.
const ID: usize = 22;

/// Bytes of the secret.
const SECRET: usize = 32;

/// Bytes of the longest text that is looked at; ours have up to 111.
const MOST_BYTES: usize = 200;

/// Keeps the signature of a successor from being one of anything else; no access token begins like this.
const LABEL: &[u8] = b"chatstore refresh token\0";

/// A refresh token: `cr_`, user, session, counter and secret, with `_` between them. Its text is shown to
/// its holder alone; what is stored is its hash.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshText {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    /// Its place in the session: 0 for the first.
    pub(crate) counter: i64,
    pub(crate) text: String,
    /// SHA-256 of the text.
    pub(crate) hash: [u8; 32],
}

impl RefreshText {
    /// The first token of a session.
    pub(crate) fn first(user: UserId, session: SessionId, ids: &Arc<dyn IdSource>) -> Self {
        let mut secret = [0; SECRET];
        ids.random(&mut secret);
        Self::new(user, session, 0, secret)
    }

    /// Reads the one form that a token has; whether it is genuine is what the database knows.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX).filter(|_| text.len() <= MOST_BYTES)?;
        let mut parts = rest.splitn(4, '_');
        let user = short(parts.next()?)?.parse().ok()?;
        let session = short(parts.next()?)?.parse().ok()?;
        let counter = parts.next()?.parse().ok()?;
        let secret = BASE64_URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        let token = Self::new(user, session, counter, secret.try_into().ok()?);
        (counter >= 0 && token.text == text).then_some(token)
    }

    /// The one token that comes after this one: the same however often it is asked for. One for each live
    /// key, the signing one first. It takes both the key and this token's text to make it. There is none
    /// after the last counter.
    pub(crate) fn successors(&self, keys: &TokenKeys) -> Vec<Self> {
        let Some(counter) = self.counter.checked_add(1) else { return Vec::new() };
        keys.all().map(|key| self.successor(key, counter)).collect()
    }

    fn successor(&self, key: &TokenKey, counter: i64) -> Self {
        let session = self.session.uuid();
        let parts = [LABEL, session.as_bytes(), &counter.to_be_bytes(), self.text.as_bytes()];
        Self::new(self.user, self.session, counter, key.sign(&parts))
    }

    fn new(user: UserId, session: SessionId, counter: i64, secret: [u8; SECRET]) -> Self {
        let secret = BASE64_URL_SAFE_NO_PAD.encode(secret);
        let text = format!("{PREFIX}{}_{}_{counter}_{secret}", user.short(), session.short());
        let hash = Sha256::digest(&text).into();
        Self { user, session, counter, text, hash }
    }
}

impl fmt::Debug for RefreshText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RefreshText")
            .field("user", &self.user)
            .field("session", &self.session)
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

fn short(text: &str) -> Option<&str> {
    (text.len() == ID).then_some(text)
}

#[cfg(test)]
mod tests {
    use chatstore_model::RandomIds;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const USER: UserId = UserId::from_uuid(Uuid::from_u128(1));
    const SESSION: SessionId = SessionId::from_uuid(Uuid::from_u128(2));

    fn first() -> RefreshText {
        let ids: Arc<dyn IdSource> = Arc::new(RandomIds(|bytes| bytes.fill(0xff)));
        RefreshText::first(USER, SESSION, &ids)
    }

    fn keys(byte: u8) -> TokenKeys {
        TokenKeys::generate(|bytes| bytes.fill(byte)).0
    }

    #[test]
    fn a_token_names_its_user_its_session_and_its_place() {
        let token = first();
        assert_eq!(
            token.text,
            "cr_1111111111111111111112_1111111111111111111113_0___________________________________________8"
        );
        assert_eq!(RefreshText::parse(&token.text), Some(token.clone()));
        assert_eq!((token.user, token.session, token.counter), (USER, SESSION, 0));
        assert!(!format!("{token:?}").contains("cr_"), "{token:?}");
    }

    #[test]
    fn the_successor_is_the_same_however_often_it_is_asked_for() {
        let successor = first().successors(&keys(1)).remove(0);
        assert_eq!(first().successors(&keys(1)).remove(0), successor);
        assert_eq!((successor.user, successor.session, successor.counter), (USER, SESSION, 1));
        assert_eq!(RefreshText::parse(&successor.text), Some(successor.clone()));
        assert_ne!(successor.successors(&keys(1))[0].text[49..], successor.text[49..]);
    }

    #[test]
    fn neither_the_key_nor_the_token_alone_makes_the_successor() {
        let successor = first().successors(&keys(1)).remove(0);
        assert_ne!(first().successors(&keys(2))[0].hash, successor.hash);
        let guessed = RefreshText::new(USER, SESSION, 0, [0; SECRET]);
        assert_ne!(guessed.successors(&keys(1))[0].hash, successor.hash);
        let other_session = RefreshText::new(USER, SessionId::from_uuid(Uuid::nil()), 0, [0xff; SECRET]);
        assert_ne!(other_session.successors(&keys(1))[0].text[49..], successor.text[49..]);
    }

    #[test]
    fn a_change_of_keys_leaves_the_successor_of_the_key_before() {
        let (_, new) = TokenKeys::generate(|bytes| bytes.fill(2));
        let (_, old) = TokenKeys::generate(|bytes| bytes.fill(1));
        let both = TokenKeys::parse(&format!("{new},{old}")).unwrap();
        let expected = [first().successors(&keys(2)), first().successors(&keys(1))].concat();
        assert_eq!(first().successors(&both), expected);
    }

    #[test]
    fn there_is_no_successor_of_the_last_counter() {
        assert_eq!(RefreshText::new(USER, SESSION, i64::MAX, [1; SECRET]).successors(&keys(1)), []);
    }

    #[test]
    fn other_spellings_of_a_token_are_refused() {
        let good = first().text;
        for text in [
            good.replacen("_0_", "_00_", 1),
            good.replacen("_0_", "_+0_", 1),
            good.replacen("_0_", "_-0_", 1),
            good.replacen("_0_", "_-1_", 1),
            good.replacen("_0_", "_9223372036854775808_", 1),
            good.replacen("_0_", "__", 1),
            good.replacen("1111111111111111111112", "00000000-0000-0000-0000-000000000001", 1),
            good.replacen("cr_", "cs_", 1),
            good.replacen("cr_", "CR_", 1),
            format!("{}9", &good[..good.len() - 1]),
            format!("{good}="),
            format!("{good} "),
            format!(" {good}"),
            good[..good.len() - 1].to_owned(),
            format!("{good}{good}"),
        ] {
            assert_eq!(RefreshText::parse(&text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_048))]

        #[test]
        fn every_token_reads_back_as_itself(
            user in any::<u128>(),
            session in any::<u128>(),
            counter in 0..=i64::MAX,
            secret in any::<[u8; 32]>(),
        ) {
            let user = UserId::from_uuid(Uuid::from_u128(user));
            let session = SessionId::from_uuid(Uuid::from_u128(session));
            let token = RefreshText::new(user, session, counter, secret);
            prop_assert!(token.text.len() <= 200);
            prop_assert_eq!(RefreshText::parse(&token.text), Some(token));
        }

        #[test]
        fn random_text_is_no_token(
            text in "(cr_)?\\PC{0,120}",
            pieces in "cr_[1-9a-zA-Z]{22}(_[1-9a-zA-Z]{22}(_[0-9]{0,20}(_[A-Za-z0-9_-]{0,42})?)?)?",
        ) {
            prop_assert_eq!(RefreshText::parse(&text), None);
            prop_assert_eq!(RefreshText::parse(&pieces), None);
        }

        #[test]
        fn an_altered_token_is_refused_or_is_another_one(
            place in any::<prop::sample::Index>(),
            length in 0_usize..3,
            piece in "(\\+|0|_|[_+0-9A-Za-zé-]{0,2})",
        ) {
            let good = first();
            let start = place.index(good.text.len());
            let end = (start + length).min(good.text.len());
            let altered = format!("{}{piece}{}", &good.text[..start], &good.text[end..]);
            if let Some(token) = RefreshText::parse(&altered) {
                prop_assert_eq!(&token.text, &altered);
                prop_assert_eq!(token.hash == good.hash, altered == good.text);
            }
        }
    }
}
