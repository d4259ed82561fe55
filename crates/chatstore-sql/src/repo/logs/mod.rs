//! Events: added one by one by applications and many at once by the server, listed by time, deleted when they are old.

mod list;

use std::collections::BTreeSet;

use chatstore_model::{
    ApiKeyId, CanonicalJson, IntoValid, LogEvent, LogEventId, LogLevel, NewLogEvent, Timestamp, UserId,
};
use constcat::concat;

use crate::db::{Sql, Value, reader};
use crate::error::StoreError;
use crate::repo::live::{live_sender, live_user};
use crate::repo::{json_list, list_of};
use crate::schema::{Columns, LOGS};
use crate::tx::ReadWrite;

pub use list::{LogList, LogOwner};

const ALL: Columns = LOGS.all_columns();
const COLUMNS: &str = ALL.names().as_str();

/// That those who caused an event are not being deleted: until the event belongs to no user, it is not read.
const LIVE_ACTORS: &str = concat!(live_sender!("actor_id"), " and ", live_sender!("acting_for_id"));

const GET: Sql = Sql::same(
    "logs.get",
    concat!(
        "select ",
        COLUMNS,
        " from logs where user_id = $1 and id = $2 and ",
        live_user!("$1"),
        " and ",
        LIVE_ACTORS
    ),
);

/// Nothing, when there is no such user.
const APPEND: Sql = Sql::same(
    "logs.append",
    concat!(
        ALL.insert_into().as_str(),
        " select ",
        ALL.values(1, &[]).as_str(),
        " from users u where u.id = $1 and u.deleted_at is null returning level"
    ),
);

/// Those of some users who exist, and do so until the events about them are kept.
const LOCK_USERS: Sql = Sql::pair(
    "logs.lock_users",
    "select id from users where id in (select unhex(value) from json_each($1)) and deleted_at is null",
    "select id from users where id in (select value::uuid from jsonb_array_elements_text($1)) \
     and deleted_at is null order by id for key share",
);

/// An event that is kept already is one whose first attempt was answered too late.
const RECORD: Sql = Sql::same("logs.record", concat!(ALL.insert(&[]).as_str(), " on conflict do nothing"));

/// All of a batch in one statement: a list of objects with the columns.
const RECORD_MANY: Sql = Sql::only_postgres(
    "logs.record_many",
    concat!(
        ALL.insert_into().as_str(),
        " select (e->>'user_id')::uuid, (e->>'id')::uuid, (e->>'at')::timestamptz, e->>'level', e->>'event', \
         (e->>'conversation_id')::uuid, e->>'request_id', (e->>'actor_id')::uuid, (e->>'key_id')::uuid, \
         (e->>'acting_for_id')::uuid, (e->>'data')::jsonb from jsonb_array_elements($1) e on conflict do nothing"
    ),
);

const COUNT_BEFORE: Sql = Sql::same("logs.count_before", "select count(*) from logs where id < $1");

const OLD: &str = "logs where id < $1 order by id limit $2";
const PRUNE: Sql = Sql::pair(
    "logs.prune",
    concat!("delete from logs where (user_id, id) in (select user_id, id from ", OLD, ")"),
    concat!("delete from logs where ctid = any (array(select ctid from ", OLD, "))"),
);

pub(super) const STATEMENTS: &[&[Sql]] = &[OWN_STATEMENTS, list::STATEMENTS];

const OWN_STATEMENTS: &[Sql] = &[GET, APPEND, LOCK_USERS, RECORD, RECORD_MANY, COUNT_BEFORE, PRUNE];

const NO_USER: StoreError = StoreError::MissingReference { entity: LOGS.entity };

/// Who causes an event, as it is stored with the event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogActor {
    /// The holder of the credentials.
    pub id: Option<UserId>,
    /// The API key that they showed.
    pub key_id: Option<ApiKeyId>,
    /// The user that a service acts for.
    pub acting_for_id: Option<UserId>,
}

repository! {
    /// Events.
    Logs, logs
}

reader! {
    fn read -> LogEvent {
        user_id, id, at, level, event, conversation_id, request_id, actor_id, key_id, acting_for_id, data,
    }
}

impl<M> Logs<'_, '_, M> {
    /// An event of this user.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn get(&mut self, user: UserId, id: LogEventId) -> Result<Option<LogEvent>, StoreError> {
        self.0.executor.query_first(&GET, &[user.into(), id.into()], read).await
    }

    /// How many events there are before an instant.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn count_before(&mut self, before: Timestamp) -> Result<i64, StoreError> {
        let first = LogEventId::first_at(before);
        self.0.executor.query_one(&COUNT_BEFORE, &[first.into()], |row| row.next()).await
    }
}

