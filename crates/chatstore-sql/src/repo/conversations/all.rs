//! The conversations of all users, for administrators and applications: by owner and id, which is one walk along the key.

use chatstore_model::{Conversation, ConversationFilter, ConversationRole, Limit, OwnedPosition, Page};
use constcat::concat;

use super::filtered::{COMPARED_COLUMNS, compared, filtered, page_of};
use super::list::{ARCHIVED, UNARCHIVED};
use super::threads::{Range, check};
use super::{COLUMNS, Conversations};
use crate::db::{Sql, Value};
use crate::error::StoreError;
use crate::repo::live::live_user;

/// Whose conversations a list of all holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Every user's.
    All,
    /// Those of users who are not administrators.
    ButAdmins,
}

const SELECT: &str = concat!("select ", COLUMNS, ", 'owner' as role");

/// Threads are those of a range, unless it is null.
macro_rules! conversations {
    ($archived:expr) => {
        concat!(
            " from conversations c where (c.owner_id, c.id) > ($1, $2) and c.deleted_at is null and ",
            live_user!("c.owner_id"),
            " and ($3 or not exists (select 1 from users a where a.id = c.owner_id and a.role = 'admin' \
             and a.deleted_at is null)) and (cast($4 as text) is null or (c.thread_id >= $4 and c.thread_id < $5))",
            $archived,
            " and c.updated_at >= $6"
        )
    };
}

macro_rules! page_of_all {
    ($name:literal, $archived:expr) => {
        Sql::pair(
            concat!("conversations.", $name),
            concat!(SELECT, conversations!($archived), " order by c.owner_id, c.id"),
            filtered!(concat!(SELECT, conversations!($archived)), "c.owner_id, c.id", "$7", "$8", "$9"),
        )
        .planned_anew()
    };
}

macro_rules! count_of_all {
    ($name:literal, $archived:expr) => {
        Sql::pair(
            concat!("conversations.", $name),
            concat!(COMPARED_COLUMNS, conversations!($archived)),
            concat!("select count(*)", conversations!($archived), compared!("$7", "$8")),
        )
        .planned_anew()
    };
}

/// For every word of `archived` in its order.
const PAGE: [Sql; 3] = [
    page_of_all!("of_all", UNARCHIVED),
    page_of_all!("archived_of_all", ARCHIVED),
    page_of_all!("every_of_all", ""),
];
const COUNT: [Sql; 3] = [
    count_of_all!("count_of_all", UNARCHIVED),
    count_of_all!("count_archived_of_all", ARCHIVED),
    count_of_all!("count_every_of_all", ""),
];

pub(super) const STATEMENTS: &[Sql] = &[PAGE[0], PAGE[1], PAGE[2], COUNT[0], COUNT[1], COUNT[2]];

impl<M> Conversations<'_, '_, M> {
    /// One page of the conversations of all users, by owner and id; of those whose thread ids begin with a prefix, if one
    /// is given. The role is that of the owner. Every conversation before the end of the page is compared.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a prefix with NUL; [`StoreError::InvalidState`] for a filter with ids.
    pub async fn page_of_all(
        &mut self,
        owners: Owners,
        prefix: Option<&str>,
        filter: &ConversationFilter,
        from: Option<OwnedPosition>,
        limit: Limit,
    ) -> Result<Page<(Conversation, ConversationRole), OwnedPosition>, StoreError> {
        check(prefix.unwrap_or_default(), filter)?;
        let range = prefix.map(|prefix| Range::of(prefix, None));
        let values = values(owners, range.as_ref(), from);
        let found = self.matches(&PAGE[filter.archived as usize], &values, filter, limit).await?;
        Ok(page_of(found, limit, |last| OwnedPosition { owner: last.owner_id.uuid(), id: last.id.uuid() }))
    }

    /// How many conversations there are of all users.
    ///
    /// # Errors
    /// As [`page_of_all`](Self::page_of_all).
    pub async fn count_of_all(
        &mut self,
        owners: Owners,
        prefix: Option<&str>,
        filter: &ConversationFilter,
    ) -> Result<i64, StoreError> {
        check(prefix.unwrap_or_default(), filter)?;
        let range = prefix.map(|prefix| Range::of(prefix, None));
        let values = values(owners, range.as_ref(), None);
        self.count_matches(&COUNT[filter.archived as usize], &values, filter).await
    }
}

fn values(owners: Owners, range: Option<&Range>, from: Option<OwnedPosition>) -> [Value<'_>; 5] {
    let from = from.unwrap_or(OwnedPosition::START);
    [
        from.owner.into(),
        from.id.into(),
        (owners == Owners::All).into(),
        range.map(|range| &range.start).into(),
        range.map(|range| &range.end).into(),
    ]
}
