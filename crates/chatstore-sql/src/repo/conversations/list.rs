//! Lists of a user's conversations: owned, shared or both, by activity or by creation.

use chatstore_model::{
    Conversation, ConversationPosition, ConversationRole, ConversationSort, Limit, Membership, Order, Page,
    UserId,
};
use constcat::concat;

use super::{COLUMNS, Conversations, PLAIN_COLUMNS, read};
use crate::db::Sql;
use crate::error::StoreError;

/// The three lists of one sorting; the four sortings differ only in column and direction.
struct Lists {
    owned: Sql,
    shared: Sql,
    all: Sql,
}

const OWNED: &str =
    concat!("select ", COLUMNS, ", 'owner' as role from conversations c where c.owner_id = $1 and ");
const SHARED: &str = concat!(
    "select ",
    COLUMNS,
    ", m.role from conversation_members m \
     join conversations c on c.owner_id = m.owner_id and c.id = m.conversation_id where m.user_id = $1 and "
);
/// Every column of either half.
const EITHER: &str = concat!("select ", PLAIN_COLUMNS, ", role from (");

/// The lists of one sorting, from where its rows begin and how they are ordered; `$merged` is the order once
/// more for the rows of both halves.
macro_rules! lists {
    ($name:literal, $rows:literal, $merged:literal) => {
        Lists {
            owned: Sql::same(
                concat!("conversations.owned_by_", $name),
                concat!(OWNED, $rows, " limit $4 offset $5"),
            ),
            shared: Sql::same(
                concat!("conversations.shared_by_", $name),
                concat!(SHARED, $rows, " limit $4 offset $5"),
            ),
            all: Sql::same(
                concat!("conversations.all_by_", $name),
                concat!(
                    EITHER,
                    OWNED,
                    $rows,
                    " limit $4) as owned union all ",
                    EITHER,
                    SHARED,
                    $rows,
                    " limit $4) as shared ",
                    $merged,
                    " limit $5 offset $6"
                ),
            ),
        }
    };
}

const ACTIVITY_DESCENDING: Lists = lists!(
    "activity_descending",
    "(c.updated_at, c.id) < ($2, $3) order by c.updated_at desc, c.id desc",
    "order by updated_at desc, id desc"
);
const ACTIVITY_ASCENDING: Lists = lists!(
    "activity_ascending",
    "(c.updated_at, c.id) > ($2, $3) order by c.updated_at, c.id",
    "order by updated_at, id"
);
const CREATION_DESCENDING: Lists = lists!(
    "creation_descending",
    "(c.created_at, c.id) < ($2, $3) order by c.created_at desc, c.id desc",
    "order by created_at desc, id desc"
);
const CREATION_ASCENDING: Lists = lists!(
    "creation_ascending",
    "(c.created_at, c.id) > ($2, $3) order by c.created_at, c.id",
    "order by created_at, id"
);

const COUNT_OWNED: Sql =
    Sql::same("conversations.count_owned", "select count(*) from conversations where owner_id = $1");

const COUNT_SHARED: Sql =
    Sql::same("conversations.count_shared", "select count(*) from conversation_members where user_id = $1");

const COUNT_ALL: Sql = Sql::same(
    "conversations.count_all",
    "select (select count(*) from conversations where owner_id = $1) \
     + (select count(*) from conversation_members where user_id = $1)",
);

pub(super) const STATEMENTS: &[Sql] = &[
    ACTIVITY_DESCENDING.owned,
    ACTIVITY_DESCENDING.shared,
    ACTIVITY_DESCENDING.all,
    ACTIVITY_ASCENDING.owned,
    ACTIVITY_ASCENDING.shared,
    ACTIVITY_ASCENDING.all,
    CREATION_DESCENDING.owned,
    CREATION_DESCENDING.shared,
    CREATION_DESCENDING.all,
    CREATION_ASCENDING.owned,
    CREATION_ASCENDING.shared,
    CREATION_ASCENDING.all,
    COUNT_OWNED,
    COUNT_SHARED,
    COUNT_ALL,
];

/// Which conversations a list holds, in which order and from where.
#[derive(Debug, Clone, Copy)]
pub struct ConversationList {
    /// Owned, shared or both.
    pub membership: Membership,
    /// By what.
    pub sort: ConversationSort,
    /// In which direction.
    pub order: Order,
    /// Behind which row; `None` for the first page.
    pub from: Option<ConversationPosition>,
    /// How many rows to pass over before the first; their number costs time.
    pub offset: u32,
    /// The maximum number of rows.
    pub limit: Limit,
}

impl Default for ConversationList {
    /// The newest 50 by activity, owned and shared.
    fn default() -> Self {
        Self {
            membership: Membership::default(),
            sort: ConversationSort::default(),
            order: Order::Descending,
            from: None,
            offset: 0,
            limit: Limit::default(),
        }
    }
}

impl<M> Conversations<'_, '_, M> {
    /// One page of a user's conversations, each with the user's role in it.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn page(
        &mut self,
        user: UserId,
        list: &ConversationList,
    ) -> Result<Page<(Conversation, ConversationRole), ConversationPosition>, StoreError> {
        let lists = match (list.sort, list.order) {
            (ConversationSort::Activity, Order::Descending) => &ACTIVITY_DESCENDING,
            (ConversationSort::Activity, Order::Ascending) => &ACTIVITY_ASCENDING,
            (ConversationSort::Creation, Order::Descending) => &CREATION_DESCENDING,
            (ConversationSort::Creation, Order::Ascending) => &CREATION_ASCENDING,
        };
        let from = list.from.unwrap_or(ConversationPosition::start(list.order));
        let rows = list.limit.with_lookahead();
        let offset = i64::from(list.offset);
        let (sql, mut values) = match list.membership {
            Membership::Owned => (&lists.owned, vec![]),
            Membership::Shared => (&lists.shared, vec![]),
            // Either half alone might fill the page.
            Membership::All => (&lists.all, vec![(rows + offset).into()]),
        };
        let mut all = vec![user.into(), from.at.into(), from.id.into()];
        all.append(&mut values);
        all.extend([rows.into(), offset.into()]);
        let found = self.0.executor.query(sql, &all, |row| Ok((read(row)?, row.next()?))).await?;
        Ok(Page::cut(found, list.limit, |(conversation, _)| ConversationPosition {
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
    pub async fn count(&mut self, user: UserId, membership: Membership) -> Result<i64, StoreError> {
        let sql = match membership {
            Membership::Owned => &COUNT_OWNED,
            Membership::Shared => &COUNT_SHARED,
            Membership::All => &COUNT_ALL,
        };
        self.0.executor.query_one(sql, &[user.into()], |row| row.next()).await
    }
}
