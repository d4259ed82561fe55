//! Pages of messages on PostgreSQL, which sends every row of an answer: the statements leave out what no page holds.

use constcat::concat;

use crate::db::Row;
use crate::schema::MESSAGES;

/// A page of this many bytes in each of its rows is full. `jsonb` is measured as it is stored, compressed.
const SMALL: &str = "octet_length(content) + coalesce(octet_length(parts), 0) <= 10240 \
    and pg_column_size(used_documents) <= 2048 and pg_column_size(metadata) <= 2048";

const LARGE_COLUMNS: &[(&str, &str)] = &[
    ("content", concat!("case when ", SMALL, " then content end as content")),
    ("parts", concat!("case when ", SMALL, " then parts end as parts")),
    (
        "used_documents",
        "case when pg_column_size(used_documents) <= 2048 then used_documents end as used_documents",
    ),
    ("metadata", "case when pg_column_size(metadata) <= 2048 then metadata end as metadata"),
];

/// The columns of a message, null instead of the large ones of a large row.
pub(super) const SMALL_COLUMNS: &str = MESSAGES.all_columns().names_or(LARGE_COLUMNS).as_str();

/// Whether the content of a row was left out because the row is large.
pub(super) fn is_left_out(row: &Row<'_>) -> bool {
    const CONTENT: usize = MESSAGES.all_columns().position("content");
    row.is_null(CONTENT)
}

/// About the bytes of a row, told without reading its large values: text as it is, `jsonb` as twice of what is stored.
pub(super) const SIZE: &str = "octet_length(content) + coalesce(octet_length(parts), 0) \
    + 2 * (pg_column_size(used_documents) + pg_column_size(metadata))";

/// The rows of a query with the columns of messages, `default_model` and `revision`, in the given order, while those before them
/// have fewer than `$bytes` bytes; with the number of rows that the query found.
macro_rules! bounded_rows {
    ($rows:expr, $order:expr, $bytes:literal) => {
        constcat::concat!(
            "select ",
            $crate::repo::messages::row::COLUMNS,
            ", default_model, revision, found from (select ",
            $crate::repo::messages::row::COLUMNS,
            ", default_model, revision, count(*) over () as found, sum(",
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
