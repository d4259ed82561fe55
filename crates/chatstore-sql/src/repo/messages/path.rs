//! Pages of the path from the root of a conversation to a message.

use chatstore_model::{
    ConversationId, Limit, Message, MessageFilter, MessageRange, Order, PAGE_BYTES, Page, UserId,
};

use super::Messages;
use super::around::{MAX_NEWEST, meet};
use super::runs::{FIRST_RUNS, MAX_RUNS, Run};
use crate::db::PageBounds;
use crate::error::StoreError;
use crate::repo::Via;

/// Where a page of a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathStart {
    /// The message at its end.
    pub leaf: i64,
    /// A message on it from which it may be followed downward, if it is still there.
    pub near: Option<i64>,
}

impl<M> Messages<'_, '_, M> {
    /// A page of the path to a message. `None` when there is no such message.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn page_of_path(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        start: PathStart,
        filter: &MessageFilter,
        order: Order,
        bounds: impl Into<PathBounds>,
    ) -> Result<Option<Page<Message, i64>>, StoreError> {
        let PathBounds(bounds) = bounds.into();
        let found = match order {
            Order::Descending => self.downward(owner, conversation, start, filter, bounds).await?,
            Order::Ascending => self.upward(owner, conversation, start.leaf, filter, bounds).await?,
        };
        let Some(mut page) = found else { return Ok(None) };
        if !filter.has_gaps() {
            self.say_parents(owner, conversation, order, &mut page).await?;
        }
        Ok(Some(page))
    }

    /// Up to `limit` messages of the path to a message around a number, as [`around`](Self::around) chooses them; `None`
    /// when there is no such message.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn around_on_path(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        leaf: i64,
        seq: i64,
        filter: &MessageFilter,
        limit: Limit,
    ) -> Result<Option<Page<Message, i64>>, StoreError> {
        let side = |range| MessageFilter { range, ..filter.clone() };
        let below = side(MessageRange { after: 0, before: seq });
        let from = side(MessageRange { after: seq.saturating_sub(1), before: i64::MAX });
        let bounds = || PathBounds(PageBounds { rows: limit.rows(), bytes: PAGE_BYTES / 2 });
        let start = PathStart { leaf, near: None };
        let earlier =
            self.page_of_path(owner, conversation, start, &below, Order::Descending, bounds()).await?;
        let later = self.page_of_path(owner, conversation, start, &from, Order::Ascending, bounds()).await?;
        let Some((earlier, later)) = earlier.zip(later) else { return Ok(None) };
        Ok(Some(meet(earlier.items, later, seq, limit)))
    }

    /// The newest messages of the path to a message, as [`newest`](Self::newest) reads them; `None` when there is no such
    /// message.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn newest_of_path(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        leaf: i64,
        filter: &MessageFilter,
        count: u32,
    ) -> Result<Option<Page<Message, i64>>, StoreError> {
        let rows = usize::try_from(count).unwrap_or(usize::MAX).min(MAX_NEWEST);
        let bounds = PathBounds(PageBounds { rows, bytes: PAGE_BYTES });
        let start = PathStart { leaf, near: None };
        let found = self.page_of_path(owner, conversation, start, filter, Order::Descending, bounds).await?;
        let Some(mut page) = found else { return Ok(None) };
        page.items.reverse();
        Ok(Some(page))
    }

    async fn downward(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        start: PathStart,
        filter: &MessageFilter,
        bounds: PageBounds,
    ) -> Result<Option<Page<Message, i64>>, StoreError> {
        let floor = filter.range.after;
        let mut count = FIRST_RUNS;
        let mut runs = match start.near {
            Some(near) => self.runs(owner, conversation, near, floor, count).await?,
            None => Vec::new(),
        };
        if runs.is_empty() {
            runs = self.runs(owner, conversation, start.leaf, floor, count).await?;
        }
        if runs.is_empty() {
            return Ok(None);
        }
        let mut taken = Taken::new(bounds);
        loop {
            let next = runs.last().filter(|run| run.low - 1 > floor).and_then(Run::next);
            for run in &runs {
                if self.take(owner, conversation, run, filter, Order::Descending, &mut taken).await? {
                    return Ok(Some(taken.page));
                }
            }
            let Some(next) = next else { return Ok(Some(taken.page)) };
            count = (count * 8).min(MAX_RUNS);
            runs = self.runs(owner, conversation, next, floor, count).await?;
        }
    }

    async fn upward(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        leaf: i64,
        filter: &MessageFilter,
        bounds: PageBounds,
    ) -> Result<Option<Page<Message, i64>>, StoreError> {
        let floor = filter.range.after;
        let mut runs = self.runs(owner, conversation, leaf, floor, MAX_RUNS).await?;
        if runs.is_empty() {
            return Ok(None);
        }
        while let Some(next) = runs.last().filter(|run| run.low - 1 > floor).and_then(Run::next) {
            let more = self.runs(owner, conversation, next, floor, MAX_RUNS).await?;
            if more.is_empty() {
                break;
            }
            runs.extend(more);
        }
        let mut taken = Taken::new(bounds);
        for run in runs.iter().rev() {
            if self.take(owner, conversation, run, filter, Order::Ascending, &mut taken).await? {
                break;
            }
        }
        Ok(Some(taken.page))
    }

    /// Adds the messages of a run to a page; whether the page is full.
    async fn take(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        run: &Run,
        filter: &MessageFilter,
        order: Order,
        taken: &mut Taken,
    ) -> Result<bool, StoreError> {
        let range = run.within(filter.range);
        if range.before - range.after <= 1 {
            return Ok(false);
        }
        let filter = MessageFilter { range, ..filter.clone() };
        let (by, last) = (Via::Owner(owner), taken.page.items.last().map(|message| message.seq));
        if taken.is_full() {
            // One row tells that something follows.
            let bounds = PageBounds { rows: 1, bytes: 1 };
            let page = self.page_within(by, conversation, &filter, order, bounds, Some(run)).await?;
            taken.page.next = last.filter(|_| !page.items.is_empty());
            return Ok(taken.page.next.is_some());
        }
        let page = self.page_within(by, conversation, &filter, order, taken.left, Some(run)).await?;
        taken.add(page);
        Ok(taken.page.next.is_some())
    }

    /// Says of the messages of a page of a path what they follow, each the one before it.
    async fn say_parents(
        &mut self,
        owner: UserId,
        conversation: ConversationId,
        order: Order,
        page: &mut Page<Message, i64>,
    ) -> Result<(), StoreError> {
        let seqs: Vec<i64> = page.items.iter().map(|message| message.seq).collect();
        for (place, message) in page.items.iter_mut().enumerate() {
            let before = match order {
                Order::Ascending => place.checked_sub(1),
                Order::Descending => Some(place + 1),
            };
            let before = before.and_then(|place| seqs.get(place)).copied();
            if message.parent_seq.is_none() {
                message.parent_seq = match before {
                    Some(before) => Some(before),
                    None => Some(self.nearest_below(owner, conversation, message.seq).await?),
                };
            }
        }
        Ok(())
    }
}

