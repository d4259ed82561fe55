//! Conversations: listed, page by page or all of them, and counted.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chatstore::fields::{THREAD_PREFIX, TITLE_PART};
use chatstore::{
    ArchivedFilter, ConversationFilter, ConversationId, ConversationList, ConversationSort, FieldCode,
    JsonFilter, Keyword, Limit, Membership, Order, Owners, Timestamp,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::accept::{ListForm, OfPages};
use crate::caller::{Caller, CallerOrService};
use crate::error::Problem;
use crate::openapi::{DeleteProblems, ReadProblems};
use crate::query::{FromParameters, PageQuery, Parameters, Query};
use crate::routes::conversations::lines::{self, Source};
use crate::routes::responses::{ConversationResponse, Count, ListResponse};
use crate::schema::{ConversationSortWord, OrderWord, Word};
use crate::state::AppState;

/// Which conversations.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterQuery {
    /// `owned` for the caller's own, `shared` for those of others that they are a member of; both when left out.
    #[param(value_type = Option<MembershipWord>, inline)]
    membership: Option<Membership>,
    /// `false`, the default, leaves archived conversations out, `true` leaves the others out, `all` takes both.
    #[param(value_type = Option<ArchivedWord>, inline)]
    archived: ArchivedFilter,
    /// Only the caller's own conversations whose `thread_id` begins with this, by `thread_id`. Excludes `membership` but
    /// `owned`, `sort`, `order` and `offset`.
    #[param(value_type = Option<String>, min_length = 1, max_length = 255, example = "claude|project-1|")]
    thread_prefix: Option<String>,
    /// Only conversations whose metadata contains this JSON, as `@>` of PostgreSQL defines it: an object contains each entry
    /// of the other, a list each element, in any order; other values are equal, numbers by their value. A maximum of 256
    /// values. Excludes `offset`.
    #[param(value_type = Option<String>, example = json!("{\"channel\":\"web\"}"))]
    metadata_contains: Option<JsonFilter>,
    /// Only conversations whose title contains this, where the ASCII letters are the same in both cases. Excludes `offset`.
    #[param(value_type = Option<String>, min_length = 1, max_length = 512)]
    q: Option<String>,
    /// Only conversations that changed at this time or later. Excludes `offset`.
    #[param(value_type = Option<String>, format = "date-time")]
    updated_since: Option<Timestamp>,
    /// Those with these ids (UUIDs or short ids), a maximum of 200, with commas between them; ids of no conversation of the
    /// caller are passed over. Excludes `offset`, `thread_prefix` and `owner`.
    #[param(value_type = Option<String>)]
    ids: Option<Vec<ConversationId>>,
    /// `any` for the conversations of all users, by owner and id: for administrators and for service keys that act for no
    /// user, which see none of administrators. Excludes `membership`, `sort`, `order` and `offset`.
    #[param(value_type = Option<OwnerWord>, inline)]
    owner: Option<Owner>,
}

type MembershipWord = Word<Membership>;
type ArchivedWord = Word<ArchivedFilter>;
type OwnerWord = Word<Owner>;

/// Whose conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Any,
}

impl Keyword for Owner {
    const NAME: &'static str = "ConversationOwner";
    const ABOUT: &'static str = "Whose conversations.";
    const ALL: &'static [Self] = &[Self::Any];

    fn as_str(self) -> &'static str {
        "any"
    }
}

impl FromParameters for FilterQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let query = Self {
            membership: parameters.word("membership"),
            archived: parameters.word("archived").unwrap_or_default(),
            thread_prefix: parameters.text_of(&THREAD_PREFIX),
            metadata_contains: parameters.json_filter("metadata_contains"),
            q: parameters.text_of(&TITLE_PART),
            updated_since: parameters.time("updated_since"),
            ids: parameters.ids("ids"),
            owner: parameters.word("owner"),
        };
        if query.owner.is_some() {
            let excluded = [("membership", query.membership.is_some()), ("ids", query.ids.is_some())];
            parameters.refuse_beside("owner", excluded);
        } else if query.thread_prefix.is_some() {
            let is_of_others = query.membership.is_some_and(|membership| membership != Membership::Owned);
            let excluded = [("membership", is_of_others), ("ids", query.ids.is_some())];
            parameters.refuse_beside("thread_prefix", excluded);
        }
        query
    }
}

