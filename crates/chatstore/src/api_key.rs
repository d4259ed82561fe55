//! API keys: generated once, checked against their hash.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chatstore_model::{IdSource, UserId};
use sha2::{Digest, Sha256};

/// How every key begins.
const PREFIX: &str = "cs_";

/// Characters of a user's short id, and of 32 secret bytes in base 64.
const USER: usize = 22;
const SECRET: usize = 43;

/// Characters of a key that its owner is shown later: the beginning of the secret says which it is.
const SHOWN: usize = PREFIX.len() + USER + 1 + 6;

/// The text of a new key, its shown beginning and its hash.
pub(crate) struct KeyText {
    pub(crate) text: String,
    pub(crate) prefix: String,
    pub(crate) hash: [u8; 32],
}

impl KeyText {
    pub(crate) fn new(user: UserId, ids: &Arc<dyn IdSource>) -> Self {
        let mut secret = [0; 32];
        ids.random(&mut secret);
        let text = format!("{PREFIX}{}_{}", user.short(), BASE64_URL_SAFE_NO_PAD.encode(secret));
        let prefix = text[..SHOWN].to_owned();
        Self { hash: hash(&text), prefix, text }
    }
}

/// Whether a text is meant to be a key, rather than an access token.
pub(crate) fn is_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The user in a text that has the form of a key, and its hash.
pub(crate) fn parse(text: &str) -> Option<(UserId, [u8; 32])> {
    let rest = text.strip_prefix(PREFIX)?;
    if !rest.is_ascii() || rest.len() != USER + 1 + SECRET {
        return None;
    }
    let (user, secret) = rest.split_at(USER);
    let user = user.parse().ok()?;
    BASE64_URL_SAFE_NO_PAD.decode(secret.strip_prefix('_')?).ok()?;
    Some((user, hash(text)))
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use chatstore_model::RandomIds;
    use proptest::prelude::*;

    use super::*;

    fn key() -> KeyText {
        let ids: Arc<dyn IdSource> = Arc::new(RandomIds(|bytes| bytes.fill(7)));
        KeyText::new(UserId::from_uuid(uuid::Uuid::from_u128(99)), &ids)
    }

    #[test]
    fn a_key_names_its_user_and_hides_most_of_its_secret() {
        let user = UserId::from_uuid(uuid::Uuid::from_u128(99));
        let key = key();
        assert_eq!(key.text.len(), 69);
        assert_eq!(parse(&key.text), Some((user, key.hash)));
        assert_eq!(key.prefix.len(), 32);
    }

    #[test]
    fn texts_of_another_form_are_no_keys() {
        for text in
            ["", "cs_", "Bearer x", "cs_é111111111111111111111_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn other_spellings_of_a_key_are_no_keys() {
        let good = key().text;
        for text in [
            format!("{good}="),
            format!("{good} "),
            format!(" {good}"),
            good.replacen("cs_", "CS_", 1),
            good.replace('B', "+"),
            format!("{} ", &good[..good.len() - 1]),
            format!("{}9", &good[..good.len() - 1]),
            format!("{}-{}", &good[..25], &good[26..]),
        ] {
            assert_eq!(parse(&text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn random_text_is_no_key(text in "(cs_)?\\PC{0,80}", ascii in "cs_[ -~]{66}") {
            prop_assert_eq!(parse(&text), None);
            prop_assert_eq!(parse(&ascii), None);
        }

        #[test]
        fn an_altered_key_is_refused_or_is_another_one(
            place in any::<prop::sample::Index>(),
            length in 0_usize..3,
            piece in "[_+=0-9A-Za-zé-]{0,2}",
        ) {
            let good = key();
            let start = place.index(good.text.len());
            let end = (start + length).min(good.text.len());
            let altered = format!("{}{piece}{}", &good.text[..start], &good.text[end..]);
            if let Some((_, hash)) = parse(&altered) {
                prop_assert_eq!(altered.len(), good.text.len());
                prop_assert_eq!(hash == good.hash, altered == good.text);
            }
        }
    }
}