/// How much a page of a path may hold.
pub struct PathBounds(pub(super) PageBounds);

impl std::fmt::Debug for PathBounds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PathBounds").finish_non_exhaustive()
    }
}

impl From<(Limit, usize)> for PathBounds {
    /// Up to so many rows, ending with the one that reaches this number of bytes.
    fn from((limit, bytes): (Limit, usize)) -> Self {
        Self(PageBounds { rows: limit.rows(), bytes })
    }
}

impl From<Limit> for PathBounds {
    fn from(limit: Limit) -> Self {
        Self(limit.into())
    }
}

/// What a page of a path holds so far.
struct Taken {
    page: Page<Message, i64>,
    left: PageBounds,
}

impl Taken {
    const fn new(bounds: PageBounds) -> Self {
        Self { page: Page { items: Vec::new(), next: None }, left: bounds }
    }

    const fn is_full(&self) -> bool {
        self.left.rows == 0 || self.left.bytes == 0
    }

    fn add(&mut self, page: Page<Message, i64>) {
        let bytes: usize = page.items.iter().map(size_of).sum();
        self.left = PageBounds {
            rows: self.left.rows - page.items.len().min(self.left.rows),
            bytes: self.left.bytes.saturating_sub(bytes),
        };
        self.page.items.extend(page.items);
        self.page.next = page.next;
    }
}

/// About the bytes of a message, as pages count them.
fn size_of(message: &Message) -> usize {
    message.large_bytes() + 128
}
