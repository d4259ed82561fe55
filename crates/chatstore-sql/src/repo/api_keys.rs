//! API keys: found by user and hash, never by their text.

use chatstore_model::{
    ApiKey, ApiKeyId, ApiKeyPosition, IntoValid, Limit, NewApiKey, Order, Page, Timestamp, UserId, UserRole,
};
use constcat::concat;

use crate::db::{Row, Sql, reader};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::repo::users;
use crate::schema::{API_KEYS, Columns};
use crate::tx::ReadWrite;

const COLUMNS: &str = API_KEYS.columns_without(&["key_hash"]).with_prefix("k.").as_str();

const BY_HASH: Sql = Sql::same(
    "api_keys.by_hash",
    concat!(
        "select ",
        COLUMNS,
        ", ",
        users::ACTIVE_ROLE,
        " from api_keys k join users u on u.id = k.user_id \
         where k.user_id = $1 and k.key_hash = $2 and u.deleted_at is null"
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

const TOUCH: Sql = Sql::same(
    "api_keys.touch",
    concat!(
        "update api_keys set last_used_at = $1 where user_id = $2 and id = $3 \
         and (last_used_at is null or last_used_at < $1) and ",
        live_user!("$2")
    ),
);

pub(super) const STATEMENTS: &[Sql] = &[BY_HASH, LIST, PAGE, CREATE, REVOKE, TOUCH];

repository! {
    /// API keys.
    ApiKeys, api_keys
}

reader! {
    fn read -> ApiKey {
        user_id, id, scope, name, prefix, created_at, last_used_at, expires_at, revoked_at,
    }
}

impl<M> ApiKeys<'_, '_, M> {
    /// The user's key with this SHA-256, also a revoked or expired one, and the user's role while the user
    /// is active.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find(
        &mut self,
        user: UserId,
        key_hash: &[u8; 32],
    ) -> Result<Option<(ApiKey, Option<UserRole>)>, StoreError> {
        let values = [user.into(), key_hash.as_slice().into()];
        let read_row = |row: &Row<'_>| {
            let key = read(row)?;
            Ok((key, users::read_active_role(row)?))
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
        };
        let values: [_; INSERTED.count()] = [
            user.into(),
            key.id.into(),
            key.scope.as_str().into(),
            key.name.as_ref().into(),
            (&key.prefix).into(),
            new.key_hash.as_slice().into(),
            now.into(),
            key.expires_at.into(),
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

    /// Notes when a key was last used; never moves it back.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn touch(&mut self, user: UserId, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        self.0.executor.execute(&TOUCH, &[at.into(), user.into(), id.into()]).await?;
        Ok(())
    }
}
