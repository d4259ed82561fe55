//! Sessions: begun by a login, carried on by refresh tokens, ended once.

use chatstore_model::{
    EndReason, IntoValid, Limit, NewRefreshToken, NewSession, Order, Page, RefreshTokenId, Session,
    SessionId, SessionPosition, SessionState, Timestamp, UserId,
};
use constcat::concat;
use uuid::Uuid;

use crate::db::{Row, Sql, reader};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::repo::users;
use crate::schema::{Columns, SESSIONS};
use crate::tx::ReadWrite;

const COLUMNS: &str = SESSIONS.columns_without(&["used_counter", "password_confirmed_at"]).names().as_str();

const STATE: Sql = Sql::same(
    "sessions.state",
    concat!(
        "select s.expires_at, s.last_activity, s.revoked_at, ",
        users::ACTIVE_ROLE,
        ", u.must_change_password, s.used_counter \
         from sessions s join users u on u.id = s.user_id \
         where s.user_id = $1 and s.id = $2 and u.deleted_at is null"
    ),
);

const BY_ACCESS_JTI: Sql = Sql::same(
    "sessions.by_access_jti",
    concat!(
        "select ",
        COLUMNS,
        " from sessions where user_id = $1 and access_jti = $2 and ",
        live_user!("$1")
    ),
);

const LIST: Sql = Sql::same(
    "sessions.list",
    concat!(
        "select ",
        COLUMNS,
        " from sessions where user_id = $1 and ",
        live_user!("$1"),
        " order by created_at, id"
    ),
);

const PAGE: Sql = Sql::same(
    "sessions.page",
    concat!(
        "select ",
        COLUMNS,
        " from sessions where user_id = $1 and revoked_at is null and expires_at > $2 \
         and (last_activity, id) < ($3, $4) and ",
        live_user!("$1"),
        " order by last_activity desc, id desc limit $5"
    ),
);

const ADDRESSES: Sql = Sql::same(
    "sessions.addresses",
    concat!(
        "select ip from sessions where user_id = $1 and ip is not null and ",
        live_user!("$1"),
        " order by id desc limit $2"
    ),
);

const INSERTED: Columns = SESSIONS.inserted_columns();
const BEGIN: Sql = Sql::same("sessions.begin", INSERTED.insert(&[]).as_str());

const TOUCH: Sql = Sql::same(
    "sessions.touch",
    concat!(
        "update sessions set last_activity = $1 where user_id = $2 and id = $3 and last_activity < $1 and ",
        live_user!("$2")
    ),
);

const NOTE_USED: Sql = Sql::same(
    "sessions.note_used",
    concat!(
        "update sessions set used_counter = $1 where user_id = $2 and id = $3 \
         and (used_counter is null or used_counter < $1) and ",
        live_user!("$2")
    ),
);

const CONFIRM: Sql = Sql::same(
    "sessions.confirm",
    concat!(
        "update sessions set password_confirmed_at = $1 where user_id = $2 and id = $3 and revoked_at is null and ",
        live_user!("$2")
    ),
);

const CONFIRMED_AT: Sql = Sql::same(
    "sessions.confirmed_at",
    concat!(
        "select password_confirmed_at from sessions where user_id = $1 and id = $2 and revoked_at is null and ",
        live_user!("$1")
    ),
);

const END: Sql = Sql::same(
    "sessions.end",
    concat!(
        "update sessions set revoked_at = $1, revoke_reason = $2 \
         where user_id = $3 and id = $4 and revoked_at is null and expires_at > $1 and ",
        live_user!("$3")
    ),
);

const END_ALL: Sql = Sql::same(
    "sessions.end_all",
    concat!(
        "update sessions set revoked_at = $1, revoke_reason = $2 \
         where user_id = $3 and revoked_at is null and ",
        live_user!("$3")
    ),
);

const PRUNE: Sql = Sql::same(
    "sessions.prune",
    "delete from sessions where (user_id, id) in \
     (select user_id, id from sessions where expires_at <= $1 order by expires_at limit $2)",
);

pub(super) const STATEMENTS: &[Sql] = &[
    STATE,
    BY_ACCESS_JTI,
    LIST,
    PAGE,
    ADDRESSES,
    BEGIN,
    TOUCH,
    NOTE_USED,
    CONFIRM,
    CONFIRMED_AT,
    END,
    END_ALL,
    PRUNE,
];

/// Sessions whose addresses are looked at.
const ADDRESSES_READ: i64 = 200;

repository! {
    /// Sessions.
    Sessions, sessions
}

reader! {
    fn read -> Session {
        user_id, id, access_jti, user_agent, ip, created_at, last_activity, expires_at, revoked_at,
        revoke_reason,
    }
}

fn read_state(row: &Row<'_>) -> Result<SessionState, StoreError> {
    Ok(SessionState {
        expires_at: row.next()?,
        last_activity: row.next()?,
        revoked_at: row.next()?,
        role: users::read_active_role(row)?,
        must_change_password: row.next()?,
        used_counter: row.next()?,
    })
}

