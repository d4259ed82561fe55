//! Who has which connections, and which of them are closed first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use chatstore::auth::ClientNetwork;
use tokio::time::Instant;

use super::slot::Slot;

/// The connections of each network.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_network: HashMap<ClientNetwork, Peer>,
    count: usize,
}

#[derive(Debug)]
struct Peer {
    /// A proxy's connections are those of many clients.
    is_proxy: bool,
    slots: HashMap<u64, Arc<Slot>>,
}

/// A network with connections that may be closed. The greatest is the one that gives one up first: no proxy, with the
/// most connections, and of these with the longest unused.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    is_client: bool,
    count: usize,
    longest: Reverse<Instant>,
    /// The longest unused last.
    unused: Vec<(Reverse<Instant>, u64)>,
    /// Which network, as a place in a list.
    network: usize,
}

impl Peers {
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn count_of(&self, network: ClientNetwork) -> usize {
        self.by_network.get(&network).map_or(0, |peer| peer.slots.len())
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.by_network.values().flat_map(|peer| peer.slots.values())
    }

    pub(super) fn insert(&mut self, network: ClientNetwork, is_proxy: bool, number: u64, slot: Arc<Slot>) {
        let new = || Peer { is_proxy, slots: HashMap::new() };
        self.by_network.entry(network).or_insert_with(new).slots.insert(number, slot);
        self.count += 1;
    }

    pub(super) fn remove(&mut self, network: ClientNetwork, number: u64) -> Option<Arc<Slot>> {
        let peer = self.by_network.get_mut(&network)?;
        let slot = peer.slots.remove(&number)?;
        if peer.slots.is_empty() {
            self.by_network.remove(&network);
        }
        self.count -= 1;
        Some(slot)
    }

    /// Takes out a number of unused connections, the next always from the network that has the most.
    pub(super) fn remove_unused(&mut self, most: usize) -> Vec<Arc<Slot>> {
        let networks: Vec<ClientNetwork> = self.by_network.keys().copied().collect();
        let candidates =
            networks.iter().enumerate().filter_map(|(index, network)| self.candidate(index, *network));
        let mut candidates: BinaryHeap<Candidate> = candidates.collect();
        let mut removed = Vec::with_capacity(most);
        while removed.len() < most {
            let Some(mut candidate) = candidates.pop() else { break };
            let Some((_, number)) = candidate.unused.pop() else { continue };
            removed.extend(networks.get(candidate.network).and_then(|network| self.remove(*network, number)));
            if let Some((longest, _)) = candidate.unused.last() {
                let longest = *longest;
                candidates.push(Candidate { count: candidate.count - 1, longest, ..candidate });
            }
        }
        removed
    }

    /// Takes out a number of unused connections of one network, the longest unused first.
    pub(super) fn remove_unused_of(&mut self, network: ClientNetwork, most: usize) -> Vec<Arc<Slot>> {
        let Some(mut candidate) = self.candidate(0, network) else { return Vec::new() };
        let mut removed = Vec::with_capacity(most);
        while removed.len() < most {
            let Some((_, number)) = candidate.unused.pop() else { break };
            removed.extend(self.remove(network, number));
        }
        removed
    }

    fn candidate(&self, index: usize, network: ClientNetwork) -> Option<Candidate> {
        let peer = self.by_network.get(&network)?;
        let unused =
            peer.slots.iter().filter_map(|(number, slot)| Some((Reverse(slot.unused_since()?), *number)));
        let mut unused: Vec<(Reverse<Instant>, u64)> = unused.collect();
        unused.sort_unstable();
        let (longest, _) = *unused.last()?;
        Some(Candidate {
            is_client: !peer.is_proxy,
            count: peer.slots.len(),
            longest,
            unused,
            network: index,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::slot::{Announcement, Phase};
    use super::*;

    fn network(last: u8) -> ClientNetwork {
        ClientNetwork::of(Some([192, 0, 2, last].into()))
    }

    /// So many connections of each network, which came one after the other.
    fn peers(counts: &[(u8, usize)], proxy: u8) -> Peers {
        let mut peers = Peers::default();
        for (last, count) in counts {
            for _ in 0..*count {
                let slot = Slot::new(Announcement::default(), false, Duration::from_secs(75));
                let number = peers.count as u64;
                peers.insert(network(*last), *last == proxy, number, Arc::new(slot));
            }
        }
        peers
    }

    fn counts<const N: usize>(peers: &Peers) -> [usize; N] {
        std::array::from_fn(|index| peers.count_of(network(u8::try_from(index + 1).unwrap())))
    }

    #[test]
    fn the_network_with_the_most_connections_gives_them_up_until_another_has_as_many() {
        let mut peers = peers(&[(1, 2), (2, 10), (3, 6)], 0);
        assert_eq!(peers.remove_unused(4).len(), 4);
        assert_eq!(counts(&peers), [2, 6, 6]);
        assert_eq!(peers.remove_unused(6).len(), 6);
        assert_eq!(counts(&peers), [2, 3, 3]);
        assert_eq!((peers.remove_unused(100).len(), peers.count()), (8, 0));
        assert!(peers.by_network.is_empty());
    }

    #[test]
    fn a_proxy_gives_up_connections_only_when_no_client_has_one_unused() {
        let mut peers = peers(&[(1, 100), (2, 3)], 1);
        assert_eq!(peers.remove_unused(2).len(), 2);
        assert_eq!(counts(&peers), [100, 1]);
        assert_eq!(peers.remove_unused(2).len(), 2);
        assert_eq!(counts(&peers), [99, 0]);
    }

    #[test]
    fn a_connection_in_use_stays_whoever_has_it() {
        let mut peers = peers(&[(1, 3), (2, 1)], 0);
        for slot in peers.slots() {
            slot.enter(Phase::Request);
        }
        assert_eq!(peers.remove_unused(1).len(), 0);
        for slot in peers.by_network[&network(1)].slots.values().take(2) {
            slot.enter(Phase::Body);
        }
        assert_eq!(peers.remove_unused_of(network(1), 5).len(), 2);
        assert_eq!((counts(&peers), peers.count()), ([1, 1], 2));
    }
}
