//! Lists of conversations that a filter names by more than membership and archive.
//!
//! The conversations of each index are read in its order and compared one after the other: by PostgreSQL in the statement,
//! and here by the same rules where SQLite sends them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use chatstore_model::{
    ArchivedFilter, Conversation, ConversationFilter, ConversationPosition, ConversationRole,
    ConversationSort, JsonFilter, JsonMatcher, Limit, Membership, Order, PAGE_BYTES, Page, Timestamp, UserId,
};
use constcat::{concat, concat_slices};

use super::list::{ARCHIVED, ConversationList, FROM_OWNED, FROM_SHARED, OWNED, SHARED, UNARCHIVED};
use super::{Conversations, read};
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::list_of;

/// What PostgreSQL compares; a parameter that is null takes everything.
macro_rules! compared {
    ($metadata:literal, $title:literal) => {
        constcat::concat!(
            " and (",
            $metadata,
            "::jsonb is null or c.metadata @> ",
            $metadata,
            ") and (",
            $title,
            "::text is null or position(",
            $title,
            " in lower(c.title)) > 0)"
        )
    };
}

pub(super) use compared;

/// The conversations of each index in one order.
struct Parts {
    /// What is not archived, and what is.
    owned: [Sql; 2],
    /// For every word of `archived` in its order.
    shared: [Sql; 3],
}

/// The rows `$rows` in the order `$by` that a filter takes. PostgreSQL reads them in that order and stops when the page is
/// full: without the fence (`offset 0`) it would expect few of them to be taken, and read and sort all.
macro_rules! filtered {
    ($rows:expr, $by:literal, $metadata:literal, $title:literal, $limit:literal) => {
        constcat::concat!(
            "select ",
            $crate::repo::conversations::COLUMNS,
            ", c.role from (",
            $rows,
            " order by ",
            $by,
            " offset 0) as c where true",
            $crate::repo::conversations::filtered::compared!($metadata, $title),
            " order by ",
            $by,
            " limit ",
            $limit
        )
    };
}

pub(super) use filtered;

/// `$from` says where the rows begin, `$by` how they follow.
macro_rules! part {
    ($name:expr, $rows:expr, $from:literal, $by:literal) => {
        Sql::pair(
            $name,
            concat!($rows, $from, " and c.updated_at >= $4 order by ", $by),
            filtered!(concat!($rows, $from, " and c.updated_at >= $4"), $by, "$5", "$6", "$7"),
        )
        .planned_anew()
    };
}

macro_rules! parts {
    ($order:literal, $from:literal, $by:literal) => {
        Parts {
            owned: [
                part!(
                    concat!("conversations.filtered_owned_by_", $order),
                    concat!(OWNED, UNARCHIVED),
                    $from,
                    $by
                ),
                part!(
                    concat!("conversations.filtered_archived_owned_by_", $order),
                    concat!(OWNED, ARCHIVED),
                    $from,
                    $by
                ),
            ],
            shared: [
                part!(
                    concat!("conversations.filtered_shared_by_", $order),
                    concat!(SHARED, UNARCHIVED),
                    $from,
                    $by
                ),
                part!(
                    concat!("conversations.filtered_archived_shared_by_", $order),
                    concat!(SHARED, ARCHIVED),
                    $from,
                    $by
                ),
                part!(concat!("conversations.filtered_every_shared_by_", $order), SHARED, $from, $by),
            ],
        }
    };
}

const ACTIVITY_DESCENDING: Parts =
    parts!("activity_descending", " and (c.updated_at, c.id) < ($2, $3)", "c.updated_at desc, c.id desc");
const ACTIVITY_ASCENDING: Parts =
    parts!("activity_ascending", " and (c.updated_at, c.id) > ($2, $3)", "c.updated_at, c.id");
const CREATION_DESCENDING: Parts =
    parts!("creation_descending", " and (c.created_at, c.id) < ($2, $3)", "c.created_at desc, c.id desc");
