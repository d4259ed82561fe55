//! The data the benchmarks run on: users, conversations and messages whose ids follow from their
//! numbers, so that SQL, `pgbench` and this program pick the same rows without asking each other.

pub mod dialect;
pub mod documents;
pub mod growth;
pub mod load;

use chatstore_model::{ConversationId, UserId};
use uuid::Uuid;

use crate::error::Error;

use dialect::{CONVERSATION_PREFIX, FIRST_NUMBER, USER_PREFIX};

/// How much is loaded before anything is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scale {
    /// A twentieth: to see that everything works.
    Small,
    /// 1,000 users, 20,000 conversations, 400,000 messages.
    Full,
}

/// Conversations of each user.
const CONVERSATIONS_EACH: u64 = 20;

/// One of this many conversations of a user is long enough for a page of 50.
const LONG_EVERY: u64 = 10;

/// Messages of the other conversations.
const SHORT: u64 = 10;

/// Messages of a long one.
const LONG: u64 = 110;

impl Scale {
    /// The word for the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Full => "full",
        }
    }

    /// How many users.
    pub const fn users(self) -> u64 {
        match self {
            Self::Small => 50,
            Self::Full => 1_000,
        }
    }

    /// How many conversations.
    pub const fn conversations(self) -> u64 {
        self.users() * CONVERSATIONS_EACH
    }

    /// Long conversations.
    pub const fn long(self) -> u64 {
        self.conversations() / LONG_EVERY
    }

    /// How many messages.
    pub const fn messages(self) -> u64 {
        self.conversations() * SHORT + self.long() * (LONG - SHORT)
    }

    /// Whether the conversation with this number fills a page of 50.
    pub const fn is_long(self, number: u64) -> bool {
        (number / self.users()).is_multiple_of(LONG_EVERY)
    }

    /// The number of the long conversation at this place among them.
    const fn long_conversation(self, place: u64) -> u64 {
        place % self.users() + self.users() * LONG_EVERY * (place / self.users())
    }
}

/// Which user owns which conversation.
#[derive(Debug)]
pub struct Targets {
    /// Every user.
    pub users: Vec<UserId>,
    /// Every conversation with its owner.
    pub conversations: Vec<(UserId, ConversationId)>,
    /// Those that fill a page of 50.
    pub long: Vec<(UserId, ConversationId)>,
}

impl Targets {
    /// The ids of what was loaded at this scale.
    ///
    /// # Errors
    /// None but a defect of the ids' form.
    pub fn of(scale: Scale) -> Result<Self, Error> {
        let target = |number: u64| -> Result<(UserId, ConversationId), Error> {
            Ok((user_id(number % scale.users())?, conversation_id(number)?))
        };
        Ok(Self {
            users: (0..scale.users()).map(user_id).collect::<Result<_, _>>()?,
            conversations: (0..scale.conversations()).map(target).collect::<Result<_, _>>()?,
            long: (0..scale.long())
                .map(|place| target(scale.long_conversation(place)))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The id of the user with this number.
pub fn user_id(number: u64) -> Result<UserId, Error> {
    id(USER_PREFIX, number).map(UserId::from_uuid)
}

/// The id of the conversation with this number.
pub fn conversation_id(number: u64) -> Result<ConversationId, Error> {
    id(CONVERSATION_PREFIX, number).map(ConversationId::from_uuid)
}

fn id(prefix: &str, number: u64) -> Result<Uuid, Error> {
    Ok(Uuid::try_parse(&format!("{prefix}{}", FIRST_NUMBER + number))?)
}

/// The text of every message: 300 bytes.
pub fn content() -> String {
    let sentence = "The train to the coast leaves at seven and takes a little more than three hours. ";
    sentence.chars().cycle().take(300).collect()
}
