use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chatstore_model::{
    ApiKey, ApiKeyId, ApiKeyPosition, ApiKeyScope, FieldCode, Invalid, KeyRights, Limit, NewApiKey, Page,
    Timestamp, UserId, UserRole,
};
use chatstore_sql::{FoundApiKey, NewSecret, ReadTx, WriteTx};

use crate::api_key::{KeyText, parse};
use crate::cache::{ApiKeyHash, Cache};
use crate::changes::CallerChange;
use crate::error::{Error, Result};
use crate::principal::{Credential, Principal};
use crate::security_event::SecurityEvent;
use crate::store::Store;

/// A key's last use is written down no more often than this.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// API keys of all users, for the application itself.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'s>(pub(crate) &'s Store);

/// How long the former secret of a key goes on beside the new one, when nothing is said.
pub const ROTATION_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it may go on at most.
pub const MAX_ROTATION_OVERLAP: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A key to be created.
#[derive(Debug, Clone)]
pub struct KeyOptions {
    /// For whom it speaks.
    pub scope: ApiKeyScope,
    /// What its owner calls it.
    pub name: Option<String>,
    /// When it ends; never when there is no time.
    pub expires_at: Option<Timestamp>,
    /// What it may do.
    pub rights: KeyRights,
}

/// A key just created, or with a new secret. Its text is shown this once; only its hash is stored.
#[derive(Clone)]
pub struct NewKey {
    /// What is stored about it.
    pub key: ApiKey,
    /// The secret text.
    pub text: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NewKey").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Store {
    /// API keys of all users. Nothing here is checked: it is for the application itself.
    #[must_use]
    pub const fn keys(&self) -> Keys<'_> {
        Keys(self)
    }
}