const CREATION_ASCENDING: Parts =
    parts!("creation_ascending", " and (c.created_at, c.id) > ($2, $3)", "c.created_at, c.id");

/// What SQLite's rows are compared by when they are counted.
pub(super) const COMPARED_COLUMNS: &str = "select c.metadata, c.title";

macro_rules! counted {
    ($name:literal, $from:expr) => {
        Sql::pair(
            $name,
            concat!(COMPARED_COLUMNS, $from, " and c.updated_at >= $2"),
            concat!("select count(*)", $from, " and c.updated_at >= $2", compared!("$3", "$4")),
        )
        .planned_anew()
    };
}

const COUNTED: Parts = Parts {
    owned: [
        counted!("conversations.count_filtered_owned", concat!(FROM_OWNED, UNARCHIVED)),
        counted!("conversations.count_filtered_archived_owned", concat!(FROM_OWNED, ARCHIVED)),
    ],
    shared: [
        counted!("conversations.count_filtered_shared", concat!(FROM_SHARED, UNARCHIVED)),
        counted!("conversations.count_filtered_archived_shared", concat!(FROM_SHARED, ARCHIVED)),
        counted!("conversations.count_filtered_every_shared", FROM_SHARED),
    ],
};

const IDS_ON_SQLITE: &str = " in (select unhex(value) from json_each($2))";
const IDS_ON_POSTGRES: &str = " in (select value::uuid from jsonb_array_elements_text($2))";

const OWNED_WITH_IDS: Sql = Sql::pair(
    "conversations.owned_with_ids",
    concat!(OWNED, " and c.id", IDS_ON_SQLITE),
    concat!(OWNED, " and c.id", IDS_ON_POSTGRES),
);
const SHARED_WITH_IDS: Sql = Sql::pair(
    "conversations.shared_with_ids",
    concat!(SHARED, " and m.conversation_id", IDS_ON_SQLITE),
    concat!(SHARED, " and m.conversation_id", IDS_ON_POSTGRES),
);

const fn statements(parts: &Parts) -> [Sql; 5] {
    let Parts { owned: [o0, o1], shared: [s0, s1, s2] } = *parts;
    [o0, o1, s0, s1, s2]
}

pub(super) const STATEMENTS: &[Sql] = concat_slices!([Sql]:
    &statements(&ACTIVITY_DESCENDING),
    &statements(&ACTIVITY_ASCENDING),
    &statements(&CREATION_DESCENDING),
    &statements(&CREATION_ASCENDING),
    &statements(&COUNTED),
    &[OWNED_WITH_IDS, SHARED_WITH_IDS],
);

impl Parts {
    /// Those that hold what the filter names.
    fn of(&self, ConversationFilter { membership, archived, .. }: &ConversationFilter) -> Vec<Sql> {
        let owned = match archived {
            ArchivedFilter::Unarchived => &self.owned[..1],
            ArchivedFilter::Archived => &self.owned[1..],
            ArchivedFilter::All => &self.owned[..],
        };
        let shared = &self.shared[*archived as usize];
        match membership {
            Membership::Owned => owned.to_vec(),
            Membership::Shared => vec![*shared],
            Membership::All => [owned, &[*shared]].concat(),
        }
    }
}

/// Compares conversations with a filter, as PostgreSQL's statements do.
struct Matching<'f> {
    filter: &'f ConversationFilter,
    metadata: Option<JsonMatcher<'f>>,
    /// In small letters, of those of ASCII.
    title: Option<String>,
}

impl<'f> Matching<'f> {
    fn of(filter: &'f ConversationFilter) -> Self {
        Self {
            filter,
            metadata: filter.metadata_contains.as_ref().map(JsonFilter::matcher),
            title: filter.title_contains.as_deref().map(str::to_ascii_lowercase),
        }
    }

