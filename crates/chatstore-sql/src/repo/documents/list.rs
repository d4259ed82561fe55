//! Lists of a user's documents: all of them, or those that a filter names.
//!
//! PostgreSQL finds what contains a value by an index. SQLite has no such index: the owner's documents are read one
//! after the other and compared here, by the same rules ([`JsonFilter`](chatstore_model::JsonFilter)). It is a read like any
//! other, which goes on on a thread of its own when it takes long and ends when its caller stops waiting.

use std::ops::ControlFlow;

use chatstore_model::{
    Document, DocumentFilter, DocumentId, DocumentPosition, JsonFilter, JsonMatcher, Limit, Order,
    PAGE_BYTES, Page, Timestamp, UserId,
};
use constcat::concat;

use super::bounds::{bounded_rows, page_bytes};
use super::{COLUMNS, Documents, read};
use crate::db::{Row, Sql, Value};
use crate::error::StoreError;
use crate::repo::live::live_user;
use crate::repo::refuse_nul;

/// The lists of one order.
struct Lists {
    every: Sql,
    /// Of those that contain something.
    containing: Sql,
    /// Of those with a title, which may also have to contain something.
    titled: Sql,
}

const ROWS: &str = concat!("select ", COLUMNS, " from documents where owner_id = $1 and ", live_user!("$1"));

/// The texts in which SQLite's callers look for what a filter names; null instead of those that it does not name.
const TEXTS: &str =
    "case when $1 then metadata end, case when $2 then content end from documents where owner_id = $3";

/// `$compared` says on which side of a place the rows are, `$by` how they follow.
macro_rules! lists {
    ($order:literal, $compared:literal, $by:literal) => {
        Lists {
            every: Sql::pair(
                concat!("documents.page_", $order),
                concat!(ROWS, " and (created_at, id) ", $compared, " ($2, $3) order by ", $by, " limit $4"),
                bounded_rows!(
                    concat!(
                        ROWS,
                        " and (created_at, id) ",
                        $compared,
                        " ($2, $3) order by ",
                        $by,
                        " limit $4"
                    ),
                    $by,
                    "$5"
                ),
            ),
            containing: Sql::pair(
                concat!("documents.containing_", $order),
                concat!(
                    "select created_at, id, ",
                    TEXTS,
                    " and (created_at, id) ",
                    $compared,
                    " ($4, $5) and ",
                    live_user!("$3"),
                    " order by ",
                    $by
                ),
                bounded_rows!(
                    concat!(
                        ROWS,
                        " and (created_at, id) ",
                        $compared,
                        " ($2, $3) and ($4::jsonb is null or content @> $4) \
                         and ($5::jsonb is null or metadata @> $5) order by ",
                        $by,
                        " limit $6"
                    ),
                    $by,
                    "$7"
                ),
            )
            .planned_anew(),
            titled: Sql::pair(
                concat!("documents.titled_", $order),
                concat!(
                    "select created_at, id, ",
                    TEXTS,
                    " and title = $4 and (created_at, id) ",
                    $compared,
                    " ($5, $6) and ",
                    live_user!("$3"),
                    " order by ",
                    $by
                ),
                bounded_rows!(
                    concat!(
                        ROWS,
                        " and title = $2 and (created_at, id) ",
                        $compared,
                        " ($3, $4) and ($5::jsonb is null or content @> $5) \
                         and ($6::jsonb is null or metadata @> $6) order by ",
                        $by,
                        " limit $7"
                    ),
                    $by,
                    "$8"
                ),
            )
            .planned_anew(),
        }
    };
}

const DESCENDING: Lists = lists!("descending", "<", "created_at desc, id desc");
const ASCENDING: Lists = lists!("ascending", ">", "created_at, id");

const COUNTED: &str = concat!("select count(*) from documents where owner_id = $1 and ", live_user!("$1"));

