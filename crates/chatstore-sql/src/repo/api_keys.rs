//! API keys: found by user and hash, never by their text.

use chatstore_model::{
    ApiKey, ApiKeyId, ApiKeyPosition, CanonicalJson, IntoValid, KeyRights, Limit, NewApiKey, Order, Page,
    Timestamp, UserId, UserRole,
};
use constcat::concat;

use crate::db::{Row, Sql, reader};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::repo::users;
use crate::schema::{API_KEYS, Columns};
use crate::tx::ReadWrite;

const COLUMNS: &str = API_KEYS
    .columns_without(&["key_hash", "previous_key_hash", "password_confirmed_at"])
    .with_prefix("k.")
    .as_str();

/// The user is `$2` and `$3`: SQLite searches an index for each half only if they have no term in common.
const BY_HASH: Sql = Sql::same(
    "api_keys.by_hash",
    concat!(
        "select ",
        COLUMNS,
        ", ",
        users::ACTIVE_ROLE,
        ", u.must_change_password, case when k.key_hash = $1 then null else k.previous_expires_at end \
         from api_keys k join users u on u.id = k.user_id \
         where u.deleted_at is null and (k.user_id = $2 and k.key_hash = $1 \
         or k.user_id = $3 and k.previous_key_hash = $1 and k.previous_expires_at > $4)"
    ),
);

const LIST: Sql = Sql::same(
    "api_keys.list",
    concat!(
        "select ",
        COLUMNS,
        " from api_keys k where k.user_id = $1 and ",
        live_user!("$1"),
        " order by k.created_at, k.id"
    ),
);

const PAGE: Sql = Sql::same(
    "api_keys.page",
    concat!(
        "select ",
        COLUMNS,
        " from api_keys k where k.user_id = $1 and k.revoked_at is null and (k.created_at, k.id) > ($2, $3) and ",
        live_user!("$1"),
        " order by k.created_at, k.id limit $4"
    ),
);

const INSERTED: Columns = API_KEYS.inserted_columns();
const CREATE: Sql = Sql::same("api_keys.create", INSERTED.insert(&[]).as_str());

const REVOKE: Sql = Sql::same(
    "api_keys.revoke",
    concat!(
        "update api_keys set revoked_at = coalesce(revoked_at, $1) where user_id = $2 and id = $3 and ",
        live_user!("$2")
    ),
);

const REVOKE_ALL: Sql = Sql::same(
    "api_keys.revoke_all",
    concat!(
        "update api_keys set revoked_at = $1 where user_id = $2 and revoked_at is null and ",
        live_user!("$2")
    ),
);

/// The secret that goes on beside the new one is the newest, unless the one before it asks for the rotation, whose end
/// is not put off.
const ROTATE: Sql = Sql::same(
    "api_keys.rotate",
    concat!(
        "update api_keys set prefix = $1, key_hash = $2, \
         previous_expires_at = case when previous_key_hash = $3 and previous_expires_at < $4 \
         then previous_expires_at else $4 end, \
         previous_key_hash = case when previous_key_hash = $3 then previous_key_hash else key_hash end \
         where user_id = $5 and id = $6 and revoked_at is null and (expires_at is null or expires_at > $7) and ",
        live_user!("$5"),
        " returning ",
        ROTATED
    ),
);
const ROTATED: &str =
    API_KEYS.columns_without(&["key_hash", "previous_key_hash", "password_confirmed_at"]).names().as_str();

const CONFIRM: Sql = Sql::same(
    "api_keys.confirm",
    concat!(
        "update api_keys set password_confirmed_at = $1 where user_id = $2 and id = $3 and ",
        live_user!("$2")
    ),
);

const CONFIRMED_AT: Sql = Sql::same(
    "api_keys.confirmed_at",
    concat!(
        "select password_confirmed_at from api_keys where user_id = $1 and id = $2 and ",
        live_user!("$1")
    ),
);

