//! Identities: users by the names that identity providers have for them.

use chatstore_model::{
    Identity, IdentityName, IdentityState, IntoValid, NewUser, Timestamp, UserId, UserRole, Validate,
    Validator,
};
use constcat::concat;
use uuid::Uuid;

use crate::db::{Row, Sql, reader};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::repo::users;
use crate::schema::{Columns, IDENTITIES};
use crate::tx::ReadWrite;

const COLUMNS: &str = IDENTITIES.all_columns().names().as_str();

const STATE: Sql = Sql::same(
    "identities.state",
    concat!(
        "select i.user_id, i.token_issued_at, i.revoked_before, ",
        users::ACTIVE_ROLE,
        " from users u join identities i on i.user_id = u.id \
         where i.issuer = $1 and i.subject = $2 and u.deleted_at is null"
    ),
);

const LIST: Sql = Sql::same(
    "identities.list",
    concat!(
        "select ",
        COLUMNS,
        " from identities where user_id = $1 and ",
        live_user!("$1"),
        " order by created_at, issuer, subject"
    ),
);

const INSERTED: Columns = IDENTITIES.inserted_columns();
const LINK: Sql = Sql::same(
    "identities.link",
    concat!(INSERTED.insert(&[]).as_str(), " on conflict do nothing returning user_id"),
);

const UNLINK: Sql = Sql::same(
    "identities.unlink",
    concat!(
        "delete from identities where user_id = $1 and issuer = $2 and subject = $3 and ",
        live_user!("$1")
    ),
);

const NOTE_TOKEN: Sql = Sql::same(
    "identities.note_token",
    concat!(
        "update identities set token_issued_at = $1 where user_id = $2 and issuer = $3 and subject = $4 \
         and (token_issued_at is null or token_issued_at < $1) and ",
        live_user!("$2")
    ),
);

const SET_ROLE: Sql = Sql::same(
    "identities.set_role",
    "update users set role = $1, updated_at = $2 where id = $3 and role <> $1 and deleted_at is null",
);

const REVOKE: Sql = Sql::same(
    "identities.revoke",
    concat!("update identities set revoked_before = $1 where user_id = $2 and ", live_user!("$2")),
);

pub(super) const STATEMENTS: &[Sql] = &[STATE, LIST, LINK, UNLINK, NOTE_TOKEN, SET_ROLE, REVOKE];

repository! {
    /// Identities.
    Identities, identities
}

reader! {
    fn read -> Identity {
        user_id, issuer, subject, created_at, token_issued_at, revoked_before,
    }
}

fn read_state(row: &Row<'_>) -> Result<IdentityState, StoreError> {
    Ok(IdentityState {
        user_id: row.next()?,
        token_issued_at: row.next()?,
        revoked_before: row.next()?,
        role: users::read_active_role(row)?,
    })
}

fn check(name: &IdentityName) -> Result<(), StoreError> {
    let mut validator = Validator::default();
    name.check(&mut validator);
    Ok(validator.finish()?)
}

impl<M> Identities<'_, '_, M> {
    /// Whose identity it is, and what decides about its tokens.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a name that cannot be stored.
    pub async fn state(&mut self, name: &IdentityName) -> Result<Option<IdentityState>, StoreError> {
        check(name)?;
        let values = [(&name.issuer).into(), (&name.subject).into()];
        self.0.executor.query_first(&STATE, &values, read_state).await
    }

    /// The identities of a user, oldest first.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn list(&mut self, user: UserId) -> Result<Vec<Identity>, StoreError> {
        self.0.executor.query(&LIST, &[user.into()], read).await
    }
}

impl Identities<'_, '_, ReadWrite> {
    /// Stores that a user has this identity.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::MissingReference`] when there is no such user;
    /// [`StoreError::AlreadyExists`] when it is the identity of a user already, of this one or another.
    pub async fn link(&mut self, user: UserId, name: &IdentityName) -> Result<(), StoreError> {
        check(name)?;
        if self.0.users().get(user).await?.is_none() {
            return Err(StoreError::MissingReference { entity: IDENTITIES.entity });
        }
        match self.insert(user, name).await? {
            true => Ok(()),
            false => Err(StoreError::AlreadyExists { entity: IDENTITIES.entity, field: "subject" }),
        }
    }

    /// Whether the identity is stored; not, when a user has it.
    async fn insert(&mut self, user: UserId, name: &IdentityName) -> Result<bool, StoreError> {
        let now = self.0.now();
        let values: [_; INSERTED.count()] =
            [user.into(), (&name.issuer).into(), (&name.subject).into(), now.into()];
        let inserted: Option<Uuid> = self.0.executor.query_changed(&LINK, &values, |row| row.next()).await?;
        Ok(inserted.is_some())
    }

    /// The user with this identity, created when there is none; true when it was created. Of any number of concurrent
    /// calls one creates it. Its name is that of `preferred`, or of `otherwise` where that one is taken.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::AlreadyExists`] when what both bring is taken.
    pub async fn get_or_create_user(
        &mut self,
        name: &IdentityName,
        preferred: impl IntoValid<&NewUser>,
        otherwise: impl IntoValid<&NewUser>,
    ) -> Result<(IdentityState, bool), StoreError> {
        if let Some(state) = self.state(name).await? {
            return Ok((state, false));
        }
        let user = match self.0.users().create(preferred).await {
            Err(StoreError::AlreadyExists { .. }) => self.0.users().create(otherwise).await?,
            created => created?,
        };
        if !self.insert(user.id, name).await? {
            return Err(self.0.conflict("the user was created by another request meanwhile"));
        }
        let role = user.is_active.then_some(user.role);
        let state = IdentityState { user_id: user.id, token_issued_at: None, revoked_before: None, role };
        Ok((state, true))
    }

    /// Notes that a token was seen which was issued then, and sets the role that it gives, if it gives one. Does
    /// nothing where a newer one was seen: an older token does not give back a role that was lost. Whether the role is
    /// another one now.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn note_token(
        &mut self,
        user: UserId,
        name: &IdentityName,
        issued_at: Timestamp,
        role: Option<UserRole>,
    ) -> Result<bool, StoreError> {
        let values = [issued_at.into(), user.into(), (&name.issuer).into(), (&name.subject).into()];
        if self.0.executor.execute(&NOTE_TOKEN, &values).await? == 0 {
            return Ok(false);
        }
        let Some(role) = role else { return Ok(false) };
        let values = [role.as_str().into(), self.0.now().into(), user.into()];
        let is_changed = self.0.executor.execute(&SET_ROLE, &values).await? > 0;
        if is_changed && role == UserRole::Admin {
            self.0.api_keys().revoke_all(user).await?;
        }
        Ok(is_changed)
    }

    /// Takes an identity from a user.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the user does not have it.
    pub async fn unlink(&mut self, user: UserId, name: &IdentityName) -> Result<(), StoreError> {
        check(name)?;
        let values = [user.into(), (&name.issuer).into(), (&name.subject).into()];
        match self.0.executor.execute(&UNLINK, &values).await? {
            0 => Err(StoreError::NotFound { entity: IDENTITIES.entity }),
            _ => Ok(()),
        }
    }

    /// Refuses every token of a user's identities that was issued up to now.
    pub(in crate::repo) async fn revoke(&mut self, user: UserId) -> Result<(), StoreError> {
        self.0.executor.execute(&REVOKE, &[self.0.now().into(), user.into()]).await?;
        Ok(())
    }
}
