//! Model responses: what answered, and what it cost.

use serde::Serialize;

use crate::{
    ConversationId, CountField, FieldCode, FlagField, Message, MessageId, MessageRole, NewMessage, TextField,
    Timestamp, Validate, Validator, limits,
};

/// The model of a response.
pub const MODEL_USED: TextField = TextField::new("model_used").at_least(1).at_most(limits::MODEL).about(
    "The model that answered. When left out: the reply's `model`, else that of the newest message of the role\n\
     `user` before it, else the conversation's default, else the server's.",
);

/// The tokens that a model read.
pub const TOKENS_PROMPT: CountField = CountField::new("tokens_prompt").at_most(limits::TOKENS);

/// The tokens that a model wrote.
pub const TOKENS_COMPLETION: CountField = CountField::new("tokens_completion").at_most(limits::TOKENS);

/// The tokens that are billed.
pub const TOKENS_TOTAL: CountField = CountField::new("tokens_total")
    .at_most(limits::TOKENS)
    .about("When left out, prompt and completion together, if both are known; never smaller than that.");

/// The tokens among those read that came from a cache.
pub const TOKENS_CACHED: CountField =
    CountField::new("tokens_cached").at_most(limits::TOKENS).about("Tokens read from the provider's cache.");

/// How long a model took.
pub const COMPLETION_TIME_MS: CountField = CountField::new("completion_time_ms");

/// Why a model stopped.
pub const FINISH_REASON: TextField =
    TextField::new("finish_reason").at_least(1).at_most(limits::MODEL).about("Why the model stopped.");

/// Whether a response came from a cache.
pub const FROM_CACHE: FlagField =
    FlagField { name: "from_cache", about: "Whether the answer came from a cache instead of a model." };

/// What is known about the answer behind an assistant message; a message has a maximum of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelResponse {
    /// The message.
    pub message_id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The model that answered.
    pub model_used: String,
    /// Tokens read.
    pub tokens_prompt: Option<i64>,
    /// Tokens written.
    pub tokens_completion: Option<i64>,
    /// Tokens billed.
    pub tokens_total: Option<i64>,
    /// Tokens read from the provider's cache.
    pub tokens_cached: Option<i64>,
    /// Milliseconds it took.
    pub completion_time_ms: Option<i64>,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// Whether the answer came from a cache instead of a model.
    pub from_cache: bool,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// What a reply says about its response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewModelResponse {
    /// The model that answered; found by the rule of [`effective_model`] when left out.
    pub model_used: Option<String>,
    /// Tokens read.
    pub tokens_prompt: Option<i64>,
    /// Tokens written.
    pub tokens_completion: Option<i64>,
    /// Tokens billed; prompt + completion when left out and both are known.
    pub tokens_total: Option<i64>,
    /// Tokens read from the provider's cache.
    pub tokens_cached: Option<i64>,
    /// Milliseconds it took.
    pub completion_time_ms: Option<i64>,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// Whether the answer came from a cache instead of a model.
    pub from_cache: bool,
}

impl NewModelResponse {
    /// The tokens billed: as given, else prompt + completion when both are known.
    #[must_use]
    pub fn total(&self) -> Option<i64> {
        self.tokens_total.or_else(|| self.tokens_prompt?.checked_add(self.tokens_completion?))
    }
}

/// An assistant's message together with its response, stored as one.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReply {
    /// The message; its role is `assistant`.
    pub message: NewMessage,
    /// The response.
    pub response: NewModelResponse,
}

impl NewReply {
    /// A reply with nothing but text.
    #[must_use]
    pub fn new(content: impl Into<String>) -> Self {
        Self { message: NewMessage::assistant(content), response: NewModelResponse::default() }
    }
}

impl Validate for NewReply {
    fn check(&self, validator: &mut Validator) {
        if self.message.role != MessageRole::Assistant {
            validator.wrong("role", FieldCode::NotAllowed, "a reply has the role assistant");
        }
        self.message.check(validator);
        validator.check_below("response", &self.response);
    }
}

impl Validate for NewModelResponse {
    fn check(&self, validator: &mut Validator) {
        MODEL_USED.check(validator, self.model_used.as_deref());
        FINISH_REASON.check(validator, self.finish_reason.as_deref());
        TOKENS_PROMPT.check(validator, self.tokens_prompt);
        TOKENS_COMPLETION.check(validator, self.tokens_completion);
        TOKENS_TOTAL.check(validator, self.tokens_total);
        TOKENS_CACHED.check(validator, self.tokens_cached);
        COMPLETION_TIME_MS.check(validator, self.completion_time_ms);
        let parts = self.tokens_prompt.unwrap_or(0).saturating_add(self.tokens_completion.unwrap_or(0));
        if self.tokens_total.is_some_and(|total| total < parts) {
            let message = "must not be below tokens_prompt + tokens_completion";
            validator.wrong(TOKENS_TOTAL.name, FieldCode::OutOfRange, message);
        }
    }
}

/// A stored assistant message with its response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reply {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// The response.
    pub response: ModelResponse,
}

/// Which model counts for a message: its own override, else the conversation's default, else the server's.
/// For a model's message the override of the newest message of the role `user` before it comes second;
/// `newest_user_message` is `None` for every other role.
#[must_use]
pub fn effective_model<'a>(
    message_override: Option<&'a str>,
    newest_user_message: Option<&'a str>,
    conversation_default: Option<&'a str>,
    server_default: &'a str,
) -> &'a str {
    message_override.or(newest_user_message).or(conversation_default).unwrap_or(server_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IntoValid as _, Invalid};

    #[test]
    fn the_nearest_choice_of_a_model_wins() {
        assert_eq!(effective_model(Some("a"), Some("b"), Some("c"), "d"), "a");
        assert_eq!(effective_model(None, Some("b"), Some("c"), "d"), "b");
        assert_eq!(effective_model(None, None, Some("c"), "d"), "c");
        assert_eq!(effective_model(None, None, None, "d"), "d");
    }

    #[test]
    fn a_total_below_its_parts_is_refused() {
        let mut reply = NewReply::new("hello");
        reply.response = NewModelResponse {
            tokens_prompt: Some(10),
            tokens_completion: Some(5),
            tokens_total: Some(14),
            ..NewModelResponse::default()
        };
        let Invalid(errors) = reply.clone().into_valid().unwrap_err();
        assert_eq!(errors[0].field, "response.tokens_total");
        reply.response.tokens_total = None;
        assert_eq!(reply.response.total(), Some(15));
    }
}
