//! Pages of lists: bounded, ordered, and continued from a position rather than an offset.

use uuid::Uuid;

use crate::keyword::keywords;
use crate::{MessageId, MessageRole, Timestamp};

/// A page ends with the row that reaches this number of bytes, however many rows it may have. So it has one row
/// at least, and is larger than this by less than its last row.
pub const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// The maximum number of rows of a page: 1 to 200, 50 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// A page of one row.
    pub const ONE: Self = Self(1);

    /// The largest page.
    pub const MAX: Self = Self(200);

    /// A limit of `rows`, or `None` outside 1 to 200: limits are refused, never clamped.
    #[must_use]
    pub const fn new(rows: u16) -> Option<Self> {
        if rows >= 1 && rows <= Self::MAX.0 { Some(Self(rows)) } else { None }
    }

    /// The number of rows.
    #[must_use]
    pub const fn rows(self) -> usize {
        self.0 as usize
    }

    /// One row more than the page, by which a reader learns whether anything follows.
    #[must_use]
    pub const fn with_lookahead(self) -> i64 {
        self.0 as i64 + 1
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

keywords! {
    /// The direction of a list.
    pub enum Order {
        /// Oldest or lowest first.
        Ascending = "asc",
        /// Newest or highest first.
        Descending = "desc",
    }
}

/// Some rows of a list, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, P> {
    /// The rows.
    pub items: Vec<T>,
    /// Where to go on: the position of the last row, `None` exactly when nothing follows.
    pub next: Option<P>,
}

/// A place in a list of conversations: the sort time, then the id as tie-break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationPosition {
    /// `updated_at` or `created_at`, whichever the list is sorted by.
    pub at: Timestamp,
    /// The tie-break.
    pub id: Uuid,
}

impl ConversationPosition {
    /// Before the first row of a list in this order.
    #[must_use]
    pub const fn start(order: Order) -> Self {
        match order {
            Order::Ascending => Self { at: Timestamp::MIN, id: Uuid::nil() },
            Order::Descending => Self { at: Timestamp::MAX, id: Uuid::max() },
        }
    }
}

/// A place in a list by thread id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadPosition(pub String);

/// A place in a list of the conversations of all users: by owner, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnedPosition {
    /// The owner.
    pub owner: Uuid,
    /// The id.
    pub id: Uuid,
}

impl OwnedPosition {
    /// Before the first.
    pub const START: Self = Self { owner: Uuid::nil(), id: Uuid::nil() };
}

/// A place in the list of users: creation, then id.
pub type UserPosition = ConversationPosition;

/// A place in the list of a user's API keys: creation, then id.
pub type ApiKeyPosition = ConversationPosition;

/// A place in a list of documents: creation, then id.
pub type DocumentPosition = ConversationPosition;

/// A place in the list of a user's sessions: last activity, then id.
pub type SessionPosition = ConversationPosition;

/// A place in a list of members: the owner first, then by joining, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberPosition {
    /// 0 for the owner, 1 for the others, below both before the list begins.
    pub rank: i64,
    /// When the member joined.
    pub joined_at: Timestamp,
    /// The tie-break.
    pub user_id: Uuid,
}

impl MemberPosition {
    /// Before the owner.
    pub const START: Self = Self { rank: -1, joined_at: Timestamp::MIN, user_id: Uuid::nil() };
}

/// Which messages of a conversation, by their numbers, both ends excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRange {
    /// Only numbers above this one; 0 for all.
    pub after: i64,
    /// Only numbers below this one; `i64::MAX` for all.
    pub before: i64,
}

impl MessageRange {
    /// Every message.
    pub const ALL: Self = Self { after: 0, before: i64::MAX };

    /// What is left behind `seq` in this order.
    #[must_use]
    pub const fn beyond(self, seq: i64, order: Order) -> Self {
        match order {
            Order::Ascending => Self { after: seq, before: self.before },
            Order::Descending => Self { after: self.after, before: seq },
        }
    }
}

/// Which messages of a conversation a list has. What is `None` leaves none out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFilter {
    /// Those with these numbers.
    pub range: MessageRange,
    /// Those whose parts have this format.
    pub format: Option<String>,
    /// Those of this role.
    pub role: Option<MessageRole>,
    /// Those created at this time or later.
    pub since: Option<Timestamp>,
    /// Those created before this time.
    pub until: Option<Timestamp>,
}

impl MessageFilter {
    /// Every message.
    pub const ALL: Self =
        Self { range: MessageRange::ALL, format: None, role: None, since: None, until: None };

    /// Whether it may leave out messages between two that it takes.
    #[must_use]
    pub const fn has_gaps(&self) -> bool {
        self.format.is_some() || self.compares()
    }

    /// Whether messages are compared one by one.
    #[must_use]
    pub const fn compares(&self) -> bool {
        self.role.is_some() || self.since.is_some() || self.until.is_some()
    }
}

impl From<MessageRange> for MessageFilter {
    fn from(range: MessageRange) -> Self {
        Self { range, ..Self::ALL }
    }
}

/// Which messages of a conversation are removed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageSelection {
    /// Those with these numbers.
    Range(MessageRange),
    /// All but so many of the newest.
    AllButNewest(u32),
    /// Those with these ids that are there.
    Ids(Vec<MessageId>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_outside_1_to_200_is_refused() {
        assert_eq!(Limit::new(0), None);
        assert_eq!(Limit::new(201), None);
        assert_eq!(Limit::new(200), Some(Limit::MAX));
    }
}
