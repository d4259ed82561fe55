//! The database of an experiment.

use std::sync::Arc;

use chatstore::auth::{Password, TokenKeys};
use chatstore::{Builder, NewUser, RefreshToken, Session, Store, User, UserId, UserName};
use chatstore_bench::databases::TemporaryDatabase;
use chatstore_bench::error::Error;
use chatstore_sql::{DatabaseKind, ReadTx};
use chatstore_testkit::{TOKEN_KEY, TestClock};

use crate::experiment::Common;

/// The password of every user who has one.
pub(super) const PASSWORD: &str = "correct horse battery";

/// A migrated database.
pub(super) struct Place {
    database: TemporaryDatabase,
}

impl Place {
    pub(super) async fn create(kind: DatabaseKind, common: &Common) -> Result<Self, Error> {
        let database = TemporaryDatabase::create(kind, &common.databases, "identity").await?;
        let place = Self { database };
        let store = place.open().await?;
        store.migrate().await?;
        store.close().await;
        Ok(place)
    }

    pub(super) async fn remove(self) -> Result<(), Error> {
        self.database.remove().await
    }

    pub(super) const fn kind(&self) -> DatabaseKind {
        self.database.kind()
    }

    pub(super) fn url(&self) -> &str {
        self.database.url()
    }

    /// One more store over the database.
    pub(super) async fn open(&self) -> Result<Store, Error> {
        Ok(builder(self.url())?.connect().await?)
    }

    /// One with a clock that stands still until it is moved.
    pub(super) async fn open_at(&self, clock: &Arc<TestClock>) -> Result<Store, Error> {
        let clock: Arc<TestClock> = Arc::clone(clock);
        Ok(builder(self.url())?.clock(clock).connect().await?)
    }
}

/// A store as every experiment wants it: failed logins are not counted.
pub(super) fn builder(url: &str) -> Result<Builder, Error> {
    Ok(Store::builder(url).token_keys(TokenKeys::parse(TOKEN_KEY)?).login_failures(None))
}

/// Creates a user with [`PASSWORD`].
pub(crate) async fn member(store: &Store, name: &str) -> Result<User, Error> {
    let new = NewUser::named(UserName::new(name)?);
    Ok(store.users().create_with_password(new, Password::new(PASSWORD)).await?)
}

/// The sessions of a user as they are committed, each with its refresh tokens.
pub(super) async fn sessions(
    store: &Store,
    user: UserId,
) -> Result<Vec<(Session, Vec<RefreshToken>)>, Error> {
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

/// What is wrong with a chain of tokens after this number of exchanges.
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
