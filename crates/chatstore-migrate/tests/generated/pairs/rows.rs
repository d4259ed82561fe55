//! Rows that meet the constraints of both schemas.

use chatstore_migrate::Dialect;
use chatstore_migrate::model::{Column, ColumnType, Schema, Table};

use super::parts::stays;

/// Rows in each table. The numbers of a column are a permutation of 1 to this, so that each is unique and refers to a
/// row of every table.
pub const ROWS: usize = 5;

/// Statements that fill the tables of the first schema.
pub fn insert(before: &Schema, after: &Schema, dialect: Dialect) -> String {
    let mut text = String::new();
    for table in &before.tables {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        for row in 0..ROWS {
            let value = |(place, column): (usize, &Column)| value(after, table, place, column, row, dialect);
            let values: Vec<String> = table.columns.iter().enumerate().map(value).collect();
            text += &format!(
                "insert into {} ({}) values ({});\n",
                table.name,
                names.join(", "),
                values.join(", ")
            );
        }
    }
    text
}

/// A column has nulls when both schemas let it.
pub fn has_nulls(table: &Table, column: &Column, after: &Schema) -> bool {
    column.nullable && stays(after, &table.name, &column.name).is_none_or(|column| column.nullable)
}

fn value(
    after: &Schema,
    table: &Table,
    place: usize,
    column: &Column,
    row: usize,
    dialect: Dialect,
) -> String {
    if has_nulls(table, column, after) && (row + place).is_multiple_of(3) {
        return "null".to_owned();
    }
    let number = if place == 0 { row + 1 } else { 1 + (row * (1 + place % (ROWS - 1)) + place) % ROWS };
    let is_sqlite = dialect == Dialect::Sqlite;
    match column.kind {
        ColumnType::Int => number.to_string(),
        // Text that may become a number or JSON is a number.
        ColumnType::Text => match stays(after, &table.name, &column.name).map(|column| column.kind) {
            None | Some(ColumnType::Text) => format!("'it''s {number}; --'"),
            Some(_) => format!("'{number}'"),
        },
        ColumnType::Bool if is_sqlite => (number % 2).to_string(),
        ColumnType::Bool => (number % 2 == 1).to_string(),
        ColumnType::Float => format!("{number}.0"),
        ColumnType::Json => format!("'{{\"a\": {number}}}'"),
        ColumnType::Bytes if is_sqlite => format!("x'00ff0{number}'"),
        ColumnType::Bytes => format!("'\\x00ff0{number}'"),
        ColumnType::Time if is_sqlite => format!("{}", number * 1_000_000),
        ColumnType::Time => format!("'2026-01-0{number}T00:00:00Z'"),
        ColumnType::Uuid if is_sqlite => format!("x'0000000000000000000000000000000{number}'"),
        ColumnType::Uuid => format!("'00000000-0000-0000-0000-00000000000{number}'"),
    }
}
