//! Events that name a user who is being erased: they belong to no user, and say nothing any more of what they were about.

use chatstore_model::UserId;
use constcat::concat;

use super::Deletions;
use crate::db::Sql;
use crate::error::StoreError;
use crate::tx::ReadWrite;

/// Keeps events that are on their way from naming the user. SQLite has one writer.
const LOCK: Sql = Sql::pair("deletions.lock_erased", USER, concat!(USER, " for update"));
const USER: &str = "select id from users where id = $1 and deleted_at is null";

/// Changes some of the events that name the user in one column. PostgreSQL finds them by their place.
macro_rules! changed_events {
    ($name:literal, $change:expr, $condition:literal, $limit:literal) => {
        Sql::pair(
            $name,
            concat!(
                "update logs set ",
                $change,
                " where (user_id, id) in (select user_id, id from logs where ",
                $condition,
                " limit ",
                $limit,
                ")"
            ),
            concat!(
                "update logs set ",
                $change,
                " where ctid = any (array(select ctid from logs where ",
                $condition,
                " limit ",
                $limit,
                "))"
            ),
        )
    };
}

const EMPTIED: &str = "request_id = null, data = '{}'";

/// Those about the user, whoever caused them, become the built-in user's.
const ABOUT: Sql = changed_events!(
    "deletions.events_about",
    concat!(
        "user_id = $1, key_id = case when actor_id = $2 then null else key_id end, \
         actor_id = nullif(actor_id, $2), acting_for_id = nullif(acting_for_id, $2), ",
        EMPTIED
    ),
    "user_id = $2",
    "$3"
);

const CAUSED: Sql = changed_events!(
    "deletions.events_caused",
    concat!("actor_id = null, key_id = null, acting_for_id = nullif(acting_for_id, $1), ", EMPTIED),
    "actor_id = $1 and actor_id <> user_id",
    "$2"
);

const CAUSED_FOR: Sql = changed_events!(
    "deletions.events_caused_for",
    concat!("acting_for_id = null, ", EMPTIED),
    "acting_for_id = $1 and acting_for_id <> user_id",
    "$2"
);

pub(super) const STATEMENTS: &[Sql] = &[LOCK, ABOUT, CAUSED, CAUSED_FOR];

impl Deletions<'_, '_, ReadWrite> {
    /// Lets no event name the user any more, who is deleted in this transaction.
    pub(in crate::repo) async fn release_events(&mut self, user: UserId) -> Result<(), StoreError> {
        let _: Option<UserId> = self.0.executor.query_first(&LOCK, &[user.into()], |row| row.next()).await?;
        self.release_some_events(user, i64::MAX).await?;
        Ok(())
    }

    /// The same for at most `limit` events; how many they were.
    pub(super) async fn release_some_events(&mut self, user: UserId, limit: i64) -> Result<u64, StoreError> {
        let about = [UserId::ANONYMOUS.into(), user.into(), limit.into()];
        let mut released = self.0.executor.execute(&ABOUT, &about).await?;
        for sql in [&CAUSED, &CAUSED_FOR] {
            let left = limit.saturating_sub(i64::try_from(released).unwrap_or(i64::MAX));
            released += self.0.executor.execute(sql, &[user.into(), left.into()]).await?;
        }
        Ok(released)
    }
}
