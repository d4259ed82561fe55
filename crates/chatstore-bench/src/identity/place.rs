//! The database of an experiment, and the key that its tokens are signed with.

use std::path::Path;
use std::sync::Arc;

use chatstore::auth::{Password, TokenKeys};
use chatstore::{Builder, NewUser, RefreshToken, Session, Store, User, UserId, UserName};
use chatstore_model::IdSource as _;
use chatstore_sql::{DatabaseKind, ReadTx};
use chatstore_testkit::TestClock;
use tempfile::TempDir;

use crate::places::{PostgresPlace, url};
use crate::random::Ids;
use crate::{Failure, Postgres};

/// The password of everybody who has one.
pub(super) const PASSWORD: &str = "correct horse battery";

/// A migrated database.
pub(super) struct Place {
    url: String,
    token_key: String,
    folder: TempDir,
    postgres: Option<PostgresPlace>,
}

impl Place {
    pub(super) async fn create(
        kind: DatabaseKind,
        postgres: &Postgres,
        parent: &Path,
        seed: u64,
    ) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("chatstore-bench-").tempdir_in(parent)?;
        let postgres = match kind {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => Some(PostgresPlace::create(postgres.url()?, "identity").await?),
        };
        let file = url(&folder.path().join("identity.db"));
        let url = postgres.as_ref().map_or(file, |place| place.url().to_owned());
        let (_, token_key) = TokenKeys::generate(|bytes| Ids::new(seed).random(bytes));
        let place = Self { url, token_key, folder, postgres };
        let store = place.open().await?;
        store.migrate().await?;
        store.close().await;
        Ok(place)
    }

    pub(super) async fn remove(self) -> Result<(), Failure> {
        self.folder.close()?;
        match self.postgres {
            Some(place) => place.remove().await,
            None => Ok(()),
        }
    }

    pub(super) const fn kind(&self) -> DatabaseKind {
        if self.postgres.is_some() { DatabaseKind::Postgres } else { DatabaseKind::Sqlite }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn token_key(&self) -> &str {
        &self.token_key
    }

    /// One more store over the database.
    pub(super) async fn open(&self) -> Result<Store, Failure> {
        Ok(builder(&self.url, &self.token_key)?.connect().await?)
    }

    /// One with a clock that stands still until it is moved.
    pub(super) async fn open_at(&self, clock: &Arc<TestClock>) -> Result<Store, Failure> {
        let clock: Arc<TestClock> = Arc::clone(clock);
        Ok(builder(&self.url, &self.token_key)?.clock(clock).connect().await?)
    }
}

/// A store as every experiment wants it: failed logins are not counted.
pub(super) fn builder(url: &str, token_key: &str) -> Result<Builder, Failure> {
    Ok(Store::builder(url).token_keys(TokenKeys::parse(token_key)?).login_failures(None))
}

/// Somebody with [`PASSWORD`].
pub(super) async fn member(store: &Store, name: &str) -> Result<User, Failure> {
    let new = NewUser::named(UserName::new(name)?);
    Ok(store.users().create_with_password(new, Password::new(PASSWORD)).await?)
}

/// The sessions of a user as they are committed, each with its refresh tokens.
pub(super) async fn sessions(
    store: &Store,
    user: UserId,
) -> Result<Vec<(Session, Vec<RefreshToken>)>, Failure> {
    let read = async move |tx: &mut ReadTx<'_>| {
        let sessions = tx.sessions().list(user).await?;
        Ok::<_, chatstore::Error>((sessions, tx.refresh_tokens().list(user).await?))
    };
    let (sessions, tokens) = store.read("sessions_with_tokens", read).await?;
    let with_tokens = |session: Session| {
        let own = tokens.iter().filter(|token| token.session_id == session.id).cloned().collect();
        (session, own)
    };
    Ok(sessions.into_iter().map(with_tokens).collect())
}

/// What is wrong with a chain that goes on after so many exchanges.
pub(super) fn breaks(session: &Session, tokens: &[RefreshToken], exchanges: usize) -> Vec<String> {
    let mut found = Vec::new();
    if session.revoked_at.is_some() {
        found.push(format!("session {} was ended: {:?}", session.id, session.revoke_reason));
    }
    if tokens.len() != exchanges + 1 {
        found.push(format!("session {} has {} tokens after {exchanges} exchanges", session.id, tokens.len()));
    }
    for (place, token) in tokens.iter().enumerate() {
        let parent = place.checked_sub(1).map(|before| tokens[before].id);
        let is_last = place + 1 == tokens.len();
        let is_next = i64::try_from(place) == Ok(token.counter) && token.parent_id == parent;
        if !is_next || token.rotated_at.is_none() != is_last || token.revoked_at.is_some() {
            found.push(format!("the chain of session {} breaks at {place}", session.id));
        }
    }
    found
}
