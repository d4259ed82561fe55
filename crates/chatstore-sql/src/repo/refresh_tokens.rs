//! Refresh tokens: each is exchanged once for its successor. One that is used again after that shows
//! that two hold it, and ends its session (RFC 9700, section 4.14.2).

use std::time::Duration;

use chatstore_model::{
    EndReason, NewRefreshToken, RefreshToken, RefreshTokenId, SessionId, Timestamp, User, UserId,
};
use constcat::concat;
use uuid::Uuid;

use crate::db::{Bytes, Row, Sql, reader};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::schema::{Columns, REFRESH_TOKENS};
use crate::tx::ReadWrite;

/// How long a token that was exchanged may be shown again by another tab that was about to exchange it too, although an
/// access token given with its successor is in use by then.
const TABS: Duration = Duration::from_secs(10);

/// How long it may be shown again while nothing was used that it was exchanged for: the answer was lost.
const LOST_ANSWER: Duration = Duration::from_secs(24 * 60 * 60);

const COLUMNS: &str = REFRESH_TOKENS.columns_without(&["token_hash"]).names().as_str();

/// With the lock, rotations of one session wait for each other. SQLite has one writer.
const LOCK_SESSION: Sql = Sql::pair("refresh_tokens.lock_session", SESSION, concat!(SESSION, " for update"));
const SESSION: &str = concat!(
    "select created_at, expires_at, revoked_at, used_counter from sessions where user_id = $1 and id = $2 and ",
    live_user!("$1")
);

const FIND: Sql = Sql::same(
    "refresh_tokens.find",
    concat!(
        "select ",
        COLUMNS,
        " from refresh_tokens where user_id = $1 and token_hash = $2 and ",
        live_user!("$1")
    ),
);

const LIST: Sql = Sql::same(
    "refresh_tokens.list",
    concat!(
        "select ",
        COLUMNS,
        " from refresh_tokens where user_id = $1 and ",
        live_user!("$1"),
        " order by session_id, counter"
    ),
);

const AT: Sql = Sql::same(
    "refresh_tokens.at",
    concat!(
        "select token_hash, expires_at from refresh_tokens \
         where user_id = $1 and session_id = $2 and counter = $3 and ",
        live_user!("$1")
    ),
);

const INSERTED: Columns = REFRESH_TOKENS.inserted_columns();
const INSERT: Sql = Sql::same("refresh_tokens.insert", INSERTED.insert(&[]).as_str());

const MARK_ROTATED: Sql = Sql::same(
    "refresh_tokens.mark_rotated",
    "update refresh_tokens set rotated_at = $1 where user_id = $2 and id = $3",
);

const CONFIRM: Sql = Sql::same(
    "refresh_tokens.confirm",
    "update refresh_tokens set confirmed_at = $1 where user_id = $2 and id = $3",
);

const CARRY_ON: Sql = Sql::same(
    "refresh_tokens.carry_on",
    concat!(
        "update sessions set access_jti = $1, expires_at = $2, ",
        forward!("last_activity", "$3"),
        " where user_id = $4 and id = $5"
    ),
);

/// Every counter is at least 0: that it is said leads SQLite to the session's tokens rather than through
/// all of the user's.
const REVOKE: Sql = Sql::same(
    "refresh_tokens.revoke",
    "update refresh_tokens set revoked_at = $1 where user_id = $2 and session_id = $3 \
     and counter >= cast(0 as bigint) and revoked_at is null",
);

const REVOKE_ALL: Sql = Sql::same(
    "refresh_tokens.revoke_all",
    "update refresh_tokens set revoked_at = $1 where user_id = $2 and revoked_at is null",
);

const PRUNE: Sql = Sql::same(
    "refresh_tokens.prune",
    "delete from refresh_tokens where (user_id, id) in \
     (select user_id, id from refresh_tokens where expires_at <= $1 order by expires_at limit $2)",
);

pub(super) const STATEMENTS: &[Sql] =
    &[LOCK_SESSION, FIND, LIST, AT, INSERT, MARK_ROTATED, CONFIRM, CARRY_ON, REVOKE, REVOKE_ALL, PRUNE];

