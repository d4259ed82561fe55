//! Documents: listed and counted.

use axum::Json;
use chatstore::fields::DOCUMENT_TITLE;
use chatstore::{DocumentFilter, DocumentList, JsonFilter, Order};
use utoipa::IntoParams;

use crate::caller::Caller;
use crate::error::Problem;
use crate::openapi::ReadProblems;
use crate::query::{FromParameters, PageQuery, Parameters, Query};
use crate::routes::responses::{Count, DocumentResponse, ListResponse};
use crate::schema::OrderWord;

/// Which documents.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterQuery {
    /// Only documents with exactly this title.
    #[param(value_type = Option<String>, max_length = 512)]
    title: Option<String>,
    /// Only documents whose content contains this JSON, as `@>` of PostgreSQL defines it: an object contains each entry of
    /// the other, a list each element, in any order; other values are equal, numbers by their value. A maximum of 256
    /// values.
    #[param(value_type = Option<String>, example = json!("{\"kind\":\"manual\"}"))]
    contains: Option<JsonFilter>,
    /// The same of their metadata.
    #[param(value_type = Option<String>, example = json!("{\"source\":\"upload\"}"))]
    metadata_contains: Option<JsonFilter>,
}

impl FromParameters for FilterQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self {
            title: parameters.text_of(&DOCUMENT_TITLE),
            contains: parameters.json_filter("contains"),
            metadata_contains: parameters.json_filter("metadata_contains"),
        }
    }
}

impl From<FilterQuery> for DocumentFilter {
    fn from(FilterQuery { title, contains, metadata_contains }: FilterQuery) -> Self {
        Self { title, contains, metadata_contains }
    }
}

/// In which order, and from where.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    #[param(ignore)]
    page: PageQuery,
    #[param(ignore)]
    filter: DocumentFilter,
    /// `desc`, the default, for the newest first, or `asc`.
    #[param(value_type = Option<OrderWord>, inline)]
    order: Order,
}

impl FromParameters for ListQuery {
    fn from_parameters(parameters: &mut Parameters) -> Self {
        Self {
            page: PageQuery::from_parameters(parameters),
            filter: FilterQuery::from_parameters(parameters).into(),
            order: parameters.word("order").unwrap_or(Order::Descending),
        }
    }
}

/// List documents
///
/// By creation. On SQLite a filter with JSON compares the caller's documents one after the other.
#[utoipa::path(
    get,
    path = "/documents",
    operation_id = "list_documents",
    tag = "documents",
    params(PageQuery, FilterQuery, ListQuery),
    responses(
        (status = 200, description = "A page of documents", body = ListResponse<DocumentResponse>),
        ReadProblems,
    )
)]
pub(crate) async fn list(
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<ListResponse<DocumentResponse>, Problem> {
    let ListQuery { page, filter, order } = query;
    let scope = format!("documents of {} {filter:?} {}", caller.user(), order.as_str());
    let list = DocumentList { filter, order, from: page.position(&scope)?, limit: page.limit };
    let found = caller.store().documents().page(list).await?;
    Ok(ListResponse::new(found, &scope, DocumentResponse::from))
}

/// Count documents
#[utoipa::path(
    get,
    path = "/documents/count",
    operation_id = "count_documents",
    tag = "documents",
    params(FilterQuery),
    responses((status = 200, description = "The number of documents", body = Count), ReadProblems)
)]
pub(crate) async fn count(caller: Caller, Query(filter): Query<FilterQuery>) -> Result<Json<Count>, Problem> {
    let count = caller.store().documents().count(filter.into()).await?;
    Ok(Json(Count::new(count)))
}
