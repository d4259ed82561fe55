//! A stored hash of any form that is understood.

use super::Busy;
use super::argon2id::{Argon2Hash, Memory};
use super::bcrypt_hash::BcryptHash;
use super::pbkdf2::Pbkdf2Hash;
use super::wrapped::Wrapped;

/// What checking a password against a hash came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verification {
    /// The password is another one.
    Wrong,
    /// The password is right.
    Right,
    /// The password is right, but its hash is of an older kind or of weaker parameters: to be replaced.
    NeedsRehash,
    /// The password is right as far as its hash can tell, which does not depend on all of it: to be kept. In its place
    /// would come the hash of what was typed, right or wrong.
    RightInPart,
}

#[derive(Debug)]
pub(super) enum Stored {
    Argon2(Argon2Hash),
    Wrapped(Wrapped),
    Pbkdf2(Pbkdf2Hash),
    Bcrypt(BcryptHash),
}

impl Stored {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Argon2Hash::parse(text)
            .map(Self::Argon2)
            .or_else(|| Wrapped::parse(text).map(Self::Wrapped))
            .or_else(|| Pbkdf2Hash::parse(text).map(Self::Pbkdf2))
            .or_else(|| BcryptHash::parse(text).map(Self::Bcrypt))
    }

    pub(super) fn verify(&self, password: &[u8], memory: &mut Memory) -> Result<Verification, Busy> {
        let (is_right, when_right) = match self {
            Self::Argon2(hash) if hash.is_current() => (hash.matches(password, memory)?, Verification::Right),
            Self::Argon2(hash) => (hash.matches(password, memory)?, Verification::NeedsRehash),
            // HMAC pads short keys with U+0000, which no password has, and hashes keys of more than 64 bytes, so that the
            // digest of a long password is right too: 32 bytes that are hardly ever text.
            Self::Wrapped(hash) => (hash.matches(password, memory)?, Verification::NeedsRehash),
            Self::Pbkdf2(hash) => (hash.matches(password), Verification::NeedsRehash),
            Self::Bcrypt(hash) if BcryptHash::depends_on_all_of(password) => {
                (hash.matches(password), Verification::NeedsRehash)
            }
            Self::Bcrypt(hash) => (hash.matches(password), Verification::RightInPart),
        };
        Ok(if is_right { when_right } else { Verification::Wrong })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chatstore_model::{IdSource, PasswordHash, RandomIds};
    use proptest::prelude::*;

    use super::*;
    use crate::password::{Password, Passwords};

    const PASSWORD: &str = "correct horse battery";

    /// Hashes of [`PASSWORD`] by Python 3.11: `hashlib.pbkdf2_hmac("sha256", …)` with the salts
    /// `bytes(range(16))` and `bytes(range(32))`; Django 5.2.19 `PBKDF2PasswordHasher().encode(password,
    /// "seasaltseasalt", 1000)`; passlib 1.7.4 `pbkdf2_sha256.using(rounds=1000, salt=bytes([0xfb, 0xef]
    /// * 8)).hash(password)`; werkzeug 3.1.9 `generate_password_hash(password, "pbkdf2:sha256:1000")`;
    /// bcrypt 4.0.1 `hashpw` with cost 4; argon2-cffi 25.1.0 `hash_secret` with the salt `bytes(range(16))`.
    const PBKDF2: [&str; 13] = [
        "000102030405060708090a0b0c0d0e0f:c8d122ecdb9477cd48a6b1750c5985c0b8b05158d040d20517ccdb49865de436",
        "000102030405060708090a0b0c0d0e0f$2a82d2ec87f0318fdafab3f1bf6f14deeec68310036dc8c36c33e13244d122c1",
        "000102030405060708090A0B0C0D0E0F:C8D122ECDB9477CD48A6B1750C5985C0B8B05158D040D20517CCDB49865DE436",
        "pbkdf2_sha256$1000$seasaltseasalt$cfcKhhxcNxLiYkdI3PmwvC7bkgo8NgNRqnZO52mB1Rg=",
        "pbkdf2_sha256$1000$000102030405060708090a0b0c0d0e0f$02169e674d80c0fc7292e8610c8f17be140df062af9aa33ea85eaabecffdf08d",
        "pbkdf2_sha256$1200$000102030405060708090a0b0c0d0e0f$321218058d1b08049e32f5a150aa67176ed42ac0e05185e7f16f7fbf8d890fc7",
        "pbkdf2_sha256$1000$AAECAwQFBgcICQoLDA0ODw==$AhaeZ02AwPxykuhhDI8XvhQN8GKvmqM+qF6qvs/98I0=",
        "$pbkdf2-sha256$1000$../77/vv../77/vv../77w$DjJ3bK4Mhbq8lkTw7VHaTcBAg/0Z2PNNO6Cdc8KXeco",
        "$pbkdf2-sha256$i=1000,l=32$AAECAwQFBgcICQoLDA0ODw$AhaeZ02AwPxykuhhDI8XvhQN8GKvmqM+qF6qvs/98I0",
        "pbkdf2:sha256:1000$SaltSaltSaltSalt$a385e1c62239bf390766eb89531a7201ed39871a51e71fa9e48b0ba9f20ba958",
        "AAECAwQFBgcICQoLDA0OD8jRIuzblHfNSKaxdQxZhcC4sFFY0EDSBRfM20mGXeQ2",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9ZG7bVhii3pe7hGrFJcEp+VF0JUHuReLZN8P/zdc+BLw==",
        "AAECAwQFBgcICQoLDA0ODw==:yNEi7NuUd81IprF1DFmFwLiwUVjQQNIFF8zbSYZd5DY=",
    ];

    /// Generated in the same way; the last two are `hash_secret` of a PBKDF2 digest.
    const OTHERS: [&str; 8] = [
        "$argon2id$v=19$m=64,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$VYd2oowjLaKFDCuPzjEbwOnRLksrkQE1AXAXWa+/2xg",
        "$argon2i$v=19$m=64,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$3Az8ZSH7PZHLpl6o9P1DyGFgXtz3/pT6a+G9J+Uv3yw",
        "$argon2d$v=19$m=64,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$GwRXONJ18+4lLUEphGDeDwZZAMirD1FKk3MMrQbZZ9w",
        "$2a$04$Yu92Evz0l3nN0C6gSpP6.OUpDP9eylLS88Z8qColA3bGLHL.e2yH2",
        "$2b$04$WZp1NwgxX4dSc6esSClo3um3ttD1b6SRCQOtKlqGF0dC8OCfCm8sO",
        "$2y$04$w9tlz9M3CFaD6w3uGQnvBuKFPKWzY8BYZ2Oit7.sq.4PVMZBLY9uO",
        "$argon2id-of-pbkdf2-sha256$i=1000$AAECAwQFBgcICQoLDA0ODw$argon2id$v=19$m=19456,t=2,p=1$EBESExQVFhcYGRobHB0eHw$MJg+AJu3wCa+yRP2j2OrTrS28nYmMMczx4yU9XF4Rs4",
        "$argon2id-of-pbkdf2-sha256$i=1000$BwcHBwcHBwc,AAECAwQFBgcICQoLDA0ODw$argon2id$v=19$m=19456,t=2,p=1$EBESExQVFhcYGRobHB0eHw$MJg+AJu3wCa+yRP2j2OrTrS28nYmMMczx4yU9XF4Rs4",
    ];

    /// As strong as a new one, or stronger.
    const CURRENT: [&str; 2] = [
        "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$quyusfeeuAGbpiw09i+j4VKJ+I/5h3mugd4HghmS/x8",
        "$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$WZX8Xdq9t/EPrirXlicMJpgh1wsO+4+2AmKoHxtvDrg",
    ];

    fn verify(text: &str, password: &str) -> Verification {
        verify_in(&mut Memory::default(), text, password)
    }

    fn verify_in(memory: &mut Memory, text: &str, password: &str) -> Verification {
        let stored = Stored::parse(text).unwrap_or_else(|| panic!("{text}"));
        stored.verify(password.as_bytes(), memory).unwrap()
    }

    #[test]
    fn every_older_form_verifies_its_password_and_no_other() {
        for text in PBKDF2.into_iter().chain(OTHERS) {
            assert_eq!(verify(text, PASSWORD), Verification::NeedsRehash, "{text}");
            assert_eq!(verify(text, "correct horse batterY"), Verification::Wrong, "{text}");
        }
    }

    #[test]
    fn a_hash_as_strong_as_a_new_one_is_not_old() {
        for text in CURRENT {
            assert_eq!(verify(text, PASSWORD), Verification::Right, "{text}");
            assert_eq!(verify(text, ""), Verification::Wrong, "{text}");
        }
    }

    #[test]
    fn a_hash_does_not_depend_on_what_was_hashed_in_its_memory_before() {
        let mut memory = Memory::default();
        for _ in 0..2 {
            for text in OTHERS.into_iter().chain(CURRENT) {
                assert_eq!(
                    verify_in(&mut memory, text, "correct horse batterY"),
                    Verification::Wrong,
                    "{text}"
                );
                assert_ne!(verify_in(&mut memory, text, PASSWORD), Verification::Wrong, "{text}");
            }
        }
    }

    #[test]
    fn bcrypt_looks_at_72_bytes_as_its_maker_did() {
        let text = "$2b$04$q5xhWqXa5nAQG9GZdoTHguyS1RZF/Kp4j/ZWGUY.YWeSCFcIAF6OW";
        assert_eq!(verify(text, &"x".repeat(100)), Verification::RightInPart);
        assert_eq!(verify(text, &"x".repeat(72)), Verification::RightInPart);
        assert_eq!(verify(text, &"x".repeat(71)), Verification::Wrong);
    }

    #[test]
    fn an_import_takes_every_form_that_is_understood() {
        for text in PBKDF2.into_iter().chain(OTHERS).chain(CURRENT) {
            assert!(PasswordHash::known(text).is_some(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_wrapped_hash_verifies_the_password_of_the_hash_inside() {
        let ids: Arc<dyn IdSource> = Arc::new(RandomIds(|bytes| bytes.fill(7)));
        let passwords = Passwords::new();
        for text in [PBKDF2[0], PBKDF2[1], PBKDF2[3], PBKDF2[10]] {
            let hash = PasswordHash::known(text).unwrap();
            let wrapped = passwords.permit().unwrap().wrap(&hash, &ids).await.unwrap().unwrap();
            assert!(wrapped.expose().starts_with("$argon2id-of-pbkdf2-sha256$i=1"), "{text}");
            assert_eq!(PasswordHash::known(wrapped.expose()), Some(wrapped.clone()));
            let right =
                passwords.permit().unwrap().verify(Password::new(PASSWORD), Some(wrapped.clone())).await;
            assert_eq!(right, Ok(Verification::NeedsRehash), "{text}");
            let wrong =
                passwords.permit().unwrap().verify(Password::new("correct horse"), Some(wrapped)).await;
            assert_eq!(wrong, Ok(Verification::Wrong), "{text}");
        }
        for text in OTHERS.into_iter().chain(CURRENT) {
            let hash = PasswordHash::known(text).unwrap();
            assert_eq!(passwords.permit().unwrap().wrap(&hash, &ids).await, Ok(None), "{text}");
        }
    }

    #[test]
    fn hashes_that_would_stop_the_server_are_not_understood() {
        for text in [
            "$argon2id$v=19$m=65537,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$quyusfeeuAGbpiw09i+j4VKJ+I/5h3mugd4HghmS/x8",
            "$argon2id$v=19$m=19456,t=11,p=1$AAECAwQFBgcICQoLDA0ODw$quyusfeeuAGbpiw09i+j4VKJ+I/5h3mugd4HghmS/x8",
            "$argon2id$v=19$m=19456,t=2,p=17$AAECAwQFBgcICQoLDA0ODw$quyusfeeuAGbpiw09i+j4VKJ+I/5h3mugd4HghmS/x8",
            "$2b$15$rX8hogT4Q6js/W8CzwnoX.y63FLjrJZLsnkQ5GqRwTH9eNAZSFF7K",
            "$pbkdf2-sha256$10000001$AAECAwQFBgcICQoLDA0ODw$yNEi7NuUd81IprF1DFmFwLiwUVjQQNIFF8zbSYZd5DY",
            "$pbkdf2-sha256$0$AAECAwQFBgcICQoLDA0ODw$yNEi7NuUd81IprF1DFmFwLiwUVjQQNIFF8zbSYZd5DY",
            "$pbkdf2-sha256$+5$AAECAwQFBgcICQoLDA0ODw$yNEi7NuUd81IprF1DFmFwLiwUVjQQNIFF8zbSYZd5DY",
            "pbkdf2_sha256$100000$$V8nA+z2+z+ZUClLVW9cRUTBoyTu8uRFx2ySsK8glZlg=",
            "pbkdf2:sha512:100000$SaltSaltSaltSalt$edbae8957c47a954277163aac9cae92a0774ae4bd889a5501047e9062e3f41b7",
        ] {
            assert!(Stored::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,120}") {
            let _ = Stored::parse(&text);
        }

        #[test]
        fn no_altered_hash_makes_a_parser_panic(
            which in 0..PBKDF2.len() + OTHERS.len() + CURRENT.len(),
            place in any::<prop::sample::Index>(),
            length in 0_usize..4,
            piece in "[$:,=a-f0-9vé\\PC]{0,3}",
        ) {
            let original = PBKDF2.into_iter().chain(OTHERS).chain(CURRENT).nth(which).unwrap();
            let start = place.index(original.len());
            let end = (start + length).min(original.len());
            let altered = format!("{}{piece}{}", &original[..start], &original[end..]);
            if let Some(Stored::Argon2(hash)) = Stored::parse(&altered) {
                let again = hash.to_string();
                prop_assert_eq!(Argon2Hash::parse(&again).map(|hash| hash.to_string()), Some(again));
            }
        }
    }
}
