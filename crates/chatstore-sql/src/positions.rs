//! Up to where each user has to be shown the database, so that users never read less than their own last write.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chatstore_model::UserId;

use crate::standby_reads::WalPosition;

/// Users whose position is remembered. Beyond that, the positions of all become one that holds for everybody.
const USERS: usize = 65_536;

/// The position of each user's last write, as long as a standby may be behind it.
#[derive(Debug, Default)]
pub(crate) struct Positions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    of_everybody: Noted,
    by_user: HashMap<UserId, Noted>,
    /// How often the server was asked where it is.
    asked: u64,
}

/// A position, and how often the server had been asked when it was noted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Noted {
    position: WalPosition,
    asked: u64,
}

impl Positions {
    /// Notes that a user's write is there from this position on.
    pub(crate) fn note(&self, user: UserId, position: WalPosition) {
        let mut known = self.known();
        if known.by_user.len() >= USERS && !known.by_user.contains_key(&user) {
            let furthest = known.by_user.drain().map(|(_, noted)| noted).max().unwrap_or_default();
            known.of_everybody = known.of_everybody.max(furthest);
        }
        let asked = known.asked;
        let noted = known.by_user.entry(user).or_default();
        *noted = (*noted).max(Noted { position, asked });
    }

    /// From which position on everything is there that the user wrote.
    pub(crate) fn of(&self, user: UserId) -> WalPosition {
        let known = self.known();
        known.by_user.get(&user).copied().unwrap_or_default().max(known.of_everybody).position
    }

    /// To be called before the server is asked where it is, whose answer is for [`resolve`](Self::resolve).
    pub(crate) fn ask(&self) {
        self.known().asked += 1;
    }

    /// Puts what the server answered in the place of the unknown positions that were noted before it was asked.
    pub(crate) fn resolve(&self, position: WalPosition) {
        let mut known = self.known();
        let Known { of_everybody, by_user, asked } = &mut *known;
        for noted in by_user.values_mut().chain([of_everybody]) {
            if noted.position == WalPosition::UNKNOWN && noted.asked < *asked {
                noted.position = position;
            }
        }
    }

    /// Forgets the positions that every standby has passed.
    pub(crate) fn forget_until(&self, passed: WalPosition) {
        self.known().by_user.retain(|_, noted| noted.position > passed);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u128) -> UserId {
        UserId::from_uuid(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn the_position_of_a_user_only_rises_until_every_standby_has_passed_it() {
        let positions = Positions::default();
        positions.note(user(1), WalPosition::new(5));
        positions.note(user(1), WalPosition::new(3));
        assert_eq!(positions.of(user(1)), WalPosition::new(5));
        assert_eq!(positions.of(user(2)), WalPosition::START);
        positions.forget_until(WalPosition::new(4));
        assert_eq!(positions.of(user(1)), WalPosition::new(5));
        positions.forget_until(WalPosition::new(5));
        assert_eq!(positions.of(user(1)), WalPosition::START);
    }

    #[test]
    fn an_unknown_position_is_behind_everything_until_a_later_one_is_read() {
        let positions = Positions::default();
        positions.ask();
        positions.note(user(1), WalPosition::UNKNOWN);
        positions.forget_until(WalPosition::new(9));
        positions.resolve(WalPosition::new(6));
        assert_eq!(positions.of(user(1)), WalPosition::UNKNOWN, "the server was asked before");
        positions.ask();
        positions.resolve(WalPosition::new(7));
        assert_eq!(positions.of(user(1)), WalPosition::new(7));
    }

    #[test]
    fn with_too_many_users_the_furthest_position_holds_for_everybody() {
        let positions = Positions::default();
        for number in 0..=USERS {
            positions.note(user(number as u128), WalPosition::new(number as u64 % 100));
        }
        assert_eq!(positions.of(user(u128::MAX)), WalPosition::new(99));
        assert_eq!(positions.known().by_user.len(), 1);
    }
}
