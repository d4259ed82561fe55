//! Pages of documents on PostgreSQL, which sends every row of an answer: a window adds up the sizes of the rows, so
//! that those behind the end of a page are left out.

use chatstore_model::PAGE_BYTES;

use crate::db::Value;

/// About the bytes of a row, told without reading its large values: twice of what is stored, which is compressed.
pub(super) const SIZE: &str = "2 * (pg_column_size(content) + pg_column_size(metadata))";

/// The rows of a query with the columns of documents, in the given order, while those before them have fewer bytes than
/// the last parameter; with the number of rows that the query found.
macro_rules! bounded_rows {
    ($rows:expr, $order:expr, $bytes:literal) => {
        constcat::concat!(
            "select ",
            $crate::repo::documents::COLUMNS,
            ", found from (select ",
            $crate::repo::documents::COLUMNS,
            ", count(*) over () as found, sum(",
            $crate::repo::documents::bounds::SIZE,
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

/// The last parameter of those statements.
pub(super) fn page_bytes() -> Value<'static> {
    Value::Int(i64::try_from(PAGE_BYTES).unwrap_or(i64::MAX))
}
