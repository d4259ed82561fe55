//! The rows of one page of a list: bounded by their number and by their bytes.

use std::ops::ControlFlow;

use chatstore_model::{Limit, PAGE_BYTES, Page};

use crate::db::Row;
use crate::error::StoreError;

/// How much a page may hold.
#[derive(Clone, Copy)]
pub(crate) struct PageBounds {
    /// The maximum number of rows.
    pub(crate) rows: usize,
    /// The page ends with the row that reaches this number.
    pub(crate) bytes: usize,
}

impl From<Limit> for PageBounds {
    /// A whole page.
    fn from(limit: Limit) -> Self {
        Self { rows: limit.rows(), bytes: PAGE_BYTES }
    }
}

impl PageBounds {
    /// One row more than the page, by which a reader learns whether anything follows.
    pub(crate) fn with_lookahead(self) -> i64 {
        i64::try_from(self.rows).unwrap_or(i64::MAX).saturating_add(1)
    }
}

/// Rows of a page, in order.
pub(crate) struct PageRows<T> {
    bounds: PageBounds,
    rows: Vec<T>,
    bytes: usize,
    more_follow: bool,
}

impl<T> PageRows<T> {
    pub(super) const fn new(bounds: PageBounds) -> Self {
        Self { bounds, rows: Vec::new(), bytes: 0, more_follow: false }
    }

    /// Takes a row that a database found, unless the page is full: then the row only tells that more follow.
    pub(super) fn push(
        &mut self,
        row: &Row<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<ControlFlow<()>, StoreError> {
        if self.rows.len() == self.bounds.rows || self.bytes >= self.bounds.bytes {
            self.more_follow = true;
            return Ok(ControlFlow::Break(()));
        }
        self.rows.push(read(row)?);
        self.bytes += row.size_bytes();
        Ok(ControlFlow::Continue(()))
    }

    /// Whether rows were found that the page does not hold.
    pub(crate) const fn more_follow(&self) -> bool {
        self.more_follow
    }

    /// Notes how many rows a statement found that did not send all of them.
    pub(crate) fn note_found(&mut self, found: i64) {
        self.more_follow |= usize::try_from(found).is_ok_and(|found| found > self.rows.len());
    }

    /// The page, which goes on behind the position of its last row when more follow.
    pub(crate) fn into_page<P>(self, position: impl FnOnce(&T) -> P) -> Page<T, P> {
        let next = if self.more_follow { self.rows.last().map(position) } else { None };
        Page { items: self.rows, next }
    }
}

impl<T> PageRows<Option<T>> {
    /// The rows that are there.
    pub(crate) fn flatten(self) -> PageRows<T> {
        let Self { bounds, rows, bytes, more_follow } = self;
        PageRows { bounds, rows: rows.into_iter().flatten().collect(), bytes, more_follow }
    }
}
