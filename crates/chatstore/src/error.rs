//! The one error of the crate.

use std::fmt;
use std::time::Duration;

use chatstore_model::Invalid;
use chatstore_sql::{Marked, StoreError};

use crate::identity_provider::ProviderUnavailable;

/// A result with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What an error means, for deciding what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// It does not exist, or belongs to another user: the two cannot be told apart.
    NotFound,
    /// A value that must be unique is taken.
    AlreadyExists,
    /// The request breaks limits; see [`Error::invalid`].
    Invalid,
    /// Name and password, or the token, are not those of a user.
    InvalidCredentials,
    /// It was tried too often lately; see [`Error::retry_after`].
    LimitReached,
    /// Too many passwords are being checked, or too many long reads wait; try again.
    Overloaded,
    /// One's role does not allow it.
    Forbidden,
    /// The conversation is not at the revision that was expected; see
    /// [`AsUser::if_revision`](crate::AsUser::if_revision).
    PreconditionFailed,
    /// The idempotency key belongs to another request.
    KeyReused,
    /// Something with this id is being deleted and can be created again when that is done; see
    /// [`Error::retry_after`].
    BeingDeleted,
    /// It contradicts the present state.
    Conflict,
    /// The keys of the identity provider that a token names cannot be fetched now; try again.
    IdentityProviderUnavailable,
    /// The database cannot be reached now, or too many writes conflict; try again.
    Unavailable,
    /// The database took too long; try again.
    Timeout,
    /// The connection was lost during a commit: it may or may not be stored.
    OutcomeUnknown,
    /// The database's disk is full.
    StorageFull,
    /// The database takes no writes.
    ReadOnly,
    /// The database is damaged or of another schema.
    Corrupt,
    /// Any other failure.
    Internal,
}

/// An operation that failed. Nothing of it was stored, except after
/// [`ErrorKind::OutcomeUnknown`].
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    entity: Option<&'static str>,
    field: Option<&'static str>,
    item: Option<usize>,
    retry_after: Option<Duration>,
    source: Box<StoreErrorOrRule>,
}

/// After what time to try again to create what is being deleted.
const DELETION_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Where an error came from.
#[derive(Debug)]
enum StoreErrorOrRule {
    Store(StoreError),
    Rule(&'static str),
}

impl Error {
    /// What it means.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The kind of thing it is about, like `conversation`.
    #[must_use]
    pub const fn entity(&self) -> Option<&'static str> {
        self.entity
    }

    /// The field whose value is taken.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// The place in a list of the item whose value is taken, from 0.
    #[must_use]
    pub const fn item(&self) -> Option<usize> {
        self.item
    }

    /// After what time it may be tried again, where that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Every field that breaks a limit.
    #[must_use]
    pub fn invalid(&self) -> Option<&Invalid> {
        match self.source.as_ref() {
            StoreErrorOrRule::Store(StoreError::Invalid(invalid)) => Some(invalid),
            _ => None,
        }
    }

