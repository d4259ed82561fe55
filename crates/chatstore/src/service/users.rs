use chatstore_model::{
    Email, FieldCode, Invalid, InvalidName, Limit, NewUser, Order, Page, User, UserId, UserPatch,
    UserPosition,
};

use crate::error::{Error, Result};
use crate::store::Store;

/// All users, for the application itself.
#[derive(Debug, Clone, Copy)]
pub struct Users<'s>(pub(crate) &'s Store);

impl Users<'_> {
    /// Makes a user.
    ///
    /// # Errors
    /// `Invalid`; `AlreadyExists` with field `username` or `email`.
    pub async fn create(self, new: NewUser) -> Result<User> {
        self.0.write("user_create", async move |tx| tx.users().create(&new).await).await
    }

    /// The user with this e-mail address, made when there is none; true when it was made. Of any
    /// number of concurrent calls one makes it.
    ///
    /// # Errors
    /// `Invalid` when it is no address.
    pub async fn get_or_create_by_email(self, email: &str) -> Result<(User, bool)> {
        let email = Email::new(email).map_err(|error| invalid("email", error))?;
        self.0
            .write("user_get_or_create", async move |tx| tx.users().get_or_create_by_email(&email).await)
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

    /// Users by creation.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn page(
        self,
        order: Order,
        from: Option<UserPosition>,
        limit: Limit,
    ) -> Result<Page<User, UserPosition>> {
        self.0.read("user_page", async move |tx| tx.users().page(order, from, limit).await).await
    }

    /// Changes a user; takes effect on his API keys at once in this process.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`; `AlreadyExists`; `Conflict` when neither name nor address would be
    /// left.
    pub async fn update(self, id: UserId, patch: UserPatch) -> Result<User> {
        let user = self.0.write("user_update", async move |tx| tx.users().update(id, &patch).await).await?;
        self.0.keys.forget_all();
        Ok(user)
    }

    /// Deletes a user with everything that is the user's, and repairs the shared conversations
    /// that the user wrote in.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the built-in user.
    pub async fn erase(self, id: UserId) -> Result<()> {
        self.0.write("user_erase", async move |tx| tx.users().erase(id).await).await?;
        self.0.keys.forget_all();
        Ok(())
    }
}

pub(super) fn invalid(field: &str, error: InvalidName) -> Error {
    let code = match error {
        InvalidName::TooShort => FieldCode::TooShort,
        InvalidName::TooLong => FieldCode::TooLong,
        InvalidName::Nul => FieldCode::NulCharacter,
        InvalidName::ForbiddenCharacter | InvalidName::NotAnAddress => FieldCode::InvalidFormat,
        InvalidName::Reserved => FieldCode::NotAllowed,
    };
    Invalid::field(field, code, error.to_string()).into()
}
