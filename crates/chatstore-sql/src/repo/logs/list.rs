//! Lists of events, by time: those of a user, or all of them for those who operate the store.

use chatstore_model::{
    Limit, LogEvent, LogEventId, LogFilter, LogLevel, LogPosition, Order, Page, Timestamp, UserId,
};
use constcat::concat;
use uuid::Uuid;

use super::{COLUMNS, LIVE_ACTORS, Logs, read};
use crate::db::{Sql, Value};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::repo::refuse_nul;

/// The lists of one order.
struct Lists {
    of_user: Sql,
    every: Sql,
    /// Of one name.
    named: Sql,
    /// Of one level, which is not that of most events.
    at_level: Sql,
}

const FROM: &str = concat!("select ", COLUMNS, " from logs where ");

/// `$by` says how rows follow each other.
macro_rules! lists {
    ($order:literal, $by:literal) => {
        Lists {
            of_user: Sql::same(
                concat!("logs.of_user_", $order),
                concat!(
                    FROM,
                    "user_id = $1 and id > $2 and id < $3 and level = coalesce($4, level) \
                     and event = coalesce($5, event) and ",
                    live_user!("$1"),
                    " and ",
                    LIVE_ACTORS,
                    " order by ",
                    $by,
                    " limit $6"
                ),
            )
            .planned_anew(),
            every: Sql::same(
                concat!("logs.every_", $order),
                concat!(
                    FROM,
                    "id > $1 and id < $2 and level = coalesce($3, level) and ",
                    live_user!("user_id"),
                    " and ",
                    LIVE_ACTORS,
                    " order by ",
                    $by,
                    " limit $4"
                ),
            )
            .planned_anew(),
            named: Sql::same(
                concat!("logs.named_", $order),
                concat!(
                    FROM,
                    "event = $1 and id > $2 and id < $3 and level = coalesce($4, level) and ",
                    live_user!("user_id"),
                    " and ",
                    LIVE_ACTORS,
                    " order by ",
                    $by,
                    " limit $5"
                ),
            )
            .planned_anew(),
            at_level: Sql::same(
                concat!("logs.at_level_", $order),
                concat!(
                    FROM,
                    "level = $1 and level <> 'info' and id > $2 and id < $3 and ",
                    live_user!("user_id"),
                    " and ",
                    LIVE_ACTORS,
                    " order by ",
                    $by,
                    " limit $4"
                ),
            )
            .planned_anew(),
        }
    };
}

const DESCENDING: Lists = lists!("descending", "id desc");
const ASCENDING: Lists = lists!("ascending", "id");

pub(super) const STATEMENTS: &[Sql] = &[
    DESCENDING.of_user,
    DESCENDING.every,
    DESCENDING.named,
    DESCENDING.at_level,
    ASCENDING.of_user,
    ASCENDING.every,
    ASCENDING.named,
    ASCENDING.at_level,
];

/// Whose events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOwner {
    /// Those about one user; the built-in one for those about no user.
    User(UserId),
    /// All of them, for those who operate the store.
    Everyone,
}

/// Which events a list holds, in which order and from where.
#[derive(Debug, Clone)]
pub struct LogList {
    /// Which of them.
    pub filter: LogFilter,
    /// In which direction, by time.
    pub order: Order,
    /// Behind which event; `None` for the first page.
    pub from: Option<LogPosition>,
    /// The maximum number of events.
    pub limit: Limit,
}

impl Default for LogList {
    /// The newest 50.
    fn default() -> Self {
        Self { filter: LogFilter::default(), order: Order::Descending, from: None, limit: Limit::default() }
    }
}

impl LogList {
    /// Between which ids its events are, both excluded.
    fn bounds(&self) -> (Uuid, Uuid) {
        let first_at = |at: Timestamp| LogEventId::first_at(at).uuid();
        let lowest = self.filter.from.map_or(Uuid::nil(), |at| before(first_at(at)));
        let highest = self.filter.to.map_or(Uuid::max(), first_at);
        match (self.from, self.order) {
            (None, _) => (lowest, highest),
            (Some(from), Order::Ascending) => (lowest.max(from.id), highest),
            (Some(from), Order::Descending) => (lowest, highest.min(from.id)),
        }
    }
}

fn before(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_sub(1))
}

impl<M> Logs<'_, '_, M> {
    /// One page of events.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a name with NUL; what the database reports.
    pub async fn page(
        &mut self,
        whose: LogOwner,
        list: &LogList,
    ) -> Result<Page<LogEvent, LogPosition>, StoreError> {
        let LogList { filter, order, from: _, limit } = list;
        let lists = match order {
            Order::Descending => &DESCENDING,
            Order::Ascending => &ASCENDING,
        };
        let name = filter.event.as_deref();
        refuse_nul("event", name.unwrap_or_default())?;
        let (after, until) = list.bounds();
        let level = filter.level.map(LogLevel::as_str);
        let (sql, mut values): (&Sql, Vec<Value<'_>>) = match (whose, name, filter.level) {
            (LogOwner::User(user), ..) => {
                (&lists.of_user, vec![user.into(), after.into(), until.into(), level.into(), name.into()])
            }
            (LogOwner::Everyone, Some(name), _) => {
                (&lists.named, vec![name.into(), after.into(), until.into(), level.into()])
            }
            (LogOwner::Everyone, None, Some(level)) if level != LogLevel::Info => {
                (&lists.at_level, vec![level.as_str().into(), after.into(), until.into()])
            }
            (LogOwner::Everyone, None, _) => (&lists.every, vec![after.into(), until.into(), level.into()]),
        };
        values.push(limit.with_lookahead().into());
        let rows = self.0.executor.query_page(sql, &values, *limit, read).await?;
        Ok(rows.into_page(|event| LogPosition { id: event.id.uuid() }))
    }
}
