//! Which identities of identity providers are whose.

use chatstore_model::{Identity, IdentityName, UserId};

use super::Users;
use crate::changes::CallerChange;
use crate::error::{Error, Result};
use crate::security_event::SecurityEvent;

impl Users<'_> {
    /// The identities that a user has with identity providers, oldest first.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn identities(self, user: UserId) -> Result<Vec<Identity>> {
        Ok(self.0.read("identity_list", async move |tx| tx.identities().list(user).await).await?)
    }

    /// Lets the person whom an identity provider calls so be this user.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the built-in user; `Invalid`; `AlreadyExists` when the identity is a user's already,
    /// of this one or another.
    pub async fn link(self, user: UserId, identity: IdentityName) -> Result<()> {
        if user == UserId::ANONYMOUS {
            return Err(Error::conflict("the built-in user cannot have an identity"));
        }
        self.0.write("identity_link", async move |tx| tx.identities().link(user, &identity).await).await?;
        SecurityEvent::IDENTITY_LINKED.note(self.0, Some(user));
        Ok(())
    }

    /// Takes an identity from a user: its tokens are refused, in this process at once, in others within 5 seconds.
    /// Where users are created, the next one creates another user.
    ///
    /// # Errors
    /// `NotFound` when the user does not have it.
    pub async fn unlink(self, user: UserId, identity: IdentityName) -> Result<()> {
        self.0
            .write("identity_unlink", async move |tx| tx.identities().unlink(user, &identity).await)
            .await?;
        self.0.changed(CallerChange::Everything).await;
        SecurityEvent::IDENTITY_UNLINKED.note(self.0, Some(user));
        Ok(())
    }
}
