//! The first users of a new installation.

use std::collections::BTreeMap;
use std::fmt;

use chatstore_model::{Invalid, NewUser, PasswordHash, User, UserId, UserName, UserRole};
use chatstore_sql::StoreError;
use uuid::Uuid;

use super::operations::Operations;
use crate::error::Result;
use crate::password::Password;
use crate::security_event::SecurityEvent;

/// The names of the first users. The first of them is an administrator.
pub const SEED_USERS: [&str; 3] = ["admin", "user2", "user3"];

/// What the ids of the first users are derived from, with their names: they are known again whatever becomes of
/// name and metadata.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_5f0e_6d3c_4c55_9c0b_2f1f_9a1e_7c44);

/// No letter or digit that looks like another; each of the 32 is worth 5 bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Characters of a random password: 120 bits.
const LENGTH: usize = 24;

/// Characters between two dashes.
const GROUP: usize = 4;

/// What became of one of the first users.
#[derive(Clone, PartialEq, Eq)]
pub enum Seeded {
    /// There was one, and it is unchanged.
    Exists,
    /// Created with the password that was given.
    Given,
    /// Created with this random password, which is told this once.
    Random(String),
}

impl fmt::Debug for Seeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Exists => "Exists",
            Self::Given => "Given",
            Self::Random(_) => "Random(***)",
        })
    }
}

impl Operations<'_> {
    /// Creates those of the [first users](SEED_USERS) that do not exist, all or none of them, with the password
    /// `given` for the name or else a random one, which they have to change. Of any number of concurrent calls
    /// one creates them.
    ///
    /// # Errors
    /// `Invalid` for a given password that is too short, too long or common; `Overloaded`.
    pub async fn seed(self, given: &BTreeMap<&str, Password>) -> Result<Vec<(&'static str, Seeded)>> {
        let mut outcomes = Vec::new();
        for (index, name) in SEED_USERS.into_iter().enumerate() {
            if self.has_seeded(name).await? {
                outcomes.push((name, Seeded::Exists, None));
                continue;
            }
            let (password, outcome) = match given.get(name) {
                Some(password) => (password.clone(), Seeded::Given),
                None => {
                    let text = random_password(|bytes| self.random(bytes));
                    (Password::new(&text), Seeded::Random(text))
                }
            };
            password.check("password", &[name])?;
            let username = UserName::new(name)
                .map_err(|error| Invalid::field("username", error.code(), error.to_string()))?;
            let hash = self.0.identity.passwords.permit()?.hash(password, &self.0.database.ids()).await?;
            let new = NewUser {
                id: Some(id(name)),
                username: Some(username),
                role: if index == 0 { UserRole::Admin } else { UserRole::User },
                must_change_password: true,
                password_hash: Some(hash),
                ..NewUser::default()
            };
            outcomes.push((name, outcome, Some(new)));
        }
        let seeded: Result<Vec<(&'static str, Seeded)>> = self
            .0
            .write("seed", async move |tx| {
                let mut seeded = Vec::with_capacity(outcomes.len());
                for (name, outcome, new) in &outcomes {
                    let created = match new {
                        Some(new) => tx.users().create(new).await.map(|_| outcome.clone()),
                        None => Ok(Seeded::Exists),
                    };
                    match created {
                        Err(StoreError::AlreadyExists { .. }) => seeded.push((*name, Seeded::Exists)),
                        created => seeded.push((*name, created?)),
                    }
                }
                Ok(seeded)
            })
            .await;
        let seeded = seeded?;
        for (name, outcome) in &seeded {
            if *outcome != Seeded::Exists {
                SecurityEvent::USER_CREATED.note(self.0, Some(id(name)));
            }
        }
        Ok(seeded)
    }

    /// A random password with its hash, for a user who is going to get it and has to change it. Nothing is stored.
    ///
    /// # Errors
    /// `Overloaded`.
    pub async fn random_password(self) -> Result<(String, PasswordHash)> {
        let text = random_password(|bytes| self.random(bytes));
        let permit = self.0.identity.passwords.permit()?;
        let hash = permit.hash(Password::new(&text), &self.0.database.ids()).await?;
        Ok((text, hash))
    }

    async fn has_seeded(self, name: &'static str) -> Result<bool> {
        self.0
            .read("seed_find", async move |tx| {
                let by_id = tx.users().get(id(name)).await?;
                Ok(by_id.is_some() || tx.users().find_by_username(name).await?.is_some())
            })
            .await
    }

    /// The users created by [`seed`](Self::seed) who may log in and still have to change the password that they
    /// got then.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn unchanged_seeds(self) -> Result<Vec<User>> {
        self.0
            .read("seed_unchanged", async |tx| {
                let mut unchanged = Vec::new();
                for name in SEED_USERS {
                    let user = tx.users().get(id(name)).await?;
                    unchanged.extend(user.filter(|user| user.is_active && user.must_change_password));
                }
                Ok(unchanged)
            })
            .await
    }
}

fn id(name: &str) -> UserId {
    UserId::from_uuid(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

fn random_password(random: impl FnOnce(&mut [u8])) -> String {
    let mut bytes = [0; LENGTH];
    random(&mut bytes);
    let mut text = String::with_capacity(LENGTH + LENGTH / GROUP);
    for (index, byte) in bytes.into_iter().enumerate() {
        if index > 0 && index % GROUP == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_character_of_a_random_password_is_one_of_32_with_the_same_chance() {
        let different: BTreeSet<u8> = ALPHABET.iter().copied().collect();
        assert_eq!((different.len(), 256 % ALPHABET.len()), (32, 0));
        let text = random_password(|bytes| bytes.iter_mut().zip(20..).for_each(|(byte, next)| *byte = next));
        assert_eq!(text, "wxyz-2345-6789-abcd-efgh-ijkm");
    }

    #[test]
    fn a_random_password_is_not_shown_by_accident() {
        assert_eq!(format!("{:?}", Seeded::Random("secret".to_owned())), "Random(***)");
    }
}
