//! Messages: numbered 1, 2, 3 … within their conversation.

use crate::field::METADATA;
use crate::keyword::keywords;
use crate::{
    CanonicalJson, Change, ConversationId, CountField, JsonField, JsonShape, Keyword, KeywordField,
    ListField, MessageId, TextField, TextForm, Timestamp, UserId, Validate, Validator, limits,
};

/// The role of a message.
pub const MESSAGE_ROLE: KeywordField<MessageRole> =
    KeywordField::new("role").about("Who speaks. An editor may post `user` only.");

/// The text of a message.
pub const CONTENT: TextField = TextField::new("content").about("The text; may be empty.");

/// The structured content of a message.
pub const PARTS: JsonField =
    JsonField { name: "parts", about: "Structured content, kept untouched.", shape: JsonShape::Objects };

/// The time that a message brings.
pub const CREATED_AT: TextField<Timestamp> = TextField::new("created_at").formed(TextForm::Time).about(
    "When it was created, a maximum of one day ahead; now when it is left out. For the owner and for service keys.",
);

/// The model of a message.
pub const MODEL: TextField = TextField::new("model")
    .at_least(1)
    .at_most(limits::MODEL)
    .about("The model asked for, or the one that answered.");

/// The tokens of a message.
pub const TOKEN_COUNT: CountField = CountField { name: "token_count", about: "Tokens of the content." };

/// The documents of a message.
pub const USED_DOCUMENTS: JsonField = JsonField {
    name: "used_documents",
    about: "Documents the message drew on: texts or objects.",
    shape: JsonShape::TextsAndObjects { max_items: limits::USED_DOCUMENTS },
};

/// Messages that are appended together.
pub const MESSAGES: ListField = ListField { name: "messages", item: "message", min: 1, max: limits::BATCH };

keywords! {
    /// Who speaks in a message.
    pub enum MessageRole {
        /// Instructions of the platform.
        System = "system",
        /// Instructions of the application.
        Developer = "developer",
        /// A person.
        User = "user",
        /// A model.
        Assistant = "assistant",
        /// What a tool answered.
        Tool = "tool",
    }
}

/// Text that is none of the five roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", MessageRole::words())]
pub struct UnknownMessageRole;

impl std::str::FromStr for MessageRole {
    type Err = UnknownMessageRole;

    fn from_str(text: &str) -> Result<Self, UnknownMessageRole> {
        Self::parse(text).ok_or(UnknownMessageRole)
    }
}

/// A message. Its order is `seq`, never a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The owner of the conversation.
    pub owner_id: UserId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Its number: 1, 2, 3 … without a gap but for deleted ones.
    pub seq: i64,
    /// The id.
    pub id: MessageId,
    /// The person who said it; `None` for every role but `user`.
    pub sender_id: Option<UserId>,
    /// Who speaks.
    pub role: MessageRole,
    /// The text.
    pub content: String,
    /// Structured content, kept untouched.
    pub parts: Option<CanonicalJson>,
    /// The model asked for (on a person's message) or that answered.
    pub model: Option<String>,
    /// The model that counts for it, by the rule of [`effective_model`](crate::effective_model).
    pub effective_model: String,
    /// Tokens of the content, as the application counted them.
    pub token_count: Option<i64>,
    /// Documents the message drew on, a list.
    pub used_documents: CanonicalJson,
    /// The application's own data, an object.
    pub metadata: CanonicalJson,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
}

/// A message to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The id, for imports that bring one; a new one is drawn when left out.
    pub id: Option<MessageId>,
    /// Who speaks.
    pub role: MessageRole,
    /// The text; may be empty.
    pub content: String,
    /// Structured content, a list of objects.
    pub parts: Option<CanonicalJson>,
    /// The model asked for, or that answered.
    pub model: Option<String>,
    /// Tokens of the content.
    pub token_count: Option<i64>,
    /// Documents the message drew on: a maximum of 256 texts or objects.
    pub used_documents: CanonicalJson,
    /// The application's own data, an object.
    pub metadata: CanonicalJson,
    /// The time, for imports that bring one; the store's clock when left out.
    pub created_at: Option<Timestamp>,
}

impl NewMessage {
    /// A message of this role with nothing but text.
    #[must_use]
    pub fn new(role: MessageRole, content: impl Into<String>) -> Self {
        Self {
            id: None,
            role,
            content: content.into(),
            parts: None,
            model: None,
            token_count: None,
            used_documents: CanonicalJson::list(),
            metadata: CanonicalJson::object(),
            created_at: None,
        }
    }

    /// A person's message.
    #[must_use]
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(MessageRole::User, content)
    }

    /// A model's message without a response row; see [`NewReply`](crate::NewReply) for one with.
    #[must_use]
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(MessageRole::Assistant, content)
    }
}

impl Validate for NewMessage {
    fn check(&self, validator: &mut Validator) {
        CONTENT.check(validator, Some(&self.content));
        MODEL.check(validator, self.model.as_deref());
        PARTS.check(validator, self.parts.as_ref());
        TOKEN_COUNT.check(validator, self.token_count);
        USED_DOCUMENTS.check(validator, Some(&self.used_documents));
        METADATA.check(validator, Some(&self.metadata));
    }
}

/// Messages that one request appends together.
impl Validate for Vec<NewMessage> {
    fn check(&self, validator: &mut Validator) {
        MESSAGES.check(validator, self.len());
        self.as_slice().check(validator);
    }
}

/// Any number of messages, as imports append them.
impl Validate for &[NewMessage] {
    fn check(&self, validator: &mut Validator) {
        for (index, message) in self.iter().enumerate() {
            validator.check_below(&format!("{}[{index}]", MESSAGES.name), message);
        }
    }
}

/// Changes of a message; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MessagePatch {
    /// Another text.
    pub content: Option<String>,
    /// Other structured content.
    pub parts: Change<CanonicalJson>,
    /// Another model.
    pub model: Change<String>,
    /// Another count of tokens.
    pub token_count: Change<i64>,
    /// Another list of documents.
    pub used_documents: Option<CanonicalJson>,
    /// Replaces the metadata whole.
    pub metadata: Option<CanonicalJson>,
}

impl MessagePatch {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Validate for MessagePatch {
    fn check(&self, validator: &mut Validator) {
        CONTENT.check(validator, self.content.as_deref());
        MODEL.check(validator, self.model.as_deref());
        PARTS.check(validator, self.parts.value());
        TOKEN_COUNT.check(validator, self.token_count.value().copied());
        USED_DOCUMENTS.check(validator, self.used_documents.as_ref());
        METADATA.check(validator, self.metadata.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IntoValid as _, Invalid};

    #[test]
    fn every_wrong_field_of_a_message_is_reported() {
        let mut message = NewMessage::user("a\0b");
        message.model = Some(String::new());
        message.token_count = Some(-1);
        message.parts = Some(CanonicalJson::parse("[1]").unwrap());
        message.used_documents = CanonicalJson::parse("[1]").unwrap();
        message.metadata = CanonicalJson::list();
        let Invalid(errors) = message.into_valid().unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["content", "model", "parts", "token_count", "used_documents", "metadata"]);
    }
}