    /// The parameters of what PostgreSQL compares.
    fn values(&self) -> [Value<'_>; 2] {
        let metadata = self.filter.metadata_contains.as_ref().map(JsonFilter::value);
        [metadata.into(), self.title.as_ref().into()]
    }

    fn takes(&self, conversation: &Conversation) -> bool {
        self.takes_texts(conversation.metadata.as_str(), conversation.title.as_deref())
    }

    fn takes_texts(&self, metadata: &str, title: Option<&str>) -> bool {
        let has_title = |part: &String| title.is_some_and(|own| own.to_ascii_lowercase().contains(part));
        self.metadata.as_ref().is_none_or(|matcher| matcher.is_contained_in(metadata))
            && self.title.as_ref().is_none_or(has_title)
    }

    /// Counts the next row of SQLite's, one with [`COMPARED_COLUMNS`].
    fn count_row(&self, row: &Row<'_>) -> Result<i64, StoreError> {
        let (metadata, title): (&str, Option<&str>) = (row.next()?, row.next()?);
        Ok(i64::from(self.takes_texts(metadata, title)))
    }
}

fn least_update<'v>(filter: &ConversationFilter) -> Value<'v> {
    filter.updated_since.unwrap_or(Timestamp::MIN).into()
}

/// A conversation that a filter names.
pub(super) struct Match {
    pub(super) conversation: Conversation,
    pub(super) role: ConversationRole,
    bytes: usize,
}

/// The beginning of these as a page; `place` says where one is.
pub(super) fn page_of<P>(
    found: Vec<Match>,
    limit: Limit,
    place: impl Fn(&Conversation) -> P,
) -> Page<(Conversation, ConversationRole), P> {
    let (mut items, mut bytes, mut more_follow) = (Vec::new(), 0, false);
    for one in found {
        if items.len() == limit.rows() || bytes >= PAGE_BYTES {
            more_follow = true;
            break;
        }
        bytes += one.bytes;
        items.push((one.conversation, one.role));
    }
    let last = items.last().filter(|_| more_follow);
    let next = last.map(|(conversation, _)| place(conversation));
    Page { items, next }
}

impl<M> Conversations<'_, '_, M> {
    /// A page of the list of a filter that compares or names ids. An offset is not for these.
    pub(super) async fn filtered_page(
        &mut self,
        user: UserId,
        list: &ConversationList,
    ) -> Result<Page<(Conversation, ConversationRole), ConversationPosition>, StoreError> {
        let ConversationList { filter, sort, order, from, limit, offset: _ } = list;
        let from = from.unwrap_or(ConversationPosition::start(*order));
        let place = |conversation: &Conversation| ConversationPosition {
            at: match sort {
                ConversationSort::Activity => conversation.updated_at,
                ConversationSort::Creation => conversation.created_at,
            },
            id: conversation.id.uuid(),
        };
        let mut found = match &filter.ids {
            Some(_) => self.with_ids(user, filter).await?,
            None => {
                let parts = match (sort, order) {
                    (ConversationSort::Activity, Order::Descending) => &ACTIVITY_DESCENDING,
                    (ConversationSort::Activity, Order::Ascending) => &ACTIVITY_ASCENDING,
                    (ConversationSort::Creation, Order::Descending) => &CREATION_DESCENDING,
                    (ConversationSort::Creation, Order::Ascending) => &CREATION_ASCENDING,
                };
                let values = [user.into(), from.at.into(), from.id.into()];
                let mut found = Vec::new();
                for part in parts.of(filter) {
                    found.extend(self.matches(&part, &values, filter, *limit).await?);
                }
                found
            }
        };
        let key = |one: &Match| {
            let ConversationPosition { at, id } = place(&one.conversation);
            (at, id)
        };
        let start = (from.at, from.id);
        match order {
            Order::Ascending => {
                found.retain(|one| key(one) > start);
                found.sort_by_key(key);
            }
            Order::Descending => {
                found.retain(|one| key(one) < start);
                found.sort_by_key(|one| std::cmp::Reverse(key(one)));
            }
        }
        // One that was archived between two of the statements is in both.
        let mut seen = HashSet::new();
        found.retain(|one| seen.insert((one.conversation.owner_id, one.conversation.id)));
        Ok(page_of(found, *limit, place))
    }

