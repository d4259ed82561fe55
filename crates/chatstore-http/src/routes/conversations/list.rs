//! Conversations: listed and counted.

use axum::Json;
use chatstore::{
    ArchivedFilter, ConversationFilter, ConversationList, ConversationSort, FieldCode, Membership, Order,
};
use utoipa::IntoParams;

use crate::caller::Caller;
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::query::{FromParameters, PageQuery, Parameters, Query};
use crate::routes::responses::{ConversationResponse, Count, ListResponse};
use crate::schema::{ConversationSortWord, OrderWord, Word};

/// Which conversations.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterQuery {
    /// `owned` for the caller's own, `shared` for those of others that they are a member of; both when left out.
    #[param(value_type = Option<MembershipWord>, inline)]
    membership: Membership,
    /// `false`, the default, leaves archived conversations out, `true` leaves the others out, `all` takes both.
    #[param(value_type = Option<ArchivedWord>, inline)]
    archived: ArchivedFilter,
}

type MembershipWord = Word<Membership>;
type ArchivedWord = Word<ArchivedFilter>;

impl FromParameters for FilterQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self {
            membership: parameters.word("membership").unwrap_or_default(),
            archived: parameters.word("archived").unwrap_or_default(),
        }
    }
}

impl From<FilterQuery> for ConversationFilter {
    fn from(FilterQuery { membership, archived }: FilterQuery) -> Self {
        Self { membership, archived }
    }
}

/// In which order, and from where.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[param(ignore)]
    page: PageQuery,
    #[param(ignore)]
    filter: ConversationFilter,
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
}

impl FromParameters for ListQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        let offset = parameters.number("offset", 0, i64::from(i32::MAX));
        let page = PageQuery::from_parameters(parameters);
        if page.cursor.is_some() && offset.is_some() {
            parameters.wrong("offset", FieldCode::NotAllowed, "must not be given together with cursor");
        }
        Self {
            page,
            offset: offset.and_then(|offset| u32::try_from(offset).ok()).unwrap_or(0),
            order: parameters.word("order").unwrap_or(Order::Descending),
            filter: FilterQuery::from_parameters(parameters).into(),
            sort: parameters.word("sort").unwrap_or_default(),
        }
    }
}

impl ListQuery {
    /// What a cursor of this list is bound to.
    fn scope(&self, caller: &Caller) -> String {
        let Self { page: _, filter, offset: _, order, sort } = self;
        let (user, order) = (caller.user(), order.as_str());
        format!("conversations of {user} {filter:?} {sort:?} {order}")
    }
}

/// List conversations
#[utoipa::path(
    get,
    path = "/conversations",
    operation_id = "list_conversations",
    tag = "conversations",
    params(PageQuery, FilterQuery, ListQuery),
    responses(
        (status = 200, description = "A page of conversations", body = ListResponse<ConversationResponse>),
        ReadProblems,
    )
)]
pub(crate) async fn list(
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<ListResponse<ConversationResponse>, Problem> {
    let scope = query.scope(&caller);
    let list = ConversationList {
        filter: query.filter,
        sort: query.sort,
        order: query.order,
        from: query.page.position(&scope)?,
        offset: query.offset,
        limit: query.page.limit,
    };
    let page = caller.store().conversations().page(list).await?;
    let object = |(conversation, role)| ConversationResponse::new(conversation, role);
    Ok(ListResponse::new(page, &scope, object))
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
pub(crate) async fn count(caller: Caller, Query(filter): Query<FilterQuery>) -> Result<Json<Count>, Problem> {
    let count = caller.store().conversations().count(filter.into()).await?;
    Ok(Json(Count::new(count)))
}
