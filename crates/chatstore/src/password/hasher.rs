//! What is done with a password: hashed, checked, or its hash strengthened.

use std::borrow::Cow;
use std::sync::Arc;

use chatstore_model::{IdSource, PasswordHash};

use super::argon2id::{Argon2Hash, Memory, SALT};
use super::gate::{Passwords, Permit};
use super::pbkdf2::Pbkdf2Hash;
use super::stored::{Stored, Verification};
use super::wrapped::Wrapped;
use super::{Busy, MOST_BYTES, Password};

impl Passwords {
    /// Whether it is a hash that [`Permit::wrap`] makes stronger.
    pub(crate) fn is_legacy(hash: &PasswordHash) -> bool {
        Pbkdf2Hash::parse(hash.expose()).is_some()
    }
}

impl Permit {
    /// The hash of a new password.
    pub(crate) async fn hash(
        &self,
        password: Password,
        ids: &Arc<dyn IdSource>,
    ) -> Result<PasswordHash, Busy> {
        let salt = salt(ids);
        self.run(move |memory| {
            let hash = Argon2Hash::make(password.to_hash().as_bytes(), salt, memory)?;
            Ok(PasswordHash::made(hash.to_string()))
        })
        .await
    }

    /// Checks a password. With `None` (no such user, no password, a disabled user) and with a hash of
    /// a form that is not understood it does the work of a wrong password and answers [`Verification::Wrong`];
    /// so it does with a password that no user can have, being too long or with U+0000.
    pub(crate) async fn verify(
        &self,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<Verification, Busy> {
        let right = self.find_right(password, vec![hash]).await?;
        Ok(right.map_or(Verification::Wrong, |(_, verification)| verification))
    }

    /// The first of these hashes whose password it is, by its place, with [`Verification::Right`] or
    /// [`Verification::NeedsRehash`]. Each is checked as by [`verify`](Self::verify), so that the work of a wrong password
    /// depends on their number alone.
    pub(crate) async fn find_right(
        &self,
        password: Password,
        hashes: Vec<Option<PasswordHash>>,
    ) -> Result<Option<(usize, Verification)>, Busy> {
        self.run(move |memory| {
            let spellings = spellings(&password);
            for (place, hash) in hashes.into_iter().enumerate() {
                let stored = hash.and_then(|hash| Stored::parse(hash.expose()));
                let verification = try_spellings(stored.as_ref(), &spellings, memory)?;
                if verification != Verification::Wrong {
                    return Ok(Some((place, verification)));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Strengthens a PBKDF2 hash without its password; `None` when it is none.
    pub(crate) async fn wrap(
        &self,
        hash: &PasswordHash,
        ids: &Arc<dyn IdSource>,
    ) -> Result<Option<PasswordHash>, Busy> {
        let Some(inner) = Pbkdf2Hash::parse(hash.expose()) else { return Ok(None) };
        let salt = salt(ids);
        self.run(move |memory| Ok(Some(PasswordHash::made(Wrapped::make(inner, salt, memory)?.to_string()))))
            .await
    }
}

/// What a hash of the password may be of: the text as it was typed, which hashes from elsewhere are of, and, where it is
/// another, the form that is hashed here. `None` stands for a text that is no user's password, whose work is done all the
/// same.
fn spellings(password: &Password) -> Vec<Option<Cow<'_, str>>> {
    let typed = password.expose();
    if typed.len() > MOST_BYTES {
        return vec![None];
    }
    let hashed = password.to_hash();
    if hashed == typed {
        return vec![if_possible(hashed)];
    }
    vec![if_possible(Cow::Borrowed(typed)), if_possible(hashed)]
}

fn if_possible(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (text.len() <= MOST_BYTES && !text.contains('\0')).then_some(text)
}

/// Checks each spelling against a hash, or does the work of it. One that was hashed in another spelling than new ones are
/// is to be replaced.
fn try_spellings(
    stored: Option<&Stored>,
    spellings: &[Option<Cow<'_, str>>],
    memory: &mut Memory,
) -> Result<Verification, Busy> {
    for (place, spelling) in spellings.iter().enumerate() {
        let secret = spelling.as_deref().unwrap_or_default().as_bytes();
        let Some(stored) = stored else {
            Argon2Hash::make(secret, [0; SALT], memory)?;
            continue;
        };
        let verification = stored.verify(secret, memory)?;
        if spelling.is_none() || verification == Verification::Wrong {
            continue;
        }
        let is_hashed_form = place + 1 == spellings.len();
        return Ok(match verification {
            Verification::Right if !is_hashed_form => Verification::NeedsRehash,
            found => found,
        });
    }
    Ok(Verification::Wrong)
}

fn salt(ids: &Arc<dyn IdSource>) -> [u8; SALT] {
    let mut salt = [0; SALT];
    ids.random(&mut salt);
    salt
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chatstore_model::RandomIds;

    use super::*;

    fn ids() -> Arc<dyn IdSource> {
        Arc::new(RandomIds(|bytes| bytes.fill(7)))
    }

    #[tokio::test]
    async fn a_new_hash_is_argon2id_with_its_salt_from_the_id_source_and_verifies() {
        let passwords = Passwords::new();
        let hash =
            passwords.permit().unwrap().hash(Password::new("correct horse battery"), &ids()).await.unwrap();
        let text = hash.expose();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"), "{text}");
        assert_eq!(PasswordHash::known(text), Some(hash.clone()));
        for (password, verification) in
            [("correct horse battery", Verification::Right), ("correct horse batterY", Verification::Wrong)]
        {
            assert_eq!(
                passwords.permit().unwrap().verify(Password::new(password), Some(hash.clone())).await,
                Ok(verification)
            );
        }
    }

    #[tokio::test]
    async fn an_impossible_password_is_wrong_even_where_the_empty_one_is_right() {
        let passwords = Passwords::new();
        let empty = passwords.permit().unwrap().hash(Password::new(""), &ids()).await.unwrap();
        for text in ["x".repeat(1_025), "\0".to_owned()] {
            let verification =
                passwords.permit().unwrap().verify(Password::new(text), Some(empty.clone())).await;
            assert_eq!(verification, Ok(Verification::Wrong));
        }
        assert_eq!(
            passwords.permit().unwrap().verify(Password::new(""), Some(empty)).await,
            Ok(Verification::Right)
        );
    }

    #[tokio::test]
    async fn an_unknown_user_costs_as_much_as_a_wrong_password() {
        let passwords = Passwords::new();
        let hash =
            passwords.permit().unwrap().hash(Password::new("correct horse battery"), &ids()).await.unwrap();
        let mut fastest = [Duration::MAX; 3];
        for _ in 0..8 {
            let unknown = PasswordHash::known("$6$rounds=5000$salt$digest");
            for (index, hash) in [Some(hash.clone()), None, unknown].into_iter().enumerate() {
                let started = Instant::now();
                let verification =
                    passwords.permit().unwrap().verify(Password::new("wrong horse battery"), hash).await;
                assert_eq!(verification, Ok(Verification::Wrong));
                fastest[index] = fastest[index].min(started.elapsed());
            }
        }
        assert!(fastest[1] > fastest[0] / 2 && fastest[2] > fastest[0] / 2, "{fastest:?}");
    }

    #[tokio::test]
    async fn every_candidate_costs_as_much_as_a_wrong_password() {
        let passwords = Passwords::new();
        let hash = passwords.permit().unwrap().hash(Password::new("correct horse battery"), &ids()).await;
        let hash = Some(hash.unwrap());
        for password in ["wrong horse battery", "wrong ho\u{308}rse battery"] {
            let mut fastest = [Duration::MAX; 3];
            for _ in 0..4 {
                let kinds = [vec![hash.clone(), hash.clone()], vec![None, hash.clone()], vec![None, None]];
                for (index, hashes) in kinds.into_iter().enumerate() {
                    let started = Instant::now();
                    let permit = passwords.permit().unwrap();
                    assert_eq!(permit.find_right(Password::new(password), hashes).await, Ok(None));
                    fastest[index] = fastest[index].min(started.elapsed());
                }
            }
            let [both, one, none] = fastest;
            assert!(one > both / 2 && none > both / 2, "{password:?}: {fastest:?}");
        }
    }

    #[tokio::test]
    async fn an_older_hash_is_tried_as_typed_and_then_in_the_form_that_is_hashed() {
        let passwords = Passwords::new();
        let (composed, decomposed) = ("corr\u{e9}ct horse", "corre\u{301}ct horse");
        let of = |text: &str| {
            let hash = Argon2Hash::make(text.as_bytes(), [7; SALT], &mut Memory::default()).unwrap();
            Some(PasswordHash::made(hash.to_string()))
        };
        for (stored, typed, expected) in [
            (composed, composed, Verification::Right),
            (composed, decomposed, Verification::Right),
            (decomposed, decomposed, Verification::NeedsRehash),
            (decomposed, composed, Verification::Wrong),
        ] {
            let permit = passwords.permit().unwrap();
            let verification = permit.verify(Password::new(typed), of(stored)).await;
            assert_eq!(verification, Ok(expected), "{typed:?} for {stored:?}");
        }
        let hashes = vec![None, of("another one"), of(composed), of(composed)];
        let right = passwords.permit().unwrap().find_right(Password::new(composed), hashes).await;
        assert_eq!(right, Ok(Some((2, Verification::Right))));
    }
}