/// The conversations that a request is about.
enum Listed<'c> {
    Own(&'c Caller),
    Threads(&'c Caller, String),
    All(Owners, Option<String>),
}

impl FilterQuery {
    /// Whether the order is that of the list itself.
    const fn has_own_order(&self) -> bool {
        self.thread_prefix.is_some() || self.owner.is_some()
    }

    /// What a cursor of the list is bound to, the list, and what it takes.
    fn listed(self, caller: &CallerOrService) -> Result<(String, Listed<'_>, ConversationFilter), Problem> {
        let Self { membership, archived, thread_prefix, metadata_contains, q, updated_since, ids, owner } =
            self;
        let filter = ConversationFilter {
            membership: membership.unwrap_or_default(),
            archived,
            ids,
            metadata_contains,
            title_contains: q,
            updated_since,
        };
        let (user, listed) = match (owner, caller, thread_prefix) {
            (None, CallerOrService::Service(_), _) => return Err(CallerOrService::nobody_named()),
            (None, CallerOrService::Caller(caller), None) => (caller.user(), Listed::Own(caller)),
            (None, CallerOrService::Caller(caller), Some(prefix)) => {
                (caller.user(), Listed::Threads(caller, prefix))
            }
            (Some(Owner::Any), CallerOrService::Service(service), prefix) => {
                service.over_all_users()?;
                (service.holder(), Listed::All(Owners::ButAdmins, prefix))
            }
            (Some(Owner::Any), CallerOrService::Caller(caller), prefix) => {
                if !caller.is_admin() {
                    let detail = "the conversations of all users are for administrators, and for service keys that \
                                  act for no user";
                    return Err(Problem::forbidden(detail));
                }
                (caller.user(), Listed::All(Owners::All, prefix))
            }
        };
        let kind = match &listed {
            Listed::Own(_) => "conversations".to_owned(),
            Listed::Threads(_, prefix) => format!("threads {prefix:?}"),
            Listed::All(owners, prefix) => format!("conversations of {owners:?} {prefix:?}"),
        };
        Ok((format!("{kind} of {user} {filter:?}"), listed, filter))
    }
}

/// In which order, and from where.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[param(ignore)]
    page: PageQuery,
    #[param(ignore)]
    filter: FilterQuery,
    /// How many to pass over; not together with `cursor`.
    #[param(value_type = Option<u32>, maximum = 2147483647, default = 0)]
    offset: u32,
    /// `desc`, the default, for the newest first, or `asc`.
    #[param(value_type = Option<OrderWord>, inline)]
    order: Order,
    /// `updated_at` when left out. A conversation written to while a client pages through `updated_at` moves to the
    /// front and may be missed.
    #[param(value_type = Option<ConversationSortWord>, inline)]
    sort: ConversationSort,
    #[param(ignore)]
    of_pages: OfPages,
}

impl FromParameters for ListQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let has_limit = parameters.has("limit");
        let offset = parameters.number("offset", 0, i64::from(i32::MAX));
        let page = PageQuery::from_parameters(parameters);
        if page.cursor.is_some() && offset.is_some() {
            parameters.wrong("offset", FieldCode::NotAllowed, "must not be given together with cursor");
        }
        let (order, sort) = (parameters.word("order"), parameters.word("sort"));
        let filter = FilterQuery::from_parameters(parameters);
        if filter.has_own_order() {
            let name = if filter.owner.is_some() { "owner" } else { "thread_prefix" };
            let excluded =
                [("order", order.is_some()), ("sort", sort.is_some()), ("offset", offset.is_some())];
            parameters.refuse_beside(name, excluded);
        } else if let Some(name) = filter.comparing() {
            parameters.refuse_beside(name, [("offset", offset.is_some())]);
        }
        let of_pages = OfPages::of([("limit", has_limit), ("cursor", page.cursor.is_some())]);
        Self {
            page,
            of_pages,
            offset: offset.and_then(|offset| u32::try_from(offset).ok()).unwrap_or(0),
            order: order.unwrap_or(Order::Descending),
            filter,
            sort: sort.unwrap_or_default(),
        }
    }
}

impl FilterQuery {
    /// The parameter for which conversations are compared one by one.
    const fn comparing(&self) -> Option<&'static str> {
        match self {
            Self { ids: Some(_), .. } => Some("ids"),
            Self { metadata_contains: Some(_), .. } => Some("metadata_contains"),
            Self { q: Some(_), .. } => Some("q"),
            Self { updated_since: Some(_), .. } => Some("updated_since"),
            _ => None,
        }
    }
}

