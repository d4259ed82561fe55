//! The description of the API (OpenAPI 3.1), generated from the handlers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder, Type,
};
use utoipa::{IntoResponses, Modify};

use crate::error::{Problem, ProblemDocument, ProblemKind};

/// The parts of the description that belong to no handler.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "chatstore",
        description = "Conversations, messages, model responses and their usage, documents.\n\n\
            ## Who asks\n\n\
            Every request names its caller by `Authorization: Bearer …` with one of two things:\n\n\
            - an API key, `cs_…`. A *user key* has the rights of its user. A *service key* is for the backend of an \
            application: it names the user of each request in the header `Chatstore-User`, as \
            `email:ada@example.org` or `name:ada`, and the request has that user's rights. Keys are created by the \
            command `chatstore key create --user ada`, or `--service`.\n\
            - the access token of a login (`POST auth/login`). It lasts ten minutes; `POST auth/refresh` exchanges the \
            refresh token for another pair.\n\n\
            On the page `/docs`, *Authorize* takes either.\n\n\
            ## First requests\n\n\
            ```sh\n\
            curl -X POST -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' \\\n  \
            http://127.0.0.1:8080/api/v1/conversations -d '{\"title\": \"Trip\"}'\n\
            curl -X POST -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' \\\n  \
            http://127.0.0.1:8080/api/v1/conversations/$ID/messages -d '{\"content\": \"Where is it warm in March?\"}'\n\
            curl -H \"Authorization: Bearer $KEY\" http://127.0.0.1:8080/api/v1/conversations/$ID/messages\n\
            ```\n\n\
            With a service key, add `-H 'Chatstore-User: email:ada@example.org'` to each.\n\n\
            ## Every answer\n\n\
            Every answer carries `X-Request-Id`, and one that counts for a limit `RateLimit` and `RateLimit-Policy`. \
            Where lists are read from standbys of the database, an answer to a change carries `Chatstore-Position`: \
            any request may send it, and is then shown at least that change. \
            Every error is a problem document (RFC 9457). \
            Times are RFC 3339 in UTC with six decimals. Unknown fields and parameters are rejected. \
            Objects that do not exist and objects of other users are answered alike.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Credentials, &ErrorAnswers),
    security(("access_token" = []), ("api_key" = [])),
    tags(
        (name = "conversations", description = "Conversations, owned and shared"),
        (name = "threads", description = "The caller's own conversations by the application's ids"),
        (name = "members", description = "Members of conversations and their roles"),
        (name = "messages", description = "Messages, numbered 1, 2, 3 … within their conversation"),
        (name = "replies", description = "Replies of models, with their responses and usage"),
        (name = "documents", description = "The caller's documents: JSON that is kept beside messages"),
        (name = "logs", description = "Events: what happened to whom, and who caused it"),
        (name = "ai-cache", description = "Responses of models, cached for applications that ask the models themselves"),
        (name = "cache", description = "What servers remember of users and sessions, for administrators"),
        (name = "usage", description = "Usage of models and its cost"),
        (name = "users", description = "Users, for administrators and service keys, and the current user"),
        (name = "auth", description = "Registration, login and sessions"),
        (name = "keys", description = "API keys"),
        (name = "server", description = "Health and description of the server"),
    )
)]
pub(crate) struct Description;

/// The ways in which callers authenticate.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (name, format, description) in [
            (
                "access_token",
                "JWT",
                "an access token: that of a login, or that of an identity provider the server trusts",
            ),
            ("api_key", "cs_…", "an API key"),
        ] {
            let scheme = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format(format)
                .description(Some(description))
                .build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// The problems of any request.
pub(crate) struct ReadProblems;

/// The problems of a deletion.
pub(crate) struct DeleteProblems;

/// The problems of a request with a body.
pub(crate) struct BodyProblems;

/// The problems of an append to a conversation.
pub(crate) struct AppendProblems;

/// The problems of a request with a password or a refresh token.
pub(crate) struct CredentialProblems;

/// A unique value is taken.
pub(crate) struct TakenProblem;

/// The request contradicts the current state.
pub(crate) struct ConflictProblem;

/// The conversation or document is at another revision.
pub(crate) struct ConditionProblem;

type Responses = BTreeMap<String, RefOr<Response>>;

/// An error that many routes answer with, described once.
struct ErrorAnswer {
    about: &'static str,
    problem: Problem,
}

impl ErrorAnswer {
    const fn new(about: &'static str, problem: Problem) -> Self {
        Self { about, problem }
    }

    /// Its name among the answers: `NotFound`.
    fn name(&self) -> String {
        let words = self.problem.slug().split('-');
        words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
    }

    fn reference(&self) -> (String, RefOr<Response>) {
        let status = self.problem.status().as_u16().to_string();
        (status, RefOr::Ref(Ref::from_response_name(self.name())))
    }
}

/// The answers to which those of routes refer.
struct ErrorAnswers;

impl Modify for ErrorAnswers {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let groups = [
            of_reads(),
            of_bodies(),
            of_writes(),
            of_credentials(),
            of_taken(),
            of_conflicts(),
            of_conditions(),
        ];
        for answer in groups.into_iter().flatten() {
            components.responses.insert(answer.name(), RefOr::T(response(&answer)));
        }
    }
}

impl IntoResponses for ReadProblems {
    fn responses() -> Responses {
        refer_to([of_reads()])
    }
}