    /// Whether the same operation may succeed when it is simply tried again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unavailable
                | ErrorKind::IdentityProviderUnavailable
                | ErrorKind::Timeout
                | ErrorKind::Overloaded
                | ErrorKind::LimitReached
                | ErrorKind::BeingDeleted
        )
    }

    /// What is being deleted and in the way.
    pub(crate) fn being_deleted(&self) -> Option<Marked> {
        match self.source.as_ref() {
            StoreErrorOrRule::Store(StoreError::BeingDeleted(marked)) => Some(*marked),
            _ => None,
        }
    }

    /// Whether it says that there is a message with this id.
    pub(crate) fn is_taken_message(&self) -> bool {
        let StoreErrorOrRule::Store(error) = self.source.as_ref() else { return false };
        matches!(error, StoreError::AlreadyExists { entity: "message", .. })
    }

    fn rule(kind: ErrorKind, reason: &'static str) -> Self {
        let source = Box::new(StoreErrorOrRule::Rule(reason));
        Self { kind, entity: None, field: None, item: None, retry_after: None, source }
    }

    pub(crate) fn forbidden(reason: &'static str) -> Self {
        Self::rule(ErrorKind::Forbidden, reason)
    }

    pub(crate) fn conflict(reason: &'static str) -> Self {
        Self::rule(ErrorKind::Conflict, reason)
    }

    pub(crate) fn precondition_failed() -> Self {
        let reason = "it was changed since the revision that the request names";
        Self::rule(ErrorKind::PreconditionFailed, reason)
    }

    pub(crate) fn unexpected_suffix() -> Self {
        Self::rule(ErrorKind::PreconditionFailed, "the newest messages are not the expected ones")
    }

    pub(crate) fn invalid_credentials() -> Self {
        let reason = "name and password, or the token, are not those of a user";
        Self::rule(ErrorKind::InvalidCredentials, reason)
    }

    pub(crate) fn limit_reached(retry_after: Duration) -> Self {
        let reason = "it was tried too often lately";
        Self { retry_after: Some(retry_after), ..Self::rule(ErrorKind::LimitReached, reason) }
    }

    pub(crate) fn key_reused() -> Self {
        Self::rule(ErrorKind::KeyReused, "the idempotency key was used for another request")
    }

    pub(crate) fn overloaded() -> Self {
        Self::rule(ErrorKind::Overloaded, "too many passwords are being checked now; try again")
    }

    pub(crate) fn no_token_keys() -> Self {
        Self::rule(ErrorKind::Internal, "the store was opened without token keys (Builder::token_keys)")
    }

    /// That the message at this place in a list brings an id that is taken.
    pub(crate) fn taken_message(field: &'static str, item: usize) -> Self {
        Self { item: Some(item), ..StoreError::AlreadyExists { entity: "message", field }.into() }
    }

    /// The same of a list that begins with this many other items.
    pub(crate) fn behind(self, items: usize) -> Self {
        Self { item: self.item.map(|item| item + items), ..self }
    }

    pub(crate) fn not_found(entity: &'static str) -> Self {
        StoreError::NotFound { entity }.into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source.as_ref() {
            StoreErrorOrRule::Store(error) => error.fmt(formatter),
            StoreErrorOrRule::Rule(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.source.as_ref() {
            StoreErrorOrRule::Store(error) => Some(error),
            StoreErrorOrRule::Rule(_) => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (kind, entity, field) = match &error {
            StoreError::NotFound { entity } => (ErrorKind::NotFound, Some(*entity), None),
            StoreError::AlreadyExists { entity, field } => {
                (ErrorKind::AlreadyExists, Some(*entity), Some(*field))
            }
            StoreError::BeingDeleted(marked) => (ErrorKind::BeingDeleted, Some(marked.entity()), None),
            StoreError::MissingReference { entity } => (ErrorKind::NotFound, Some(*entity), None),
            StoreError::Invalid(_) => (ErrorKind::Invalid, None, None),
            StoreError::InvalidState(_) => (ErrorKind::Conflict, None, None),
            StoreError::Conflict(_) | StoreError::Unavailable(_) => (ErrorKind::Unavailable, None, None),
            StoreError::Overloaded(_) => (ErrorKind::Overloaded, None, None),
            StoreError::Timeout(_) => (ErrorKind::Timeout, None, None),
            StoreError::OutcomeUnknown(_) => (ErrorKind::OutcomeUnknown, None, None),
            StoreError::StorageFull(_) => (ErrorKind::StorageFull, None, None),
            StoreError::ReadOnly(_) => (ErrorKind::ReadOnly, None, None),
            StoreError::Corrupt(_) => (ErrorKind::Corrupt, None, None),
            StoreError::Backend(_) => (ErrorKind::Internal, None, None),
        };
        let retry_after = (kind == ErrorKind::BeingDeleted).then_some(DELETION_RETRY_AFTER);
        let source = Box::new(StoreErrorOrRule::Store(error));
        Self { kind, entity, field, item: None, retry_after, source }
    }
}

impl From<ProviderUnavailable> for Error {
    fn from(_: ProviderUnavailable) -> Self {
        let reason = "the keys of the identity provider cannot be fetched now; try again";
        Self::rule(ErrorKind::IdentityProviderUnavailable, reason)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        StoreError::Invalid(invalid).into()
    }
}
