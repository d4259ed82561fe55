//! Lists of a user's conversations: owned, shared or both, by activity or by creation.

use chatstore_model::{
    Conversation, ConversationFilter, ConversationPosition, ConversationRole, ConversationSort, Limit,
    Membership, Order, Page, UserId,
};
use constcat::{concat, concat_slices};

use super::{COLUMNS, Conversations, PLAIN_COLUMNS, read};
use crate::db::{Row, Sql};
use crate::error::StoreError;
use crate::repo::live::{live_conversation, live_user};
use crate::schema::conversations;

/// The lists of one order, each for every word of `archived` in its order.
struct Lists {
    owned: [List; 3],
    shared: [List; 3],
    all: [List; 3],
}

#[derive(Clone, Copy)]
struct List {
    sql: Sql,
    /// Whether rows of several indexes are merged: each alone might fill the page.
    is_merged: bool,
}

pub(super) const OWNED: &str = concat!("select ", COLUMNS, ", 'owner' as role", FROM_OWNED);
pub(super) const SHARED: &str = concat!("select ", COLUMNS, ", m.role", FROM_SHARED);
pub(super) const FROM_OWNED: &str = concat!(" from conversations c where c.owner_id = $1", LIVE_OWN);
pub(super) const FROM_SHARED: &str = concat!(
    " from conversation_members m \
     join conversations c on c.owner_id = m.owner_id and c.id = m.conversation_id where m.user_id = $1",
    LIVE_SHARED
);
/// None that is being deleted, nor any of a user who is.
const LIVE_OWN: &str = concat!(" and c.deleted_at is null and ", live_user!("$1"));
const LIVE_SHARED: &str =
    concat!(" and c.deleted_at is null and ", live_user!("m.owner_id"), " and ", live_user!("$1"));
pub(super) const UNARCHIVED: &str = concat!(" and ", conversations::UNARCHIVED);
pub(super) const ARCHIVED: &str = concat!(" and ", conversations::ARCHIVED);
/// Every column of one of the merged parts.
const PART: &str = concat!("select ", PLAIN_COLUMNS, ", role from (");
const END_OF_PART: &str = " limit $4) as part";

/// The rows that one index has in order.
macro_rules! single {
    ($name:expr, $rows:expr, $($part:expr),+) => {
        List { sql: Sql::same($name, concat!($($part,)+ $rows, " limit $4 offset $5")), is_merged: false }
    };
}

/// The rows of several indexes, in the order `$merged`.
macro_rules! merged {
    ($name:expr, $rows:expr, $merged:expr, [$($first:expr),+], $([$($next:expr),+]),+) => {
        List {
            sql: Sql::same(
                $name,
                concat!(
                    PART, $($first,)+ $rows, END_OF_PART,
                    $(" union all ", PART, $($next,)+ $rows, END_OF_PART,)+
                    " ", $merged, " limit $5 offset $6"
                ),
            ),
            is_merged: true,
        }
    };
}

/// The lists of one order: `$rows` says where its rows begin and how they follow, `$merged` how the rows of several
/// parts do.
macro_rules! lists {
    ($order:literal, $rows:literal, $merged:literal) => {
        Lists {
            owned: [
                single!(concat!("conversations.owned_by_", $order), $rows, OWNED, UNARCHIVED),
                single!(concat!("conversations.archived_owned_by_", $order), $rows, OWNED, ARCHIVED),
                merged!(
                    concat!("conversations.every_owned_by_", $order),
                    $rows,
                    $merged,
                    [OWNED, UNARCHIVED],
                    [OWNED, ARCHIVED]
                ),
            ],
            shared: [
                single!(concat!("conversations.shared_by_", $order), $rows, SHARED, UNARCHIVED),
                single!(concat!("conversations.archived_shared_by_", $order), $rows, SHARED, ARCHIVED),
                single!(concat!("conversations.every_shared_by_", $order), $rows, SHARED),
            ],
            all: [
                merged!(
                    concat!("conversations.all_by_", $order),
                    $rows,
                    $merged,
                    [OWNED, UNARCHIVED],
                    [SHARED, UNARCHIVED]
                ),
                merged!(
                    concat!("conversations.archived_all_by_", $order),
                    $rows,
                    $merged,
                    [OWNED, ARCHIVED],
                    [SHARED, ARCHIVED]
                ),
                merged!(
                    concat!("conversations.every_all_by_", $order),
                    $rows,
                    $merged,
                    [OWNED, UNARCHIVED],
                    [OWNED, ARCHIVED],
                    [SHARED]
                ),
            ],
        }
    };
}

const ACTIVITY_DESCENDING: Lists = lists!(
    "activity_descending",
    " and (c.updated_at, c.id) < ($2, $3) order by c.updated_at desc, c.id desc",
    "order by updated_at desc, id desc"
);
const ACTIVITY_ASCENDING: Lists = lists!(
    "activity_ascending",
    " and (c.updated_at, c.id) > ($2, $3) order by c.updated_at, c.id",
    "order by updated_at, id"
);
const CREATION_DESCENDING: Lists = lists!(
    "creation_descending",
    " and (c.created_at, c.id) < ($2, $3) order by c.created_at desc, c.id desc",
    "order by created_at desc, id desc"
);
const CREATION_ASCENDING: Lists = lists!(
    "creation_ascending",
    " and (c.created_at, c.id) > ($2, $3) order by c.created_at, c.id",
    "order by created_at, id"
);