impl IntoResponses for DeleteProblems {
    fn responses() -> Responses {
        refer_to([of_reads(), of_writes()])
    }
}

impl IntoResponses for BodyProblems {
    fn responses() -> Responses {
        refer_to([of_reads(), of_bodies(), of_writes()])
    }
}

impl IntoResponses for AppendProblems {
    fn responses() -> Responses {
        refer_to([of_reads(), of_bodies(), of_writes(), of_conflicts(), of_conditions()])
    }
}

impl IntoResponses for CredentialProblems {
    fn responses() -> Responses {
        refer_to([of_reads(), of_bodies(), of_writes(), of_credentials()])
    }
}

impl IntoResponses for TakenProblem {
    fn responses() -> Responses {
        refer_to([of_taken()])
    }
}

impl IntoResponses for ConflictProblem {
    fn responses() -> Responses {
        refer_to([of_conflicts()])
    }
}

impl IntoResponses for ConditionProblem {
    fn responses() -> Responses {
        refer_to([of_conditions()])
    }
}

/// References to these answers; of two with one status, to the later.
fn refer_to<const COUNT: usize>(groups: [Vec<ErrorAnswer>; COUNT]) -> Responses {
    groups.into_iter().flatten().map(|answer| answer.reference()).collect()
}

fn of_reads() -> Vec<ErrorAnswer> {
    let invalid = Problem::wrong("limit", chatstore::FieldCode::OutOfRange, "must be from 1 to 200");
    let uri_too_long = "path and query must have at most 8192 bytes";
    let headers_too_large = "there must be at most 100 header fields and 32768 bytes of them";
    vec![
        ErrorAnswer::new("access token or API key is missing or not valid", Problem::unauthenticated()),
        ErrorAnswer::new(
            "the caller's role, or the kind of the credentials, does not allow it, or the password has to be changed \
             first",
            Problem::forbidden("a viewer may read this conversation but not change it"),
        ),
        ErrorAnswer::new(
            "the object, or the user that the request acts for, does not exist or belongs to another user",
            Problem::not_found(),
        ),
        ErrorAnswer::new("path and query are too long", Problem::new(ProblemKind::UriTooLong, uri_too_long)),
        ErrorAnswer::new("a field, a parameter or a header breaks a rule", invalid),
        ErrorAnswer::new(
            "there were too many recent requests",
            Problem::rate_limited(Duration::from_secs(7)),
        ),
        ErrorAnswer::new(
            "the headers are too large",
            Problem::new(ProblemKind::HeadersTooLarge, headers_too_large),
        ),
        ErrorAnswer::new("a defect or a damaged database", Problem::internal("")),
        ErrorAnswer::new(
            "the database is not available or damaged, or the server is overloaded",
            Problem::unavailable(""),
        ),
    ]
}

fn of_bodies() -> Vec<ErrorAnswer> {
    let media_type = "the body must be of the type application/json";
    let large = "the body must have at most 1048576 bytes";
    vec![
        ErrorAnswer::new("the body is not JSON", Problem::malformed("the body is not JSON that can be read")),
        ErrorAnswer::new("the body is too large", Problem::new(ProblemKind::TooLarge, large)),
        ErrorAnswer::new(
            "the body is not JSON by its type",
            Problem::new(ProblemKind::UnsupportedMediaType, media_type),
        ),
    ]
}

fn of_writes() -> Vec<ErrorAnswer> {
    let detail = "the database accepts no writes now; nothing was changed";
    vec![ErrorAnswer::new("the database's disk is full", Problem::new(ProblemKind::StorageFull, detail))]
}

fn of_credentials() -> Vec<ErrorAnswer> {
    let detail = "name and password, or the token, are not those of a user";
    vec![ErrorAnswer::new(
        "the caller is not authenticated, or password or token are wrong",
        Problem::new(ProblemKind::InvalidCredentials, detail),
    )]
}

fn of_taken() -> Vec<ErrorAnswer> {
    let detail = "a conversation with this thread_id exists already";
    vec![ErrorAnswer::new(
        "thread_id is taken, or what the first request with this idempotency key created is gone",
        Problem::new(ProblemKind::AlreadyExists, detail),
    )]
}

fn of_conflicts() -> Vec<ErrorAnswer> {
    let detail = "what the first request with this idempotency key created no longer exists";
    vec![ErrorAnswer::new(
        "a unique value is taken, the request contradicts the current state, or a concurrent duplicate is still running",
        Problem::new(ProblemKind::Conflict, detail),
    )]
}

fn of_conditions() -> Vec<ErrorAnswer> {
    let detail = "it was changed since the revision that the request names";
    vec![ErrorAnswer::new(
        "the conversation or document is not at the revision of `If-Match`",
        Problem::new(ProblemKind::PreconditionFailed, detail),
    )]
}

fn response(answer: &ErrorAnswer) -> Response {
    let example = answer.problem.document("0195f1d4-5d20-7c3a-9b1e-2f6d8a4c0e11");
    let example = example.serialize(serde_json::value::Serializer).ok();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).example(example);
    let mut response =
        ResponseBuilder::new().description(answer.about).content("application/problem+json", content.build());
    if let Some((name, value)) = answer.problem.header() {
        let schema = ObjectBuilder::new().schema_type(Type::String);
        let header = HeaderBuilder::new().schema(Some(schema)).description(value.to_str().ok());
        response = response.header(name.as_str(), header.build());
    }
    response.build()
}
