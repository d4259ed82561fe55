//! Data in which one conversation, or one user's list of them, is much larger than another.

use chatstore_model::{ConversationId, UserId};
use chatstore_sql::DatabaseKind;

use super::dialect::{CONVERSATION_PREFIX, MESSAGE_PREFIX, USER_PREFIX, id, numbers};
use super::load::{conversations, messages, users};
use super::{Scale, conversation_id, user_id};
use crate::error::Error;

/// Conversations of each user that are read and written, so that all sizes have as many rows in use.
const IN_USE: u64 = 10;

/// Set apart from the numbers of one size to those of the next.
const STRIDE: u64 = 1_000_000;

/// Messages of three conversations, each with a user of its own.
pub const fn conversation_sizes(scale: Scale) -> [u64; 3] {
    match scale {
        Scale::Small => [100, 1_000, 10_000],
        Scale::Full => [1_000, 10_000, 100_000],
    }
}

/// Conversations of three users.
pub const fn user_sizes(scale: Scale) -> [u64; 3] {
    match scale {
        Scale::Small => [10, 100, 1_000],
        Scale::Full => [10, 1_000, 100_000],
    }
}

/// The conversation of the size at this place in [`conversation_sizes`].
pub fn conversation(place: u64) -> Result<(UserId, ConversationId), Error> {
    Ok((user_id(place)?, conversation_id(place * STRIDE)?))
}

/// The user of the size at this place in [`user_sizes`].
pub fn user(place: u64) -> Result<UserId, Error> {
    user_id(user_number(place))
}

/// Conversations of this user to append to.
pub fn conversations_of_user(place: u64) -> Result<Vec<(UserId, ConversationId)>, Error> {
    let owner = user(place)?;
    let first = user_number(place) * STRIDE;
    (0..IN_USE).map(|number| Ok((owner, conversation_id(first + number)?))).collect()
}

const fn user_number(place: u64) -> u64 {
    3 + place
}

/// The statements that generate all sizes.
pub fn statements(kind: DatabaseKind, scale: Scale) -> Vec<String> {
    let mut statements = vec![users(kind, 6, 0)];
    for (place, size) in (0..).zip(conversation_sizes(scale)) {
        let first = place * STRIDE;
        let owner = id(kind, USER_PREFIX, &place.to_string());
        let conversation = id(kind, CONVERSATION_PREFIX, &first.to_string());
        statements.push(conversations(kind, 1, &owner, &conversation, &size.to_string()));
        let source = format!("(select n, n + 1 as seq from {}) as numbered", numbers(kind, size));
        let message = id(kind, MESSAGE_PREFIX, &format!("{first} + n"));
        statements.push(messages(kind, &owner, &conversation, &message, &source));
    }
    for (place, size) in (0..).zip(user_sizes(scale)) {
        let number = user_number(place);
        let owner = id(kind, USER_PREFIX, &number.to_string());
        let conversation = id(kind, CONVERSATION_PREFIX, &format!("{} + n", number * STRIDE));
        statements.push(conversations(kind, size, &owner, &conversation, "0"));
    }
    statements
}
