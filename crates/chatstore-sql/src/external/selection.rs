//! What is read, and the statement that reads it. Every name is quoted.

use std::fmt::Write;

use super::{ExternalColumn, ExternalTable};

/// Rows of a table with what belongs to them in others, in an order.
#[derive(Debug)]
pub struct Selection<'t> {
    /// The table.
    pub table: &'t ExternalTable,
    /// The columns that are read of it.
    pub columns: Vec<&'t str>,
    /// What is joined to its rows: one row for each that fits, and one with nulls where none does.
    pub joined: Vec<Joined<'t>>,
    /// The place of a joined table of which nothing may belong to a row that is read.
    pub without: Option<usize>,
    /// By what the rows are ordered: the place of a table (0 is `table`, 1 the first joined) and a
    /// column; nulls come last, texts by their bytes.
    pub order: Vec<(usize, &'t str)>,
    /// The columns that identify rows of the tables by which the order goes, where it goes by several:
    /// SQLite then orders these alone, instead of whole rows.
    pub identified: Vec<(usize, &'t str)>,
}

/// A table whose rows belong to those of another.
#[derive(Debug)]
pub struct Joined<'t> {
    /// The table.
    pub table: &'t ExternalTable,
    /// The columns that are read of it.
    pub columns: Vec<&'t str>,
    /// Its column that names the other row.
    pub key: &'t str,
    /// The place of the other table, and the column that is named.
    pub of: (usize, &'t str),
}

/// The temporary table of keys in their order.
#[cfg(feature = "sqlite")]
const KEYS: &str = "chatstore_import_keys";

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "nothing is read from SQLite then"))]
    Sqlite,
    Postgres,
}

impl<'t> Selection<'t> {
    fn tables(&self) -> impl Iterator<Item = (usize, &'t ExternalTable, &[&'t str])> {
        let joined = self.joined.iter().map(|joined| (joined.table, joined.columns.as_slice()));
        std::iter::once((self.table, self.columns.as_slice()))
            .chain(joined)
            .enumerate()
            .map(|(place, (table, columns))| (place, table, columns))
    }

    fn column(&self, place: usize, name: &str) -> Option<&'t ExternalColumn> {
        self.tables().nth(place).and_then(|(_, table, _)| table.column(name))
    }

    /// The declared types of what is read, in order.
    #[cfg(feature = "postgres")]
    pub(super) fn declared(&self) -> Vec<String> {
        let columns = self.tables().flat_map(|(_, table, columns)| {
            columns.iter().map(|name| table.column(name).map_or("", |column| column.declared.as_str()))
        });
        columns.map(str::to_owned).collect()
    }

    /// The statements that read it from SQLite: what comes first, and what gives the rows.
    #[cfg(feature = "sqlite")]
    pub(super) fn sqlite(&self) -> (String, String) {
        if self.identified.is_empty() {
            return (String::new(), self.text(Dialect::Sqlite));
        }
        let mut keys = format!("select {}", self.names(&self.identified, "", ", "));
        let _ = write!(keys, " from {} t0", quoted_path(&self.table.name));
        for (place, joined) in (1..).zip(&self.joined) {
            if self.identified.iter().any(|(identified, _)| *identified == place) {
                keys.push_str(&self.join(Dialect::Sqlite, place, joined));
            }
        }
        let _ = write!(keys, " order by {}", self.names(&self.order, " nulls last", ", "));
        let columns: Vec<String> = (0..self.identified.len()).map(|index| format!("key{index}")).collect();
        let first = format!(
            "drop table if exists temp.{KEYS}; \
             create temp table {KEYS} (position integer primary key, {columns}); \
             insert into temp.{KEYS} ({columns}) {keys}",
            columns = columns.join(", ")
        );
        let mut text = format!("select {} from temp.{KEYS} keys", self.read(Dialect::Sqlite));
        let key_of = |place: usize| self.identified.iter().position(|(identified, _)| *identified == place);
        let by_key = |place: usize, index: usize| {
            format!("{} is keys.key{index}", reference(place, self.identified[index].1))
        };
        if let Some(index) = key_of(0) {
            let _ = write!(text, " join {} t0 on {}", quoted_path(&self.table.name), by_key(0, index));
        }
        for (place, joined) in (1..).zip(&self.joined) {
            match key_of(place) {
                // Null is the key where nothing belongs to the row.
                Some(index) => {
                    let on = by_key(place, index).replace(" is ", " = ");
                    let _ = write!(text, " left join {} t{place} on {on}", quoted_path(&joined.table.name));
                }
                None => text.push_str(&self.join(Dialect::Sqlite, place, joined)),
            }
        }
        text.push_str(" order by keys.position");
        (first, text)
    }

    #[cfg(feature = "sqlite")]
    fn names(&self, columns: &[(usize, &str)], after: &str, between: &str) -> String {
        let names: Vec<String> =
            columns.iter().map(|&(place, name)| format!("{}{after}", reference(place, name))).collect();
        names.join(between)
    }

    #[cfg(feature = "postgres")]
    pub(super) fn postgres(&self) -> String {
        self.text(Dialect::Postgres)
    }

    /// What is read, as a statement lists it.
    fn read(&self, dialect: Dialect) -> String {
        let read: Vec<String> = self
            .tables()
            .flat_map(|(place, table, columns)| {
                columns.iter().map(move |name| {
                    let declared = table.column(name).map_or("", |column| column.declared.as_str());
                    let column = reference(place, name);
                    match dialect {
                        Dialect::Postgres if declared != "bytea" => format!("{column}::text"),
                        _ => column,
                    }
                })
            })
            .collect();
        read.join(", ")
    }

    fn join(&self, dialect: Dialect, place: usize, joined: &Joined<'_>) -> String {
        let key = self.comparable(dialect, place, joined.key, joined.of);
        let of = self.comparable(dialect, joined.of.0, joined.of.1, (place, joined.key));
        format!(" left join {} t{place} on {key} = {of}", quoted_path(&joined.table.name))
    }

    fn text(&self, dialect: Dialect) -> String {
        let mut text = format!("select {} from {} t0", self.read(dialect), quoted_path(&self.table.name));
        for (place, joined) in (1..).zip(&self.joined) {
            text.push_str(&self.join(dialect, place, joined));
        }
        if let Some((place, joined)) =
            self.without.and_then(|place| Some((place, self.joined.get(place - 1)?)))
        {
            let _ = write!(text, " where {} is null", reference(place, joined.key));
        }
        let order: Vec<String> = self
            .order
            .iter()
            .map(|&(place, name)| {
                let is_text = self.column(place, name).is_some_and(|column| is_text(&column.declared));
                let collation = if dialect == Dialect::Postgres && is_text { " collate \"C\"" } else { "" };
                format!("{}{collation} nulls last", reference(place, name))
            })
            .collect();
        if !order.is_empty() {
            let _ = write!(text, " order by {}", order.join(", "));
        }
        text
    }

    /// PostgreSQL compares no integer with a text, so both are cast to text when their types differ.
    fn comparable(&self, dialect: Dialect, place: usize, name: &str, other: (usize, &str)) -> String {
        let family = |place, name| self.column(place, name).map(|column| family(&column.declared));
        let column = reference(place, name);
        if dialect == Dialect::Postgres && family(place, name) != family(other.0, other.1) {
            return format!("{column}::text");
        }
        column
    }
}

