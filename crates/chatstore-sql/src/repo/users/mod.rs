//! Users.

mod erase;
mod find;
mod identity;

use chatstore_model::{
    CanonicalJson, Email, EndReason, IntoValid, NewUser, PasswordHash, Timestamp, User, UserId, UserName,
    UserPatch, UserRole,
};
use constcat::concat;
use uuid::Uuid;

use crate::db::{Row, Sql, Value, reader};
use crate::error::StoreError;
use crate::marked::Marked;
use crate::schema::{Columns, KEEPS_IDENTITY, USERS};
use crate::tx::ReadWrite;

pub(super) const COLUMNS: &str =
    USERS.columns_without(&["username_key", "email_key", "password_hash", "deleted_at"]).names().as_str();

/// For statements that join users as `u`; read by [`read_active_role`].
pub(super) const ACTIVE_ROLE: &str = "u.role, u.is_active";

/// The lock keeps changes of a name and of an address apart, which must go together. SQLite has one writer.
const LOCK: Sql = Sql::pair(
    "users.lock",
    concat!("select ", COLUMNS, " from users where id = $1 and deleted_at is null"),
    concat!("select ", COLUMNS, " from users where id = $1 and deleted_at is null for no key update"),
);

const INSERTED: Columns = USERS.inserted_columns();
const INSERT: &str = INSERTED.insert(&[]).as_str();

const CREATE: Sql = Sql::same("users.create", concat!(INSERT, " on conflict do nothing returning id"));

const UPDATE: Sql = Sql::same(
    "users.update",
    concat!(
        "update users set \
         username = case when $1 then $2 else username end, \
         username_key = case when $1 then $3 else username_key end, \
         email = case when $4 then $5 else email end, \
         email_key = case when $4 then $6 else email_key end, \
         email_verified_at = case when $4 then $7 else email_verified_at end, \
         full_name = case when $8 then $9 else full_name end, \
         role = coalesce($10, role), \
         is_active = coalesce($11, is_active), \
         must_change_password = coalesce($12, must_change_password), \
         metadata = coalesce($13, metadata), \
         updated_at = $14 \
         where id = $15 and deleted_at is null and ",
        KEEPS_ONE,
        " returning ",
        COLUMNS
    ),
);

/// That a name or an address is left. The check of the table says so as well, but a PostgreSQL server would log the whole
/// row that violates it.
const KEEPS_ONE: &str = "(case when $1 then $3 else username_key end is not null \
    or case when $4 then $6 else email_key end is not null or external_id is not null)";

/// The lock keeps two administrators from leaving at once, each relying on the other. SQLite has one writer.
const OTHER_ADMIN: Sql = Sql::pair("users.other_admin", ANOTHER_ADMIN, concat!(ANOTHER_ADMIN, " for update"));
const ANOTHER_ADMIN: &str = "select id from users \
    where role = 'admin' and is_active and id <> $1 and deleted_at is null order by id limit 1";

pub(super) const STATEMENTS: &[&[Sql]] = &[OWN_STATEMENTS, find::STATEMENTS, erase::STATEMENTS];

const OWN_STATEMENTS: &[Sql] = &[LOCK, CREATE, UPDATE, OTHER_ADMIN];

pub(super) const NOT_FOUND: StoreError = StoreError::NotFound { entity: USERS.entity };

repository! {
    /// Users.
    Users, users
}

reader! {
    pub(super) fn read -> User {
        id, username, email, full_name, role, is_active, must_change_password, metadata, created_at,
        updated_at, email_verified_at, external_namespace, external_id,
    }
}

/// The role of a user who is active.
pub(super) fn read_active_role(row: &Row<'_>) -> Result<Option<UserRole>, StoreError> {
    let role = row.next()?;
    let is_active: bool = row.next()?;
    Ok(is_active.then_some(role))
}

impl Users<'_, '_, ReadWrite> {
    /// Creates a user.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::AlreadyExists`] with field `username`, `email` or `id`;
    /// [`StoreError::BeingDeleted`].
    pub async fn create(&mut self, new: impl IntoValid<&NewUser>) -> Result<User, StoreError> {
        let new = *new.into_valid()?;
        let user = self.to_row(new);
        let own = Some(user.id);
        self.refuse_address_as_name(own, new.username.as_ref(), new.email.as_ref()).await?;
        self.refuse_others_name(own, new.email.as_ref(), new.is_email_verified).await?;
        self.refuse_others_address(own, new.username.as_ref(), new.is_email_verified).await?;
        if self.insert(&user, new).await? {
            return Ok(user);
        }
        Err(self.why_not_created(&user, new).await?)
    }

