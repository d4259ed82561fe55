//! Messages as a tree: what names one, which one a new message follows, and where a list of them goes on.

use std::str::FromStr;

use crate::{FieldCode, InvalidId, MessageId, Validator};

/// What the application's own id of a message begins with, where it stands beside other names.
const EXTERNAL: &str = "ext:";

/// What names a message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageName {
    /// Its id.
    Id(MessageId),
    /// Its number.
    Seq(i64),
    /// The application's own id of it.
    External(String),
}

impl FromStr for MessageName {
    type Err = InvalidId;

    /// Reads an id; digits are the number of the message, and what follows `ext:` is the application's own id.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if let Some(external_id) = text.strip_prefix(EXTERNAL) {
            return Ok(Self::External(external_id.to_owned()));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(seq) = text.parse()
        {
            return Ok(Self::Seq(seq));
        }
        text.parse().map(Self::Id)
    }
}

/// A field that names a message: a text as [`MessageName`] reads it, or a number.
#[derive(Debug, Clone, Copy)]
pub struct MessageNameField {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
}

impl MessageNameField {
    /// The message that a text names.
    ///
    /// # Errors
    /// The rule that it breaks, for programs and for people.
    pub fn parse(self, text: &str) -> Result<MessageName, (FieldCode, String)> {
        text.parse().map_err(|_| (FieldCode::InvalidFormat, Self::RULE.to_owned()))
    }

    /// Notes an external id with NUL, which no message has.
    pub fn check(self, validator: &mut Validator, name: Option<&MessageName>) {
        if let Some(MessageName::External(external_id)) = name {
            validator.no_nul(self.name, external_id);
        }
    }

    /// What it must be.
    pub const RULE: &'static str =
        "must name a message: its UUID, its short id, its number, or the application's own id after `ext:`";
}

/// The message that a new one follows.
pub const PARENT: MessageNameField = MessageNameField {
    name: "parent",
    about: "The message that this one follows: its UUID, its short id, its number, or the application's own id after \
            `ext:`; null for none, so that another root begins. When it is left out, the message follows the head of \
            the conversation, or the one before it in the request, and becomes the head; so it does with `parent`, \
            but for an editor, whose message does not move the head then.",
};

/// What a new message follows, when it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    /// Nothing: it is a root.
    Root,
    /// This message.
    Message(MessageName),
}

impl Parent {
    /// The message, if it is one.
    #[must_use]
    pub const fn message(&self) -> Option<&MessageName> {
        match self {
            Self::Root => None,
            Self::Message(name) => Some(name),
        }
    }
}

/// Another head of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewHead {
    /// This message.
    Message(MessageName),
    /// The newest message below this one that nothing follows, or itself.
    Under(MessageName),
}

impl NewHead {
    /// The message that it names.
    #[must_use]
    pub const fn name(&self) -> &MessageName {
        match self {
            Self::Message(name) | Self::Under(name) => name,
        }
    }
}

/// Whether messages that are appended with a parent become the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadRule {
    /// They do.
    Follows,
    /// Only if their parent is the head: what an editor answers elsewhere moves it for no one.
    Stays,
}

/// Which messages of a conversation a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Branch {
    /// The path from the root to the head.
    #[default]
    Head,
    /// The path from the root to this message.
    Of(MessageName),
    /// All, by number.
    All,
}

impl FromStr for Branch {
    type Err = InvalidId;

    /// Reads `head`, `all`, or the name of a message.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text {
            "head" => Ok(Self::Head),
            "all" => Ok(Self::All),
            name => name.parse().map(Self::Of),
        }
    }
}

/// A place in a list of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagePosition {
    /// The number of the message behind which the list goes on.
    pub seq: i64,
    /// The message at the end of the path that the list has, so that it is the same one for all pages; `None` in a
    /// conversation that never branched, and for all messages by number.
    pub leaf: Option<i64>,
}

impl MessagePosition {
    /// A place among messages by number.
    #[must_use]
    pub const fn by_number(seq: i64) -> Self {
        Self { seq, leaf: None }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_message_is_named_by_id_number_or_external_id() {
        let id = MessageId::from_uuid(Uuid::from_u128(7));
        for (text, name) in [
            ("12", MessageName::Seq(12)),
            (&id.to_string(), MessageName::Id(id)),
            (&id.short(), MessageName::Id(id)),
            ("ext:12", MessageName::External("12".to_owned())),
            ("ext:", MessageName::External(String::new())),
        ] {
            assert_eq!(text.parse(), Ok(name), "{text}");
        }
        for text in ["", "-1", "99999999999999999999", "head"] {
            assert_eq!(MessageName::from_str(text), Err(InvalidId), "{text:?}");
        }
    }
}
