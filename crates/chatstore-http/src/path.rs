//! What a request is about: the ids in its path.

use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::request::Parts;
use chatstore::fields::{EMAIL, THREAD_ID};
use chatstore::{
    ApiKeyId, AsUser, ConversationId, DocumentId, FieldCode, LogEventId, MessageId, MessageName, RouteGroup,
    SessionId, UserId,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
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

/// What the route of a request is about; `None` for one that no group has.
pub(crate) fn route_group(parts: &Parts) -> Option<RouteGroup> {
    let route = parts.extensions.get::<MatchedPath>()?.as_str();
    let (_, below_api) = route.rsplit_once(API)?;
    let mut words = below_api.trim_start_matches('/').split('/');
    match words.next()? {
        "threads" | "messages" => Some(RouteGroup::Conversations),
        "admin" => match words.next()? {
            "cache" => Some(RouteGroup::Users),
            word => RouteGroup::parse(word),
        },
        word => RouteGroup::parse(word),
    }
}

/// What a path names by its id, unless the text is not an id and names nothing. The handler asks, because a wrong
/// body is reported first.
#[derive(Debug)]
pub(crate) struct Named<T>(Option<T>);

impl<T: Clone> Named<T> {
    /// The id.
    pub(crate) fn id(&self) -> Result<T, Problem> {
        self.0.clone().ok_or_else(Problem::not_found)
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.parse().ok()))
    }
}

/// What names the conversation in the path of a route below it: an id, or the application's own id of one of the
/// caller's conversations.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ConversationName<'p> {
    Id(&'p Named<ConversationId>),
    Thread(&'p str),
}

impl<'p> ConversationName<'p> {
    fn new(id: &'p Named<ConversationId>, thread_id: Option<&'p str>) -> Self {
        thread_id.map_or(Self::Id(id), Self::Thread)
    }

    /// The id of the conversation. That of a thread is looked up; the one that is named by its id may be absent.
    pub(crate) async fn id(self, chat: AsUser<'_>) -> Result<ConversationId, Problem> {
        match self {
            Self::Id(id) => id.id(),
            Self::Thread(thread_id) => Ok(chat.conversations().get_by_thread(thread_id).await?.id),
        }
    }
}

/// The path of one conversation, by its id or as a thread.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ConversationPath {
    /// The conversation: its UUID or its short id.
    #[serde(default, rename = "id")]
    #[param(required = true, value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    conversation: Named<ConversationId>,
    #[param(ignore)]
    thread_id: Option<String>,
}

impl ConversationPath {
    pub(crate) fn conversation(&self) -> ConversationName<'_> {
        ConversationName::new(&self.conversation, self.thread_id.as_deref())
    }
}

/// The path of one message.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct MessagePath {
    /// The conversation: its UUID or its short id.
    #[serde(default, rename = "id")]
    #[param(required = true, value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    conversation: Named<ConversationId>,
    #[param(ignore)]
    thread_id: Option<String>,
    /// The message: its UUID, its short id, its number in the conversation, or the application's own id after `ext:`,
    /// percent-encoded.
    #[serde(rename = "message_id")]
    #[param(value_type = String, example = "1")]
    pub(crate) message: Named<MessageName>,
}

impl MessagePath {
    pub(crate) fn conversation(&self) -> ConversationName<'_> {
        ConversationName::new(&self.conversation, self.thread_id.as_deref())
    }
}

/// The path of a message of one of the caller's own conversations.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OwnMessagePath {
    /// The message: its UUID or its short id.
    #[serde(rename = "id")]
    #[param(value_type = String, example = "1BwtYBjE4gWqLhTzV9eRk2")]
    pub(crate) message: Named<MessageId>,
}

/// The path of one of the caller's conversations, by the application's own id.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ThreadPath {
    pub(crate) thread_id: String,
}

impl IntoParams for ThreadPath {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "The application's own id, percent-encoded; a slash in it as `%2F`.";
        vec![text_parameter(&THREAD_ID, ParameterIn::Path, about, Some("support/1017".into()))]
    }
}

/// The path of one member.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct MemberPath {
    /// The conversation: its UUID or its short id.
    #[serde(default, rename = "id")]
    #[param(required = true, value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p1")]
    conversation: Named<ConversationId>,
    #[param(ignore)]
    thread_id: Option<String>,
    /// The member: the user's UUID or short id.
    #[serde(rename = "user_id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    pub(crate) user: Named<UserId>,
}

impl MemberPath {
    pub(crate) fn conversation(&self) -> ConversationName<'_> {
        ConversationName::new(&self.conversation, self.thread_id.as_deref())
    }
}

/// The path of one of the caller's documents.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct DocumentPath {
    /// The document: its UUID or its short id.
    #[serde(rename = "id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p5")]
    pub(crate) document: Named<DocumentId>,
}

/// The path of one of the events that are about the caller.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct LogEventPath {
    /// The event: its UUID or its short id.
    #[serde(rename = "id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p6")]
    pub(crate) event: Named<LogEventId>,
}

/// The path of one user.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    /// The user: UUID or short id.
    #[serde(rename = "id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    pub(crate) user: Named<UserId>,
}

/// The path of a user by e-mail address.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct EmailPath {
    pub(crate) email: String,
}

impl IntoParams for EmailPath {
    fn into_params(_place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let about = "The address, percent-encoded.";
        vec![text_parameter(&EMAIL, ParameterIn::Path, about, Some("ada@example.org".into()))]
    }
}

/// The path of one of the caller's API keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct KeyPath {
    /// The key: UUID or short id.
    #[serde(rename = "id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p3")]
    pub(crate) key: Named<ApiKeyId>,
}

/// The path of one of the caller's sessions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SessionPath {
    /// The session: UUID or short id.
    #[serde(rename = "id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p4")]
    pub(crate) session: Named<SessionId>,
}

/// The path of one API key of a user.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserKeyPath {
    /// The user: UUID or short id.
    #[serde(rename = "id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p2")]
    pub(crate) user: Named<UserId>,
    /// The key: UUID or short id.
    #[serde(rename = "key_id")]
    #[param(value_type = String, example = "1Bwn1eJnfNFRdQmPqyq9p3")]
    pub(crate) key: Named<ApiKeyId>,
}

/// The path of a request.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Default + Send> FromRequestParts<AppState> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        // A path that is not UTF-8 names nothing.
        let Ok(texts) = RawPathParams::from_request_parts(parts, state).await else {
            return Ok(Self(T::default()));
        };
        for (name, text) in &texts {
            if text.contains('\0') {
                let message = "must not contain the NUL character (U+0000)";
                return Err(Problem::wrong(name, FieldCode::NulCharacter, message));
            }
        }
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let axum::extract::Path(path) = path.map_err(|error| Problem::internal(error.to_string()))?;
        Ok(Self(path))
    }
}