const FORGET_CONFIRMATIONS: Sql = Sql::same(
    "api_keys.forget_confirmations",
    concat!(
        "update api_keys set password_confirmed_at = null \
         where user_id = $1 and password_confirmed_at is not null and ",
        live_user!("$1")
    ),
);

const TOUCH: Sql = Sql::same(
    "api_keys.touch",
    concat!(
        "update api_keys set last_used_at = $1 where user_id = $2 and id = $3 \
         and (last_used_at is null or last_used_at < $1) and ",
        live_user!("$2")
    ),
);

pub(super) const STATEMENTS: &[Sql] = &[
    BY_HASH,
    LIST,
    PAGE,
    CREATE,
    REVOKE,
    REVOKE_ALL,
    ROTATE,
    CONFIRM,
    CONFIRMED_AT,
    FORGET_CONFIRMATIONS,
    TOUCH,
];

repository! {
    /// API keys.
    ApiKeys, api_keys
}

reader! {
    fn read -> ApiKey {
        user_id, id, scope, name, prefix, created_at, last_used_at, expires_at, revoked_at, rights,
        previous_expires_at,
    }
}

/// A key that was looked up by one of its secrets, and what its user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundApiKey {
    /// The key, also a revoked or expired one.
    pub key: ApiKey,
    /// The user's role while the user is active.
    pub role: Option<UserRole>,
    /// Whether the user must change the password before anything else.
    pub must_change_password: bool,
    /// When the secret ends by which it was looked up, if that is the one before the newest.
    pub secret_expires_at: Option<Timestamp>,
}

/// A new secret for a key.
#[derive(Debug, Clone, Copy)]
pub struct NewSecret<'n> {
    /// The beginning of its text.
    pub prefix: &'n str,
    /// SHA-256 of its text.
    pub key_hash: &'n [u8; 32],
    /// SHA-256 of the text of the secret that the request came with, if it came with one of this key.
    pub presented: Option<&'n [u8; 32]>,
    /// Until when the secret before it stays good.
    pub previous_expires_at: Timestamp,
}

impl<M> ApiKeys<'_, '_, M> {
    /// The user's key with a secret of this SHA-256 at this instant: its newest, or the one before while that is good.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] also for rights that a newer version wrote.
    pub async fn find(
        &mut self,
        user: UserId,
        key_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<FoundApiKey>, StoreError> {
        let values = [key_hash.as_slice().into(), user.into(), user.into(), now.into()];
        let read_row = |row: &Row<'_>| {
            Ok(FoundApiKey {
                key: read(row)?,
                role: users::read_active_role(row)?,
                must_change_password: row.next()?,
                secret_expires_at: row.next()?,
            })
        };
        self.0.executor.query_first(&BY_HASH, &values, read_row).await
    }

    /// Keys of a user that were not revoked, oldest first.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn page(
        &mut self,
        user: UserId,
        from: Option<ApiKeyPosition>,
        limit: Limit,
    ) -> Result<Page<ApiKey, ApiKeyPosition>, StoreError> {
        let from = from.unwrap_or(ApiKeyPosition::start(Order::Ascending));
        let values = [user.into(), from.at.into(), from.id.into(), limit.with_lookahead().into()];
        let rows = self.0.executor.query_page(&PAGE, &values, limit, read).await?;
        Ok(rows.into_page(|key| ApiKeyPosition { at: key.created_at, id: key.id.uuid() }))
    }

    /// Every key of a user, revoked ones too, oldest first.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn list(&mut self, user: UserId) -> Result<Vec<ApiKey>, StoreError> {
        self.0.executor.query(&LIST, &[user.into()], read).await
    }

    /// When the password of the key's user was last confirmed by a request with this key.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn confirmed_at(
        &mut self,
        user: UserId,
        id: ApiKeyId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let values = [user.into(), id.into()];
        let found: Option<Option<Timestamp>> =
            self.0.executor.query_first(&CONFIRMED_AT, &values, |row| row.next()).await?;
        Ok(found.flatten())
    }
}