    /// Whether the user is stored; not, when the id, the name or the address is taken.
    async fn insert(&mut self, user: &User, new: &NewUser) -> Result<bool, StoreError> {
        let values = insert_values(user, new);
        let created: Option<Uuid> = self.0.executor.query_changed(&CREATE, &values, |row| row.next()).await?;
        Ok(created.is_some())
    }

    /// Why a user was not stored.
    async fn why_not_created(&mut self, user: &User, new: &NewUser) -> Result<StoreError, StoreError> {
        let email = new.email.as_ref().map(|email| (email, new.is_email_verified));
        self.refuse_taken(None, new.username.as_ref(), email).await?;
        if let Some(external_id) = &new.external_id
            && self.find_by_external_id(external_id).await?.is_some()
        {
            return Ok(StoreError::AlreadyExists { entity: USERS.entity, field: "external_id" });
        }
        if self.get(user.id).await?.is_some() {
            return Ok(StoreError::AlreadyExists { entity: USERS.entity, field: "id" });
        }
        self.0.deletions().refuse(Marked::User(user.id)).await?;
        Ok(self.0.conflict("the user was created and erased meanwhile"))
    }

    /// The user who is known to have this e-mail address; created from `new` when there is none, else untouched by it.
    /// True when it was created, with an address that is verified. Of any number of concurrent calls one creates it. A
    /// user who only claims the address keeps the claim and is not returned.
    ///
    /// # Errors
    /// [`StoreError::InvalidState`] when `new` has no address; [`StoreError::AlreadyExists`] with field
    /// `username`; [`StoreError::Invalid`].
    pub async fn get_or_create_by_email(
        &mut self,
        new: impl IntoValid<&NewUser>,
    ) -> Result<(User, bool), StoreError> {
        let new = NewUser { is_email_verified: true, ..(*new.into_valid()?).clone() };
        let Some(email) = &new.email else {
            return Err(StoreError::InvalidState(
                "a user is found or created by the e-mail address, which is missing",
            ));
        };
        if let Some(user) = self.find_by_email(email.as_typed()).await? {
            return Ok((user, false));
        }
        let user = self.to_row(&new);
        let own = Some(user.id);
        self.refuse_address_as_name(own, new.username.as_ref(), Some(email)).await?;
        self.refuse_others_name(own, Some(email), true).await?;
        if self.insert(&user, &new).await? {
            return Ok((user, true));
        }
        match self.find_by_email(email.as_typed()).await? {
            Some(user) => Ok((user, false)),
            None => Err(self.why_not_created(&user, &new).await?),
        }
    }

    /// The user whom another system knows by the external id of `new`; created from `new` when there is none, else
    /// untouched by it. True when it was created. Of any number of concurrent calls one creates it.
    ///
    /// # Errors
    /// [`StoreError::InvalidState`] when `new` has no external id; [`StoreError::AlreadyExists`] with field `username` or
    /// `email`; [`StoreError::Invalid`].
    pub async fn get_or_create_by_external_id(
        &mut self,
        new: impl IntoValid<&NewUser>,
    ) -> Result<(User, bool), StoreError> {
        let new = *new.into_valid()?;
        let Some(external_id) = &new.external_id else {
            return Err(StoreError::InvalidState(
                "a user is found or created by the external id, which is missing",
            ));
        };
        if let Some(user) = self.find_by_external_id(external_id).await? {
            return Ok((user, false));
        }
        let user = self.to_row(new);
        if self.insert(&user, new).await? {
            return Ok((user, true));
        }
        match self.find_by_external_id(external_id).await? {
            Some(user) => Ok((user, false)),
            None => Err(self.why_not_created(&user, new).await?),
        }
    }

