use std::sync::Arc;

use chatstore_model::{
    Email, ExternalId, IntoValid, Invalid, Limit, NewUser, Order, Page, User, UserFilter, UserId, UserPatch,
    UserPosition, UserRole, Valid,
};
use chatstore_sql::{Deletion, ReadTx, WriteTx};

use super::deletions::NewMessageIds;
use crate::cache::{ActingKey, Cache};
use crate::changes::CallerChange;
use crate::error::{Error, Result};
use crate::password::{Password, Permit};
use crate::principal::{ActingUser, Credential, Principal};
use crate::security_event::SecurityEvent;
use crate::store::Store;
use crate::user_reference::UserReference;

/// All users, for the application itself.
#[derive(Debug, Clone, Copy)]
pub struct Users<'s>(pub(crate) &'s Store);

impl Store {
    /// All users. Nothing here is checked: it is for the application itself.
    #[must_use]
    pub const fn users(&self) -> Users<'_> {
        Users(self)
    }
}

impl Users<'_> {
    /// Creates a user.
    ///
    /// # Errors
    /// `Invalid`; `AlreadyExists` with field `username` or `email`; `BeingDeleted` when the deletion of a user with the
    /// id of `new` takes more than 2 seconds.
    pub async fn create(self, new: impl IntoValid<NewUser>) -> Result<User> {
        let user = self.insert(new).await?;
        SecurityEvent::USER_CREATED.note(self.0, Some(user.id));
        Ok(user)
    }

    async fn insert(self, new: impl IntoValid<NewUser>) -> Result<User> {
        let new = Arc::new(new.into_valid()?);
        let attempt = || {
            let new = Arc::clone(&new);
            let create = async move |tx: &mut WriteTx<'_>| Ok(tx.users().create(&*new).await?);
            self.0.write("user_create", create)
        };
        self.0.past_deletions(NewMessageIds::NONE, attempt).await
    }

    /// Creates a user who can log in with this password.
    ///
    /// # Errors
    /// `Invalid`, also for a password that is too short, too long or common; `AlreadyExists` with field
    /// `username` or `email`; `Overloaded`.
    pub async fn create_with_password(
        self,
        new: impl IntoValid<NewUser>,
        password: Password,
    ) -> Result<User> {
        let permit = self.0.identity.passwords.permit()?;
        let user = self.insert_with_permit(new.into_valid()?, password, &permit).await?;
        SecurityEvent::USER_CREATED.note(self.0, Some(user.id));
        Ok(user)
    }

    /// The same with a permit that was taken before, and without an event.
    pub(super) async fn insert_with_permit(
        self,
        new: Valid<NewUser>,
        password: Password,
        permit: &Permit,
    ) -> Result<User> {
        let names: Vec<&str> = [
            new.username.as_ref().map(chatstore_model::UserName::as_typed),
            new.email.as_ref().map(Email::as_typed),
        ]
        .into_iter()
        .flatten()
        .collect();
        password.check("password", &names)?;
        let ids = self.0.database.ids();
        let hash = permit.hash(password, &ids).await?;
        self.insert(new.with_password(hash)).await
    }

    /// The user who is known to have this e-mail address, created when there is none; true when it was created. Of any
    /// number of concurrent calls one creates it. A user who only claims the address is not returned.
    ///
    /// Call it with an address that the application itself has verified, never with one that a user typed.
    ///
    /// # Errors
    /// `Invalid` when it is no address.
    pub async fn get_or_create_by_email(self, email: &str) -> Result<(User, bool)> {
        let email =
            Email::new(email).map_err(|error| Invalid::field("email", error.code(), error.to_string()))?;
        self.get_or_create(NewUser::with_verified_email(email)).await
    }

    /// The user who is known to have the e-mail address of `new`; created from it when there is none, with an address
    /// that is verified, else untouched by it. True when it was created.
    ///
    /// # Errors
    /// `Conflict` when `new` has no address; `AlreadyExists` with field `username`; `Invalid`.
    pub async fn get_or_create(self, new: impl IntoValid<NewUser>) -> Result<(User, bool)> {
        let new = Arc::new(new.into_valid()?);
        let attempt = || {
            let new = Arc::clone(&new);
            let get_or_create =
                async move |tx: &mut WriteTx<'_>| Ok(tx.users().get_or_create_by_email(&*new).await?);
            self.0.write("user_get_or_create", get_or_create)
        };
        let (user, is_new): (User, bool) = self.0.past_deletions(NewMessageIds::NONE, attempt).await?;
        if is_new {
            SecurityEvent::USER_CREATED.note(self.0, Some(user.id));
        }
        Ok((user, is_new))
    }

    /// The user with the external id of `new`; created from it when there is none, else untouched by it. True when it was
    /// created. Of any number of concurrent calls one creates it.
    ///
    /// # Errors
    /// `Conflict` when `new` has no external id; `AlreadyExists` with field `username` or `email`; `Invalid`.
    pub async fn get_or_create_by_external_id(self, new: impl IntoValid<NewUser>) -> Result<(User, bool)> {
        let new = Arc::new(new.into_valid()?);
        let attempt = || {
            let new = Arc::clone(&new);
            let get_or_create =
                async move |tx: &mut WriteTx<'_>| Ok(tx.users().get_or_create_by_external_id(&*new).await?);
            self.0.write("user_get_or_create", get_or_create)
        };
        self.0.past_deletions(NewMessageIds::NONE, attempt).await
    }

    /// The user with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get(self, id: UserId) -> Result<User> {
        let found = self.0.read("user_get", async move |tx| tx.users().get(id).await).await?;
        found.ok_or_else(|| Error::not_found("user"))
    }

    /// The user with this name, however it is spelled.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn find_by_username(self, username: &str) -> Result<Option<User>> {
        let username = username.to_owned();
        Ok(self.0.read("user_find", async move |tx| tx.users().find_by_username(&username).await).await?)
    }

    /// The user who is known to have this e-mail address, however it is spelled. One who only claims it is not found.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn find_by_email(self, email: &str) -> Result<Option<User>> {
        let email = email.to_owned();
        Ok(self.0.read("user_find", async move |tx| tx.users().find_by_email(&email).await).await?)
    }

    /// The user who claims this e-mail address, however it is spelled. It may belong to someone else, so never act for
    /// its owner because of it.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn find_by_claimed_email(self, email: &str) -> Result<Option<User>> {
        let email = email.to_owned();
        let find = async move |tx: &mut ReadTx<'_>| tx.users().find_by_claimed_email(&email).await;
        Ok(self.0.read("user_find", find).await?)
    }

    /// The user whom another system knows by this id.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn find_by_external_id(self, id: &ExternalId) -> Result<Option<User>> {
        let id = id.clone();
        Ok(self.0.read("user_find", async move |tx| tx.users().find_by_external_id(&id).await).await?)
    }

    /// The user that a reference names.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn find(self, reference: &UserReference) -> Result<Option<User>> {
        match reference {
            UserReference::Id(id) => {
                let id = *id;
                Ok(self.0.read("user_find", async move |tx| tx.users().get(id).await).await?)
            }
            UserReference::Username(username) => self.find_by_username(username).await,
            UserReference::Email(email) => self.find_by_email(email).await,
            UserReference::External(id) => self.find_by_external_id(id).await,
            UserReference::Anonymous => self.get(UserId::ANONYMOUS).await.map(Some),
        }
    }

    /// The active user that a service acts for, looked up no more often than every 5 seconds; `None` for one that is
    /// unknown or disabled.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn acting(self, reference: &UserReference) -> Result<Option<ActingUser>> {
        if *reference == UserReference::Anonymous {
            let (user_id, role) = (UserId::ANONYMOUS, UserRole::User);
            return Ok(Some(ActingUser { user_id, role, external_namespace: None }));
        }
        let load = async || Ok(self.find(reference).await?.and_then(active));
        self.0.callers.acting.get_or_load(&ActingKey(reference.clone()), load).await
    }

    /// The active user whom the application has let in by its own means, as [`Store::authenticate`] returns others;
    /// `None` for one that is unknown or disabled. Looked up no more often than every 5 seconds.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn let_in(self, user: UserId) -> Result<Option<Principal>> {
        let found = self.acting(&UserReference::Id(user)).await?;
        Ok(found.map(|found| Principal {
            user_id: found.user_id,
            role: found.role,
            credential: Credential::Application,
            must_change_password: false,
            rights: Arc::default(),
            expires_at: None,
        }))
    }

    /// As [`acting`](Self::acting), but a user whom no other request has named yet is created. `None` for one who is
    /// disabled.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn acting_or_created(self, external_id: &ExternalId) -> Result<Option<ActingUser>> {
        if let Some(acting) = self.acting(&UserReference::External(external_id.clone())).await? {
            return Ok(Some(acting));
        }
        let new = NewUser::with_external_id(external_id.clone());
        let (user, _is_new) = self.get_or_create_by_external_id(new).await?;
        Ok(active(user))
    }

    /// Users by creation, without the built-in one.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn page(
        self,
        filter: UserFilter,
        order: Order,
        from: Option<UserPosition>,
        limit: Limit,
    ) -> Result<Page<User, UserPosition>> {
        let database = &self.0.database;
        let is_filtered = filter != UserFilter::default();
        let page = async move |tx: &mut ReadTx<'_>| tx.users().page(filter, order, from, limit).await;
        Ok(match is_filtered {
            true => database.read_long("user_page", page).await?,
            false => database.read("user_page", page).await?,
        })
    }

    /// Changes a user; takes effect on their API keys and sessions at once in this process. Disabling ends
    /// the sessions, becoming an administrator revokes the keys. Another address is one that the user claims, unless the
    /// patch says that it is verified.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`; `AlreadyExists`; `Conflict` when neither name nor address would be
    /// left.
    pub async fn update(self, id: UserId, patch: impl IntoValid<UserPatch>) -> Result<User> {
        let patch = patch.into_valid()?;
        let events = events_of(&patch);
        let user = self.0.write("user_update", async move |tx| tx.users().update(id, &patch).await).await?;
        self.0.changed(CallerChange::Everything).await;
        if let Some(username) = &user.username {
            self.0.user_cache().forget(username).await;
        }
        for event in events {
            event.note(self.0, Some(id));
        }
        Ok(user)
    }

    /// Deletes a user with everything that is the user's, and repairs the shared conversations
    /// that the user wrote in. None of it exists for anybody any more when this returns; the rows of a user who has
    /// much are deleted afterwards, in a task of their own.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the built-in user.
    pub async fn erase(self, id: UserId) -> Result<()> {
        match self.begin_to_erase(id).await? {
            Deletion::Done => self.0.empty_log_beside(),
            marked @ Deletion::Marked(_) => self.0.go_on(marked),
        }
        Ok(())
    }

    /// As [`erase`](Self::erase), but leaves the rows of a user with much to the caller, for
    /// [`finish_deletion`](crate::operations::Operations::finish_deletion).
    ///
    /// # Errors
    /// As that.
    pub async fn begin_to_erase(self, id: UserId) -> Result<Deletion> {
        let deletion = self.0.write("user_erase", async move |tx| tx.users().erase(id).await).await?;
        self.0.changed(CallerChange::Everything).await;
        // What could not be removed is not found any more, and gone when its time is over.
        let _ = self.0.shared.remove_of(id).await;
        SecurityEvent::USER_ERASED.note(self.0, Some(id));
        Ok(deletion)
    }
}

/// What a change of a user means to those who watch, each with the fields that it changes.
fn events_of(patch: &UserPatch) -> Vec<SecurityEvent> {
    let status = match patch.is_active {
        Some(true) => SecurityEvent::USER_ENABLED,
        _ => SecurityEvent::USER_DISABLED,
    };
    let told = [
        (patch.role.is_some(), SecurityEvent::ROLE_CHANGED, "role"),
        (patch.is_active.is_some(), status, "is_active"),
        (!patch.username.is_keep(), SecurityEvent::USER_RENAMED, "username"),
        (!patch.email.is_keep(), SecurityEvent::ADDRESS_CHANGED, "email"),
        (patch.must_change_password.is_some(), SecurityEvent::USER_CHANGED, "must_change_password"),
    ];
    let told = told.into_iter().filter(|(is_told, ..)| *is_told);
    told.map(|(_, event, field)| event.changed(&[field])).collect()
}

/// As whom a service may act for a user.
fn active(user: User) -> Option<ActingUser> {
    let is_acting = user.is_active && user.id != UserId::ANONYMOUS;
    let User { id: user_id, role, external_namespace, .. } = user;
    is_acting.then_some(ActingUser { user_id, role, external_namespace })
}