const COUNT: Sql = Sql::same("documents.count", COUNTED);
const COUNT_CONTAINING: Sql = Sql::pair(
    "documents.count_containing",
    concat!("select ", TEXTS, " and ", live_user!("$3")),
    concat!(COUNTED, " and ($2::jsonb is null or content @> $2) and ($3::jsonb is null or metadata @> $3)"),
)
.planned_anew();
const COUNT_TITLED: Sql = Sql::pair(
    "documents.count_titled",
    concat!("select ", TEXTS, " and title = $4 and ", live_user!("$3")),
    concat!(
        COUNTED,
        " and title = $2 and ($3::jsonb is null or content @> $3) and ($4::jsonb is null or metadata @> $4)"
    ),
)
.planned_anew();

pub(super) const STATEMENTS: &[Sql] = &[
    DESCENDING.every,
    DESCENDING.containing,
    DESCENDING.titled,
    ASCENDING.every,
    ASCENDING.containing,
    ASCENDING.titled,
    COUNT,
    COUNT_CONTAINING,
    COUNT_TITLED,
];

/// Which documents a list holds, in which order and from where.
#[derive(Debug, Clone)]
pub struct DocumentList {
    /// Which of the owner's.
    pub filter: DocumentFilter,
    /// In which direction, by creation.
    pub order: Order,
    /// Behind which row; `None` for the first page.
    pub from: Option<DocumentPosition>,
    /// The maximum number of rows.
    pub limit: Limit,
}

impl Default for DocumentList {
    /// The newest 50.
    fn default() -> Self {
        Self {
            filter: DocumentFilter::default(),
            order: Order::Descending,
            from: None,
            limit: Limit::default(),
        }
    }
}

/// Compares the texts of a row with a filter.
struct Matching<'f> {
    metadata: Option<JsonMatcher<'f>>,
    content: Option<JsonMatcher<'f>>,
}

impl<'f> Matching<'f> {
    fn of(filter: &'f DocumentFilter) -> Self {
        let matcher = |filter: &'f Option<JsonFilter>| filter.as_ref().map(JsonFilter::matcher);
        Self { metadata: matcher(&filter.metadata_contains), content: matcher(&filter.contains) }
    }

