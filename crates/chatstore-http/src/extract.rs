//! Who asks, and for what: the caller and the ids in the path.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header;
use axum::http::request::Parts;
use chatstore::{ApiKeyScope, ConversationId, FieldCode, MessageId, UserId};
use utoipa::IntoParams;

use crate::error::{Problem, ProblemKind};
use crate::state::AppState;

/// The user that the request's key speaks for. The first argument of every handler under `/api`, so that
/// nothing is said to anybody who is not known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(UserId);

impl Caller {
    pub(crate) const fn user(self) -> UserId {
        self.0
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let key = bearer(parts).ok_or_else(unauthenticated)?;
        let principal = state.store().keys().verify(key).await?.ok_or_else(unauthenticated)?;
        match principal.scope {
            ApiKeyScope::User => Ok(Self(principal.user_id)),
            ApiKeyScope::Service => {
                Err(Problem::new(ProblemKind::Forbidden, "service keys are not served by this version yet"))
            }
        }
    }
}

/// The token of the one `Authorization: Bearer` header.
fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub(crate) fn unauthenticated() -> Problem {
    let detail = "a valid API key is needed, as `Authorization: Bearer cs_…`";
    Problem::new(ProblemKind::Unauthenticated, detail)
}

/// Where this router is mounted in another application; empty when it is not.
#[derive(Debug, Clone)]
pub(crate) struct Mount(Arc<str>);

impl Mount {
    pub(crate) fn new(path: &str) -> Self {
        Self(path.into())
    }

    /// A path of this API as clients see it.
    pub(crate) fn path(&self, below_api: &str) -> String {
        format!("{}/api/v1{below_api}", self.0)
    }
}

impl FromRequestParts<AppState> for Mount {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::new("")))
    }
}

/// The path of one conversation. Reading the id is the handler's: a body that is wrong goes first.
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
        self.id.parse().map_err(|_| Problem::not_found())
    }
}

impl FromRequestParts<AppState> for ConversationPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let [id] = path_texts(parts, state, ["id"]).await?;
        Ok(Self { id })
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
        self.id.parse().map_err(|_| Problem::not_found())
    }

    /// The message in the path: digits are its number.
    pub(crate) fn message(&self) -> Result<MessageName, Problem> {
        if self.message_id.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(seq) = self.message_id.parse()
        {
            return Ok(MessageName::Seq(seq));
        }
        self.message_id.parse().map(MessageName::Id).map_err(|_| Problem::not_found())
    }
}

impl FromRequestParts<AppState> for MessagePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let [id, message_id] = path_texts(parts, state, ["id", "message_id"]).await?;
        Ok(Self { id, message_id })
    }
}

/// The decoded texts of a path. One that is not UTF-8 names nothing, so it becomes an empty one.
async fn path_texts<const COUNT: usize>(
    parts: &mut Parts,
    state: &AppState,
    names: [&str; COUNT],
) -> Result<[String; COUNT], Problem> {
    let mut texts = [const { String::new() }; COUNT];
    let Ok(given) = RawPathParams::from_request_parts(parts, state).await else { return Ok(texts) };
    for (name, text) in &given {
        if text.contains('\0') {
            let message = "must not contain the NUL character (U+0000)";
            return Err(Problem::wrong(name, FieldCode::NulCharacter, message));
        }
        if let Some(index) = names.iter().position(|wanted| *wanted == name) {
            texts[index] = text.to_owned();
        }
    }
    Ok(texts)
}
