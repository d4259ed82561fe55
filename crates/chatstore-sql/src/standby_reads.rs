//! What callers know of reads on standbys.

use std::fmt;
use std::str::FromStr;

/// A place in the write-ahead log of a PostgreSQL server: what was committed before it is there.
///
/// Its text is 16 hexadecimal digits. It is for the same server, or one that continues its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WalPosition(u64);

impl WalPosition {
    /// What every server has.
    #[cfg(test)]
    pub(crate) const START: Self = Self(0);

    /// Behind everything: a write took place, and it is not known where.
    #[cfg(feature = "postgres")]
    pub(crate) const UNKNOWN: Self = Self(u64::MAX);

    #[cfg(feature = "postgres")]
    pub(crate) const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    #[cfg(feature = "postgres")]
    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for WalPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// Text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a position as an answer has it: 16 hexadecimal digits")]
pub struct InvalidWalPosition;

impl FromStr for WalPosition {
    type Err = InvalidWalPosition;

    fn from_str(text: &str) -> Result<Self, InvalidWalPosition> {
        let is_position = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bytes = u64::from_str_radix(text, 16).ok().filter(|_| is_position);
        bytes.map(Self).ok_or(InvalidWalPosition)
    }
}

/// What reads have done with standbys so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StandbyReads {
    /// Standbys that are used now.
    pub in_use: usize,
    /// Reads that a standby answered.
    pub answered: u64,
    /// Reads that waited for a standby to replay a write.
    pub waited: u64,
    /// Reads that went to the primary because no standby was of use.
    pub on_primary: u64,
    /// Of these, the ones that a standby had begun to answer, or did not answer in time.
    pub fallen_back: u64,
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_from_its_text() {
        let position = WalPosition::new(0x16B_3748);
        assert_eq!(position.to_string(), "00000000016b3748");
        assert_eq!(position.to_string().parse(), Ok(position));
        for wrong in ["", "16b3748", "00000000016b374g", "+0000000016b3748", "00000000016b37480"] {
            assert_eq!(wrong.parse::<WalPosition>(), Err(InvalidWalPosition), "{wrong}");
        }
    }
}
