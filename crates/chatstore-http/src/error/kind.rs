//! The kinds of problems.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};

/// Seconds after which a rejected request may be retried.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What kind of problem it is; each has one status and one stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    MalformedRequest,
    Unauthenticated,
    InvalidCredentials,
    Forbidden,
    RegistrationClosed,
    PasswordsOff,
    PasswordChangeRequired,
    ConfirmationRequired,
    NotFound,
    UnknownUser,
    MethodNotAllowed,
    AlreadyExists,
    BeingDeleted,
    Conflict,
    RequestInProgress,
    PreconditionFailed,
    TooLarge,
    UriTooLong,
    HeadersTooLarge,
    UnsupportedMediaType,
    Validation,
    IdempotencyMismatch,
    RateLimited,
    Internal,
    Unavailable,
    Overloaded,
    OutcomeUnknown,
    ReadOnly,
    StorageFull,
    Corrupt,
}

impl ProblemKind {
    /// Status, last part of the URN, and title.
    pub(super) const fn description(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedRequest => (StatusCode::BAD_REQUEST, "malformed-request", "Malformed request"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "Not authenticated"),
            Self::InvalidCredentials => {
                (StatusCode::UNAUTHORIZED, "invalid-credentials", "Invalid credentials")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Forbidden"),
            Self::RegistrationClosed => (StatusCode::FORBIDDEN, "registration-closed", "Registration closed"),
            Self::PasswordsOff => (StatusCode::FORBIDDEN, "passwords-off", "Passwords are switched off"),
            Self::PasswordChangeRequired => {
                (StatusCode::FORBIDDEN, "password-change-required", "Password change required")
            }
            Self::ConfirmationRequired => {
                (StatusCode::FORBIDDEN, "confirmation-required", "Confirmation required")
            }
            Self::UnknownUser => (StatusCode::NOT_FOUND, "unknown-user", "Unknown user"),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::AlreadyExists => (StatusCode::CONFLICT, "already-exists", "Already exists"),
            Self::BeingDeleted => (StatusCode::CONFLICT, "being-deleted", "Being deleted"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::RequestInProgress => (StatusCode::CONFLICT, "request-in-progress", "Request in progress"),
            Self::PreconditionFailed => {
                (StatusCode::PRECONDITION_FAILED, "precondition-failed", "Precondition failed")
            }
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, "uri-too-long", "URI too long"),
            Self::HeadersTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "Headers too large")
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Request too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type")
            }
            Self::Validation => (StatusCode::UNPROCESSABLE_ENTITY, "validation", "Validation failed"),
            Self::IdempotencyMismatch => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch", "Idempotency key reused")
            }
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Overloaded"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable"),
            Self::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", "Outcome unknown"),
            Self::ReadOnly => (StatusCode::SERVICE_UNAVAILABLE, "read-only", "Read-only"),
            Self::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "storage-full", "Storage full"),
            Self::Corrupt => (StatusCode::SERVICE_UNAVAILABLE, "corrupt", "Database damaged"),
        }
    }

    pub(crate) const fn status(self) -> StatusCode {
        self.description().0
    }

    /// A header that goes with every problem of this kind.
    pub(super) const fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Unauthenticated | Self::InvalidCredentials => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Self::Unavailable | Self::Overloaded | Self::ReadOnly | Self::RequestInProgress => {
                Some((header::RETRY_AFTER, RETRY_AFTER))
            }
            _ => None,
        }
    }
}
