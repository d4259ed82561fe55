use chatstore_model::{
    Email, IntoValid, Invalid, Limit, NewUser, Order, Page, User, UserFilter, UserId, UserPatch,
    UserPosition, UserRole,
};

use crate::error::{Error, Result};
use crate::password::Password;
use crate::security_event::SecurityEvent;
use crate::store::Store;
use crate::user_reference::UserReference;

/// A user that a service acts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acting {
    /// Who.
    pub user_id: UserId,
    /// The user's role.
    pub role: UserRole,
}

/// All users, for the application itself.
#[derive(Debug, Clone, Copy)]
pub struct Users<'s>(pub(crate) &'s Store);

impl Users<'_> {
    /// Makes a user.
    ///
    /// # Errors
    /// `Invalid`; `AlreadyExists` with field `username` or `email`.
    pub async fn create(self, new: impl IntoValid<NewUser>) -> Result<User> {
        let new = new.into_valid()?;
        self.0.write("user_create", async move |tx| tx.users().create(&new).await).await
    }

    /// Makes a user who can log in with this password.
    ///
    /// # Errors
    /// `Invalid`, also for a password that is too short, too long or common; `AlreadyExists` with field
    /// `username` or `email`; `Overloaded`.
    pub async fn create_with_password(
        self,
        new: impl IntoValid<NewUser>,
        password: Password,
    ) -> Result<User> {
        let new = new.into_valid()?;
        let names: Vec<&str> = [
            new.username.as_ref().map(chatstore_model::UserName::as_typed),
            new.email.as_ref().map(Email::as_typed),
        ]
        .into_iter()
        .flatten()
        .collect();
        password.check("password", &names)?;
        let ids = self.0.database.ids();
        let hash = self.0.identity.passwords.place()?.hash(password, &ids).await?;
        self.create(new.with_password(hash)).await
    }

    /// The user with this e-mail address, made when there is none; true when it was made. Of any
    /// number of concurrent calls one makes it.
    ///
    /// # Errors
    /// `Invalid` when it is no address.
    pub async fn get_or_create_by_email(self, email: &str) -> Result<(User, bool)> {
        let email =
            Email::new(email).map_err(|error| Invalid::field("email", error.code(), error.to_string()))?;
        self.get_or_create(NewUser::with_email(email)).await
    }

    /// The user with the e-mail address of `new`; made from it when there is none, else untouched by it.
    /// True when it was made.
    ///
    /// # Errors
    /// `Conflict` when `new` has no address; `AlreadyExists` with field `username`; `Invalid`.
    pub async fn get_or_create(self, new: impl IntoValid<NewUser>) -> Result<(User, bool)> {
        let new = new.into_valid()?;
        self.0
            .write("user_get_or_create", async move |tx| tx.users().get_or_create_by_email(&new).await)
            .await
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
        self.0.read("user_find", async move |tx| tx.users().find_by_username(&username).await).await
    }

    /// The user with this e-mail address, however it is spelled.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn find_by_email(self, email: &str) -> Result<Option<User>> {
        let email = email.to_owned();
        self.0.read("user_find", async move |tx| tx.users().find_by_email(&email).await).await
    }

    /// The user that a reference names.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn find(self, reference: &UserReference) -> Result<Option<User>> {
        match reference {
            UserReference::Id(id) => {
                let id = *id;
                self.0.read("user_find", async move |tx| tx.users().get(id).await).await
            }
            UserReference::Username(username) => self.find_by_username(username).await,
            UserReference::Email(email) => self.find_by_email(email).await,
            UserReference::Anonymous => self.get(UserId::ANONYMOUS).await.map(Some),
        }
    }

    /// The active user that a service acts for, looked up at most every 5 seconds; `None` for one that is
    /// unknown or disabled.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn acting(self, reference: &UserReference) -> Result<Option<Acting>> {
        if *reference == UserReference::Anonymous {
            return Ok(Some(Acting { user_id: UserId::ANONYMOUS, role: UserRole::User }));
        }
        if let Some(acting) = self.0.acting.get(reference) {
            return Ok(Some(acting));
        }
        let generation = self.0.acting.generation();
        let found = self.find(reference).await?;
        let Some(user) = found.filter(|user| user.is_active && user.id != UserId::ANONYMOUS) else {
            return Ok(None);
        };
        let acting = Acting { user_id: user.id, role: user.role };
        self.0.acting.remember(generation, reference.clone(), acting);
        Ok(Some(acting))
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
        self.0.read("user_page", async move |tx| tx.users().page(filter, order, from, limit).await).await
    }

    /// Changes a user; takes effect on his API keys and sessions at once in this process. Disabling ends his
    /// sessions.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`; `AlreadyExists`; `Conflict` when neither name nor address would be
    /// left.
    pub async fn update(self, id: UserId, patch: impl IntoValid<UserPatch>) -> Result<User> {
        let patch = patch.into_valid()?;
        let (role, is_active) = (patch.role, patch.is_active);
        let user = self.0.write("user_update", async move |tx| tx.users().update(id, &patch).await).await?;
        self.0.forget_callers();
        if role.is_some() {
            SecurityEvent::RoleChanged.note(Some(id));
        }
        if is_active == Some(false) {
            SecurityEvent::UserDisabled.note(Some(id));
        }
        Ok(user)
    }

    /// Deletes a user with everything that is the user's, and repairs the shared conversations
    /// that the user wrote in.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the built-in user.
    pub async fn erase(self, id: UserId) -> Result<()> {
        self.0.write("user_erase", async move |tx| tx.users().erase(id).await).await?;
        self.0.forget_callers();
        SecurityEvent::UserErased.note(Some(id));
        Ok(())
    }
}
