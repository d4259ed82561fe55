//! The usage of models and its cost.

use axum::Json;
use axum::extract::State;
use chatstore::{Day, FieldCode, Keyword, UsageDimension, UsageGroup, UsageGrouping, UsageRow, UserId};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::caller::CallerOrService;
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::query::{FromParameters, Parameters, Query};
use crate::schema::Word;
use crate::state::AppState;

/// Days that are covered by default.
const DAYS: i64 = 30;

/// What usage to add up, and how.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// The first day, in UTC; 29 days before `to` when left out.
    #[param(value_type = Option<String>, format = Date, example = "2026-03-01")]
    from: Option<Day>,
    /// The last day, in UTC, included; today when left out.
    #[param(value_type = Option<String>, format = Date, example = "2026-03-30")]
    to: Option<Day>,
    /// `day`, `model` and, for administrators and services, `user`, separated by commas; `day,model` when left out.
    #[param(value_type = Option<String>, pattern = "^(day|model|user)(,(day|model|user)){0,2}$", example = "day,model")]
    group_by: UsageGrouping,
    /// For administrators and service keys that act for no user: of this user only. UUID or short id.
    #[param(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// For administrators and service keys that act for no user: of all users.
    #[param(value_type = Option<ScopeWord>, inline)]
    scope: Option<Scope>,
}

/// Whose usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
}

impl Keyword for Scope {
    const NAME: &'static str = "UsageScope";
    const ABOUT: &'static str = "Whose usage.";
    const ALL: &'static [Self] = &[Self::All];

    fn as_str(self) -> &'static str {
        "all"
    }
}

type ScopeWord = Word<Scope>;

impl FromParameters for ListQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let query = Self {
            from: day(parameters, "from"),
            to: day(parameters, "to"),
            group_by: grouping(parameters),
            user_id: parameters.value("user_id", FieldCode::InvalidFormat, "must be a UUID or a short id"),
            scope: parameters.word("scope"),
        };
        if query.user_id.is_some() && query.scope.is_some() {
            parameters.wrong("scope", FieldCode::NotAllowed, "must not be given together with user_id");
        }
        if query.from.zip(query.to).is_some_and(|(from, to)| from > to) {
            parameters.wrong("from", FieldCode::OutOfRange, "must not be after to");
        }
        query
    }
}

fn day(parameters: &mut Parameters, name: &str) -> Option<Day> {
    parameters.value(name, FieldCode::InvalidFormat, "must be a day like 2026-03-01")
}

fn grouping(parameters: &mut Parameters) -> UsageGrouping {
    let text = parameters.text("group_by").unwrap_or_else(|| "day,model".to_owned());
    let mut grouping = UsageGrouping::default();
    for word in text.split(',') {
        let Some(dimension) = UsageDimension::parse(word) else {
            let message = format!("must be some of {}, separated by commas", UsageDimension::words());
            parameters.wrong("group_by", FieldCode::NotAllowed, message);
            break;
        };
        if std::mem::replace(grouping.by(dimension), true) {
            parameters.wrong("group_by", FieldCode::NotAllowed, "must not name one twice");
            break;
        }
    }
    grouping
}

/// Sums of usage, with only the fields they are grouped by.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageRow)]
pub(crate) struct UsageRowResponse {
    /// The day, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date")]
    day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    model: Option<String>,
    /// Who is billed: the owner of the conversations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>, format = "uuid")]
    user_id: Option<UserId>,
    #[serde(flatten)]
    sums: UsageSums,
}

/// Sums of usage.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageSums {
    requests: i64,
    /// Those among them that a cache answered.
    cached_requests: i64,
    tokens_prompt: i64,
    tokens_completion: i64,
    tokens_total: i64,
    completion_time_ms_sum: i64,
    /// In millionths of the currency that the prices are in; 0 while there are no prices.
    cost_micros: i64,
}

impl From<&UsageGroup> for UsageSums {
    fn from(group: &UsageGroup) -> Self {
        Self {
            requests: group.requests,
            cached_requests: group.cached_requests,
            tokens_prompt: group.tokens_prompt,
            tokens_completion: group.tokens_completion,
            tokens_total: group.tokens_total,
            completion_time_ms_sum: group.completion_time_ms_sum,
            cost_micros: group.cost_micros,
        }
    }
}

impl From<UsageGroup> for UsageRowResponse {
    fn from(group: UsageGroup) -> Self {
        let sums = UsageSums::from(&group);
        Self { day: group.day.map(|day| day.to_string()), model: group.model, user_id: group.user_id, sums }
    }
}

impl From<UsageRow> for UsageRowResponse {
    fn from(row: UsageRow) -> Self {
        let sums = UsageSums {
            requests: row.requests,
            cached_requests: row.cached_requests,
            tokens_prompt: row.tokens_prompt,
            tokens_completion: row.tokens_completion,
            tokens_total: row.tokens_total,
            completion_time_ms_sum: row.completion_time_ms_sum,
            cost_micros: row.cost_micros,
        };
        Self { day: Some(row.day.to_string()), model: Some(row.model), user_id: None, sums }
    }
}

/// Usage in groups, and in total.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    data: Vec<UsageRowResponse>,
    total: UsageSums,
}

/// Sum usage
///
/// Of the caller's own conversations; an administrator may ask for another user's or for all users', as may a service key
/// that acts for no user.
#[utoipa::path(
    get,
    path = "/usage",
    operation_id = "list_usage",
    tag = "usage",
    params(ListQuery),
    responses((status = 200, description = "By day, then model, then user", body = Usage), ReadProblems)
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: CallerOrService,
    Query(query): Query<ListQuery>,
) -> Result<Json<Usage>, Problem> {
    let whose = whose(&state, &caller, &query).await?;
    let to = query.to.unwrap_or_else(|| query.from.map_or(today(&state), |from| from.max(today(&state))));
    let from = query.from.unwrap_or_else(|| to.plus_days(1 - DAYS));
    let groups = state.store().usage(whose, from, to, query.group_by).await?;
    let total = UsageSums::from(&UsageGroup::sum(&groups));
    Ok(Json(Usage { data: groups.into_iter().map(UsageRowResponse::from).collect(), total }))
}

/// Whose usage is asked for, which the caller may see; `None` for that of all users.
async fn whose(
    state: &AppState,
    caller: &CallerOrService,
    query: &ListQuery,
) -> Result<Option<UserId>, Problem> {
    match caller {
        CallerOrService::Caller(caller) => {
            let is_for_admins = query.user_id.is_some() || query.scope.is_some() || query.group_by.by_user;
            if is_for_admins && !caller.is_admin() {
                return Err(Problem::forbidden("only an administrator may see what others used"));
            }
            let own = query.user_id.unwrap_or_else(|| caller.user());
            Ok(query.scope.is_none().then_some(own))
        }
        CallerOrService::Service(service) => match (query.user_id, query.scope) {
            (_, Some(Scope::All)) => service.over_all_users().map(|()| None),
            (Some(user), None) => {
                if service.is_for_some_users() {
                    service.sees(&state.store().users().get(user).await?)?;
                }
                Ok(Some(user))
            }
            (None, None) => Err(CallerOrService::nobody_named()),
        },
    }
}

fn today(state: &AppState) -> Day {
    Day::of(state.store().now())
}
