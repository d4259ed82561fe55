//! Who waits for a hash, and whose turn it is.
//!
//! The networks that clients come from take turns, so that whoever comes from another one waits for no more than the
//! hash that runs. While there are places left, all of them may be one network's. When there are none, a network that
//! has more of them than another one gives one up for it: the newest whose work has not begun.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::limit::ClientNetwork;

/// Places and the jobs of those who hold them.
#[derive(Debug)]
pub(super) struct Line<J> {
    limit: usize,
    last: u64,
    /// By number, the newest last.
    places: BTreeMap<u64, Place<J>>,
    counts: HashMap<ClientNetwork, usize>,
    /// Networks with jobs, in the order of their turns.
    turns: VecDeque<ClientNetwork>,
    /// The numbers of the places with jobs; those that were given up are passed over.
    waiting: HashMap<ClientNetwork, VecDeque<u64>>,
}

#[derive(Debug)]
struct Place<J> {
    network: ClientNetwork,
    state: State<J>,
}

#[derive(Debug)]
enum State<J> {
    /// No job waits.
    Resting,
    Waiting(J),
    Running,
}

/// A place that was taken, and the job that was given up for it, to be dropped by the caller.
#[derive(Debug)]
pub(super) struct Admitted<J> {
    pub(super) number: u64,
    pub(super) given_up: Option<J>,
}

impl<J> Line<J> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            last: 0,
            places: BTreeMap::new(),
            counts: HashMap::new(),
            turns: VecDeque::new(),
            waiting: HashMap::new(),
        }
    }

    /// How many places are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.places.len()
    }

    /// Whether a client of this network would be admitted now.
    pub(super) fn has_place(&self, network: ClientNetwork) -> bool {
        self.places.len() < self.limit || self.given_up_for(network).is_some()
    }

    /// A place for a client of this network.
    pub(super) fn admit(&mut self, network: ClientNetwork) -> Option<Admitted<J>> {
        let mut given_up = None;
        if self.places.len() >= self.limit {
            let number = self.given_up_for(network)?;
            given_up = self.release(number);
        }
        self.last += 1;
        self.places.insert(self.last, Place { network, state: State::Resting });
        *self.counts.entry(network).or_default() += 1;
        Some(Admitted { number: self.last, given_up })
    }

    /// Lets a job wait; it is returned when its place was given up.
    pub(super) fn wait(&mut self, number: u64, job: J) -> Result<(), J> {
        let Some(place) = self.places.get_mut(&number) else { return Err(job) };
        place.state = State::Waiting(job);
        let waiting = self.waiting.entry(place.network).or_default();
        if waiting.is_empty() {
            self.turns.push_back(place.network);
        }
        waiting.push_back(number);
        Ok(())
    }

    /// The next job, which runs from now on.
    pub(super) fn next(&mut self) -> Option<(u64, J)> {
        while let Some(network) = self.turns.pop_front() {
            let next = self.next_of(network);
            if self.waiting.contains_key(&network) {
                self.turns.push_back(network);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }

    fn next_of(&mut self, network: ClientNetwork) -> Option<(u64, J)> {
        let number = self.waiting.get_mut(&network)?.pop_front();
        if self.waiting.get(&network).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&network);
        }
        let number = number?;
        let place = self.places.get_mut(&number)?;
        match std::mem::replace(&mut place.state, State::Running) {
            State::Waiting(job) => Some((number, job)),
            state => {
                place.state = state;
                None
            }
        }
    }

    /// The job of this place is done; another one may follow.
    pub(super) fn rest(&mut self, number: u64) {
        if let Some(place) = self.places.get_mut(&number) {
            place.state = State::Resting;
        }
    }

    /// Frees a place; the job that waited there.
    pub(super) fn release(&mut self, number: u64) -> Option<J> {
        let place = self.places.remove(&number)?;
        let count = self.counts.get(&place.network).copied().unwrap_or(0).saturating_sub(1);
        if count == 0 {
            self.counts.remove(&place.network);
        } else {
            self.counts.insert(place.network, count);
        }
        match place.state {
            State::Waiting(job) => Some(job),
            State::Resting | State::Running => None,
        }
    }

    /// The place that would be given up for another one of this network.
    fn given_up_for(&self, network: ClientNetwork) -> Option<u64> {
        let of = |network| self.counts.get(network).copied().unwrap_or(0);
        let (most, count) = self.counts.iter().max_by_key(|(_, count)| **count)?;
        if *count <= of(&network) + 1 {
            return None;
        }
        let newest_first = self.places.iter().rev();
        let mut free = newest_first.filter(|(_, place)| !matches!(place.state, State::Running));
        free.find(|(_, place)| place.network == *most).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(last: u8) -> ClientNetwork {
        ClientNetwork::of(Some([192, 0, 2, last].into()))
    }

    /// Admits a client of a network, whose job is the number of its place.
    fn come(line: &mut Line<u64>, last: u8) -> Option<u64> {
        let number = line.admit(network(last))?.number;
        line.wait(number, number).unwrap();
        Some(number)
    }

    #[test]
    fn networks_take_turns_and_within_one_the_first_comes_first() {
        let mut line = Line::new(10);
        let numbers: Vec<_> =
            [1, 1, 1, 2, 3, 2].into_iter().map(|last| come(&mut line, last).unwrap()).collect();
        let turns: Vec<_> = std::iter::from_fn(|| line.next()).map(|(number, _)| number).collect();
        let in_turn = [0, 3, 4, 1, 5, 2].map(|index| numbers[index]);
        assert_eq!(turns, in_turn);
        assert!(line.turns.is_empty() && line.waiting.is_empty());
    }

    #[test]
    fn one_network_may_have_all_places_until_another_comes() {
        let mut line = Line::new(4);
        let first: Vec<_> = std::iter::from_fn(|| come(&mut line, 1)).collect();
        assert_eq!(first.len(), 4);
        assert!(!line.has_place(network(1)) && line.has_place(network(2)));
        assert!(come(&mut line, 2).is_some() && come(&mut line, 2).is_some());
        assert_eq!(come(&mut line, 2), None, "each has as many now");
        assert_eq!(line.taken(), 4);
        assert_eq!(line.wait(first[3], 0), Err(0), "the newest places were given up");
        let turns: Vec<_> = std::iter::from_fn(|| line.next()).map(|(number, _)| number).collect();
        assert_eq!(turns, [first[0], first[3] + 1, first[1], first[3] + 2]);
    }

    #[test]
    fn what_runs_is_not_given_up() {
        let mut line = Line::new(2);
        for _ in 0..2 {
            come(&mut line, 1).unwrap();
            line.next().unwrap();
        }
        assert_eq!(come(&mut line, 2), None);
        line.rest(1);
        assert!(come(&mut line, 2).is_some());
        assert_eq!(line.release(1), None);
    }

    #[test]
    fn what_is_released_leaves_nothing_behind() {
        let mut line = Line::new(2);
        let number = come(&mut line, 1).unwrap();
        assert_eq!(line.release(number), Some(number));
        assert_eq!(line.next(), None);
        assert_eq!(line.release(number), None);
        assert!(line.counts.is_empty() && line.waiting.is_empty() && line.places.is_empty());
    }
}
