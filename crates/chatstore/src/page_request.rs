//! Which messages of a conversation a caller wants.

use chatstore_model::{FieldCode, Invalid, Limit, MessageFilter, MessageRange, Order};

/// A page of messages: a range of numbers, a direction and a limit of 1 to 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    limit: u16,
    range: MessageRange,
    order: Order,
    around: Option<i64>,
    format: Option<String>,
}

impl PageRequest {
    /// The newest messages, newest first.
    #[must_use]
    pub const fn newest(limit: u16) -> Self {
        Self { limit, range: MessageRange::ALL, order: Order::Descending, around: None, format: None }
    }

    /// The oldest messages, oldest first.
    #[must_use]
    pub const fn oldest(limit: u16) -> Self {
        Self { limit, range: MessageRange::ALL, order: Order::Ascending, around: None, format: None }
    }

    /// Messages on both sides of a number, oldest first.
    #[must_use]
    pub const fn around(seq: i64, limit: u16) -> Self {
        Self { limit, range: MessageRange::ALL, order: Order::Ascending, around: Some(seq), format: None }
    }

    /// Only those with a smaller number; has no effect on `around`.
    #[must_use]
    pub const fn before(mut self, seq: i64) -> Self {
        self.range.before = seq;
        self
    }

    /// Only those with a larger number; has no effect on `around`.
    #[must_use]
    pub const fn after(mut self, seq: i64) -> Self {
        self.range.after = seq;
        self
    }

    /// Only those whose parts have this format.
    #[must_use]
    pub fn format(mut self, name: impl Into<String>) -> Self {
        self.format = Some(name.into());
        self
    }

    pub(crate) fn filter(&self) -> MessageFilter {
        MessageFilter { range: self.range, format: self.format.clone() }
    }

    pub(crate) const fn order(&self) -> Order {
        self.order
    }

    pub(crate) const fn center(&self) -> Option<i64> {
        self.around
    }

    pub(crate) fn named_format(&self) -> Option<&str> {
        self.format.as_deref()
    }

    pub(crate) fn limit(&self) -> Result<Limit, Invalid> {
        Limit::new(self.limit)
            .ok_or_else(|| Invalid::field("limit", FieldCode::OutOfRange, "must be from 1 to 200"))
    }
}