impl ApiKeys<'_, '_, ReadWrite> {
    /// Stores a key.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::MissingReference`] when there is no such user;
    /// [`StoreError::AlreadyExists`] when the user has a key of this hash.
    pub async fn create(
        &mut self,
        user: UserId,
        new: impl IntoValid<&NewApiKey>,
    ) -> Result<ApiKey, StoreError> {
        let new = *new.into_valid()?;
        let now = self.0.now();
        let key = ApiKey {
            user_id: user,
            id: ApiKeyId::from_uuid(self.0.new_uuid(now)),
            scope: new.scope,
            name: new.name.clone(),
            prefix: new.prefix.clone(),
            created_at: now,
            last_used_at: None,
            expires_at: new.expires_at,
            revoked_at: None,
            rights: new.rights.clone(),
            previous_expires_at: None,
        };
        let rights = stored(&key.rights)?;
        let values: [_; INSERTED.count()] = [
            user.into(),
            key.id.into(),
            key.scope.as_str().into(),
            key.name.as_ref().into(),
            (&key.prefix).into(),
            new.key_hash.as_slice().into(),
            now.into(),
            key.expires_at.into(),
            rights.as_ref().into(),
        ];
        self.0.executor.execute(&CREATE, &values).await?;
        Ok(key)
    }

    /// Revokes a key; a second time changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn revoke(&mut self, user: UserId, id: ApiKeyId) -> Result<(), StoreError> {
        let now = self.0.now();
        match self.0.executor.execute(&REVOKE, &[now.into(), user.into(), id.into()]).await? {
            0 => Err(StoreError::NotFound { entity: API_KEYS.entity }),
            _ => Ok(()),
        }
    }

    /// Revokes all keys of a user; how many there were.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn revoke_all(&mut self, user: UserId) -> Result<u64, StoreError> {
        let now = self.0.now();
        self.0.executor.execute(&REVOKE_ALL, &[now.into(), user.into()]).await
    }

    /// Gives a key another secret. One secret goes on beside it until the end given: the one that was presented, which
    /// ends no later than before, else the newest.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also for a key that is revoked or expired.
    pub async fn rotate(
        &mut self,
        user: UserId,
        id: ApiKeyId,
        new: NewSecret<'_>,
    ) -> Result<ApiKey, StoreError> {
        let now = self.0.now();
        let values = [
            new.prefix.into(),
            new.key_hash.as_slice().into(),
            new.presented.map(<[u8; 32]>::as_slice).into(),
            new.previous_expires_at.into(),
            user.into(),
            id.into(),
            now.into(),
        ];
        let rotated = self.0.executor.query_changed(&ROTATE, &values, read).await?;
        rotated.ok_or(StoreError::NotFound { entity: API_KEYS.entity })
    }

    /// Notes that the password of the key's user was confirmed by a request with this key.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn confirm(&mut self, user: UserId, id: ApiKeyId) -> Result<(), StoreError> {
        let now = self.0.now();
        self.0.executor.execute(&CONFIRM, &[now.into(), user.into(), id.into()]).await?;
        Ok(())
    }

    /// Forgets when the password was confirmed by requests with keys of this user: it is another one now.
    pub(super) async fn forget_confirmations(&mut self, user: UserId) -> Result<(), StoreError> {
        self.0.executor.execute(&FORGET_CONFIRMATIONS, &[user.into()]).await?;
        Ok(())
    }

    /// Notes when a key was last used; never moves it back.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn touch(&mut self, user: UserId, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        self.0.executor.execute(&TOUCH, &[at.into(), user.into(), id.into()]).await?;
        Ok(())
    }
}

fn stored(rights: &KeyRights) -> Result<Option<CanonicalJson>, StoreError> {
    rights.to_json().map_err(|error| StoreError::Corrupt(format!("api_keys.create: rights: {error}")))
}