impl Logs<'_, '_, ReadWrite> {
    /// Adds an event of a user, which happens now.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; [`StoreError::MissingReference`] when there is no such user.
    pub async fn append(
        &mut self,
        user: UserId,
        actor: LogActor,
        new: impl IntoValid<&NewLogEvent>,
    ) -> Result<LogEvent, StoreError> {
        let new = *new.into_valid()?;
        let NewLogEvent { level, event, conversation_id, request_id, data } = new;
        let at = self.0.now();
        let event = LogEvent {
            user_id: user,
            id: LogEventId::at(at, self.0.new_uuid(at)),
            at,
            level: *level,
            event: event.clone(),
            conversation_id: *conversation_id,
            request_id: request_id.clone(),
            actor_id: actor.id,
            key_id: actor.key_id,
            acting_for_id: actor.acting_for_id,
            data: data.clone(),
        };
        let kept: Option<LogLevel> =
            self.0.executor.query_changed(&APPEND, &insert_values(&event), |row| row.next()).await?;
        kept.map(|_| event).ok_or(NO_USER)
    }

    /// Adds events as they are, also those that happened some time ago, once however often they are recorded. What names a
    /// user who does not exist any more names no user, and says nothing of what it was about.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]; what the database reports.
    pub async fn record(&mut self, events: impl IntoValid<&[LogEvent]>) -> Result<(), StoreError> {
        let events = *events.into_valid()?;
        let named: BTreeSet<UserId> = events.iter().flat_map(named_users).collect();
        let present = self.lock_users(&named).await?;
        let events: Vec<LogEvent> = events.iter().map(|event| of_present_users(event, &present)).collect();
        if self.0.executor.supports_writable_ctes() {
            let rows = json_list(events.iter().map(row_of).collect())?;
            return self.0.executor.execute(&RECORD_MANY, &[(&rows).into()]).await.map(drop);
        }
        let values = events.iter().map(|event| insert_values(event).to_vec()).collect();
        self.0.executor.execute_each(&RECORD, values).await
    }

    /// Deletes at most `limit` of the events before an instant, oldest first; how many they were. To be repeated until it
    /// is 0.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn prune(&mut self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        let values = [LogEventId::first_at(before).into(), limit.into()];
        self.0.executor.execute(&PRUNE, &values).await
    }

    async fn lock_users(&mut self, users: &BTreeSet<UserId>) -> Result<BTreeSet<UserId>, StoreError> {
        if users.is_empty() {
            return Ok(BTreeSet::new());
        }
        let ids = list_of(users.iter().map(|user| user.uuid()))?;
        let present = self.0.executor.query(&LOCK_USERS, &[(&ids).into()], |row| row.next()).await?;
        Ok(present.into_iter().collect())
    }
}

/// The users that an event names, without the built-in one, who always exists.
fn named_users(event: &LogEvent) -> impl Iterator<Item = UserId> {
    let named = [Some(event.user_id), event.actor_id, event.acting_for_id];
    named.into_iter().flatten().filter(|user| *user != UserId::ANONYMOUS)
}

/// The event as an erasure of those who are not present leaves it.
fn of_present_users(event: &LogEvent, present: &BTreeSet<UserId>) -> LogEvent {
    let mut event = event.clone();
    if named_users(&event).all(|user| present.contains(&user)) {
        return event;
    }
    let is_present = |user: &UserId| *user == UserId::ANONYMOUS || present.contains(user);
    if !is_present(&event.user_id) {
        event.user_id = UserId::ANONYMOUS;
    }
    if event.actor_id.is_some_and(|actor| !is_present(&actor)) {
        (event.actor_id, event.key_id) = (None, None);
    }
    event.acting_for_id = event.acting_for_id.filter(is_present);
    event.request_id = None;
    event.data = CanonicalJson::object();
    event
}

/// A row as an object. What the event says is a text in it, however deep it is.
fn row_of(event: &LogEvent) -> serde_json::Value {
    let LogEvent { user_id, id, at, level, event: name, data, .. } = event;
    let LogEvent { conversation_id, request_id, actor_id, key_id, acting_for_id, .. } = event;
    serde_json::json!({
        "user_id": user_id,
        "id": id,
        "at": at,
        "level": level,
        "event": name,
        "conversation_id": conversation_id,
        "request_id": request_id,
        "actor_id": actor_id,
        "key_id": key_id,
        "acting_for_id": acting_for_id,
        "data": data.as_str(),
    })
}

fn insert_values(event: &LogEvent) -> [Value<'_>; ALL.count()] {
    [
        event.user_id.into(),
        event.id.into(),
        event.at.into(),
        event.level.as_str().into(),
        (&event.event).into(),
        event.conversation_id.into(),
        event.request_id.as_ref().into(),
        event.actor_id.into(),
        event.key_id.into(),
        event.acting_for_id.into(),
        (&event.data).into(),
    ]
}
