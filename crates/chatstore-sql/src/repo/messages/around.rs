//! How much is read together, and how pages on both sides of a message meet.

use chatstore_model::{Limit, Message, Page};

/// Maximum messages that are read together as the newest ones.
pub(super) const MAX_NEWEST: usize = 10_000;

/// A page of messages below a number, the nearest first, and from it on.
pub(super) fn meet(
    earlier: Vec<Message>,
    later: Page<Message, i64>,
    seq: i64,
    limit: Limit,
) -> Page<Message, i64> {
    let half = limit.rows() / 2;
    let take_earlier = earlier.len().min(half.max(limit.rows().saturating_sub(later.items.len())));
    let take_later = later.items.len().min(limit.rows() - take_earlier);
    let more_follow = take_later < later.items.len() || later.next.is_some();
    let mut items: Vec<Message> = earlier.into_iter().take(take_earlier).collect();
    items.reverse();
    items.extend(later.items.into_iter().take(take_later));
    let next = if more_follow { Some(items.last().map_or(seq - 1, |message| message.seq)) } else { None };
    Page { items, next }
}
