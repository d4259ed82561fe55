//! Typed ids: UUIDs that cannot be mixed up, with a short form for URLs.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// Bitcoin's base-58 alphabet: no `0`, `O`, `I`, `l`.
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Every short id has this many characters: the fewest that hold 128 bits in base 58.
const SHORT_LENGTH: usize = 22;

/// As many digits as have a 64-bit value, and how many values they have.
const GROUP: usize = 10;
const GROUP_VALUES: u128 = 58_u128.pow(GROUP as u32);

/// Text that is neither a UUID nor a short id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID or a short id of 22 characters")]
pub struct InvalidId;

/// Where new ids come from. The store asks it, so tests can make ids reproducible.
pub trait IdSource: Send + Sync + 'static {
    /// Fills `bytes` with unpredictable randomness.
    fn random(&self, bytes: &mut [u8]);

    /// A new UUIDv7 (RFC 9562): milliseconds of `at`, then 74 random bits. Ids created in different
    /// milliseconds sort by time; within one millisecond their order means nothing, unless the source says otherwise
    /// ([`MonotonicIds`](crate::MonotonicIds)).
    fn uuid(&self, at: Timestamp) -> Uuid {
        let mut random = [0; 10];
        self.random(&mut random);
        let milliseconds = u64::try_from(at.as_microseconds() / 1_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
    }
}

/// Ids from the operating system's randomness, through a function the application supplies.
///
/// The function is a parameter because this crate does no I/O.
#[derive(Debug, Clone, Copy)]
pub struct RandomIds(pub fn(&mut [u8]));

impl IdSource for RandomIds {
    fn random(&self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }
}

/// What an id is the id of: a type that nothing has a value of.
pub trait IdKind {
    /// What `Debug` calls such an id.
    const NAME: &'static str;
}

/// The id of one kind of thing: a UUID that is no other kind's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<K> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

/// Declares the kinds of ids, each with the name of its id.
macro_rules! kinds {
    ($($(#[$doc:meta])* $id:ident of $kind:ident;)*) => {$(
        #[doc = concat!("Marks [`", stringify!($id), "`].")]
        // What is derived for an id asks the same of its kind.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {}

        impl IdKind for $kind {
            const NAME: &'static str = stringify!($id);
        }

        $(#[$doc])*
        pub type $id = Id<$kind>;
    )*};
}

kinds! {
    /// A user. The nil UUID is the built-in user `anonymous`.
    UserId of UserKind;
    /// A conversation; unique together with its owner.
    ConversationId of ConversationKind;
    /// A message; unique together with its owner.
    MessageId of MessageKind;
    /// A document; unique together with its owner.
    DocumentId of DocumentKind;
    /// An event in the log; unique together with its user.
    LogEventId of LogEventKind;
    /// An API key.
    ApiKeyId of ApiKeyKind;
    /// A session; unique together with its user. Its refresh tokens are one family.
    SessionId of SessionKind;
    /// A refresh token; unique together with its user.
    RefreshTokenId of RefreshTokenKind;
}

impl UserId {
    /// The built-in owner of anonymous conversations; it cannot log in, be changed or be erased.
    pub const ANONYMOUS: Self = Self::from_uuid(Uuid::nil());
}

impl<K> Id<K> {
    /// The id with this UUID, of whatever version.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self { uuid, kind: PhantomData }
    }

    /// The UUID behind the id.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.uuid
    }

    /// The form for URLs: exactly 22 base-58 characters, left-padded with `1`.
    #[must_use]
    pub fn short(self) -> String {
        to_short(self.uuid)
    }
}

/// Writes an id as objects of the API have it: `id`, and `short_id` beside it.
pub(crate) fn with_short_id<K, S: serde::Serializer>(id: &Id<K>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_map(Some(2))?;
    fields.serialize_entry("id", id)?;
    fields.serialize_entry("short_id", &to_short(id.uuid))?;
    fields.end()
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid.fmt(formatter)
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}({})", K::NAME, self.uuid)
    }
}

impl<K> FromStr for Id<K> {
    type Err = InvalidId;

    /// Reads the hyphenated UUID or the short id; nothing else.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse(text).map(Self::from_uuid)
    }
}

impl<K> Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.uuid.serialize(serializer)
    }
}

impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn parse(text: &str) -> Result<Uuid, InvalidId> {
    match text.len() {
        SHORT_LENGTH => from_short(text),
        36 => Uuid::try_parse(text).map_err(|_| InvalidId),
        _ => Err(InvalidId),
    }
}

fn to_short(uuid: Uuid) -> String {
    let mut number = uuid.as_u128();
    let mut digits = [ALPHABET[0]; SHORT_LENGTH];
    for group in digits.rchunks_mut(GROUP) {
        // Divisions of 128 bits are slow: one for each group.
        let mut rest = (number % GROUP_VALUES) as u64;
        number /= GROUP_VALUES;
        for digit in group.iter_mut().rev() {
            *digit = ALPHABET[(rest % 58) as usize];
            rest /= 58;
        }
    }
    String::from_utf8_lossy(&digits).into_owned()
}

fn from_short(text: &str) -> Result<Uuid, InvalidId> {
    let mut number: u128 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|&letter| letter == byte).ok_or(InvalidId)?;
        number =
            number.checked_mul(58).and_then(|shifted| shifted.checked_add(digit as u128)).ok_or(InvalidId)?;
    }
    Ok(Uuid::from_u128(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_short_id_reads_back_as_the_same_uuid(number in any::<u128>()) {
            let id = UserId::from_uuid(Uuid::from_u128(number));
            prop_assert_eq!(id.short().len(), 22);
            prop_assert_eq!(id.short().parse::<UserId>(), Ok(id));
            prop_assert_eq!(id.to_string().parse::<UserId>(), Ok(id));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<UserId>();
        }
    }

    #[test]
    fn an_id_shows_its_kind_when_debugged_and_only_its_uuid_otherwise() {
        let id = SessionId::from_uuid(Uuid::max());
        assert_eq!(format!("{id:?}"), "SessionId(ffffffff-ffff-ffff-ffff-ffffffffffff)");
        assert_eq!(id.to_string(), "ffffffff-ffff-ffff-ffff-ffffffffffff");
        assert_eq!(serde_json::to_string(&id).unwrap(), r#""ffffffff-ffff-ffff-ffff-ffffffffffff""#);
    }

    #[test]
    fn the_ends_of_the_range_have_their_known_short_ids() {
        assert_eq!(UserId::ANONYMOUS.short(), "1111111111111111111111");
        assert_eq!(UserId::from_uuid(Uuid::max()).short(), "YcVfxkQb6JRzqk5kF2tNLv");
    }

    #[test]
    fn a_short_id_of_2_to_the_128_is_refused() {
        assert_eq!("YcVfxkQb6JRzqk5kF2tNLw".parse::<UserId>(), Err(InvalidId));
        assert_eq!("zzzzzzzzzzzzzzzzzzzzzz".parse::<UserId>(), Err(InvalidId));
    }

    #[test]
    fn other_spellings_of_a_uuid_are_refused() {
        for text in ["{00000000-0000-0000-0000-000000000000}", "00000000000000000000000000000000", "", "é"] {
            assert_eq!(text.parse::<UserId>(), Err(InvalidId), "{text}");
        }
    }
}
