//! Which messages of a conversation a caller wants.

use chatstore_model::{FieldCode, Invalid, Limit, MessageFilter, MessageRole, Order, Timestamp};

/// A page of messages: a range of numbers, a direction and a limit of 1 to 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    limit: u16,
    filter: MessageFilter,
    order: Order,
    around: Option<i64>,
}

impl PageRequest {
    /// The newest messages, newest first.
    #[must_use]
    pub const fn newest(limit: u16) -> Self {
        Self { limit, filter: MessageFilter::ALL, order: Order::Descending, around: None }
    }

    /// The oldest messages, oldest first.
    #[must_use]
    pub const fn oldest(limit: u16) -> Self {
        Self { limit, filter: MessageFilter::ALL, order: Order::Ascending, around: None }
    }

    /// Messages on both sides of a number, oldest first.
    #[must_use]
    pub const fn around(seq: i64, limit: u16) -> Self {
        Self { limit, filter: MessageFilter::ALL, order: Order::Ascending, around: Some(seq) }
    }

    /// Only those with a smaller number; has no effect on `around`.
    #[must_use]
    pub const fn before(mut self, seq: i64) -> Self {
        self.filter.range.before = seq;
        self
    }

    /// Only those with a larger number; has no effect on `around`.
    #[must_use]
    pub const fn after(mut self, seq: i64) -> Self {
        self.filter.range.after = seq;
        self
    }

    /// Only those whose parts have this format.
    #[must_use]
    pub fn format(mut self, name: impl Into<String>) -> Self {
        self.filter.format = Some(name.into());
        self
    }

    /// Only those of this role.
    #[must_use]
    pub const fn role(mut self, role: MessageRole) -> Self {
        self.filter.role = Some(role);
        self
    }

    /// Only those created at this time or later.
    #[must_use]
    pub const fn since(mut self, time: Timestamp) -> Self {
        self.filter.since = Some(time);
        self
    }

    /// Only those created before this time.
    #[must_use]
    pub const fn until(mut self, time: Timestamp) -> Self {
        self.filter.until = Some(time);
        self
    }

    /// Only those that this filter takes, in place of what was said before; its range has no effect on `around`.
    #[must_use]
    pub fn filter(mut self, filter: MessageFilter) -> Self {
        self.filter = filter;
        self
    }

    pub(crate) const fn filtered(&self) -> &MessageFilter {
        &self.filter
    }

    pub(crate) const fn order(&self) -> Order {
        self.order
    }

    pub(crate) const fn center(&self) -> Option<i64> {
        self.around
    }

    pub(crate) fn limit(&self) -> Result<Limit, Invalid> {
        Limit::new(self.limit)
            .ok_or_else(|| Invalid::field("limit", FieldCode::OutOfRange, "must be from 1 to 200"))
    }
}