impl Keys<'_> {
    /// Creates a key for a user, which may do everything that its scope allows.
    ///
    /// # Errors
    /// As [`create_with`](Self::create_with).
    pub async fn create(
        self,
        user: UserId,
        scope: ApiKeyScope,
        name: Option<String>,
        expires_at: Option<Timestamp>,
    ) -> Result<NewKey> {
        self.create_with(user, KeyOptions { scope, name, expires_at, rights: KeyRights::default() }).await
    }

    /// Creates a key for a user.
    ///
    /// # Errors
    /// `NotFound` when there is no such user; `Conflict` for a key that would speak for the built-in user,
    /// who may only hold service keys, and for a user who has to change the password first; `Invalid`.
    pub async fn create_with(self, user: UserId, options: KeyOptions) -> Result<NewKey> {
        let KeyOptions { scope, name, expires_at, rights } = options;
        if user == UserId::ANONYMOUS && scope == ApiKeyScope::User {
            return Err(Error::conflict("the built-in user cannot have an API key"));
        }
        let secret = KeyText::new(user, &self.0.database.ids());
        let new = NewApiKey { scope, name, prefix: secret.prefix, key_hash: secret.hash, expires_at, rights };
        let create = async move |tx: &mut WriteTx<'_>| {
            let owner = tx.users().get(user).await?;
            if owner.is_some_and(|owner| owner.must_change_password) {
                return Err(Error::conflict("the user has to change the password before they get a key"));
            }
            Ok(tx.api_keys().create(user, &new).await?)
        };
        let key = self.0.write("key_create", create).await?;
        SecurityEvent::KEY_CREATED.key(key.id).note(self.0, Some(user));
        Ok(NewKey { key, text: secret.text })
    }

    /// Gives a key another secret, which only this answer shows. One secret stays good beside it for the time `overlap`:
    /// the text `presented` if it is one of this key's, which ends no later than before, else the newest.
    ///
    /// # Errors
    /// `NotFound`, also for a key that is revoked or has expired; `Invalid` for more than [`MAX_ROTATION_OVERLAP`].
    pub async fn rotate(
        self,
        user: UserId,
        id: ApiKeyId,
        presented: Option<&str>,
        overlap: Duration,
    ) -> Result<NewKey> {
        if overlap > MAX_ROTATION_OVERLAP {
            let message = format!("must be at most {} seconds", MAX_ROTATION_OVERLAP.as_secs());
            return Err(Invalid::field("overlap_seconds", FieldCode::OutOfRange, message).into());
        }
        let KeyText { text, prefix, hash } = KeyText::new(user, &self.0.database.ids());
        let presented = presented.and_then(parse).map(|(_, hash)| hash);
        let previous_expires_at = self.0.now().plus(overlap);
        let rotate = async move |tx: &mut WriteTx<'_>| {
            let presented = presented.as_ref();
            let new = NewSecret { prefix: &prefix, key_hash: &hash, presented, previous_expires_at };
            tx.api_keys().rotate(user, id, new).await
        };
        let key = self.0.write("key_rotate", rotate).await?;
        self.0.changed(CallerChange::Everything).await;
        SecurityEvent::KEY_ROTATED.key(id).note(self.0, Some(user));
        Ok(NewKey { key, text })
    }

    /// The key with this id.
    ///
    /// # Errors
    /// `NotFound`, also for a revoked one.
    pub async fn get(self, user: UserId, id: ApiKeyId) -> Result<ApiKey> {
        let found = self.list(user).await?.into_iter().find(|key| key.id == id && key.revoked_at.is_none());
        found.ok_or_else(|| Error::not_found("api_key"))
    }

    /// Every key of a user, oldest first.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn list(self, user: UserId) -> Result<Vec<ApiKey>> {
        Ok(self.0.read("key_list", async move |tx| tx.api_keys().list(user).await).await?)
    }

    /// Keys of a user that are not revoked, oldest first.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn page(
        self,
        user: UserId,
        from: Option<ApiKeyPosition>,
        limit: Limit,
    ) -> Result<Page<ApiKey, ApiKeyPosition>> {
        Ok(self.0.read("key_page", async move |tx| tx.api_keys().page(user, from, limit).await).await?)
    }

    /// Revokes a key, in this process at once, in others within 5 seconds.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke(self, user: UserId, id: ApiKeyId) -> Result<()> {
        self.0.write("key_revoke", async move |tx| tx.api_keys().revoke(user, id).await).await?;
        self.0.changed(CallerChange::Everything).await;
        SecurityEvent::KEY_REVOKED.key(id).note(self.0, Some(user));
        Ok(())
    }

    /// Whose key this text is; `None` for a text that is no key, and for keys that are unknown,
    /// revoked, expired or of a disabled user, and for service keys of users who are no administrators
    /// any more. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// That the database is unavailable.
    pub async fn verify(self, text: &str) -> Result<Option<Principal>> {
        let Some((user, hash)) = parse(text) else { return Ok(None) };
        let now = self.0.now();
        let load = || self.load(user, hash, now);
        let found = self.0.callers.api_keys.get_or_load(&ApiKeyHash(hash), load).await?;
        Ok(found.filter(|principal| principal.expires_at.is_none_or(|end| now < end)))
    }

    async fn load(self, user: UserId, hash: [u8; 32], now: Timestamp) -> Result<Option<Principal>> {
        let find = async move |tx: &mut ReadTx<'_>| tx.api_keys().find(user, &hash, now).await;
        let found = self.0.read("key_verify", find).await?;
        let Some(FoundApiKey { key, role: Some(role), must_change_password, secret_expires_at }) = found
        else {
            return Ok(None);
        };
        // A service key has the power of the administrator who created it, and loses it with their role.
        let has_power = role == UserRole::Admin || user == UserId::ANONYMOUS;
        if !key.is_valid_at(now) || (key.scope == ApiKeyScope::Service && !has_power) {
            return Ok(None);
        }
        self.note_use(&key, now);
        Ok(Some(Principal {
            user_id: key.user_id,
            role,
            credential: Credential::Key { id: key.id, scope: key.scope },
            must_change_password,
            expires_at: key.expires_at.into_iter().chain(secret_expires_at).min(),
            rights: Arc::new(key.rights),
        }))
    }

    /// Writes the use down without making the request wait for it.
    fn note_use(self, key: &ApiKey, now: Timestamp) {
        if key.last_used_at.is_some_and(|last| now < last.plus(TOUCH_EVERY)) {
            return;
        }
        let (store, user, id) = (self.0.clone(), key.user_id, key.id);
        tokio::spawn(async move {
            let noted =
                store.write("key_touch", async move |tx| tx.api_keys().touch(user, id, now).await).await;
            if let Err(error) = noted {
                tracing::debug!(%error, "a key's last use was not written down");
            }
        });
    }
}
