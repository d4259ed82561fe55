//! Ids that rise within a process.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::{IdSource, Timestamp};

/// The largest value of the 12 bits behind an id's milliseconds.
const COUNTER_MAX: u16 = 0x0fff;

/// Bits of the value that the first id of a millisecond has there, so that at least half of the values follow it.
const FIRST_COUNTER: u16 = 0x07ff;

/// How far a time may be behind that of the newest id and still be the same moment, in milliseconds: threads read the
/// clock in one order and draw ids in another.
const BEHIND: u64 = 1_000;

/// Ids from the operating system's randomness, through a function the application supplies. Those that one source
/// creates at the present time rise, also within a millisecond: the 12 bits behind the milliseconds count, and the
/// remaining 62 are random (RFC 9562, 6.2, method 1).
pub struct MonotonicIds {
    random: fn(&mut [u8]),
    newest: Mutex<Newest>,
}

/// The newest id's milliseconds and counter.
#[derive(Debug, Clone, Copy)]
struct Newest {
    milliseconds: u64,
    counter: u16,
}

impl MonotonicIds {
    /// Ids from this randomness.
    #[must_use]
    pub const fn new(random: fn(&mut [u8])) -> Self {
        Self { random, newest: Mutex::new(Newest { milliseconds: 0, counter: 0 }) }
    }
}

impl fmt::Debug for MonotonicIds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MonotonicIds").finish_non_exhaustive()
    }
}

impl IdSource for MonotonicIds {
    fn random(&self, bytes: &mut [u8]) {
        (self.random)(bytes);
    }

    fn uuid(&self, at: Timestamp) -> Uuid {
        let mut random = [0; 10];
        self.random(&mut random);
        let milliseconds = u64::try_from(at.as_microseconds() / 1_000).unwrap_or(0);
        let first = u16::from_be_bytes([random[0], random[1]]) & FIRST_COUNTER;
        let newest = {
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            *newest = newest.next(milliseconds, first);
            *newest
        };
        [random[0], random[1]] = newest.counter.to_be_bytes();
        uuid::Builder::from_unix_timestamp_millis(newest.milliseconds, &random).into_uuid()
    }
}

impl Newest {
    /// The next id at this time, whose counter begins with `first` in a new millisecond. A millisecond that is used up
    /// borrows from the next one. A time that is far behind is another one than the present, or the clock was set.
    const fn next(self, milliseconds: u64, first: u16) -> Self {
        if milliseconds > self.milliseconds || self.milliseconds - milliseconds > BEHIND {
            return Self { milliseconds, counter: first };
        }
        if self.counter < COUNTER_MAX {
            return Self { counter: self.counter + 1, ..self };
        }
        Self { milliseconds: self.milliseconds + 1, counter: first }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn some_bytes(bytes: &mut [u8]) {
        bytes.fill(0xa5);
    }

    fn noon(microseconds: i64) -> Timestamp {
        Timestamp::from_microseconds(1_769_860_800_000_000 + microseconds).unwrap()
    }

    #[test]
    fn ten_thousand_ids_of_one_millisecond_rise_and_are_version_seven() {
        let ids = MonotonicIds::new(some_bytes);
        let created: Vec<Uuid> = (0..10_000).map(|_| ids.uuid(noon(0))).collect();
        assert!(created.is_sorted_by(|one, next| one < next));
        assert!(
            created.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122)
        );
    }

    #[test]
    fn a_thread_that_read_the_clock_earlier_draws_a_later_id() {
        let ids = MonotonicIds::new(some_bytes);
        let later = ids.uuid(noon(2_000));
        assert!(ids.uuid(noon(1_000)) > later);
        assert!(ids.uuid(noon(3_000)) > later);
    }

    #[test]
    fn an_id_of_another_time_has_that_time_and_the_present_goes_on() {
        let ids = MonotonicIds::new(some_bytes);
        let first = ids.uuid(noon(0));
        for hours in [-1, 24] {
            let other = noon(hours * 3_600_000_000);
            let milliseconds = u64::try_from(other.as_microseconds() / 1_000).unwrap();
            assert_eq!(ids.uuid(other).get_timestamp().unwrap().to_unix().0, milliseconds / 1_000);
        }
        let second = ids.uuid(noon(1_000));
        assert!(second > first && ids.uuid(noon(1_000)) > second);
    }

    #[test]
    fn threads_never_draw_the_same_id() {
        let ids = Arc::new(MonotonicIds::new(some_bytes));
        let draw = |ids: Arc<MonotonicIds>| move || (0..1_000).map(|_| ids.uuid(noon(0))).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(draw(Arc::clone(&ids)))).collect();
        let mut drawn: Vec<Uuid> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 4_000);
    }
}
