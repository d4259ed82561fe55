//! Messages: numbered 1, 2, 3 … within their conversation.

use serde::Serialize;

use crate::field::METADATA;
use crate::keyword::keywords;
use crate::tree::PARENT;
use crate::{
    CanonicalJson, Change, ConversationId, CountField, JsonField, JsonShape, Keyword, KeywordField,
    ListField, MessageId, Parent, TextField, TextForm, Timestamp, UserId, Validate, Validator, VerbatimField,
    VerbatimJson, limits,
};

/// The role of a message.
pub const MESSAGE_ROLE: KeywordField<MessageRole> =
    KeywordField::new("role").about("Who speaks. An editor may post `user` only.");

/// The text of a message.
pub const CONTENT: TextField = TextField::new("content").about(
    "The text; may be empty. Null or left out beside `parts`, it is the texts of the parts, one after the other.",
);

/// The structured content of a message.
pub const PARTS: VerbatimField = VerbatimField {
    name: "parts",
    about: "Structured content: a list of objects, kept and returned byte for byte.",
    max_bytes: limits::PARTS_BYTES,
};

/// What the parts of a message are.
pub const FORMAT: TextField = TextField::new("format")
    .at_least(1)
    .at_most(limits::FORMAT)
    .about("What the parts are, like `openai-agents/1` or `ai-sdk/v6`.");

/// The application's own id of a message.
pub const EXTERNAL_ID: TextField = TextField::new("external_id")
    .at_least(1)
    .at_most(limits::EXTERNAL_ID)
    .about("The application's own id, unique in the conversation.");

/// The id that a message brings.
pub const MESSAGE_ID: TextField<MessageId> =
    TextField::new("id").about("An id of the client's own: a UUID of any version, or a short id.");

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
pub const TOKEN_COUNT: CountField = CountField::new("token_count").about("Tokens of the content.");

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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// The owner of the conversation.
    #[serde(skip)]
    pub owner_id: UserId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Its number: 1, 2, 3 … without a gap but for deleted ones.
    pub seq: i64,
    /// The id.
    #[serde(flatten, serialize_with = "crate::id::with_short_id")]
    pub id: MessageId,
    /// The person who said it; `None` for every role but `user`.
    pub sender_id: Option<UserId>,
    /// Who speaks.
    pub role: MessageRole,
    /// The text.
    pub content: String,
    /// Structured content, as it was given.
    pub parts: Option<VerbatimJson>,
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
    /// What the parts are.
    pub format: Option<String>,
    /// The application's own id, unique in the conversation.
    pub external_id: Option<String>,
    /// The number of the message that it follows, 0 for none; `None` when that is the message with the nearest lower
    /// number that is left, as for every message of a conversation that never branched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_seq: Option<i64>,
}

impl Message {
    /// Bytes of what has no small limit: content, parts, used documents and metadata.
    #[must_use]
    pub fn large_bytes(&self) -> usize {
        let parts = self.parts.as_ref().map_or(0, |parts| parts.as_str().len());
        self.content.len() + parts + self.used_documents.as_str().len() + self.metadata.as_str().len()
    }
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
    /// Structured content, a list of objects; kept as it is.
    pub parts: Option<VerbatimJson>,
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
    /// What the parts are, like `openai-agents/1`.
    pub format: Option<String>,
    /// The application's own id, unique in the conversation.
    pub external_id: Option<String>,
    /// What it follows; the head of the conversation, or the message before it among those that are appended together,
    /// when left out.
    pub parent: Option<Parent>,
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
            format: None,
            external_id: None,
            parent: None,
        }
    }

    /// A message of this role with these parts; its content is their text.
    #[must_use]
    pub fn of_parts(role: MessageRole, parts: VerbatimJson) -> Self {
        Self { content: parts.text_of_parts(), parts: Some(parts), ..Self::new(role, "") }
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
        FORMAT.check(validator, self.format.as_deref());
        EXTERNAL_ID.check(validator, self.external_id.as_deref());
        PARENT.check(validator, self.parent.as_ref().and_then(Parent::message));
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
    /// Another text. When left out beside other parts, a text that was that of the old parts becomes that of the new
    /// ones.
    pub content: Option<String>,
    /// Other structured content.
    pub parts: Change<VerbatimJson>,
    /// Another model.
    pub model: Change<String>,
    /// Another count of tokens.
    pub token_count: Change<i64>,
    /// Another list of documents.
    pub used_documents: Option<CanonicalJson>,
    /// Replaces the metadata whole.
    pub metadata: Option<CanonicalJson>,
    /// Another format of the parts.
    pub format: Change<String>,
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
        FORMAT.check(validator, self.format.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FieldCode, IntoValid as _, Invalid};

    #[test]
    fn every_wrong_field_of_a_message_is_reported() {
        let mut message = NewMessage::user("a\0b");
        message.model = Some(String::new());
        message.token_count = Some(-1);
        message.parts = Some(VerbatimJson::parse("[1]").unwrap());
        message.used_documents = CanonicalJson::parse("[1]").unwrap();
        message.metadata = CanonicalJson::list();
        message.format = Some("f".repeat(65));
        message.external_id = Some(String::new());
        let Invalid(errors) = message.into_valid().unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let expected = ["content", "model", "parts", "token_count", "used_documents", "metadata"];
        assert_eq!(fields, [&expected[..], &["format", "external_id"]].concat());
    }

    #[test]
    fn parts_are_a_list_of_objects_of_a_maximum_depth_and_size() {
        let with = |parts: &str| {
            let parts = Some(VerbatimJson::parse(parts).unwrap());
            NewMessage { parts, ..NewMessage::user("") }.into_valid().map(drop).map_err(|Invalid(errors)| {
                errors.into_iter().map(|error| (error.field, error.code)).collect::<Vec<_>>()
            })
        };
        let refused = |code| Err(vec![("parts".to_owned(), code)]);
        for parts in ["[]", "[ { } , {\"a\" : [1]}\n]", r#"[{"a":"\u0000","b":"\udc00","n":1e400}]"#] {
            assert_eq!(with(parts), Ok(()), "{parts}");
        }
        for parts in ["{}", "null", "[{}, 1]", "[ [] ]", "\"[]\""] {
            assert_eq!(with(parts), refused(FieldCode::WrongType), "{parts}");
        }
        let nested = |depth: usize| format!("[{{\"a\":{}{}}}]", "[".repeat(depth - 2), "]".repeat(depth - 2));
        assert_eq!(with(&nested(limits::JSON_DEPTH)), Ok(()));
        assert_eq!(with(&nested(limits::JSON_DEPTH + 1)), refused(FieldCode::TooLong));
        let sized = |bytes: usize| format!("[{{\"a\":\"{}\"}}]", "x".repeat(bytes - 10));
        assert_eq!(with(&sized(limits::PARTS_BYTES)), Ok(()));
        assert_eq!(with(&sized(limits::PARTS_BYTES + 1)), refused(FieldCode::TooLong));
    }
}