/// A refresh token that a client presents, and what it is to be exchanged for.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Whose it says it is.
    pub user_id: UserId,
    /// The session it says it carries on.
    pub session_id: SessionId,
    /// SHA-256 of its text.
    pub token_hash: [u8; 32],
    /// SHA-256 of the text of its successor, first as it is derived now, then as it may have been derived
    /// before with another key.
    pub successors: Vec<[u8; 32]>,
    /// The `jti` of the access token that goes with the successor.
    pub access_jti: Uuid,
    /// How long the successor may wait to be used.
    pub idle: Duration,
    /// The maximum length of a session.
    pub absolute: Duration,
}

/// What came of showing a refresh token.
#[derive(Debug, Clone, PartialEq)]
pub enum Rotation {
    /// It was exchanged, now or before.
    Successor {
        /// The user.
        user: Box<User>,
        /// Which of the successors it is.
        index: usize,
        /// When the successor expires.
        expires_at: Timestamp,
    },
    /// It was exchanged before: its session was ended.
    Reused,
    /// It is unknown, expired or revoked, or the user is disabled.
    Refused,
}

repository! {
    /// Refresh tokens.
    RefreshTokens, refresh_tokens
}

reader! {
    fn read -> RefreshToken {
        user_id, id, session_id, parent_id, counter, created_at, rotated_at, confirmed_at, expires_at,
        revoked_at,
    }
}

/// A session as a rotation looks at it.
struct SessionTimes {
    created_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
    used_counter: Option<i64>,
}

fn read_times(row: &Row<'_>) -> Result<SessionTimes, StoreError> {
    Ok(SessionTimes {
        created_at: row.next()?,
        expires_at: row.next()?,
        revoked_at: row.next()?,
        used_counter: row.next()?,
    })
}

/// Whether a token that was exchanged at an instant gives its successor again.
fn is_repeatable(
    session: &SessionTimes,
    token: &RefreshToken,
    rotated_at: Timestamp,
    now: Timestamp,
) -> bool {
    let is_successor_in_use = session.used_counter.is_some_and(|used| token.counter < used);
    let limit = if is_successor_in_use { TABS } else { LOST_ANSWER };
    token.confirmed_at.is_none() && now <= rotated_at.plus(limit)
}

impl<M> RefreshTokens<'_, '_, M> {
    /// Every refresh token of a user, by session and place in it.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn list(&mut self, user: UserId) -> Result<Vec<RefreshToken>, StoreError> {
        self.0.executor.query(&LIST, &[user.into()], read).await
    }

    async fn find(
        &mut self,
        user: UserId,
        token_hash: &[u8; 32],
    ) -> Result<Option<RefreshToken>, StoreError> {
        let values = [user.into(), token_hash.as_slice().into()];
        self.0.executor.query_first(&FIND, &values, read).await
    }
}