    /// How many conversations a filter names that compares or names ids.
    pub(super) async fn filtered_count(
        &mut self,
        user: UserId,
        filter: &ConversationFilter,
    ) -> Result<i64, StoreError> {
        if filter.ids.is_some() {
            let found = self.with_ids(user, filter).await?;
            return Ok(i64::try_from(found.len()).unwrap_or(i64::MAX));
        }
        let mut count = 0;
        for part in COUNTED.of(filter) {
            count += self.count_matches(&part, &[user.into()], filter).await?;
        }
        Ok(count)
    }

    /// The first of the rows that a filter takes, until a page is full, and one more. `values` come before those of the
    /// filter.
    pub(super) async fn matches(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        filter: &ConversationFilter,
        limit: Limit,
    ) -> Result<Vec<Match>, StoreError> {
        let is_compared_there = self.0.executor.sends_every_row();
        let matching = Matching::of(filter);
        let mut values = values.to_vec();
        values.push(least_update(filter));
        if is_compared_there {
            values.extend(matching.values());
            values.push(limit.with_lookahead().into());
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        let read = |row: &Row<'_>| {
            let (conversation, role) = (read(row)?, row.next()?);
            if !is_compared_there && !matching.takes(&conversation) {
                return Ok(ControlFlow::Continue(()));
            }
            let is_full = found.len() == limit.rows() || bytes >= PAGE_BYTES;
            bytes += row.size_bytes();
            found.push(Match { conversation, role, bytes: row.size_bytes() });
            Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        self.0.executor.query_until(sql, &values, read).await?;
        Ok(found)
    }

    /// How many rows a filter takes. `values` come before those of the filter.
    pub(super) async fn count_matches(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        filter: &ConversationFilter,
    ) -> Result<i64, StoreError> {
        let matching = Matching::of(filter);
        let mut values = values.to_vec();
        values.push(least_update(filter));
        if self.0.executor.sends_every_row() {
            values.extend(matching.values());
            return self.0.executor.query_one(sql, &values, |row| row.next()).await;
        }
        let mut count = 0;
        let add = |row: &Row<'_>| {
            count += matching.count_row(row)?;
            Ok(())
        };
        self.0.executor.query_each(sql, &values, add).await?;
        Ok(count)
    }

    /// The conversations with the ids of a filter that it takes, in no order.
    async fn with_ids(
        &mut self,
        user: UserId,
        filter: &ConversationFilter,
    ) -> Result<Vec<Match>, StoreError> {
        let ids = list_of(filter.ids.iter().flatten().map(|id| id.uuid()))?;
        let statements: &[&Sql] = match filter.membership {
            Membership::Owned => &[&OWNED_WITH_IDS],
            Membership::Shared => &[&SHARED_WITH_IDS],
            Membership::All => &[&OWNED_WITH_IDS, &SHARED_WITH_IDS],
        };
        let read = |row: &Row<'_>| {
            Ok(Match { conversation: read(row)?, role: row.next()?, bytes: row.size_bytes() })
        };
        let mut found = Vec::new();
        for sql in statements {
            found.extend(self.0.executor.query(sql, &[user.into(), (&ids).into()], read).await?);
        }
        let matching = Matching::of(filter);
        let least = filter.updated_since.unwrap_or(Timestamp::MIN);
        found.retain(|Match { conversation, .. }| {
            let is_archived = conversation.archived_at.is_some();
            let is_of_archive = match filter.archived {
                ArchivedFilter::Unarchived => !is_archived,
                ArchivedFilter::Archived => is_archived,
                ArchivedFilter::All => true,
            };
            is_of_archive && conversation.updated_at >= least && matching.takes(conversation)
        });
        Ok(found)
    }
}
