//! Changing passwords.

use chatstore_model::{FieldCode, Invalid, User, UserId};
use chatstore_sql::WriteTx;

use super::{Auth, OwnKeys};
use crate::changes::CallerChange;
use crate::error::{Error, ErrorKind, Result};
use crate::password::{Password, Passwords, Verification};
use crate::security_event::SecurityEvent;

/// How many hashes are looked at at a time.
const PIECE: i64 = 200;

/// The texts that a user's password must not be.
pub(crate) fn names(user: &User) -> Vec<&str> {
    [&user.username, &user.email].into_iter().filter_map(|name| name.as_deref()).collect()
}

impl Auth<'_> {
    /// Changes a user's password after the present one was shown, ends all of their sessions, and revokes their API keys
    /// where that is said.
    ///
    /// # Errors
    /// `InvalidCredentials` when the present one is another or there is none; `Invalid` for a new one that is
    /// too short, too long, common or the present one; `LimitReached` after too many failures; `Overloaded`;
    /// `Forbidden` where passwords are switched off.
    pub async fn change_password(
        self,
        user: UserId,
        current: Password,
        new: Password,
        keys: OwnKeys,
    ) -> Result<()> {
        self.require_local_passwords()?;
        self.count_confirmation(user, Box::pin(self.change(user, current, new, keys))).await
    }

    async fn change(&self, user: UserId, current: Password, new: Password, keys: OwnKeys) -> Result<()> {
        let permit = self.permit()?;
        let found = self.store.read("password_find", async move |tx| tx.passwords().get(user).await).await?;
        let (found, hash) = found.ok_or_else(|| Error::not_found("user"))?;
        new.check("new_password", &names(&found))?;
        if new.is_same(&current) {
            let message = "must be another than the present one";
            return Err(Invalid::field("new_password", FieldCode::NotAllowed, message).into());
        }
        let verification = permit.verify(current, hash.clone()).await?;
        let Some(verified) = hash.filter(|_| verification != Verification::Wrong) else {
            SecurityEvent::PASSWORD_CHANGE_FAILED.note(self.store, Some(user));
            return Err(Error::invalid_credentials());
        };
        let hash = permit.hash(new, &self.store.database.ids()).await?;
        let change = async move |tx: &mut WriteTx<'_>| {
            let stored = tx.passwords().lock(user).await?.and_then(|(_, hash)| hash);
            if stored.as_ref() != Some(&verified) {
                return Err(Error::invalid_credentials());
            }
            tx.passwords().set(user, &hash, false).await?;
            Ok(keys.settle(tx, user).await?)
        };
        if let Err(error) = self.store.write("password_change", change).await {
            if error.kind() == ErrorKind::InvalidCredentials {
                SecurityEvent::PASSWORD_CHANGE_FAILED.note(self.store, Some(user));
            }
            return Err(error);
        }
        self.store.changed(CallerChange::Everything).await;
        SecurityEvent::PASSWORD_CHANGED.note(self.store, Some(user));
        keys.note(self.store, user);
        Ok(())
    }

    /// Sets a user's password without the present one, and ends all of their sessions. With `must_change`
    /// they have to choose another one at their next login.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a password that is too short, too long or common; `Conflict` for the
    /// built-in user; `Overloaded`.
    pub async fn set_password(self, user: UserId, new: Password, must_change: bool) -> Result<()> {
        let found = self.store.users().get(user).await?;
        new.check("password", &names(&found))?;
        let hash = self.identity().passwords.permit()?.hash(new, &self.store.database.ids()).await?;
        self.store
            .write("password_set", async move |tx| tx.passwords().set(user, &hash, must_change).await)
            .await?;
        self.store.changed(CallerChange::Everything).await;
        SecurityEvent::PASSWORD_SET.note(self.store, Some(user));
        Ok(())
    }

    /// How many hashes [`wrap_legacy`](Self::wrap_legacy) would turn; reads all of them.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn count_legacy(self) -> Result<u64> {
        let (mut after, mut count) = (UserId::ANONYMOUS, 0);
        loop {
            let piece = self
                .store
                .read("password_page", async move |tx| tx.passwords().page(after, PIECE).await)
                .await?;
            let Some((last, _)) = piece.last() else { return Ok(count) };
            after = *last;
            count += piece.iter().map(|(_, hash)| u64::from(Passwords::is_legacy(hash))).sum::<u64>();
        }
    }

    /// Turns every PBKDF2 hash into the Argon2id hash of it, without the passwords; how many there were. Calls
    /// `progress` with that number again and again. May be stopped and called again.
    ///
    /// # Errors
    /// That the database is unavailable; `Overloaded`.
    pub async fn wrap_legacy(self, mut progress: impl FnMut(u64)) -> Result<u64> {
        let (mut after, mut wrapped) = (UserId::ANONYMOUS, 0);
        loop {
            let piece = self
                .store
                .read("password_page", async move |tx| tx.passwords().page(after, PIECE).await)
                .await?;
            let Some((last, _)) = piece.last() else { return Ok(wrapped) };
            after = *last;
            for (user, former) in piece {
                let ids = self.store.database.ids();
                let Some(hash) = self.identity().passwords.permit()?.wrap(&former, &ids).await? else {
                    continue;
                };
                let replaced = self
                    .store
                    .write("password_wrap", async move |tx| {
                        tx.passwords().replace(user, &former, &hash).await
                    })
                    .await?;
                wrapped += u64::from(replaced);
                progress(wrapped);
            }
        }
    }
}
