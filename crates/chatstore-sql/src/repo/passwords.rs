//! The hashes of passwords: nothing else reads or changes them, and nothing shows them.

use chatstore_model::{Email, EndReason, PasswordHash, Timestamp, User, UserId, UserName};
use constcat::concat;

use super::users::{self, COLUMNS, NOT_FOUND};
use crate::db::{Row, Sql};
use crate::error::StoreError;
use crate::repo::refuse_nul;
use crate::tx::ReadWrite;

const SELECT: &str = concat!("select ", COLUMNS, ", password_hash from users where deleted_at is null and ");

const BY_ID: Sql = Sql::same("passwords.by_id", concat!(SELECT, "id = $1"));
const BY_USERNAME: Sql = Sql::same("passwords.by_username", concat!(SELECT, "username_key = $1"));

/// Each half has an index of its own.
const BY_EMAIL: Sql = Sql::same(
    "passwords.by_email",
    concat!(
        SELECT,
        "email_key = $1 and email_verified_at is not null union all ",
        SELECT,
        "email_key = $1 and email_verified_at is null"
    ),
);

const HAVE_BOTH: Sql = Sql::same(
    "passwords.have_both",
    "select exists (select 1 from users where email_verified_at is not null and password_hash is not null \
     and deleted_at is null) \
     and exists (select 1 from users where email_verified_at is null and email_key is not null \
     and password_hash is not null and deleted_at is null)",
);

/// The lock keeps a login and a change of the password apart. SQLite has one writer.
const LOCK: Sql =
    Sql::pair("passwords.lock", concat!(SELECT, "id = $1"), concat!(SELECT, "id = $1 for no key update"));

const SET: Sql = Sql::same(
    "passwords.set",
    "update users set password_hash = $1, must_change_password = $2, updated_at = $3 \
     where id = $4 and deleted_at is null",
);

const REPLACE: Sql = Sql::same(
    "passwords.replace",
    "update users set password_hash = $1 where id = $2 and password_hash = $3 and deleted_at is null",
);

const PAGE: Sql = Sql::same(
    "passwords.page",
    "select id, password_hash from users \
     where id > $1 and password_hash is not null and deleted_at is null order by id limit $2",
);

pub(super) const STATEMENTS: &[Sql] = &[BY_ID, BY_USERNAME, BY_EMAIL, HAVE_BOTH, LOCK, SET, REPLACE, PAGE];

repository! {
    /// The hashes of passwords.
    Passwords, passwords
}

fn read(row: &Row<'_>) -> Result<(User, Option<PasswordHash>), StoreError> {
    Ok((users::read(row)?, row.next()?))
}

impl<M> Passwords<'_, '_, M> {
    /// The user with this id, and the hash of their password if they have one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the hash is of no known form.
    pub async fn get(&mut self, id: UserId) -> Result<Option<(User, Option<PasswordHash>)>, StoreError> {
        self.0.executor.query_first(&BY_ID, &[id.into()], read).await
    }

    /// The user with this name, however it is spelled, and the hash of their password if they have one.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a name with NUL; [`StoreError::Corrupt`] when the hash is of no known
    /// form.
    pub async fn find_by_username(
        &mut self,
        username: &str,
    ) -> Result<Option<(User, Option<PasswordHash>)>, StoreError> {
        refuse_nul("username", username)?;
        let key = UserName::key_of(username);
        self.0.executor.query_first(&BY_USERNAME, &[(&key).into()], read).await
    }

    /// The users with this e-mail address, however it is spelled, and the hashes of their passwords if they have one:
    /// the one who is known to have it before the one who claims it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an address with NUL; [`StoreError::Corrupt`] when a hash is of no
    /// known form.
    pub async fn find_by_email(
        &mut self,
        email: &str,
    ) -> Result<Vec<(User, Option<PasswordHash>)>, StoreError> {
        refuse_nul("email", email)?;
        let key = Email::key_of(email);
        let mut found = self.0.executor.query(&BY_EMAIL, &[(&key).into()], read).await?;
        found.sort_by_key(|(user, _)| user.email_verified_at.is_none());
        Ok(found)
    }

    /// Whether there are passwords both of users with a verified address and of users who claim theirs, anywhere in the
    /// store: only then may one address have two.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn have_both_kinds_of_addresses(&mut self) -> Result<bool, StoreError> {
        self.0.executor.query_one(&HAVE_BOTH, &[], |row| row.next()).await
    }

    /// The hashes of users with a greater id, by id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when one is of no known form.
    pub async fn page(
        &mut self,
        after: UserId,
        limit: i64,
    ) -> Result<Vec<(UserId, PasswordHash)>, StoreError> {
        let values = [after.into(), limit.into()];
        self.0.executor.query(&PAGE, &values, |row| Ok((row.next()?, row.next()?))).await
    }
}

impl Passwords<'_, '_, ReadWrite> {
    /// Like [`get`](Self::get); no other transaction changes the user until the transaction ends.
    ///
    /// # Errors
    /// As `get`.
    pub async fn lock(&mut self, id: UserId) -> Result<Option<(User, Option<PasswordHash>)>, StoreError> {
        self.0.executor.query_first(&LOCK, &[id.into()], read).await
    }

    /// Sets a user's password and ends all their sessions; no request with a key counts as confirmed any more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::InvalidState`] for the built-in user.
    pub async fn set(
        &mut self,
        id: UserId,
        hash: &PasswordHash,
        must_change: bool,
    ) -> Result<(), StoreError> {
        if id == UserId::ANONYMOUS {
            return Err(StoreError::InvalidState("the built-in user cannot have a password"));
        }
        let now: Timestamp = self.0.now();
        let values = [hash.expose().into(), must_change.into(), now.into(), id.into()];
        if self.0.executor.execute(&SET, &values).await? == 0 {
            return Err(NOT_FOUND);
        }
        self.0.sessions().end_all(id, EndReason::PasswordChanged).await?;
        self.0.api_keys().forget_confirmations(id).await?;
        Ok(())
    }

    /// Stores another hash of the same password, unless the password was changed meanwhile; whether it did.
    /// The user counts as unchanged.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn replace(
        &mut self,
        id: UserId,
        former: &PasswordHash,
        hash: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let values = [hash.expose().into(), id.into(), former.expose().into()];
        Ok(self.0.executor.execute(&REPLACE, &values).await? > 0)
    }
}