impl RefreshTokens<'_, '_, ReadWrite> {
    /// Exchanges a token for its successor.
    ///
    /// A token that was exchanged already gives the same successor again until the successor, or an access token given
    /// with it, was used: its holder has it then, so the former one is presented by another client. This lasts 24
    /// hours at most; for 10 seconds the use of an access token does not matter, so that the tabs of one client do not
    /// end each other's session. Any other use ends the session with all its tokens; the transaction has to commit
    /// then too.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn rotate(&mut self, presented: &Presented) -> Result<Rotation, StoreError> {
        let (user_id, session_id) = (presented.user_id, presented.session_id);
        let now = self.0.now();
        let values = [user_id.into(), session_id.into()];
        let Some(session) = self.0.executor.query_first(&LOCK_SESSION, &values, read_times).await? else {
            return Ok(Rotation::Refused);
        };
        let Some(user) = self.0.users().get(user_id).await?.filter(|user| user.is_active) else {
            return Ok(Rotation::Refused);
        };
        let Some(token) = self.find(user_id, &presented.token_hash).await? else {
            return Ok(Rotation::Refused);
        };
        let is_revoked = session.revoked_at.is_some() || token.revoked_at.is_some();
        if is_revoked || token.session_id != session_id || session.expires_at <= now {
            return Ok(Rotation::Refused);
        }
        let user = Box::new(user);
        match token.rotated_at {
            None if token.expires_at <= now => Ok(Rotation::Refused),
            None => {
                let expires_at = self.exchange(presented, &session, &token, now).await?;
                Ok(Rotation::Successor { user, index: 0, expires_at })
            }
            Some(rotated_at) if is_repeatable(&session, &token, rotated_at, now) => {
                self.repeat(presented, &token, user).await
            }
            Some(_) => {
                self.0.sessions().end(user_id, session_id, EndReason::Reuse).await?;
                Ok(Rotation::Reused)
            }
        }
    }

    /// Creates the successor of a token that was not exchanged; when it expires.
    async fn exchange(
        &mut self,
        presented: &Presented,
        session: &SessionTimes,
        token: &RefreshToken,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let (user, session_id) = (presented.user_id, presented.session_id);
        let Some(&token_hash) = presented.successors.first() else {
            return Err(StoreError::InvalidState("a token is exchanged for a successor, which is missing"));
        };
        let expires_at = now.plus(presented.idle).min(session.created_at.plus(presented.absolute));
        let id = RefreshTokenId::from_uuid(self.0.new_uuid(now));
        let new = NewRefreshToken { token_hash, expires_at };
        self.insert(user, session_id, id, Some(token.id), token.counter + 1, &new).await?;
        let executor = &mut self.0.executor;
        executor.execute(&MARK_ROTATED, &[now.into(), user.into(), token.id.into()]).await?;
        if let Some(parent) = token.parent_id {
            executor.execute(&CONFIRM, &[now.into(), user.into(), parent.into()]).await?;
        }
        let values =
            [presented.access_jti.into(), expires_at.into(), now.into(), user.into(), session_id.into()];
        executor.execute(&CARRY_ON, &values).await?;
        Ok(expires_at)
    }

    /// Finds the successor of a token that was exchanged a moment ago.
    async fn repeat(
        &mut self,
        presented: &Presented,
        token: &RefreshToken,
        user: Box<User>,
    ) -> Result<Rotation, StoreError> {
        let values = [presented.user_id.into(), presented.session_id.into(), (token.counter + 1).into()];
        let found: Option<(Vec<u8>, Timestamp)> = self
            .0
            .executor
            .query_first(&AT, &values, |row| {
                let Bytes(token_hash) = row.next()?;
                Ok((token_hash.to_vec(), row.next()?))
            })
            .await?;
        let Some((token_hash, expires_at)) = found else { return Ok(Rotation::Refused) };
        let index = presented.successors.iter().position(|successor| successor.as_slice() == token_hash);
        // Derived with neither of the present keys: the holder has to log in again, but is no attacker.
        Ok(index.map_or(Rotation::Refused, |index| Rotation::Successor { user, index, expires_at }))
    }

    pub(super) async fn insert(
        &mut self,
        user: UserId,
        session: SessionId,
        id: RefreshTokenId,
        parent: Option<RefreshTokenId>,
        counter: i64,
        new: &NewRefreshToken,
    ) -> Result<(), StoreError> {
        let now = self.0.now();
        let values: [_; INSERTED.count()] = [
            user.into(),
            id.into(),
            session.into(),
            parent.map(RefreshTokenId::uuid).into(),
            counter.into(),
            new.token_hash.as_slice().into(),
            now.into(),
            new.expires_at.into(),
        ];
        self.0.executor.execute(&INSERT, &values).await?;
        Ok(())
    }

    /// Revokes the tokens of one session of a user, or of all.
    pub(super) async fn revoke(
        &mut self,
        user: UserId,
        session: Option<SessionId>,
    ) -> Result<(), StoreError> {
        let now = self.0.now();
        match session {
            Some(session) => {
                let values = [now.into(), user.into(), session.into()];
                self.0.executor.execute(&REVOKE, &values).await?
            }
            None => self.0.executor.execute(&REVOKE_ALL, &[now.into(), user.into()]).await?,
        };
        Ok(())
    }

    /// Deletes at most `limit` of the tokens that expired; how many it were. To be repeated until it is 0.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn prune(&mut self, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
        self.0.executor.execute(&PRUNE, &[now.into(), limit.into()]).await
    }
}
