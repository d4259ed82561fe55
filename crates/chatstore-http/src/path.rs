//! What a request is about: the ids in its path.

use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use chatstore::fields::{EMAIL, THREAD_ID};
use chatstore::{ApiKeyId, ConversationId, FieldCode, MessageId, SessionId, UserId};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use crate::error::Problem;
use crate::schema::text_parameter;
use crate::state::AppState;

/// Where the API begins below the router.
pub(crate) const API: &str = "/api/v1";

/// Where this router is mounted in another application; empty when it is not mounted.
#[derive(Debug, Clone)]
pub(crate) struct BasePath(Arc<str>);

impl BasePath {
    pub(crate) fn new(path: &str) -> Self {
        Self(path.into())
    }

    /// A path of this server as clients see it.
    pub(crate) fn root(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// A path of this API as clients see it.
    pub(crate) fn path(&self, below_api: &str) -> String {
        format!("{}{API}{below_api}", self.0)
    }
}

impl FromRequestParts<AppState> for BasePath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::new("")))
    }
}

/// The path of one conversation. The handler parses the id, because a wrong body is reported first.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ConversationPath {
    /// The conversation: its UUID or its short id.
    #[param(example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    id: String,
}

impl ConversationPath {
    /// The id in the path.
    pub(crate) fn conversation(&self) -> Result<ConversationId, Problem> {
        id(&self.id)
    }
}

impl FromPath for ConversationPath {
    fn from_path(texts: &mut PathTexts) -> Self {
        Self { id: texts.take("id") }
    }
}

/// The path of one message.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct MessagePath {
    /// The conversation: its UUID or its short id.
    #[param(example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    id: String,
    /// The message: its UUID, its short id, or its number in the conversation.
    #[param(example = "1")]
    message_id: String,
}

/// How a path names a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageName {
    Id(MessageId),
    Seq(i64),
}

impl MessagePath {
    /// The conversation's id in the path.
    pub(crate) fn conversation(&self) -> Result<ConversationId, Problem> {
        id(&self.id)
    }

    /// The message in the path: digits are its number.
    pub(crate) fn message(&self) -> Result<MessageName, Problem> {
        if self.message_id.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(seq) = self.message_id.parse()
        {
            return Ok(MessageName::Seq(seq));
        }
        id(&self.message_id).map(MessageName::Id)
    }
}

impl FromPath for MessagePath {
    fn from_path(texts: &mut PathTexts) -> Self {
        Self { id: texts.take("id"), message_id: texts.take("message_id") }
    }
}

/// The path of one of the caller's conversations, by the application's own id.
#[derive(Debug)]
pub(crate) struct ThreadPath {
    pub(crate) thread_id: String,
}

impl IntoParams for ThreadPath {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "The application's own id, percent-encoded; a slash in it as `%2F`.";
        vec![text_parameter(&THREAD_ID, ParameterIn::Path, about, Some("support/1017".into()))]
    }
}

impl FromPath for ThreadPath {
    fn from_path(texts: &mut PathTexts) -> Self {
        Self { thread_id: texts.take("thread_id") }
    }
}

/// The path of one member.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct MemberPath {
    /// The conversation: its UUID or its short id.
    #[param(example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    id: String,
    /// The member: the user's UUID or short id.
    #[param(example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    user_id: String,
}

impl MemberPath {
    /// The conversation's id in the path.
    pub(crate) fn conversation(&self) -> Result<ConversationId, Problem> {
        id(&self.id)
    }

    /// The user's id in the path.
    pub(crate) fn user(&self) -> Result<UserId, Problem> {
        id(&self.user_id)
    }
}

impl FromPath for MemberPath {
    fn from_path(texts: &mut PathTexts) -> Self {
        Self { id: texts.take("id"), user_id: texts.take("user_id") }
    }
}

/// The path of one user.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    /// The user: UUID or short id.
    #[param(example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    id: String,
}

impl UserPath {
    /// The id in the path.
    pub(crate) fn user(&self) -> Result<UserId, Problem> {
        id(&self.id)
    }
}

impl FromPath for UserPath {
    fn from_path(texts: &mut PathTexts) -> Self {
        Self { id: texts.take("id") }
    }
}

/// The path of a user by e-mail address.
#[derive(Debug)]
pub(crate) struct EmailPath {
    pub(crate) email: String,
}

impl IntoParams for EmailPath {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "The address, percent-encoded.";
        vec![text_parameter(&EMAIL, ParameterIn::Path, about, Some("ada@example.org".into()))]
    }
}

impl FromPath for EmailPath {
    fn from_path(texts: &mut PathTexts) -> Self {
        Self { email: texts.take("email") }
    }
}

/// The path of one of the caller's API keys.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct KeyPath {
    /// The key: UUID or short id.
    #[param(example = "1Bwn1eJnfNFRdQmPqyq9p3")]
    id: String,
}

impl KeyPath {
    /// The id in the path.
    pub(crate) fn key(&self) -> Result<ApiKeyId, Problem> {
        id(&self.id)
    }
}

impl FromPath for KeyPath {
    fn from_path(texts: &mut PathTexts) -> Self {
        Self { id: texts.take("id") }
    }
}

/// The path of one of the caller's sessions.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SessionPath {
    /// The session: UUID or short id.
    #[param(example = "1Bwn1eJnfNFRdQmPqyq9p4")]
    id: String,
}

impl SessionPath {
    /// The id in the path.
    pub(crate) fn session(&self) -> Result<SessionId, Problem> {
        id(&self.id)
    }
}

impl FromPath for SessionPath {
    fn from_path(texts: &mut PathTexts) -> Self {
        Self { id: texts.take("id") }
    }
}

/// The path of one API key of a user.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserKeyPath {
    /// The user: UUID or short id.
    #[param(example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    id: String,
    /// The key: UUID or short id.
    #[param(example = "1Bwn1eJnfNFRdQmPqyq9p3")]
    key_id: String,
}

impl UserKeyPath {
    /// The user's id in the path.
    pub(crate) fn user(&self) -> Result<UserId, Problem> {
        id(&self.id)
    }

    /// The key's id in the path.
    pub(crate) fn key(&self) -> Result<ApiKeyId, Problem> {
        id(&self.key_id)
    }
}

impl FromPath for UserKeyPath {
    fn from_path(texts: &mut PathTexts) -> Self {
        Self { id: texts.take("id"), key_id: texts.take("key_id") }
    }
}

/// What the path of a route names.
pub(crate) trait FromPath: Sized {
    /// Takes the texts out.
    fn from_path(texts: &mut PathTexts) -> Self;
}

/// The path of a request.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: FromPath> FromRequestParts<AppState> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let mut texts = PathTexts(Vec::new());
        // A path that is not UTF-8 names nothing, so its texts stay empty.
        if let Ok(given) = RawPathParams::from_request_parts(parts, state).await {
            for (name, text) in &given {
                if text.contains('\0') {
                    let message = "must not contain the NUL character (U+0000)";
                    return Err(Problem::wrong(name, FieldCode::NulCharacter, message));
                }
                texts.0.push((name.to_owned(), text.to_owned()));
            }
        }
        Ok(Self(T::from_path(&mut texts)))
    }
}

/// The decoded texts of a path that were not taken yet.
#[derive(Debug)]
pub(crate) struct PathTexts(Vec<(String, String)>);

impl PathTexts {
    fn take(&mut self, name: &str) -> String {
        let index = self.0.iter().position(|(given, _)| given == name);
        index.map(|index| self.0.swap_remove(index).1).unwrap_or_default()
    }
}

/// An id in a path; a text that is not an id names nothing.
fn id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}