const COUNTED: &str = concat!("select count(*)", FROM_OWNED);
const COUNTED_SHARED: &str = concat!("select count(*)", FROM_SHARED);
const COUNTED_MEMBERSHIPS: &str = concat!(
    "select count(*) from conversation_members m where m.user_id = $1 and ",
    live_conversation!("m.owner_id", "m.conversation_id"),
    " and ",
    live_user!("$1")
);

/// As [`Lists`].
const COUNT_OWNED: [Sql; 3] = [
    Sql::same("conversations.count_owned", concat!(COUNTED, UNARCHIVED)),
    Sql::same("conversations.count_archived_owned", concat!(COUNTED, ARCHIVED)),
    Sql::same("conversations.count_every_owned", COUNTED),
];
const COUNT_SHARED: [Sql; 3] = [
    Sql::same("conversations.count_shared", concat!(COUNTED_SHARED, UNARCHIVED)),
    Sql::same("conversations.count_archived_shared", concat!(COUNTED_SHARED, ARCHIVED)),
    Sql::same("conversations.count_every_shared", COUNTED_MEMBERSHIPS),
];
const COUNT_ALL: [Sql; 3] = [
    Sql::same(
        "conversations.count_all",
        concat!("select (", COUNTED, UNARCHIVED, ") + (", COUNTED_SHARED, UNARCHIVED, ")"),
    ),
    Sql::same(
        "conversations.count_archived_all",
        concat!("select (", COUNTED, ARCHIVED, ") + (", COUNTED_SHARED, ARCHIVED, ")"),
    ),
    Sql::same(
        "conversations.count_every_all",
        concat!("select (", COUNTED, ") + (", COUNTED_MEMBERSHIPS, ")"),
    ),
];

const fn statements(lists: &Lists) -> [Sql; 9] {
    let Lists { owned: [o0, o1, o2], shared: [s0, s1, s2], all: [a0, a1, a2] } = lists;
    [o0.sql, o1.sql, o2.sql, s0.sql, s1.sql, s2.sql, a0.sql, a1.sql, a2.sql]
}

pub(super) const STATEMENTS: &[Sql] = concat_slices!([Sql]:
    &statements(&ACTIVITY_DESCENDING),
    &statements(&ACTIVITY_ASCENDING),
    &statements(&CREATION_DESCENDING),
    &statements(&CREATION_ASCENDING),
    &COUNT_OWNED,
    &COUNT_SHARED,
    &COUNT_ALL,
);

/// Which conversations a list holds, in which order and from where.
#[derive(Debug, Clone)]
pub struct ConversationList {
    /// Which of those that the user can reach.
    pub filter: ConversationFilter,
    /// By what.
    pub sort: ConversationSort,
    /// In which direction.
    pub order: Order,
    /// Behind which row; `None` for the first page.
    pub from: Option<ConversationPosition>,
    /// How many rows to pass over before the first; their number costs time. Not for filters that compare or name ids.
    pub offset: u32,
    /// The maximum number of rows.
    pub limit: Limit,
}

impl Default for ConversationList {
    /// The newest 50 by activity, owned and shared, without archived ones.
    fn default() -> Self {
        Self {
            filter: ConversationFilter::default(),
            sort: ConversationSort::default(),
            order: Order::Descending,
            from: None,
            offset: 0,
            limit: Limit::default(),
        }
    }
}

impl<M> Conversations<'_, '_, M> {
    /// One page of a user's conversations, each with the user's role in it. For a filter that compares, the conversations
    /// are read in order until the page is full.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn page(
        &mut self,
        user: UserId,
        list: &ConversationList,
    ) -> Result<Page<(Conversation, ConversationRole), ConversationPosition>, StoreError> {
        if list.filter.compares() {
            return self.filtered_page(user, list).await;
        }
        let lists = match (list.sort, list.order) {
            (ConversationSort::Activity, Order::Descending) => &ACTIVITY_DESCENDING,
            (ConversationSort::Activity, Order::Ascending) => &ACTIVITY_ASCENDING,
            (ConversationSort::Creation, Order::Descending) => &CREATION_DESCENDING,
            (ConversationSort::Creation, Order::Ascending) => &CREATION_ASCENDING,
        };
        let from = list.from.unwrap_or(ConversationPosition::start(list.order));
        let rows = list.limit.with_lookahead();
        let offset = i64::from(list.offset);
        let ConversationFilter { membership, archived, .. } = list.filter;
        let List { sql, is_merged } = match membership {
            Membership::Owned => lists.owned[archived as usize],
            Membership::Shared => lists.shared[archived as usize],
            Membership::All => lists.all[archived as usize],
        };
        let mut values = vec![user.into(), from.at.into(), from.id.into()];
        if is_merged {
            values.push((rows + offset).into());
        }
        values.extend([rows.into(), offset.into()]);
        let read = |row: &Row<'_>| Ok((read(row)?, row.next()?));
        let found = self.0.executor.query_page(&sql, &values, list.limit, read).await?;
        Ok(found.into_page(|(conversation, _)| ConversationPosition {
            at: match list.sort {
                ConversationSort::Activity => conversation.updated_at,
                ConversationSort::Creation => conversation.created_at,
            },
            id: conversation.id.uuid(),
        }))
    }

    /// How many conversations a user has.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn count(&mut self, user: UserId, filter: &ConversationFilter) -> Result<i64, StoreError> {
        if filter.compares() {
            return self.filtered_count(user, filter).await;
        }
        let ConversationFilter { membership, archived, .. } = *filter;
        let statements = match membership {
            Membership::Owned => &COUNT_OWNED,
            Membership::Shared => &COUNT_SHARED,
            Membership::All => &COUNT_ALL,
        };
        self.0.executor.query_one(&statements[archived as usize], &[user.into()], |row| row.next()).await
    }
}
