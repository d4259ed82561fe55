//! Names and addresses that several users have or claim: who may have which.
//!
//! An address has at most one user who is known to have it and one who claims it, which unique indexes hold. A name with
//! an `@` is its user's own address, or else the row is older than this rule. Whatever the order in which two changes at
//! once are made, each user who has a password can log in.

use chatstore_model::{
    ANOTHER_ADDRESS, Change, Email, FieldCode, Invalid, Timestamp, User, UserId, UserName, UserPatch,
    is_own_name,
};

use super::Users;
use crate::error::StoreError;
use crate::schema::USERS;
use crate::tx::ReadWrite;

const USERNAME_TAKEN: StoreError = StoreError::AlreadyExists { entity: USERS.entity, field: "username" };
const EMAIL_TAKEN: StoreError = StoreError::AlreadyExists { entity: USERS.entity, field: "email" };

impl<M> Users<'_, '_, M> {
    /// Whether a new user could have this address, verified or claimed.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn is_email_free(&mut self, email: &Email, is_verified: bool) -> Result<bool, StoreError> {
        let taken = self.refuse_taken(None, None, Some((email, is_verified))).await;
        Ok(is_free(taken)? && is_free(self.refuse_others_name(None, Some(email), is_verified).await)?)
    }

    /// Whether a new user could have this name, beside an address that is verified or not.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn is_username_free(
        &mut self,
        name: &UserName,
        is_email_verified: bool,
    ) -> Result<bool, StoreError> {
        let taken = self.refuse_taken(None, Some(name), None).await;
        Ok(is_free(taken)? && is_free(self.refuse_others_address(None, Some(name), is_email_verified).await)?)
    }

    /// Fails when another user has this name or else this address, verified or claimed as it would be. The databases do
    /// not agree on which of two violated keys they name.
    pub(super) async fn refuse_taken(
        &mut self,
        own: Option<UserId>,
        username: Option<&UserName>,
        email: Option<(&Email, bool)>,
    ) -> Result<(), StoreError> {
        if let Some(username) = username {
            let holder = self.find_by_username(username.as_typed()).await?;
            if holder.is_some_and(|user| Some(user.id) != own) {
                return Err(USERNAME_TAKEN);
            }
        }
        if let Some((email, is_verified)) = email {
            let holder = match is_verified {
                true => self.find_by_email(email.as_typed()).await?,
                false => self.find_by_claimed_email(email.as_typed()).await?,
            };
            if holder.is_some_and(|user| Some(user.id) != own) {
                return Err(EMAIL_TAKEN);
            }
        }
        Ok(())
    }

    /// Fails when this name could be taken for an address that is not the user's own: as taken when another user has or
    /// claims that address.
    pub(super) async fn refuse_address_as_name(
        &mut self,
        own: Option<UserId>,
        username: Option<&UserName>,
        email: Option<&Email>,
    ) -> Result<(), StoreError> {
        let Some(name) = username.filter(|name| !is_own_name(name, email)) else { return Ok(()) };
        for address in [name.as_typed(), name.key()] {
            let holders = [self.find_by_email(address).await?, self.find_by_claimed_email(address).await?];
            if holders.iter().flatten().any(|holder| Some(holder.id) != own) {
                return Err(USERNAME_TAKEN);
            }
        }
        Err(Invalid::field("username", FieldCode::NotAllowed, ANOTHER_ADDRESS).into())
    }

    /// Fails when another user's name is this address. The claim of another user to a verified address does not count:
    /// their name goes with their claim.
    pub(super) async fn refuse_others_name(
        &mut self,
        own: Option<UserId>,
        email: Option<&Email>,
        is_verified: bool,
    ) -> Result<(), StoreError> {
        let Some(email) = email else { return Ok(()) };
        let Some(named) = self.find_by_username(email.as_typed()).await? else { return Ok(()) };
        let only_claims_it = named.email_verified_at.is_none()
            && named.email.as_deref().is_some_and(|claimed| Email::key_of(claimed) == email.key());
        if Some(named.id) == own || (is_verified && only_claims_it) { Ok(()) } else { Err(EMAIL_TAKEN) }
    }

    /// Fails when this name, which the user has with the claim to an address, is the verified address of another user.
    pub(super) async fn refuse_others_address(
        &mut self,
        own: Option<UserId>,
        username: Option<&UserName>,
        is_verified: bool,
    ) -> Result<(), StoreError> {
        let Some(name) = username.filter(|name| name.may_be_an_address() && !is_verified) else {
            return Ok(());
        };
        for address in [name.as_typed(), name.key()] {
            let holder = self.find_by_email(address).await?;
            if holder.is_some_and(|holder| Some(holder.id) != own) {
                return Err(USERNAME_TAKEN);
            }
        }
        Ok(())
    }
}

impl Users<'_, '_, ReadWrite> {
    /// Fails when the name or the address that a change leaves belongs to another user, or may be taken for the address
    /// of another. What was so before the change is left alone.
    pub(super) async fn refuse_identity(
        &mut self,
        user: &User,
        patch: &UserPatch,
        is_verified: bool,
    ) -> Result<(), StoreError> {
        let email = patch.email.value();
        self.refuse_taken(Some(user.id), patch.username.value(), email.map(|email| (email, is_verified)))
            .await?;
        let had_email = user.email.as_deref().and_then(|email| Email::new(email).ok());
        let had_name = user.username.as_deref().and_then(|name| UserName::imported(name).ok());
        let email_after = after(&patch.email, had_email.as_ref());
        let name_after = after(&patch.username, had_name.as_ref());
        if let Some(name) = name_after.filter(|name| !is_own_name(name, email_after)) {
            if !patch.username.is_keep() {
                return self.refuse_address_as_name(Some(user.id), Some(name), email_after).await;
            }
            if is_own_name(name, had_email.as_ref()) {
                return Err(StoreError::InvalidState(
                    "the user name is the address so far: change or clear it in the same request",
                ));
            }
        }
        self.refuse_others_name(Some(user.id), email, is_verified).await?;
        self.refuse_others_address(Some(user.id), name_after, is_verified).await
    }
}

fn is_free(refused: Result<(), StoreError>) -> Result<bool, StoreError> {
    match refused {
        Ok(()) => Ok(true),
        Err(StoreError::AlreadyExists { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a change leaves.
fn after<'v, T>(change: &'v Change<T>, before: Option<&'v T>) -> Option<&'v T> {
    match change {
        Change::Keep => before,
        Change::Clear => None,
        Change::Set(value) => Some(value),
    }
}

/// Since when the address that a change leaves is verified. Another spelling of the same address is the same address.
pub(super) fn verified_at(user: &User, patch: &UserPatch, now: Timestamp) -> Option<Timestamp> {
    let email = match &patch.email {
        Change::Keep => return user.email_verified_at,
        Change::Clear => return None,
        Change::Set(email) => email,
    };
    let is_same = user.email.as_deref().is_some_and(|former| Email::key_of(former) == email.key());
    let so_far = user.email_verified_at.filter(|_| is_same);
    match patch.is_email_verified {
        Some(true) => so_far.or(Some(now)),
        Some(false) => None,
        None => so_far,
    }
}
