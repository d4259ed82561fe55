//! Opaque cursors: a position in a list, bound to the list it belongs to.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chatstore_model::{
    ConversationPosition, LogPosition, MemberPosition, MessagePosition, OwnedPosition, ThreadPosition,
    Timestamp,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of the digest that binds a cursor; enough to notice every mistake, and a forged one leads
/// nowhere but to another place in one's own list.
const SEAL: usize = 8;

/// A text that is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this list; start again without one")]
pub struct InvalidCursor;

/// A position that can become a cursor.
pub trait Cursor: Sized {
    /// The position as bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// The position from its bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    /// The cursor for this position in the list that `scope` describes: its user, route, filters
    /// and order.
    #[must_use]
    fn seal(&self, scope: &str) -> String {
        let mut bytes = self.to_bytes();
        let seal = digest(&bytes, scope);
        bytes.extend_from_slice(&seal);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor of the list that `scope` describes.
    ///
    /// # Errors
    /// [`InvalidCursor`] when it was altered or belongs to another list.
    fn open(text: &str, scope: &str) -> Result<Self, InvalidCursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let (position, seal) = bytes.split_last_chunk::<SEAL>().ok_or(InvalidCursor)?;
        if *seal != digest(position, scope) {
            return Err(InvalidCursor);
        }
        Self::from_bytes(position).ok_or(InvalidCursor)
    }
}

fn digest(position: &[u8], scope: &str) -> [u8; SEAL] {
    let mut hasher = Sha256::new();
    hasher.update((position.len() as u64).to_be_bytes());
    hasher.update(position);
    hasher.update(scope.as_bytes());
    let full: [u8; 32] = hasher.finalize().into();
    let mut seal = [0; SEAL];
    seal.copy_from_slice(&full[..SEAL]);
    seal
}

impl Cursor for i64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Cursor for MessagePosition {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.seq.to_bytes();
        if let Some(leaf) = self.leaf {
            bytes.extend(leaf.to_be_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (seq, leaf) = bytes.split_first_chunk::<8>()?;
        let leaf = if leaf.is_empty() { None } else { Some(i64::from_bytes(leaf)?) };
        Some(Self { seq: i64::from_be_bytes(*seq), leaf })
    }
}

impl Cursor for ConversationPosition {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.at.as_microseconds().to_be_bytes()[..], self.id.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at, id) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            at: Timestamp::from_microseconds(i64::from_be_bytes(*at)).ok()?,
            id: Uuid::from_slice(id).ok()?,
        })
    }
}

impl Cursor for ThreadPosition {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))?;
        Some(Self(text.to_owned()))
    }
}

