//! The user's own conversations whose thread ids begin alike: by thread id, which is one range of an index.

use chatstore_model::{
    Conversation, ConversationFilter, ConversationId, ConversationRole, Limit, Page, ThreadPosition, UserId,
};
use constcat::concat;

use super::Conversations;
use super::filtered::{COMPARED_COLUMNS, compared, filtered, page_of};
use super::list::{ARCHIVED, FROM_OWNED, OWNED, UNARCHIVED};
use crate::db::{Row, Sql};
use crate::error::StoreError;
use crate::marked::Deletion;
use crate::repo::refuse_nul;
use crate::tx::ReadWrite;

/// Conversations that are looked at together for being deleted.
const DELETED_TOGETHER: i64 = 20;

const RANGE: &str = " and c.thread_id >= $2 and c.thread_id < $3";

macro_rules! of_threads {
    ($name:literal, $archived:expr) => {
        Sql::pair(
            concat!("conversations.", $name),
            concat!(OWNED, $archived, RANGE, " and c.updated_at >= $4 order by c.thread_id"),
            filtered!(
                concat!(OWNED, $archived, RANGE, " and c.updated_at >= $4"),
                "c.thread_id",
                "$5",
                "$6",
                "$7"
            ),
        )
        .planned_anew()
    };
}

macro_rules! count_of_threads {
    ($name:literal, $archived:expr) => {
        Sql::pair(
            concat!("conversations.", $name),
            concat!(COMPARED_COLUMNS, FROM_OWNED, $archived, RANGE, " and c.updated_at >= $4"),
            concat!(
                "select count(*)",
                FROM_OWNED,
                $archived,
                RANGE,
                " and c.updated_at >= $4",
                compared!("$5", "$6")
            ),
        )
        .planned_anew()
    };
}

/// For every word of `archived` in its order.
const OF_THREADS: [Sql; 3] = [
    of_threads!("of_threads", UNARCHIVED),
    of_threads!("archived_of_threads", ARCHIVED),
    of_threads!("every_of_threads", ""),
];
const COUNT: [Sql; 3] = [
    count_of_threads!("count_of_threads", UNARCHIVED),
    count_of_threads!("count_archived_of_threads", ARCHIVED),
    count_of_threads!("count_every_of_threads", ""),
];

const TO_DELETE: Sql = Sql::same(
    "conversations.threads_to_delete",
    concat!("select c.id, c.thread_id, c.message_count", FROM_OWNED, RANGE, " order by c.thread_id limit $4"),
);

pub(super) const STATEMENTS: &[Sql] =
    &[OF_THREADS[0], OF_THREADS[1], OF_THREADS[2], COUNT[0], COUNT[1], COUNT[2], TO_DELETE];

/// The texts that begin with a prefix: from `start` to below `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: String,
    pub(super) end: String,
}

impl Range {
    /// Texts that begin with `prefix`, behind a position.
    pub(super) fn of(prefix: &str, from: Option<&ThreadPosition>) -> Self {
        // No thread id has a control character: none is between a text and the same one with this character.
        let behind = from.map(|ThreadPosition(last)| format!("{last}\u{1}"));
        Self { start: behind.unwrap_or_else(|| prefix.to_owned()), end: end_of(prefix) }
    }
}

/// The first text behind all that begin with `prefix`. Texts follow each other as their characters do, by number.
fn end_of(prefix: &str) -> String {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return characters.into_iter().collect();
        }
    }
    // Longer than any thread id.
    std::iter::repeat_n(char::MAX, chatstore_model::limits::THREAD_ID + 1).collect()
}

/// Conversations that were deleted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedThreads {
    /// How many.
    pub count: u64,
    /// Of one that is large, what is left of it; else [`Deletion::Done`].
    pub deletion: Deletion,
    /// Behind which one it goes on; `None` when none is left.
    pub next: Option<ThreadPosition>,
}