    /// The first values of a statement with [`TEXTS`].
    fn values(&self) -> Vec<Value<'static>> {
        vec![self.metadata.is_some().into(), self.content.is_some().into()]
    }

    /// Whether the next two columns, those of [`TEXTS`], contain what they must.
    fn takes(&self, row: &Row<'_>) -> Result<bool, StoreError> {
        for matcher in [&self.metadata, &self.content] {
            let text: Option<&str> = row.next()?;
            if let (Some(matcher), Some(text)) = (matcher, text)
                && !matcher.is_contained_in(text)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What a filter must contain, as PostgreSQL compares it.
fn contained(filter: &DocumentFilter) -> [Value<'_>; 2] {
    [
        filter.contains.as_ref().map(JsonFilter::value).into(),
        filter.metadata_contains.as_ref().map(JsonFilter::value).into(),
    ]
}

impl<M> Documents<'_, '_, M> {
    /// One page of an owner's documents. Of a filter with JSON, SQLite compares every document of the owner until the
    /// page is full.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a title with NUL; what the database reports.
    pub async fn page(
        &mut self,
        owner: UserId,
        list: &DocumentList,
    ) -> Result<Page<Document, DocumentPosition>, StoreError> {
        let DocumentList { filter, order, from, limit } = list;
        let lists = match order {
            Order::Descending => &DESCENDING,
            Order::Ascending => &ASCENDING,
        };
        let from = from.unwrap_or(DocumentPosition::start(*order));
        if filter.is_empty() {
            let values = [owner.into(), from.at.into(), from.id.into(), limit.with_lookahead().into()];
            return self.page_of(&lists.every, values.to_vec(), *limit).await;
        }
        let title = title_of(filter)?;
        let sql = if title.is_some() { &lists.titled } else { &lists.containing };
        let title = title.map(Value::from);
        if !self.0.executor.sends_every_row() {
            let matching = Matching::of(filter);
            let mut values = matching.values();
            values.push(owner.into());
            values.extend(title);
            values.extend([from.at.into(), from.id.into()]);
            let found = self.positions(sql, &values, &matching, *limit).await?;
            return self.page_at(owner, &found, *limit).await;
        }
        let mut values = vec![owner.into()];
        values.extend(title);
        values.extend([from.at.into(), from.id.into()]);
        values.extend(contained(filter));
        values.push(limit.with_lookahead().into());
        self.page_of(sql, values, *limit).await
    }

    /// How many documents an owner has.
    ///
    /// # Errors
    /// As [`page`](Self::page).
    pub async fn count(&mut self, owner: UserId, filter: &DocumentFilter) -> Result<i64, StoreError> {
        if filter.is_empty() {
            return self.0.executor.query_one(&COUNT, &[owner.into()], |row| row.next()).await;
        }
        let title = title_of(filter)?;
        let sql = if title.is_some() { &COUNT_TITLED } else { &COUNT_CONTAINING };
        let title = title.map(Value::from);
        if self.0.executor.sends_every_row() {
            let mut values = vec![owner.into()];
            values.extend(title);
            values.extend(contained(filter));
            return self.0.executor.query_one(sql, &values, |row| row.next()).await;
        }
        let matching = Matching::of(filter);
        let mut values = matching.values();
        values.push(owner.into());
        values.extend(title);
        let mut count = 0;
        self.0
            .executor
            .query_each(sql, &values, |row| {
                count += i64::from(matching.takes(row)?);
                Ok(())
            })
            .await?;
        Ok(count)
    }

    /// A page of a statement that sends its rows.
    async fn page_of(
        &mut self,
        sql: &Sql,
        mut values: Vec<Value<'_>>,
        limit: Limit,
    ) -> Result<Page<Document, DocumentPosition>, StoreError> {
        let is_bounded = self.0.executor.sends_every_row();
        if is_bounded {
            values.push(page_bytes());
        }
        let mut found: i64 = 0;
        let read = |row: &Row<'_>| {
            let document = read(row)?;
            if is_bounded {
                found = row.next()?;
            }
            Ok(document)
        };
        let mut rows = self.0.executor.query_page(sql, &values, limit, read).await?;
        rows.note_found(found);
        Ok(rows.into_page(position))
    }

    /// Where the documents are that match, one more than a page holds.
    async fn positions(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        matching: &Matching<'_>,
        limit: Limit,
    ) -> Result<Vec<DocumentPosition>, StoreError> {
        let mut found = Vec::new();
        self.0
            .executor
            .query_until(sql, values, |row| {
                let (at, id): (Timestamp, DocumentId) = (row.next()?, row.next()?);
                if matching.takes(row)? {
                    found.push(DocumentPosition { at, id: id.uuid() });
                }
                Ok(if found.len() > limit.rows() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })
            .await?;
        Ok(found)
    }

    /// The page of the documents at these places, of which the last tells that more follow when there are more than
    /// the page may hold.
    async fn page_at(
        &mut self,
        owner: UserId,
        found: &[DocumentPosition],
        limit: Limit,
    ) -> Result<Page<Document, DocumentPosition>, StoreError> {
        let (mut items, mut read, mut bytes) = (Vec::new(), 0, 0);
        for place in found.iter().take(limit.rows()) {
            if bytes >= PAGE_BYTES {
                break;
            }
            read += 1;
            if let Some(document) = self.get(owner, DocumentId::from_uuid(place.id)).await? {
                bytes += document.content.as_str().len() + document.metadata.as_str().len();
                items.push(document);
            }
        }
        let next = if read < found.len() { read.checked_sub(1).map(|last| found[last]) } else { None };
        Ok(Page { items, next })
    }
}

fn position(document: &Document) -> DocumentPosition {
    DocumentPosition { at: document.created_at, id: document.id.uuid() }
}

fn title_of(filter: &DocumentFilter) -> Result<Option<&str>, StoreError> {
    let Some(title) = filter.title.as_deref() else { return Ok(None) };
    refuse_nul("title", title)?;
    Ok(Some(title))
}
