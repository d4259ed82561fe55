//! What SQLite says of its schema. Its pragmas do not name constraints; the text of the table does.

use rusqlite::{Connection, Row};

use crate::catalog::{Catalog, Column, ForeignKey, HISTORY, Index, Key, Table};

fn rows<T>(
    connection: &Connection,
    sql: &str,
    table: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([table], read).unwrap().map(Result::unwrap).collect()
}

pub fn catalog(connection: &Connection) -> Catalog {
    let names = rows(
        connection,
        "select name, sql from sqlite_schema where type = 'table' and name not like ?1",
        HISTORY,
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
    );
    names.into_iter().map(|(name, text)| (name.clone(), table(connection, &name, &text))).collect()
}

/// Which tables are not strict, or have a row id.
pub fn loose_tables(connection: &Connection) -> Vec<String> {
    let sql = "select name from pragma_table_list \
        where schema = ?1 and name not like 'sqlite%' and not (type = 'table' and strict = 1 and wr = 1)";
    rows(connection, sql, "main", |row| row.get(0))
}

fn table(connection: &Connection, name: &str, text: &str) -> Table {
    let constraints = named_constraints(text);
    let named = |kind: &str, columns: &[String]| {
        let wanted = format!("{kind} ({})", columns.join(", "));
        let found = constraints.iter().find(|(_, text)| text.starts_with(&wanted));
        found.map(|(name, _)| name.clone()).unwrap_or_else(|| panic!("{wanted} has no name in {text}"))
    };
    let mut table = Table::default();
    let columns = rows(
        connection,
        "select name, type, \"notnull\", pk from pragma_table_info(?1) order by cid",
        name,
        |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?, row.get::<_, i64>(3)?)),
    );
    let mut key: Vec<(i64, String)> = Vec::new();
    for (column, kind, not_null, place) in columns {
        if place > 0 {
            key.push((place, String::clone(&column)));
        }
        let kind = kind.to_lowercase();
        table.columns.push(Column { name: column, kind, nullable: !not_null, collation: None });
    }
    key.sort_unstable();
    let columns: Vec<String> = key.into_iter().map(|(_, column)| column).collect();
    table.primary_key = Key { name: named("primary key", &columns), columns };
    let sql = "select name, origin, \"unique\" from pragma_index_list(?1)";
    let indexes = rows(connection, sql, name, |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
    });
    for (index, origin, is_unique) in indexes {
        match origin.as_str() {
            "u" => {
                let columns = index_columns(connection, &index);
                table.uniques.push(Key { name: named("unique", &columns), columns });
            }
            "c" => table.indexes.push(Index {
                columns: index_columns(connection, &index),
                predicate: predicate(connection, &index),
                method: None,
                name: index,
                is_unique,
            }),
            _ => {}
        }
    }
    table.foreign_keys = foreign_keys(connection, name, named);
    let checks = constraints.iter().filter(|(_, text)| text.starts_with("check ("));
    table.checks = checks.cloned().collect();
    table.uniques.sort_unstable();
    table.indexes.sort_unstable();
    table
}

fn index_columns(connection: &Connection, index: &str) -> Vec<String> {
    let sql = "select name, \"desc\" from pragma_index_xinfo(?1) where key = 1 order by seqno";
    rows(connection, sql, index, |row| {
        let (name, descends): (String, bool) = (row.get(0)?, row.get(1)?);
        Ok(if descends { format!("{name} desc") } else { name })
    })
}

fn predicate(connection: &Connection, index: &str) -> Option<String> {
    let text = rows(connection, "select sql from sqlite_schema where name = ?1", index, |row| {
        row.get::<_, String>(0)
    });
    text[0].split_once(" where ").map(|(_, predicate)| predicate.to_owned())
}

fn foreign_keys(
    connection: &Connection,
    table: &str,
    named: impl Fn(&str, &[String]) -> String,
) -> Vec<ForeignKey> {
    let parts = rows(
        connection,
        "select id, \"from\", \"table\", \"to\", on_delete, on_update from pragma_foreign_key_list(?1) \
         order by id, seq",
        table,
        |row| {
            let actions: [String; 2] = [row.get(4)?, row.get(5)?];
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, actions))
        },
    );
    let mut keys: Vec<ForeignKey> = Vec::new();
    let mut last = -1;
    for (id, from, parent, to, [on_delete, on_update]) in parts {
        if id != last {
            keys.push(ForeignKey {
                name: String::new(),
                columns: Vec::new(),
                parent,
                parent_columns: Vec::new(),
                on_delete: on_delete.to_lowercase(),
                on_update: on_update.to_lowercase(),
            });
            last = id;
        }
        let key = keys.last_mut().unwrap();
        key.columns.push(from);
        key.parent_columns.push(to);
    }
    for key in &mut keys {
        key.name = named("foreign key", &key.columns);
    }
    keys.sort_unstable();
    keys
}

/// Names and texts of the constraints of a `create table`, each of which begins a line.
fn named_constraints(text: &str) -> Vec<(String, String)> {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut constraints: Vec<(String, String)> = Vec::new();
    for part in one_line.split("constraint ").skip(1) {
        let (name, rest) = part.split_once(' ').unwrap();
        constraints.push((name.to_owned(), rest.trim_end_matches([' ', ',']).to_owned()));
    }
    constraints
}