/// List conversations
///
/// With `metadata_contains`, `q`, `updated_since` or `owner` conversations are compared one after the other, until the page
/// is full. With `Accept: application/x-ndjson` all conversations of the list, a JSON object a line, without a limit: `limit`
/// and `cursor` are refused. The last line is `{"end": {"count"}}`; an answer without it was cut off.
#[utoipa::path(
    get,
    path = "/conversations",
    operation_id = "list_conversations",
    tag = "conversations",
    params(PageQuery, FilterQuery, ListQuery),
    responses(
        (
            status = 200,
            description = "A page of conversations, or all of them as lines",
            body = ListResponse<ConversationResponse>,
        ),
        ReadProblems,
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: CallerOrService,
    Query(query): Query<ListQuery>,
    form: ListForm,
) -> Result<Response, Problem> {
    query.of_pages.check(form)?;
    let ListQuery { page: PageQuery { limit, .. }, offset, order, sort, .. } = query;
    let (scope, listed, filter) = query.filter.listed(&caller)?;
    if form == ListForm::Lines {
        let source = match listed {
            Listed::Own(caller) => {
                let list = ConversationList { filter, sort, order, from: None, offset, limit: Limit::MAX };
                Source::Reachable { user: caller.user(), list }
            }
            Listed::Threads(caller, prefix) => {
                Source::Threads { user: caller.user(), prefix, filter, from: None }
            }
            Listed::All(owners, prefix) => Source::All { owners, prefix, filter, from: None },
        };
        return lines::all(state.store().clone(), source).await;
    }
    let of_role = |(conversation, role)| ConversationResponse::new(conversation, role);
    let page = match listed {
        Listed::Own(caller) => {
            let scope = format!("{scope} {sort:?} {}", order.as_str());
            let from = query.page.position(&scope)?;
            let list = ConversationList { filter, sort, order, from, offset, limit };
            let page = caller.store().conversations().page(list).await?;
            ListResponse::new(page, &scope, of_role)
        }
        Listed::Threads(caller, prefix) => {
            let from = query.page.position(&scope)?;
            let page = caller.store().conversations().page_of_threads(&prefix, filter, from, limit).await?;
            ListResponse::new(page, &scope, of_role)
        }
        Listed::All(owners, prefix) => {
            let from = query.page.position(&scope)?;
            let all = state.store().all_conversations();
            let page = all.page(owners, prefix.as_deref(), filter, from, limit).await?;
            ListResponse::new(page, &scope, ConversationResponse::of_any)
        }
    };
    Ok(page.into_response())
}

/// Count conversations
#[utoipa::path(
    get,
    path = "/conversations/count",
    operation_id = "count_conversations",
    tag = "conversations",
    params(FilterQuery),
    responses((status = 200, description = "The number of conversations", body = Count), ReadProblems)
)]
pub(crate) async fn count(
    State(state): State<AppState>,
    caller: CallerOrService,
    Query(query): Query<FilterQuery>,
) -> Result<Json<Count>, Problem> {
    let (_, listed, filter) = query.listed(&caller)?;
    let count = match listed {
        Listed::Own(caller) => caller.store().conversations().count(filter).await?,
        Listed::Threads(caller, prefix) => {
            caller.store().conversations().count_of_threads(&prefix, filter).await?
        }
        Listed::All(owners, prefix) => {
            state.store().all_conversations().count(owners, prefix.as_deref(), filter).await?
        }
    };
    Ok(Json(Count::new(count)))
}

/// Which conversations are deleted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// The caller's own conversations whose `thread_id` begins with this.
    #[param(value_type = String, required, min_length = 1, max_length = 255, example = "claude|project-1|")]
    thread_prefix: String,
}

impl FromParameters for DeleteQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        if !parameters.has(THREAD_PREFIX.name) {
            parameters.wrong(THREAD_PREFIX.name, FieldCode::Required, "must be given");
        }
        Self { thread_prefix: parameters.text_of(&THREAD_PREFIX).unwrap_or_default() }
    }
}

/// How many conversations were deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedConversations {
    deleted: u64,
}

/// Delete the conversations whose thread ids begin alike
///
/// Archived ones too. Their usage stays. A maximum of 20 conversations is deleted in one transaction, more of them by
/// `thread_id` in several. When such a request fails, it goes on when it is sent again.
#[utoipa::path(
    delete,
    path = "/conversations",
    operation_id = "delete_conversations",
    tag = "conversations",
    params(DeleteQuery),
    responses(
        (status = 200, description = "The number of conversations that were deleted", body = DeletedConversations),
        DeleteProblems,
    )
)]
pub(crate) async fn delete(
    caller: Caller,
    Query(query): Query<DeleteQuery>,
) -> Result<Json<DeletedConversations>, Problem> {
    let deleted = caller.store().conversations().delete_threads(&query.thread_prefix).await?;
    Ok(Json(DeletedConversations { deleted }))
}