impl Cursor for OwnedPosition {
    fn to_bytes(&self) -> Vec<u8> {
        [self.owner.as_bytes().as_slice(), self.id.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (owner, id) = bytes.split_first_chunk::<16>()?;
        Some(Self { owner: Uuid::from_bytes(*owner), id: Uuid::from_slice(id).ok()? })
    }
}

impl Cursor for LogPosition {
    fn to_bytes(&self) -> Vec<u8> {
        self.id.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(|id| Self { id })
    }
}

impl Cursor for MemberPosition {
    fn to_bytes(&self) -> Vec<u8> {
        let joined_at = self.joined_at.as_microseconds().to_be_bytes();
        [&self.rank.to_be_bytes()[..], &joined_at, self.user_id.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (rank, rest) = bytes.split_first_chunk::<8>()?;
        let (joined_at, user_id) = rest.split_first_chunk::<8>()?;
        Some(Self {
            rank: i64::from_be_bytes(*rank),
            joined_at: Timestamp::from_microseconds(i64::from_be_bytes(*joined_at)).ok()?,
            user_id: Uuid::from_slice(user_id).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timestamp() -> impl Strategy<Value = Timestamp> {
        let range = Timestamp::MIN.as_microseconds()..=Timestamp::MAX.as_microseconds();
        range.prop_map(|at| Timestamp::from_microseconds(at).unwrap())
    }

    fn conversation_position() -> impl Strategy<Value = ConversationPosition> {
        (timestamp(), any::<u128>()).prop_map(|(at, id)| ConversationPosition { at, id: Uuid::from_u128(id) })
    }

    fn member_position() -> impl Strategy<Value = MemberPosition> {
        (any::<i64>(), timestamp(), any::<u128>()).prop_map(|(rank, joined_at, user_id)| MemberPosition {
            rank,
            joined_at,
            user_id: Uuid::from_u128(user_id),
        })
    }

    #[test]
    fn a_cursor_opens_only_in_its_own_list() {
        let cursor = 42_i64.seal("messages of one conversation");
        assert_eq!(i64::open(&cursor, "messages of one conversation"), Ok(42));
        assert_eq!(i64::open(&cursor, "messages of another"), Err(InvalidCursor));
    }

    #[test]
    fn a_cursor_with_any_byte_changed_is_refused() {
        let position = ConversationPosition { at: Timestamp::MIN, id: Uuid::from_u128(7) };
        let cursor = position.seal("list");
        for index in 0..cursor.len() {
            let mut bytes = cursor.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert_ne!(ConversationPosition::open(&altered, "list"), Ok(position), "{altered}");
        }
        assert_eq!(ConversationPosition::open(&cursor, "list"), Ok(position));
    }

    proptest! {
        #[test]
        fn every_position_reads_back_from_its_cursor_and_opens_no_list_of_another_kind(
            seq in any::<i64>(),
            conversation in conversation_position(),
            member in member_position(),
        ) {
            prop_assert_eq!(i64::open(&seq.seal("list"), "list"), Ok(seq));
            for leaf in [None, Some(seq)] {
                let place = MessagePosition { seq, leaf };
                prop_assert_eq!(MessagePosition::open(&place.seal("list"), "list"), Ok(place));
            }
            prop_assert_eq!(ConversationPosition::open(&conversation.seal("list"), "list"), Ok(conversation));
            prop_assert_eq!(MemberPosition::open(&member.seal("list"), "list"), Ok(member));
            prop_assert_eq!(i64::open(&conversation.seal("list"), "list"), Err(InvalidCursor));
            prop_assert_eq!(ConversationPosition::open(&member.seal("list"), "list"), Err(InvalidCursor));
            prop_assert_eq!(MemberPosition::open(&seq.seal("list"), "list"), Err(InvalidCursor));
        }

        #[test]
        fn random_text_is_no_cursor(text in "\\PC{0,60}", base64 in "[A-Za-z0-9_-]{0,60}") {
            for text in [text, base64] {
                prop_assert_eq!(i64::open(&text, "list"), Err(InvalidCursor));
                prop_assert_eq!(ConversationPosition::open(&text, "list"), Err(InvalidCursor));
                prop_assert_eq!(MemberPosition::open(&text, "list"), Err(InvalidCursor));
            }
        }

        /// The seal is no secret: anyone can compute one.
        #[test]
        fn sealed_random_bytes_are_a_position_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let sealed = BASE64_URL_SAFE_NO_PAD.encode([&bytes[..], &digest(&bytes, "list")].concat());
            if let Ok(position) = i64::open(&sealed, "list") {
                prop_assert_eq!(position.to_bytes(), bytes.clone());
            }
            if let Ok(position) = ConversationPosition::open(&sealed, "list") {
                prop_assert_eq!(position.to_bytes(), bytes.clone());
            }
            if let Ok(position) = MemberPosition::open(&sealed, "list") {
                prop_assert_eq!(position.to_bytes(), bytes);
            }
        }

        #[test]
        fn an_altered_cursor_is_refused(
            position in member_position(),
            place in any::<prop::sample::Index>(),
            length in 0_usize..3,
            piece in "[_=+A-Za-z0-9é-]{0,2}",
        ) {
            let good = position.seal("list");
            let start = place.index(good.len());
            let end = (start + length).min(good.len());
            let altered = format!("{}{piece}{}", &good[..start], &good[end..]);
            prop_assume!(altered != good);
            prop_assert_eq!(MemberPosition::open(&altered, "list"), Err(InvalidCursor));
        }
    }
}