impl<M> Conversations<'_, '_, M> {
    /// One page of the user's own conversations whose thread ids begin with `prefix`, by thread id.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a prefix with NUL; [`StoreError::InvalidState`] for a filter with ids.
    pub async fn page_of_threads(
        &mut self,
        user: UserId,
        prefix: &str,
        filter: &ConversationFilter,
        from: Option<&ThreadPosition>,
        limit: Limit,
    ) -> Result<Page<(Conversation, ConversationRole), ThreadPosition>, StoreError> {
        check(prefix, filter)?;
        let Range { start, end } = Range::of(prefix, from);
        let values = [user.into(), (&start).into(), (&end).into()];
        let found = self.matches(&OF_THREADS[filter.archived as usize], &values, filter, limit).await?;
        Ok(page_of(found, limit, |last| ThreadPosition(last.thread_id.clone().unwrap_or_default())))
    }

    /// How many of the user's own conversations have thread ids that begin with `prefix`.
    ///
    /// # Errors
    /// As [`page_of_threads`](Self::page_of_threads).
    pub async fn count_of_threads(
        &mut self,
        user: UserId,
        prefix: &str,
        filter: &ConversationFilter,
    ) -> Result<i64, StoreError> {
        check(prefix, filter)?;
        let Range { start, end } = Range::of(prefix, None);
        let values = [user.into(), (&start).into(), (&end).into()];
        self.count_matches(&COUNT[filter.archived as usize], &values, filter).await
    }
}

impl Conversations<'_, '_, ReadWrite> {
    /// Deletes some of the owner's conversations whose thread ids begin with `prefix`, in the order of these, as
    /// [`delete`](Self::delete) does: as many as are small together, one at least.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a prefix with NUL.
    pub async fn delete_some_threads(
        &mut self,
        owner: UserId,
        prefix: &str,
        from: Option<&ThreadPosition>,
    ) -> Result<DeletedThreads, StoreError> {
        refuse_nul("thread_prefix", prefix)?;
        let Range { start, end } = Range::of(prefix, from);
        let values = [owner.into(), (&start).into(), (&end).into(), DELETED_TOGETHER.into()];
        let read = |row: &Row<'_>| Ok((row.next()?, ThreadPosition(row.next()?), row.next()?));
        let found: Vec<(ConversationId, ThreadPosition, i64)> =
            self.0.executor.query(&TO_DELETE, &values, read).await?;
        let mut rows_left = self.0.rows_at_once();
        let mut deleted = DeletedThreads { count: 0, deletion: Deletion::Done, next: None };
        let listed = i64::try_from(found.len()).unwrap_or(i64::MAX);
        for (id, place, messages) in found {
            if deleted.next.is_some() && messages >= rows_left {
                return Ok(deleted);
            }
            rows_left -= messages + 1;
            deleted.next = Some(place);
            match self.delete(owner, id).await {
                Ok(Deletion::Done) => deleted.count += 1,
                Ok(marked) => {
                    deleted.count += 1;
                    deleted.deletion = marked;
                }
                // Another transaction was faster.
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if listed < DELETED_TOGETHER {
            deleted.next = None;
        }
        Ok(deleted)
    }
}

pub(super) fn check(prefix: &str, filter: &ConversationFilter) -> Result<(), StoreError> {
    refuse_nul("thread_prefix", prefix)?;
    match filter.ids {
        None => Ok(()),
        Some(_) => Err(StoreError::InvalidState("a list by thread id or owner is not also one of ids")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_what_begins_with_the_prefix_and_nothing_else() {
        let holds = |prefix: &str, text: &str| {
            let Range { start, end } = Range::of(prefix, None);
            *text >= *start && *text < *end
        };
        for (prefix, text) in [
            ("a", "a"),
            ("a", "a\u{10ffff}"),
            ("ab|", "ab|z"),
            ("\u{10ffff}", "\u{10ffff}x"),
            ("\u{d7ff}", "\u{d7ff}x"),
        ] {
            assert!(holds(prefix, text), "{prefix:?} {text:?}");
        }
        for (prefix, text) in [("a", "b"), ("ab", "a"), ("ab", "ac"), ("\u{d7ff}", "\u{e000}")] {
            assert!(!holds(prefix, text), "{prefix:?} {text:?}");
        }
    }

    #[test]
    fn a_position_is_behind_its_thread_alone() {
        let last = ThreadPosition("a/1".to_owned());
        let Range { start, end } = Range::of("a/", Some(&last));
        assert!(*"a/1" < *start && *"a/1 " >= *start && *"a/10" >= *start && *"a/2" < *end);
    }
}
