//! One event: kept for an application, and read.

pub(crate) mod list;

use axum::response::Response;
use chatstore::fields::{LOG_CONVERSATION_ID, LOG_DATA, LOG_EVENT, LOG_LEVEL, LOG_REQUEST_ID};
use chatstore::{CanonicalJson, LogLevel, NewLogEvent};

use crate::body::ValidBody;
use crate::caller::Caller;
use crate::error::Problem;
use crate::openapi::{BodyProblems, ReadProblems};
use crate::path::{BasePath, LogEventPath, Path};
use crate::query::{NoParameters, Query};
use crate::request::ReadFields;
use crate::routes::responses::{LogEventResponse, created};
use crate::schema::request_object;

request_object! {
    /// An event of the application's own that is about the caller.
    CreateLogEvent: NewLogEvent = read_create_log_event, {
        "event": "chat.opened", "data": {"client": "web"}
    }
}

fn read_create_log_event(fields: &mut impl ReadFields) -> NewLogEvent {
    NewLogEvent {
        level: fields.given_or(&LOG_LEVEL, LogLevel::Info),
        event: fields.required(&LOG_EVENT),
        conversation_id: fields.optional(&LOG_CONVERSATION_ID),
        request_id: fields.optional(&LOG_REQUEST_ID),
        data: fields.given(&LOG_DATA).unwrap_or_else(CanonicalJson::object),
    }
}

/// Keep an event
///
/// It is stored when it is answered. A service that acts for `anonymous` keeps one that is about no user, which only
/// administrators read. Events cannot be changed; they are deleted when they are older than the server keeps them.
#[utoipa::path(
    post,
    path = "/logs",
    operation_id = "create_log_event",
    tag = "logs",
    request_body = CreateLogEvent,
    responses(
        (
            status = 201,
            description = "The event",
            body = LogEventResponse,
            headers(("Location" = String, description = "The event")),
            links(
                ("get_log_event" = (operation_id = "get_log_event", parameters(("id" = "$response.body#/id")))),
            ),
        ),
        BodyProblems,
    )
)]
pub(crate) async fn create(
    caller: Caller,
    base_path: BasePath,
    _query: Query<NoParameters>,
    ValidBody(new): ValidBody<CreateLogEvent>,
) -> Result<Response, Problem> {
    let event = caller.store().logs().append(new).await?;
    let place = base_path.path(&format!("/logs/{}", event.id));
    Ok(created(place, LogEventResponse::from(event)))
}

/// Get an event
#[utoipa::path(
    get,
    path = "/logs/{id}",
    operation_id = "get_log_event",
    tag = "logs",
    params(LogEventPath),
    responses((status = 200, description = "The event", body = LogEventResponse), ReadProblems)
)]
pub(crate) async fn get(
    caller: Caller,
    Path(path): Path<LogEventPath>,
    _query: Query<NoParameters>,
) -> Result<LogEventResponse, Problem> {
    Ok(caller.store().logs().get(path.event.id()?).await?.into())
}
