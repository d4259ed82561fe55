//! The second schema: random changes of the first one, reduced to those that its rows allow in both directions.

use chatstore_migrate::model::{Column, ColumnType, Schema, Table};

use super::fit;
use super::parts::{Parts, id_of, stays};

/// Draws the second schema, still with the names of the first.
pub fn change(parts: &mut Parts<'_>, before: &Schema) -> Schema {
    let mut after = before.clone();
    if parts.random.percent(25) {
        drop_table(parts, &mut after);
    }
    for table in &mut after.tables {
        for _ in 0..parts.random.below(4) {
            change_table(parts, before, table);
        }
    }
    for _ in 0..parts.random.below(3) {
        let table = parts.table();
        let place = parts.random.below(after.tables.len() + 1);
        after.tables.insert(place, table);
    }
    for _ in 0..parts.random.below(3) {
        parts.add_foreign_key(&mut after);
    }
    if parts.random.percent(30) {
        move_name(parts, &mut after);
    }
    fit::fit(&mut after, before);
    after
}

/// Drops a table and all that refer to it, because on the way back their rows would refer to missing ones.
fn drop_table(parts: &mut Parts<'_>, schema: &mut Schema) {
    let mut gone: Vec<String> =
        parts.random.one_of(&schema.tables).map(|table| table.name.clone()).into_iter().collect();
    loop {
        let refers = |table: &&Table| {
            !gone.contains(&table.name) && table.foreign_keys.iter().any(|key| gone.contains(&key.parent))
        };
        let Some(next) = schema.tables.iter().find(refers).map(|table| table.name.clone()) else { break };
        gone.push(next);
    }
    if gone.len() < schema.tables.len() {
        schema.tables.retain(|table| !gone.contains(&table.name));
    }
}

fn change_table(parts: &mut Parts<'_>, before: &Schema, table: &mut Table) {
    match parts.random.below(16) {
        0 | 1 => {
            let column = parts.column();
            let place = 1 + parts.random.below(table.columns.len());
            table.columns.insert(place, column);
        }
        2 | 3 => drop_column(parts, before, table),
        4 => change_kind(parts, before, table),
        5 => {
            if let Some(column) = any_column(parts, table) {
                column.nullable = !column.nullable;
            }
        }
        6 => {
            let drawn = any_column(parts, table).map(|column| (column.name.clone(), column.kind));
            let Some((name, kind)) = drawn else { return };
            let default = if parts.random.percent(30) { None } else { parts.default(kind) };
            table.columns.iter_mut().filter(|column| column.name == name).for_each(|column| {
                column.default.clone_from(&default);
            });
        }
        7 => parts.add_unique(table),
        8 => drop_one(parts, &mut table.uniques),
        9 => parts.add_check(table),
        10 => drop_one(parts, &mut table.checks),
        11 => parts.add_index(table),
        12 => change_index(parts, table),
        13 => change_foreign_key(parts, table),
        14 => parts.change_primary_key(table),
        _ => rename_constraint(parts, table),
    }
}

fn any_column<'t>(parts: &mut Parts<'_>, table: &'t mut Table) -> Option<&'t mut Column> {
    let place = 1 + parts.random.below(table.columns.len().saturating_sub(1).max(1));
    table.columns.get_mut(place)
}

fn drop_one<T>(parts: &mut Parts<'_>, all: &mut Vec<T>) {
    if !all.is_empty() {
        all.remove(parts.random.below(all.len()));
    }
}