/// How many rows a table has.
pub(super) fn count(table: &ExternalTable) -> String {
    format!("select count(*) from {}", quoted_path(&table.name))
}

fn is_text(declared: &str) -> bool {
    matches!(declared, "text" | "varchar" | "bpchar" | "citext" | "name")
}

fn family(declared: &str) -> &str {
    match declared {
        "int2" | "int4" | "int8" => "integer",
        declared if is_text(declared) => "text",
        declared => declared,
    }
}

fn reference(place: usize, name: &str) -> String {
    format!("t{place}.{}", quoted(name))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name, or a schema and a name with a dot between them.
pub(super) fn quoted_path(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
        None => quoted(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, columns: &[(&str, &str)]) -> ExternalTable {
        let columns = columns.iter().map(|(name, declared)| ExternalColumn {
            name: (*name).to_owned(),
            declared: (*declared).to_owned(),
        });
        ExternalTable { name: name.to_owned(), columns: columns.collect() }
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let odd = table("a\"; drop table b; --", &[("x\"y", "int4")]);
        let selection = Selection {
            table: &odd,
            columns: vec!["x\"y"],
            joined: Vec::new(),
            without: None,
            order: vec![(0, "x\"y")],
            identified: Vec::new(),
        };
        assert_eq!(
            selection.text(Dialect::Sqlite),
            "select t0.\"x\"\"y\" from \"a\"\"; drop table b; --\" t0 order by t0.\"x\"\"y\" nulls last"
        );
    }

    #[test]
    fn keys_of_different_types_are_compared_as_text() {
        let users = table("users", &[("id", "int4")]);
        let chats = table("archive.chats", &[("id", "int8"), ("owner", "varchar")]);
        let selection = Selection {
            table: &chats,
            columns: vec!["id"],
            joined: vec![Joined { table: &users, columns: vec!["id"], key: "id", of: (0, "owner") }],
            without: Some(1),
            order: vec![(0, "owner")],
            identified: Vec::new(),
        };
        assert_eq!(
            selection.text(Dialect::Postgres),
            "select t0.\"id\"::text, t1.\"id\"::text from \"archive\".\"chats\" t0 \
             left join \"users\" t1 on t1.\"id\"::text = t0.\"owner\"::text where t1.\"id\" is null \
             order by t0.\"owner\" collate \"C\" nulls last"
        );
    }
}
