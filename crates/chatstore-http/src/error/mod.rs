//! Problem documents (RFC 9457): the only form of an error.

mod kind;
mod shortage;

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chatstore::{Error, ErrorKind, FieldCode, FieldError, Invalid};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use self::kind::ProblemKind;
pub(crate) use self::shortage::Shortage;

/// The maximum number of wrong fields that a document names.
pub(crate) const MAX_ERRORS: usize = 100;

/// The detail when the database cannot be reached.
pub(crate) const UNAVAILABLE: &str = "the database is not available now; nothing was changed; try again";

/// Why a request failed. It becomes a document in the middleware, which knows the request's id.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: ProblemKind,
    detail: String,
    errors: Vec<FieldError>,
    /// Seconds after which it may be retried, where that is known.
    retry_after: Option<u64>,
    /// For the log; never shown.
    cause: Option<String>,
    /// Why there are too many requests.
    shortage: Option<Shortage>,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            cause: None,
            shortage: None,
        }
    }

    /// No credentials, or none that are valid.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "a valid access token or API key is needed, as `Authorization: Bearer …`";
        Self::new(ProblemKind::Unauthenticated, detail)
    }

    /// A body that cannot be read as JSON.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::MalformedRequest, detail)
    }

    /// The same for absent objects, objects of others, and ids that are invalid.
    pub(crate) fn not_found() -> Self {
        Self::new(ProblemKind::NotFound, "there is nothing here, or nothing that you may see")
    }

    /// A service key names a user for whom it cannot act.
    pub(crate) fn unknown_user() -> Self {
        let detail = "Chatstore-User names no active user that this key may act for; create the user with \
                      `PUT users/by-email/{email}` or `POST users`, or use a key that creates users";
        Self::new(ProblemKind::UnknownUser, detail)
    }

    /// The password has to be shown again first.
    pub(crate) fn confirmation_required() -> Self {
        let detail = "the password must be confirmed first, by `POST auth/confirm`, with these same credentials; \
                      a confirmation lasts five minutes";
        Self::new(ProblemKind::ConfirmationRequired, detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(ProblemKind::MethodNotAllowed, "this resource does not support this method")
    }

    /// Every field that breaks a rule. The detail says what is wrong with the first.
    pub(crate) fn validation(mut errors: Vec<FieldError>) -> Self {
        errors.truncate(MAX_ERRORS);
        let detail = match errors.as_slice() {
            [] => "the request breaks a rule".to_owned(),
            [only] => format!("{}: {}", shortened(&only.field), only.message),
            [first, others @ ..] => {
                format!(
                    "{}: {} (and {} more)",
                    shortened(&first.field),
                    shortened(&first.message),
                    others.len()
                )
            }
        };
        Self { errors, ..Self::new(ProblemKind::Validation, detail) }
    }

    /// One field that breaks a rule.
    pub(crate) fn wrong(field: &str, code: FieldCode, message: impl Into<String>) -> Self {
        let Invalid(errors) = Invalid::field(field, code, message);
        Self::validation(errors)
    }

    /// A defect of the server, whose cause the answer does not show.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let detail = "the request failed; the server's log says why";
        Self { cause: Some(cause.into()), ..Self::new(ProblemKind::Internal, detail) }
    }

    /// A change that may or may not have been applied. Without Retry-After: a blind retry might apply it twice.
    pub(crate) fn outcome_unknown(cause: impl Into<String>) -> Self {
        let detail = "the database did not answer; it is unknown whether the change was applied: check before \
                      you try again, or send an Idempotency-Key";
        Self { cause: Some(cause.into()), ..Self::new(ProblemKind::OutcomeUnknown, detail) }
    }

    /// The database cannot be reached.
    pub(crate) fn unavailable(cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(ProblemKind::Unavailable, UNAVAILABLE) }
    }

    /// The database answers, but takes no writes.
    pub(crate) fn read_only(cause: impl Into<String>) -> Self {
        let detail = "the database takes no writes now, as a standby does; nothing was changed; try again";
        Self { cause: Some(cause.into()), ..Self::new(ProblemKind::ReadOnly, detail) }
    }

    /// Too many requests that change the same thing.
    pub(crate) fn busy() -> Self {
        let detail = "too many requests change the same thing now; nothing was changed; try again";
        Self { shortage: Some(Shortage::Turns), ..Self::new(ProblemKind::Overloaded, detail) }
    }

    /// More concurrent requests than the server accepts.
    pub(crate) fn overloaded(shortage: Shortage) -> Self {
        let detail = "the server is overloaded; nothing was changed; try again";
        Self { shortage: Some(shortage), ..Self::new(ProblemKind::Overloaded, detail) }
    }

    /// Too many recent requests.
    pub(crate) fn rate_limited(retry_after: Duration) -> Self {
        let detail = "there were too many such requests recently; try again later";
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self { retry_after: Some(seconds.max(1)), ..Self::new(ProblemKind::RateLimited, detail) }
    }

    pub(crate) fn forbidden(detail: &str) -> Self {
        Self::new(ProblemKind::Forbidden, detail)
    }

    fn being_deleted(error: &Error) -> Self {
        let entity = error.entity().unwrap_or("resource");
        let detail = format!("a {entity} with this id is being deleted; try again when that is done");
        let seconds = error.retry_after().unwrap_or_default().as_secs().max(1);
        Self { retry_after: Some(seconds), ..Self::new(ProblemKind::BeingDeleted, detail) }
    }

    fn taken(error: &Error) -> Self {
        let field = error.field().unwrap_or("id");
        let entity = error.entity().unwrap_or("resource");
        let detail = format!("a {entity} with this {field} exists already");
        let place = error.item().map(|item| format!("messages[{item}].{field}"));
        let Invalid(errors) =
            Invalid::field(place.as_deref().unwrap_or(field), FieldCode::NotAllowed, "is taken");
        Self { errors, ..Self::new(ProblemKind::AlreadyExists, detail) }
    }

    /// The problem of a request with one message alone, which is not called the first of several.
    pub(crate) fn of_one_message(mut self) -> Self {
        for error in &mut self.errors {
            if let Some(field) = error.field.strip_prefix("messages[0].") {
                error.field = field.to_owned();
            }
        }
        self
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// A header that goes with this problem, and its value.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let retry_after = self.retry_after.map(|seconds| (header::RETRY_AFTER, seconds.into()));
        retry_after.or_else(|| self.kind.header())
    }

    /// Whether there were too many requests.
    pub(crate) fn is_rate_limit(&self) -> bool {
        self.kind == ProblemKind::RateLimited
    }

    /// Which failures are alike, if it is one: a defect has as many kinds as causes, a database that does not answer
    /// has one.
    pub(crate) fn failure_kind(&self) -> Option<String> {
        let cause = self.cause.as_deref()?;
        let slug = self.slug();
        Some(if self.kind == ProblemKind::Internal { format!("{slug}: {cause}") } else { slug.to_owned() })
    }

    /// The word for what it is.
    pub(crate) const fn slug(&self) -> &'static str {
        let (_, slug, _) = self.kind.description();
        slug
    }

    /// The cause for the log, if there is one.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The document for the request with this id.
    pub(crate) fn document(&self, request_id: &str) -> ProblemDocument {
        let (status, slug, title) = self.kind.description();
        let errors = self.errors.iter().map(FieldProblem::from).collect::<Vec<_>>();
        ProblemDocument {
            kind: format!("urn:chatstore:problem:{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: shortened(&self.detail),
            request_id: request_id.to_owned(),
            errors: (!errors.is_empty()).then_some(errors),
        }
    }

    /// Of what there was not enough, if that is why.
    pub(crate) const fn shortage(&self) -> Option<Shortage> {
        self.shortage
    }

    /// The whole answer for the request with this id.
    pub(crate) fn answer(&self, request_id: &str) -> Response {
        let mut response = (self.status(), Json(self.document(request_id))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header() {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::not_found(),
            ErrorKind::AlreadyExists => Self::taken(&error),
            ErrorKind::Invalid => match error.invalid() {
                Some(Invalid(errors)) => Self::validation(errors.clone()),
                None => Self::internal(error.to_string()),
            },
            ErrorKind::PreconditionFailed => Self::new(ProblemKind::PreconditionFailed, error.to_string()),
            ErrorKind::KeyReused => Self::new(ProblemKind::IdempotencyMismatch, error.to_string()),
            ErrorKind::InvalidCredentials => Self::new(ProblemKind::InvalidCredentials, error.to_string()),
            ErrorKind::LimitReached => Self::rate_limited(error.retry_after().unwrap_or_default()),
            ErrorKind::Overloaded => Self::overloaded(Shortage::Store),
            ErrorKind::Forbidden => Self::new(ProblemKind::Forbidden, error.to_string()),
            ErrorKind::BeingDeleted => Self::being_deleted(&error),
            ErrorKind::Conflict => Self::new(ProblemKind::Conflict, error.to_string()),
            ErrorKind::IdentityProviderUnavailable => Self::new(ProblemKind::Unavailable, error.to_string()),
            ErrorKind::Unavailable | ErrorKind::Timeout => Self::unavailable(error.to_string()),
            ErrorKind::OutcomeUnknown => Self::outcome_unknown(error.to_string()),
            ErrorKind::ReadOnly => Self::read_only(error.to_string()),
            ErrorKind::StorageFull => {
                let detail = "the database accepts no writes now; nothing was changed";
                Self { cause: Some(error.to_string()), ..Self::new(ProblemKind::StorageFull, detail) }
            }
            ErrorKind::Corrupt => {
                let detail = "what the database holds is damaged; its operator has to repair it";
                Self { cause: Some(error.to_string()), ..Self::new(ProblemKind::Corrupt, detail) }
            }
            // `ErrorKind` is open: a kind that is unknown here is a defect of the server.
            _ => Self::internal(error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    /// An empty answer that carries the problem up to the middleware.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// What kind of problem it is: a stable URN.
    #[serde(rename = "type")]
    #[schema(example = "urn:chatstore:problem:validation")]
    kind: String,
    /// The kind of problem in words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What is wrong with this request, in words.
    detail: String,
    /// The id under which the server's log knows the request.
    request_id: String,
    /// The fields that break a rule, a maximum of 100, of problems of the kinds `validation` and `already-exists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<Vec<FieldProblem>>,
}

/// A field that breaks a rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldProblem)]
pub(crate) struct FieldProblem {
    /// The field's path, or the name of a parameter or header.
    #[schema(example = "messages[3].content")]
    field: String,
    /// Which rule, for programs: `required`, `unknown_field`, `wrong_type`, `too_short`, `too_long`,
    /// `out_of_range`, `invalid_format`, `nul_character` or `not_allowed`.
    #[schema(value_type = String, example = "required")]
    code: &'static str,
    /// Which rule, for people.
    message: String,
}

impl From<&FieldError> for FieldProblem {
    fn from(error: &FieldError) -> Self {
        let (field, message) = (shortened(&error.field), shortened(&error.message));
        Self { field, code: error.code.as_str(), message }
    }
}

/// The maximum length of a text in a document, which may quote the request, in characters.
const TEXT_LENGTH: usize = 300;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chatstore::StoreError;

    use super::*;

    fn answered(error: StoreError) -> (u16, ProblemDocument, Option<String>) {
        let problem = Problem::from(Error::from(error));
        (problem.status().as_u16(), problem.document("r-1"), problem.cause().map(str::to_owned))
    }

    #[test]
    fn a_refusal_is_not_a_failure_and_says_why() {
        let (status, document, cause) = answered(StoreError::InvalidState("the owner stays"));
        assert_eq!((status, document.detail.as_str(), cause), (409, "the owner stays", None));
        assert_eq!(document.kind, "urn:chatstore:problem:conflict");
    }

    #[test]
    fn a_row_without_its_parent_is_answered_like_an_absent_one() {
        let (status, document, cause) = answered(StoreError::MissingReference { entity: "conversation" });
        let (_, absent, _) = answered(StoreError::NotFound { entity: "message" });
        assert_eq!((status, cause), (404, None));
        assert_eq!(document.detail, absent.detail);
    }

    #[test]
    fn a_document_quotes_only_the_beginning_of_a_long_text() {
        let problem = Problem::wrong(&"é".repeat(100_000), FieldCode::UnknownField, "ü".repeat(301));
        let errors = problem.document("r-1").errors.unwrap();
        assert_eq!(errors[0].field, "é".repeat(300) + "…");
        assert_eq!(errors[0].message, "ü".repeat(300) + "…");
        let malformed = Problem::malformed("ä".repeat(300));
        assert_eq!(malformed.document("r-1").detail, "ä".repeat(300));
    }

    #[test]
    fn the_cause_of_a_failure_is_not_shown() {
        let (status, document, cause) = answered(StoreError::Corrupt("messages: column role".to_owned()));
        assert_eq!((status, document.kind.as_str()), (503, "urn:chatstore:problem:corrupt"));
        assert!(cause.unwrap().contains("column role"));
        assert!(!serde_json::to_string(&document).unwrap().contains("column role"));
    }
}
