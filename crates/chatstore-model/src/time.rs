//! Instants in whole microseconds, the resolution both databases keep.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// An instant: microseconds since 1970-01-01T00:00:00Z, of the years 0 to 9999 (see [`Self::MIN`], [`Self::MAX`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Text or a number that is no instant of the years 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time: expected RFC 3339 with a zone, like 2026-01-31T12:00:00.000000Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The earliest instant, 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200_000_000);
    /// The latest instant, 9999-12-30T22:00:00Z: in every zone it is still the year 9999.
    pub const MAX: Self = Self(253_402_207_200_000_000);

    /// The instant this many microseconds after 1970 in UTC.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] outside the years 0 to 9999.
    pub const fn from_microseconds(microseconds: i64) -> Result<Self, InvalidTimestamp> {
        if microseconds < Self::MIN.0 || microseconds > Self::MAX.0 {
            return Err(InvalidTimestamp);
        }
        Ok(Self(microseconds))
    }

    /// Microseconds since 1970 in UTC; negative before.
    #[must_use]
    pub const fn as_microseconds(self) -> i64 {
        self.0
    }

    /// This instant moved by a number of microseconds, held within [`MIN`](Self::MIN) and [`MAX`](Self::MAX).
    #[must_use]
    pub fn plus_microseconds(self, microseconds: i64) -> Self {
        Self(self.0.saturating_add(microseconds).clamp(Self::MIN.0, Self::MAX.0))
    }

    /// This instant moved into the future, held at [`MAX`](Self::MAX).
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        self.plus_microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
    }

    /// The instant this long before; the earliest one when that is none.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        self.plus_microseconds(
            i64::try_from(duration.as_micros()).map_or(i64::MIN, |microseconds| -microseconds),
        )
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with exactly six decimals and `Z`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = jiff::Timestamp::from_microsecond(self.0).map_err(|_| fmt::Error)?;
        write!(formatter, "{instant:.6}")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads RFC 3339 with any offset; what is finer than a microsecond is cut off.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        let microseconds = instant.as_nanosecond().div_euclid(1_000);
        Self::from_microseconds(i64::try_from(microseconds).map_err(|_| InvalidTimestamp)?)
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = InvalidTimestamp;

    /// What is finer than a microsecond is cut off.
    fn try_from(time: SystemTime) -> Result<Self, InvalidTimestamp> {
        let nanoseconds = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i128::try_from(since.as_nanos()).map_err(|_| InvalidTimestamp)?,
            Err(before) => -i128::try_from(before.duration().as_nanos()).map_err(|_| InvalidTimestamp)?,
        };
        let microseconds = i64::try_from(nanoseconds.div_euclid(1_000)).map_err(|_| InvalidTimestamp)?;
        Self::from_microseconds(microseconds)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let distance = Duration::from_micros(time.0.unsigned_abs());
        if time.0 < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the store takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp(0).plus(since_1970)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_with_six_decimals() {
        let noon: Timestamp = "2026-01-31T13:00:00+01:00".parse().unwrap();
        assert_eq!(noon.to_string(), "2026-01-31T12:00:00.000000Z");
        assert_eq!(noon.plus_microseconds(7).to_string(), "2026-01-31T12:00:00.000007Z");
    }

    #[test]
    fn the_ends_of_the_range_are_shown_and_read_back() {
        for (end, text) in
            [(Timestamp::MIN, "0000-01-01T00:00:00.000000Z"), (Timestamp::MAX, "9999-12-30T22:00:00.000000Z")]
        {
            assert_eq!(end.to_string(), text);
        }
        assert_eq!(Timestamp::MAX.plus(Duration::from_secs(1)), Timestamp::MAX);
    }

    #[test]
    fn a_time_without_a_zone_is_refused() {
        assert_eq!("2026-01-31T12:00:00".parse::<Timestamp>(), Err(InvalidTimestamp));
    }

    #[test]
    fn a_time_of_the_system_is_converted_there_and_back() {
        for text in
            ["1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00.000000Z", "2026-01-31T12:00:00.000007Z"]
        {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(Timestamp::try_from(SystemTime::from(time)), Ok(time), "{text}");
        }
        let before = UNIX_EPOCH - Duration::from_nanos(100);
        assert_eq!(Timestamp::try_from(before).unwrap().as_microseconds(), -1);
    }

    #[test]
    fn nanoseconds_before_1970_are_cut_downwards() {
        let time: Timestamp = "1969-12-31T23:59:59.9999999Z".parse().unwrap();
        assert_eq!(time.as_microseconds(), -1);
    }
}
