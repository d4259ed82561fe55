//! Pages of messages on PostgreSQL, which sends every row of an answer: the statements leave out what no page holds.

use constcat::concat;

use crate::db::Row;
use crate::repo::messages::row::WITHIN;

/// A page of this many bytes in each of its rows is full. `jsonb` is measured as it is stored, compressed.
const SMALL: &str = "octet_length(content) + coalesce(octet_length(parts), 0) <= 10240 \
    and pg_column_size(used_documents) <= 2048 and pg_column_size(metadata) <= 2048";

/// The content stands for the whole row, the others for themselves: what a row is judged by is added up once.
const LARGE_COLUMNS: &[(&str, &str)] = &[
    ("content", concat!("case when ", SMALL, " then content end as content")),
    ("parts", "case when octet_length(parts) <= 10240 then parts end as parts"),
    (
        "used_documents",
        "case when pg_column_size(used_documents) <= 2048 then used_documents end as used_documents",
    ),
    ("metadata", "case when pg_column_size(metadata) <= 2048 then metadata end as metadata"),
];

/// [`WITHIN`], null instead of the content of a large row.
pub(super) const SMALL_COLUMNS: &str = WITHIN.names_or(LARGE_COLUMNS).as_str();

/// Whether the content of a row that has so many columns before [`SMALL_COLUMNS`] was left out because the row is large.
pub(super) fn is_left_out(row: &Row<'_>, columns_before: usize) -> bool {
    const CONTENT: usize = WITHIN.position("content");
    row.is_null(columns_before + CONTENT)
}

/// About the bytes of a row, told without reading its large values: text as it is, `jsonb` as twice of what is stored.
pub(super) const SIZE: &str = "octet_length(content) + coalesce(octet_length(parts), 0) \
    + 2 * (pg_column_size(used_documents) + pg_column_size(metadata))";

/// These columns of the rows of a query, in the given order, while those before them have fewer than `$bytes` bytes; with
/// the number of rows that the query found.
macro_rules! bounded_rows {
    ($columns:expr, $rows:expr, $order:expr, $bytes:literal) => {
        constcat::concat!(
            "select ",
            $columns,
            ", found from (select ",
            $columns,
            ", count(*) over () as found, sum(",
            $crate::repo::messages::bounds::SIZE,
            ") over (order by ",
            $order,
            " rows between unbounded preceding and 1 preceding) as bytes_before from (",
            $rows,
            ") as every) as page where coalesce(bytes_before, 0) < ",
            $bytes,
            " order by ",
            $order
        )
    };
}

pub(super) use bounded_rows;
