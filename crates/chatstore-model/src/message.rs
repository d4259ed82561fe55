//! Messages: numbered 1, 2, 3 … within their conversation.

use crate::{
    Change, ConversationId, FieldCode, Invalid, Json, MessageId, Timestamp, UserId, Validator, limits,
};

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageRole {
    /// Instructions of the platform.
    System,
    /// Instructions of the application.
    Developer,
    /// A person.
    User,
    /// A model.
    Assistant,
    /// What a tool answered.
    Tool,
}

/// Text that is none of the five roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of system, developer, user, assistant, tool")]
pub struct UnknownMessageRole;

impl MessageRole {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::System, Self::Developer, Self::User, Self::Assistant, Self::Tool];

    /// The role as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    /// Reads the stored form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

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
    pub parts: Option<Json>,
    /// The model asked for (on a person's message) or that answered.
    pub model: Option<String>,
    /// The model that counts for it, by the rule of [`effective_model`](crate::effective_model).
    pub effective_model: String,
    /// Tokens of the content, as the application counted them.
    pub token_count: Option<i64>,
    /// Documents the message drew on, a list.
    pub used_documents: Json,
    /// The application's own data, an object.
    pub metadata: Json,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
}

/// A message to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The id, for imports that bring one; a new one is made when left out.
    pub id: Option<MessageId>,
    /// Who speaks.
    pub role: MessageRole,
    /// The text; may be empty.
    pub content: String,
    /// Structured content, a list of objects.
    pub parts: Option<Json>,
    /// The model asked for, or that answered.
    pub model: Option<String>,
    /// Tokens of the content.
    pub token_count: Option<i64>,
    /// Documents the message drew on: at most 256 texts or objects.
    pub used_documents: Json,
    /// The application's own data, an object.
    pub metadata: Json,
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
            used_documents: Json::list(),
            metadata: Json::object(),
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

    /// Checks the limits.
    ///
    /// # Errors
    /// [`Invalid`] with every field that breaks one.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut validator = Validator::default();
        self.check(&mut validator);
        validator.finish()
    }

    /// Notes every field that breaks a limit.
    pub fn check(&self, validator: &mut Validator) {
        validator.no_nul("content", &self.content);
        check_model(validator, self.model.as_ref());
        check_parts(validator, self.parts.as_ref());
        validator.count("token_count", self.token_count);
        check_used_documents(validator, &self.used_documents);
        validator.metadata(&self.metadata);
    }
}

/// Changes of a message; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MessagePatch {
    /// Another text.
    pub content: Option<String>,
    /// Other structured content.
    pub parts: Change<Json>,
    /// Another model.
    pub model: Change<String>,
    /// Another count of tokens.
    pub token_count: Change<i64>,
    /// Another list of documents.
    pub used_documents: Option<Json>,
    /// Replaces the metadata whole.
    pub metadata: Option<Json>,
}

impl MessagePatch {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the limits.
    ///
    /// # Errors
    /// [`Invalid`] with every field that breaks one.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut validator = Validator::default();
        if let Some(content) = &self.content {
            validator.no_nul("content", content);
        }
        check_model(&mut validator, self.model.value());
        check_parts(&mut validator, self.parts.value());
        validator.count("token_count", self.token_count.value().copied());
        if let Some(used_documents) = &self.used_documents {
            check_used_documents(&mut validator, used_documents);
        }
        if let Some(metadata) = &self.metadata {
            validator.metadata(metadata);
        }
        validator.finish()
    }
}

fn check_model(validator: &mut Validator, model: Option<&String>) {
    if let Some(model) = model {
        validator.filled_text("model", model, limits::MODEL);
    }
}

fn check_parts(validator: &mut Validator, parts: Option<&Json>) {
    let Some(parts) = parts else { return };
    validator.json("parts", parts);
    let is_list_of_objects =
        parts.as_list().is_some_and(|items| items.iter().all(serde_json::Value::is_object));
    if !is_list_of_objects {
        validator.wrong("parts", FieldCode::WrongType, "must be a list of objects");
    }
}

fn check_used_documents(validator: &mut Validator, used_documents: &Json) {
    validator.json("used_documents", used_documents);
    match used_documents.as_list() {
        None => validator.wrong("used_documents", FieldCode::WrongType, "must be a list"),
        Some(items) if items.len() > limits::USED_DOCUMENTS => {
            validator.wrong("used_documents", FieldCode::TooLong, "must have at most 256 items");
        }
        Some(items) if items.iter().any(|item| !item.is_string() && !item.is_object()) => {
            validator.wrong("used_documents", FieldCode::WrongType, "must hold only texts and objects");
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_of_a_message_is_reported() {
        let mut message = NewMessage::user("a\0b");
        message.model = Some(String::new());
        message.token_count = Some(-1);
        message.parts = Some(Json::parse("[1]").unwrap());
        message.used_documents = Json::parse("[1]").unwrap();
        message.metadata = Json::list();
        let Invalid(errors) = message.validate().unwrap_err();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["content", "model", "parts", "token_count", "used_documents", "metadata"]);
    }
}
