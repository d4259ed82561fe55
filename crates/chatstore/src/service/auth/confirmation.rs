//! The password, shown again before what a stolen session or key must not do.

use std::time::Duration;

use chatstore_model::UserId;
use chatstore_sql::{ReadTx, StoreError, WriteTx};

use super::Auth;
use crate::error::{Error, ErrorKind, Result};
use crate::password::{Password, Verification};
use crate::principal::Credential;
use crate::security_event::SecurityEvent;

/// How long a confirmation lasts.
const CONFIRMED_FOR: Duration = Duration::from_secs(5 * 60);

impl Auth<'_> {
    /// Notes that a user showed their password again, in the session or with the key that the request came with: for
    /// five minutes [`is_confirmed`](Self::is_confirmed) is true of it. Counts as a [change of the
    /// password](Self::change_password) does.
    ///
    /// # Errors
    /// `InvalidCredentials` when the password is another or there is none; `LimitReached` after too many failures;
    /// `Overloaded`.
    pub async fn confirm(self, user: UserId, credential: Credential, password: Password) -> Result<()> {
        let confirmed =
            self.count_confirmation(user, Box::pin(self.confirm_once(user, credential, password))).await;
        match &confirmed {
            Ok(()) => SecurityEvent::PASSWORD_CONFIRMED.note(self.store, Some(user)),
            Err(error) if error.kind() == ErrorKind::InvalidCredentials => {
                SecurityEvent::PASSWORD_CONFIRMATION_FAILED.note(self.store, Some(user));
            }
            Err(_) => {}
        }
        confirmed
    }

    async fn confirm_once(&self, user: UserId, credential: Credential, password: Password) -> Result<()> {
        let permit = self.permit()?;
        let found = self.store.read("password_find", async move |tx| tx.passwords().get(user).await).await?;
        let (_, hash) = found.ok_or_else(|| Error::not_found("user"))?;
        let verification = permit.verify(password, hash.clone()).await?;
        let (Some(verified), Verification::Right | Verification::NeedsRehash) = (hash, verification) else {
            return Err(Error::invalid_credentials());
        };
        let confirm = async move |tx: &mut WriteTx<'_>| {
            let stored = tx.passwords().lock(user).await?.and_then(|(_, hash)| hash);
            if stored.as_ref() != Some(&verified) {
                return Err(Error::invalid_credentials());
            }
            match credential {
                Credential::Session(session) => tx.sessions().confirm(user, session).await?,
                Credential::Key { id, .. } => tx.api_keys().confirm(user, id).await?,
                Credential::Provider | Credential::Application => {
                    return Err(Error::conflict(
                        "log in: nothing but a session or a key confirms a password",
                    ));
                }
            }
            Ok(())
        };
        self.store.write("password_confirm", confirm).await
    }

    /// Whether a request with this credential may do what changes who a user is: the user has no password, or it was
    /// [confirmed](Self::confirm) with the same credential within the last five minutes. A token of an identity provider
    /// confirms none: where users log in with passwords, a session does, and elsewhere the provider alone says who it is. An application that says itself who the user is asks as it sees fit.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn is_confirmed(self, user: UserId, credential: Credential) -> Result<bool> {
        let is_vouched_for = match credential {
            Credential::Provider => !self.has_local_passwords(),
            Credential::Application => true,
            Credential::Key { .. } | Credential::Session(_) => false,
        };
        if is_vouched_for {
            return Ok(true);
        }
        let read = async move |tx: &mut ReadTx<'_>| {
            let has_password = tx.passwords().get(user).await?.is_some_and(|(_, hash)| hash.is_some());
            let confirmed_at = match credential {
                Credential::Session(session) => tx.sessions().confirmed_at(user, session).await?,
                Credential::Key { id, .. } => tx.api_keys().confirmed_at(user, id).await?,
                Credential::Provider | Credential::Application => None,
            };
            Ok::<_, StoreError>((has_password, confirmed_at))
        };
        let (has_password, confirmed_at) = self.store.read("password_is_confirmed", read).await?;
        let now = self.store.now();
        Ok(!has_password || confirmed_at.is_some_and(|at| now < at.plus(CONFIRMED_FOR)))
    }
}