/// Drops a column, except one whose values are needed on the way back.
fn drop_column(parts: &mut Parts<'_>, before: &Schema, table: &mut Table) {
    let Some(name) = any_column(parts, table).map(|column| column.name.clone()) else { return };
    if let Some(old) = before.table(&table.name).filter(|old| old.column(&name).is_some()) {
        let id = id_of(&old.name);
        let is_filled = old.column(&name).is_some_and(|column| !column.nullable || column.default.is_some());
        let needs = |columns: &[String]| columns.contains(&name) && !columns.contains(&id);
        let is_unique = old.uniques.iter().any(|key| needs(&key.columns))
            || old.indexes.iter().any(|index| index.unique && fit::index_mentions(index, &name))
            || old.foreign_keys.iter().any(|key| key.columns.contains(&name));
        let mut keys = before.tables.iter().flat_map(|table| &table.foreign_keys);
        let is_referred_to = keys.any(|key| key.parent == old.name && key.parent_columns.contains(&name));
        if needs(&old.primary_key.columns) || is_filled && is_unique || is_referred_to {
            return;
        }
    }
    table.columns.retain(|column| column.name != name);
}

fn change_kind(parts: &mut Parts<'_>, before: &Schema, table: &mut Table) {
    use ColumnType::{Bool, Float, Int, Json, Text};
    let choice = parts.random.below(2);
    let name = table.name.clone();
    let Some(column) = any_column(parts, table) else { return };
    if stays(before, &name, &column.name).is_some_and(|was| was.kind != column.kind) {
        return;
    }
    let kind = match (column.kind, choice) {
        (Int, 0) => Float,
        (Int | Json, _) => Text,
        (Text, 0) => Json,
        (Bool | Float | Text, _) => Int,
        _ => return,
    };
    let was = std::mem::replace(&mut column.kind, kind);
    if (was, kind) != (Int, Float) {
        column.default = None;
    }
    let name = column.name.clone();
    if !matches!((was, kind), (Int, Float) | (Float, Int) | (Bool, Int)) {
        fit::forget_texts(table, &name);
    }
}

fn change_index(parts: &mut Parts<'_>, table: &mut Table) {
    let Some(place) = (!table.indexes.is_empty()).then(|| parts.random.below(table.indexes.len())) else {
        return;
    };
    let old = table.indexes.remove(place);
    if parts.random.percent(60) {
        parts.add_index(table);
        if let Some(new) = table.indexes.last_mut() {
            new.name = old.name;
        }
    }
}

fn change_foreign_key(parts: &mut Parts<'_>, table: &mut Table) {
    if parts.random.percent(30) {
        drop_one(parts, &mut table.foreign_keys);
    } else if !table.foreign_keys.is_empty() {
        let place = parts.random.below(table.foreign_keys.len());
        table.foreign_keys[place].on_delete = parts.action();
        table.foreign_keys[place].on_update = parts.action();
    }
}

fn rename_constraint(parts: &mut Parts<'_>, table: &mut Table) {
    let name = parts.name("n_");
    let names = [
        table.uniques.last_mut().map(|it| &mut it.name),
        table.foreign_keys.last_mut().map(|it| &mut it.name),
        table.checks.last_mut().map(|it| &mut it.name),
        table.indexes.last_mut().map(|it| &mut it.name),
        Some(&mut table.primary_key.name),
    ];
    let mut names: Vec<&mut String> = names.into_iter().flatten().collect();
    *names.swap_remove(parts.random.below(names.len())) = name;
}

/// Swaps the names of two indexes or unique constraints, or gives one the name of another that is dropped.
fn move_name(parts: &mut Parts<'_>, schema: &mut Schema) {
    let mut names: Vec<&mut String> = Vec::new();
    for table in &mut schema.tables {
        names.extend(table.uniques.iter_mut().map(|key| &mut key.name));
        names.extend(table.indexes.iter_mut().map(|index| &mut index.name));
    }
    if names.len() > 1 {
        let one = names.swap_remove(parts.random.below(names.len()));
        let other = names.swap_remove(parts.random.below(names.len()));
        std::mem::swap(one, other);
        return;
    }
    drop(names);
    if let [first, .., last] = &mut schema.tables[..]
        && let (Some(index), false) = (first.indexes.pop(), last.indexes.is_empty())
    {
        last.indexes[0].name = index.name;
    }
}