impl<M> Sessions<'_, '_, M> {
    /// What decides whether an access token of this session is let in.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn state(&mut self, user: UserId, id: SessionId) -> Result<Option<SessionState>, StoreError> {
        self.0.executor.query_first(&STATE, &[user.into(), id.into()], read_state).await
    }

    /// The session whose newest access token has this `jti`, also an ended one.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn find_by_access_jti(
        &mut self,
        user: UserId,
        access_jti: Uuid,
    ) -> Result<Option<Session>, StoreError> {
        self.0.executor.query_first(&BY_ACCESS_JTI, &[user.into(), access_jti.into()], read).await
    }

    /// Every session of a user, ended and expired ones too, oldest first.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn list(&mut self, user: UserId) -> Result<Vec<Session>, StoreError> {
        self.0.executor.query(&LIST, &[user.into()], read).await
    }

    /// When the user's password was last confirmed in this session.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn confirmed_at(
        &mut self,
        user: UserId,
        id: SessionId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let values = [user.into(), id.into()];
        let found: Option<Option<Timestamp>> =
            self.0.executor.query_first(&CONFIRMED_AT, &values, |row| row.next()).await?;
        Ok(found.flatten())
    }

    /// Sessions of a user that go on, the last used first.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn page(
        &mut self,
        user: UserId,
        from: Option<SessionPosition>,
        limit: Limit,
    ) -> Result<Page<Session, SessionPosition>, StoreError> {
        let from = from.unwrap_or(SessionPosition::start(Order::Descending));
        let now = self.0.now();
        let values = [user.into(), now.into(), from.at.into(), from.id.into(), limit.with_lookahead().into()];
        let rows = self.0.executor.query_page(&PAGE, &values, limit, read).await?;
        Ok(rows.into_page(|session| SessionPosition { at: session.last_activity, id: session.id.uuid() }))
    }

    /// The addresses from which the newest 200 sessions of a user were begun, ended ones too.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn addresses(&mut self, user: UserId) -> Result<Vec<String>, StoreError> {
        let values = [user.into(), ADDRESSES_READ.into()];
        self.0.executor.query(&ADDRESSES, &values, |row| row.next()).await
    }
}

impl Sessions<'_, '_, ReadWrite> {
    /// Begins a session with its first refresh token.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a text that is too long or has NUL; [`StoreError::MissingReference`] when
    /// there is no such user; [`StoreError::AlreadyExists`] when one of its ids or the token is taken.
    pub async fn begin(
        &mut self,
        user: UserId,
        new: impl IntoValid<&NewSession>,
        token: &NewRefreshToken,
    ) -> Result<Session, StoreError> {
        let new = *new.into_valid()?;
        let now = self.0.now();
        let session = Session {
            user_id: user,
            id: new.id,
            access_jti: new.access_jti,
            user_agent: new.user_agent.clone(),
            ip: new.ip.clone(),
            created_at: now,
            last_activity: now,
            expires_at: new.expires_at,
            revoked_at: None,
            revoke_reason: None,
        };
        let values: [_; INSERTED.count()] = [
            user.into(),
            session.id.into(),
            session.access_jti.into(),
            session.user_agent.as_ref().into(),
            session.ip.as_ref().into(),
            session.created_at.into(),
            session.last_activity.into(),
            session.expires_at.into(),
        ];
        self.0.executor.execute(&BEGIN, &values).await?;
        let id = RefreshTokenId::from_uuid(self.0.new_uuid(now));
        self.0.refresh_tokens().insert(user, session.id, id, None, 0, token).await?;
        Ok(session)
    }

    /// Notes when a session was last used; never moves it back.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn touch(&mut self, user: UserId, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
        self.0.executor.execute(&TOUCH, &[at.into(), user.into(), id.into()]).await?;
        Ok(())
    }

    /// Notes that the refresh token with this counter, or an access token given with it, was used: those before it are
    /// good for nothing then. Never moves it back.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn note_used(&mut self, user: UserId, id: SessionId, counter: i64) -> Result<(), StoreError> {
        self.0.executor.execute(&NOTE_USED, &[counter.into(), user.into(), id.into()]).await?;
        Ok(())
    }

    /// Notes that the user's password was confirmed in this session.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn confirm(&mut self, user: UserId, id: SessionId) -> Result<(), StoreError> {
        let now = self.0.now();
        self.0.executor.execute(&CONFIRM, &[now.into(), user.into(), id.into()]).await?;
        Ok(())
    }

    /// Ends a session and revokes its refresh tokens.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also for one that has ended or expired.
    pub async fn end(&mut self, user: UserId, id: SessionId, reason: EndReason) -> Result<(), StoreError> {
        let now = self.0.now();
        let values = [now.into(), reason.as_str().into(), user.into(), id.into()];
        match self.0.executor.execute(&END, &values).await? {
            0 => Err(StoreError::NotFound { entity: SESSIONS.entity }),
            _ => self.0.refresh_tokens().revoke(user, Some(id)).await,
        }
    }

    /// Ends all sessions of a user, revokes their refresh tokens and refuses the tokens that identity providers issued up
    /// to now; how many sessions there were.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn end_all(&mut self, user: UserId, reason: EndReason) -> Result<u64, StoreError> {
        let now = self.0.now();
        let values = [now.into(), reason.as_str().into(), user.into()];
        let ended = self.0.executor.execute(&END_ALL, &values).await?;
        self.0.refresh_tokens().revoke(user, None).await?;
        self.0.identities().revoke(user).await?;
        Ok(ended)
    }

    /// Deletes at most `limit` of the sessions that expired, with their tokens, however many these are: tokens that
    /// expired should be deleted before. How many sessions it were; to be repeated until it is 0.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn prune(&mut self, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
        self.0.executor.execute(&PRUNE, &[now.into(), limit.into()]).await
    }
}
