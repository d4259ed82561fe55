//! Removes from a schema what is impossible in it or with its rows.

use chatstore_migrate::Dialect;
use chatstore_migrate::model::{
    Column, ColumnType, ForeignKey, Index, IndexPart, Indexed, Schema, SqlText, Table,
};

use super::parts::{give_default, id_of, stays};

/// Keeps what the rows of the other schema allow.
pub fn fit(schema: &mut Schema, other: &Schema) {
    for table in &mut schema.tables {
        fit_table(table, other.table(&table.name), other);
    }
    let copy = schema.clone();
    for table in &mut schema.tables {
        let name = table.name.clone();
        table.foreign_keys.retain(|key| holds(key, &copy, &name, other));
    }
}

fn fit_table(table: &mut Table, other: Option<&Table>, schema: &Schema) {
    let name = table.name.clone();
    let id = id_of(&name);
    let was = |column: &str| stays(schema, &name, column);
    for column in &mut table.columns {
        if other.is_some() && was(&column.name).is_none() && !column.nullable && column.default.is_none() {
            give_default(column);
        }
    }
    let columns = table.columns.clone();
    let column = |name: &str| columns.iter().find(|column| column.name == name);
    let is_distinct = |name: &String| {
        column(name).is_some_and(|it| it.kind != ColumnType::Bool)
            && was(name).is_some_and(|column| column.kind != ColumnType::Bool)
    };
    let is_unset = |name: &String| {
        was(name).is_none() && column(name).is_some_and(|column| column.nullable && column.default.is_none())
    };
    let is_unique = |columns: &[String]| {
        other.is_none() || columns.iter().any(|name| is_distinct(name) || is_unset(name))
    };
    let exist = |columns: &[String]| columns.iter().all(|name| column(name).is_some());

    let key = &mut table.primary_key.columns;
    let is_key = exist(key)
        && (key.contains(&id) || other.is_none() || key.iter().any(is_distinct))
        && key.iter().all(|name| {
            column(name).is_some_and(|it| it.default.is_some() || was(name).is_some() || other.is_none())
        });
    if !is_key {
        *key = vec![id];
    }
    for name in table.primary_key.columns.clone() {
        table.columns.iter_mut().filter(|column| column.name == name).for_each(|it| it.nullable = false);
    }
    table.uniques.retain(|key| exist(&key.columns) && is_unique(&key.columns));
    let mut seen = vec![table.primary_key.columns.clone()];
    table.uniques.retain(|key| {
        let is_new = !seen.contains(&key.columns);
        seen.push(key.columns.clone());
        is_new
    });
    let is_known = |text: &SqlText| mentioned(text).all(|name| column(&name).is_some());
    table.checks.retain(|check| is_known(&check.condition));
    table.indexes.retain_mut(|index| {
        let plain: Vec<String> = index.parts.iter().filter_map(plain_name).collect();
        index.unique &= is_unique(&plain);
        let texts = index.parts.iter().filter_map(|part| match &part.of {
            Indexed::Expression(text) => Some(text),
            Indexed::Column(_) => None,
        });
        exist(&plain) && texts.chain(&index.predicate).all(is_known)
    });
}

fn plain_name(part: &IndexPart) -> Option<String> {
    match &part.of {
        Indexed::Column(name) => Some(name.clone()),
        Indexed::Expression(_) => None,
    }
}

/// Whether a reference is valid, and every row has a row that it refers to.
fn holds(key: &ForeignKey, schema: &Schema, table: &str, other: &Schema) -> bool {
    let ([column], [parent_column]) = (&key.columns[..], &key.parent_columns[..]) else { return false };
    let (Some(column), Some(parent)) = (stays(schema, table, column), schema.table(&key.parent)) else {
        return false;
    };
    let Some(target) = parent.column(parent_column) else { return false };
    let is_key = parent.primary_key.columns == key.parent_columns
        || parent.uniques.iter().any(|unique| unique.columns == key.parent_columns);
    let is_number = |column: &Column| column.kind == ColumnType::Int;
    if !is_key || !is_number(column) || !is_number(target) {
        return false;
    }
    if other.table(table).is_none() {
        return true;
    }
    let is_one = |column: &Column| column.default.as_ref().is_some_and(|it| *it == SqlText::from("1"));
    let has_parent = match stays(other, table, &column.name) {
        Some(was) => is_number(was),
        None if column.nullable && column.default.is_none() => return true,
        None => is_one(column),
    };
    let was_target = stays(other, &key.parent, parent_column);
    has_parent && was_target.is_some_and(|was| is_number(was) && !(was.nullable && target.nullable))
}

/// Removes what was written for a column of another type.
pub fn forget_texts(table: &mut Table, name: &str) {
    table.checks.retain(|check| !mentions(&check.condition, name));
    table.indexes.retain(|index| !index_mentions(index, name));
}

pub fn index_mentions(index: &Index, name: &str) -> bool {
    index.predicate.iter().any(|predicate| mentions(predicate, name))
        || index.parts.iter().any(|part| match &part.of {
            Indexed::Column(column) => column == name,
            Indexed::Expression(text) => mentions(text, name),
        })
}

fn mentions(text: &SqlText, name: &str) -> bool {
    mentioned(text).any(|mentioned| mentioned == name)
}

/// The columns in a text: names of columns are `c` or `id_t` and a number.
fn mentioned(text: &SqlText) -> impl Iterator<Item = String> {
    let text = text.of(Dialect::Sqlite).to_owned();
    let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').map(str::to_owned);
    let is_name = |word: &String| {
        let number = word.strip_prefix("id_t").or_else(|| word.strip_prefix('c'));
        number
            .is_some_and(|number| !number.is_empty() && number.chars().all(|letter| letter.is_ascii_digit()))
    };
    words.filter(is_name).collect::<Vec<_>>().into_iter()
}