    /// Changes a user; an empty patch changes nothing. Disabling ends all sessions; becoming an administrator revokes
    /// all keys, which were given to an ordinary user. Another address is one that the user claims, unless the patch
    /// says that it is verified.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Invalid`]; [`StoreError::AlreadyExists`] with field
    /// `username` or `email`; [`StoreError::InvalidState`] for the built-in user, for the last active
    /// administrator who would be none any more, and when neither name nor address would be left.
    pub async fn update(
        &mut self,
        id: UserId,
        patch: impl IntoValid<&UserPatch>,
    ) -> Result<User, StoreError> {
        let patch = *patch.into_valid()?;
        if id == UserId::ANONYMOUS {
            return Err(StoreError::InvalidState("the built-in user cannot be changed"));
        }
        let changes_identity = !patch.username.is_keep() || !patch.email.is_keep();
        let user = match changes_identity {
            true => self.0.executor.query_first(&LOCK, &[id.into()], read).await?,
            false => self.get(id).await?,
        };
        let user = user.ok_or(NOT_FOUND)?;
        if *patch == UserPatch::default() {
            return Ok(user);
        }
        let now = self.0.now();
        let email_verified_at = identity::verified_at(&user, patch, now);
        if changes_identity {
            self.refuse_identity(&user, patch, email_verified_at.is_some()).await?;
        }
        let stops_administering =
            patch.role.is_some_and(|role| role != UserRole::Admin) || patch.is_active == Some(false);
        if stops_administering {
            self.keep_an_admin(&user).await?;
        }
        let values = [
            (!patch.username.is_keep()).into(),
            patch.username.value().map(UserName::as_typed).into(),
            patch.username.value().map(UserName::key).into(),
            (!patch.email.is_keep()).into(),
            patch.email.value().map(Email::as_typed).into(),
            patch.email.value().map(Email::key).into(),
            email_verified_at.into(),
            (!patch.full_name.is_keep()).into(),
            patch.full_name.value().into(),
            patch.role.map(UserRole::as_str).into(),
            patch.is_active.into(),
            patch.must_change_password.into(),
            patch.metadata.as_ref().into(),
            now.into(),
            id.into(),
        ];
        let updated = match self.0.executor.query_changed(&UPDATE, &values, read).await? {
            Some(updated) => updated,
            None if self.get(id).await?.is_some() => return Err(StoreError::InvalidState(KEEPS_IDENTITY)),
            None => return Err(NOT_FOUND),
        };
        if user.role != UserRole::Admin && updated.role == UserRole::Admin {
            self.0.api_keys().revoke_all(id).await?;
        }
        if patch.is_active == Some(false) {
            self.0.sessions().end_all(id, EndReason::Disabled).await?;
        }
        Ok(updated)
    }

    /// Fails when no active administrator would be left without this user.
    async fn keep_an_admin(&mut self, user: &User) -> Result<(), StoreError> {
        if user.role != UserRole::Admin || !user.is_active {
            return Ok(());
        }
        let other: Option<UserId> =
            self.0.executor.query_first(&OTHER_ADMIN, &[user.id.into()], |row| row.next()).await?;
        other.map(|_| ()).ok_or(StoreError::InvalidState("the last active administrator has to stay one"))
    }

    fn to_row(&self, new: &NewUser) -> User {
        let created_at: Timestamp = new.created_at.unwrap_or_else(|| self.0.now());
        User {
            id: new.id.unwrap_or_else(|| UserId::from_uuid(self.0.new_uuid(created_at))),
            username: new.username.as_ref().map(|name| name.as_typed().to_owned()),
            email: new.email.as_ref().map(|email| email.as_typed().to_owned()),
            full_name: new.full_name.clone(),
            role: new.role,
            is_active: new.is_active,
            must_change_password: new.must_change_password,
            metadata: new.metadata.clone(),
            created_at,
            updated_at: new.updated_at.unwrap_or(created_at),
            email_verified_at: (new.is_email_verified && new.email.is_some()).then_some(created_at),
            external_namespace: new.external_id.as_ref().map(|id| id.namespace().to_string()),
            external_id: new.external_id.as_ref().map(|id| id.id().to_owned()),
        }
    }
}

fn insert_values<'v>(user: &'v User, new: &'v NewUser) -> [Value<'v>; INSERTED.count()] {
    let metadata: &CanonicalJson = &user.metadata;
    [
        user.id.into(),
        user.username.as_ref().into(),
        new.username.as_ref().map(UserName::key).into(),
        user.email.as_ref().into(),
        new.email.as_ref().map(Email::key).into(),
        user.full_name.as_ref().into(),
        new.password_hash.as_ref().map(PasswordHash::expose).into(),
        user.role.as_str().into(),
        user.is_active.into(),
        user.must_change_password.into(),
        metadata.into(),
        user.created_at.into(),
        user.updated_at.into(),
        user.email_verified_at.into(),
        user.external_namespace.as_ref().into(),
        user.external_id.as_ref().into(),
    ]
}
