//! Events: those that are about the caller, and all of them for administrators.

use axum::extract::State;
use chatstore::fields::LOG_EVENT;
use chatstore::{FieldCode, LogFilter, LogLevel, LogList, LogOwner, Order, Timestamp, UserId};
use utoipa::IntoParams;

use crate::caller::{Admin, Caller};
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::query::{FromParameters, PageQuery, Parameters, Query};
use crate::routes::responses::{ListResponse, LogEventResponse};
use crate::schema::{LogLevelWord, OrderWord};
use crate::state::AppState;

/// Which events, in which order, and from where.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[param(ignore)]
    page: PageQuery,
    /// Only events of this level.
    #[param(value_type = Option<LogLevelWord>, inline)]
    level: Option<LogLevel>,
    /// Only events of exactly this name.
    #[param(value_type = Option<String>, max_length = 100, example = "security.login_failed")]
    event: Option<String>,
    /// Only events of this time or later.
    #[param(value_type = Option<String>, format = "date-time")]
    from: Option<Timestamp>,
    /// Only events before this time.
    #[param(value_type = Option<String>, format = "date-time")]
    to: Option<Timestamp>,
    /// `desc`, the default, for the newest first, or `asc`.
    #[param(value_type = Option<OrderWord>, inline)]
    order: Order,
}

impl FromParameters for ListQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self {
            page: PageQuery::from_parameters(parameters),
            level: parameters.word("level"),
            event: parameters.text_of(&LOG_EVENT),
            from: parameters.time("from"),
            to: parameters.time("to"),
            order: parameters.word("order").unwrap_or(Order::Descending),
        }
    }
}

/// What a cursor of a list is bound to, and the list.
fn list_of(query: ListQuery, whose: &str) -> Result<(String, LogList), Problem> {
    let ListQuery { page, level, event, from, to, order } = query;
    let filter = LogFilter { level, event, from, to };
    let scope = format!("events {whose} {filter:?} {}", order.as_str());
    let list = LogList { filter, order, from: page.position(&scope)?, limit: page.limit };
    Ok((scope, list))
}

/// List events that are about the caller
///
/// By time. Those that the server keeps become visible some milliseconds after they happen.
#[utoipa::path(
    get,
    path = "/logs",
    operation_id = "list_log_events",
    tag = "logs",
    params(PageQuery, ListQuery),
    responses(
        (status = 200, description = "A page of events", body = ListResponse<LogEventResponse>),
        ReadProblems,
    )
)]
pub(crate) async fn list(
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<ListResponse<LogEventResponse>, Problem> {
    let (scope, list) = list_of(query, &format!("of {}", caller.user()))?;
    let found = caller.store().logs().page(list).await?;
    Ok(ListResponse::new(found, &scope, LogEventResponse::from))
}

/// Whose events, for administrators.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AnyListQuery {
    #[param(ignore)]
    list: ListQuery,
    /// Only events that are about this user, by UUID or short id; the nil UUID for those about no user.
    #[param(value_type = Option<String>)]
    user_id: Option<UserId>,
}

impl FromParameters for AnyListQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self {
            list: ListQuery::from_parameters(parameters),
            user_id: parameters.value("user_id", FieldCode::InvalidFormat, "must be a UUID or a short id"),
        }
    }
}

/// List all events
///
/// By time. For administrators; a service key may not read what happens to them.
#[utoipa::path(
    get,
    path = "/admin/logs",
    operation_id = "list_all_log_events",
    tag = "logs",
    params(PageQuery, ListQuery, AnyListQuery),
    responses(
        (status = 200, description = "A page of events", body = ListResponse<LogEventResponse>),
        ReadProblems,
    )
)]
pub(crate) async fn list_all(
    State(state): State<AppState>,
    admin: Admin,
    Query(query): Query<AnyListQuery>,
) -> Result<ListResponse<LogEventResponse>, Problem> {
    admin.above_services()?;
    let AnyListQuery { list, user_id } = query;
    let (scope, list) = list_of(list, &format!("of {user_id:?} for {}", admin.holder()))?;
    let whose = user_id.map_or(LogOwner::Everyone, LogOwner::User);
    let found = state.store().event_log().page(whose, list).await?;
    Ok(ListResponse::new(found, &scope, LogEventResponse::from))
}
