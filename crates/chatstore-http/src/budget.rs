//! Memory that clients share, counted in bytes.
//!
//! Nobody is given a fixed part, which would be too small for the only client of a server and too large beside many.
//! Instead a holder never holds more than is left then for all others, or a few times as much: one alone may take half
//! of the memory, or two thirds, and whoever comes next finds room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chatstore::UserId;
use chatstore::auth::ClientNetwork;

/// Memory of all bodies of requests beyond 16 KiB, in bytes.
const BODIES: usize = 64 * 1024 * 1024;

/// How many of the largest bodies there is memory for, where these are larger than usual.
const LARGEST_BODIES: usize = 4;

/// How much a holder may have for what is left.
const BODIES_FOR_WHAT_IS_LEFT: usize = 1;

/// Who holds memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// The clients of a network.
    Network(ClientNetwork),
    /// A user, or the owner of a service key.
    User(UserId),
}

/// Memory that is shared. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ByteBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: usize,
    times: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_holder: HashMap<Holder, usize>,
}

/// There is no memory left, or none for this holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// What one request holds, until it is dropped.
#[derive(Debug)]
pub(crate) struct HeldMemory {
    budget: ByteBudget,
    holders: Vec<Holder>,
    bytes: usize,
}

impl ByteBudget {
    /// For the bodies of requests, of which one may have so many bytes.
    pub(crate) fn of_bodies(largest: usize) -> Self {
        Self::new(BODIES.max(largest.saturating_mul(LARGEST_BODIES)), BODIES_FOR_WHAT_IS_LEFT)
    }

    /// So many bytes, of which a holder has at most `times` what is left.
    pub(crate) fn new(total: usize, times: usize) -> Self {
        Self(Arc::new(Shared { total, times, held: Mutex::default() }))
    }

    /// Nothing yet, for these holders, each of which has a share of its own.
    pub(crate) fn share(&self, holders: Vec<Holder>) -> HeldMemory {
        HeldMemory { budget: self.clone(), holders, bytes: 0 }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldMemory {
    /// Holds so many bytes from now on, if there are as many for every one of the holders; otherwise as many as before.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let more = bytes.saturating_sub(self.bytes);
        let mut held = self.budget.held();
        let left = self.budget.0.total.checked_sub(held.all + more).ok_or(Exhausted)?;
        let of = |holder| held.by_holder.get(holder).copied().unwrap_or(0);
        let most = left.saturating_mul(self.budget.0.times);
        if self.holders.iter().any(|holder| of(holder) + more > most) {
            return Err(Exhausted);
        }
        held.all += more;
        for holder in &self.holders {
            *held.by_holder.entry(*holder).or_default() += more;
        }
        self.bytes += more;
        Ok(())
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.budget.held();
        held.all -= self.bytes;
        for holder in &self.holders {
            let rest = held.by_holder.get(holder).copied().unwrap_or(0).saturating_sub(self.bytes);
            if rest == 0 {
                held.by_holder.remove(holder);
            } else {
                held.by_holder.insert(*holder, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(last: u8) -> Holder {
        Holder::Network(ClientNetwork::of(Some([192, 0, 2, last].into())))
    }

    fn take(budget: &ByteBudget, holders: &[Holder], bytes: usize) -> Option<HeldMemory> {
        let mut held = budget.share(holders.to_vec());
        held.grow_to(bytes).ok()?;
        Some(held)
    }

    #[test]
    fn one_holder_takes_half_and_the_next_finds_room() {
        let budget = ByteBudget::new(64, 1);
        let first: Vec<_> = std::iter::from_fn(|| take(&budget, &[network(1)], 1)).collect();
        assert_eq!(first.len(), 32);
        let second: Vec<_> = std::iter::from_fn(|| take(&budget, &[network(2)], 1)).collect();
        assert_eq!(second.len(), 16);
        assert!(take(&budget, &[network(1)], 1).is_none());
        drop(first);
        assert!(take(&budget, &[network(1)], 24).is_some());
        drop(second);
        assert_eq!(budget.held().by_holder.len(), 0, "what nobody holds is forgotten");
        assert_eq!(budget.held().all, 0);
    }

    #[test]
    fn one_holder_takes_two_thirds_where_it_may_have_twice_what_is_left() {
        let budget = ByteBudget::new(96, 2);
        let first: Vec<_> = std::iter::from_fn(|| take(&budget, &[network(1)], 1)).collect();
        assert_eq!(first.len(), 64);
        assert!(take(&budget, &[network(2)], 20).is_some());
    }

    #[test]
    fn a_user_with_many_networks_has_one_share_and_many_users_of_a_network_too() {
        let budget = ByteBudget::new(64, 1);
        let user = Holder::User(UserId::ANONYMOUS);
        let held: Vec<_> = (1..=4).filter_map(|last| take(&budget, &[user, network(last)], 10)).collect();
        assert_eq!(held.len(), 3);
        assert!(take(&budget, &[network(9)], 10).is_some());
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let budget = ByteBudget::new(64, 1);
        let mut held = budget.share(vec![network(1)]);
        held.grow_to(20).unwrap();
        assert_eq!(held.grow_to(33), Err(Exhausted));
        held.grow_to(32).unwrap();
        held.grow_to(5).unwrap();
        assert_eq!(budget.held().all, 32);
    }
}
