//! The differences that `docs/migrations.md` explains.

use std::collections::BTreeSet;

use chatstore_sql::DatabaseKind;
use chatstore_sql::migrate::model::Method;
use chatstore_sql::schema::{ColumnType, declared};

const DOCUMENT: &str = include_str!("../../../../docs/migrations.md");

/// The differences on this database, as `compare.py` spells them.
///
/// A row of the document is one difference, or with `<table>` in it one for each column of the type or each index of the
/// kind that it names.
pub fn explained(kind: DatabaseKind) -> BTreeSet<String> {
    let (_, section) = DOCUMENT.split_once("\n## Compared by Alembic\n").expect("the section is there");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let mut differences = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [difference, databases, reason] = cells[..] else { panic!("not three cells: {row}") };
        assert!(!reason.trim().is_empty(), "explained: {row}");
        let concerned = match databases {
            "SQLite" => kind == DatabaseKind::Sqlite,
            "both" => true,
            _ => panic!("neither SQLite nor both: {row}"),
        };
        if concerned {
            differences.extend(for_each(difference.trim_end_matches('`')));
        }
    }
    differences
}

fn for_each(difference: &str) -> Vec<String> {
    if !difference.contains("<table>") {
        return vec![difference.to_owned()];
    }
    let mut differences = Vec::new();
    for table in declared().tables {
        let columns = table.columns.iter().map(|column| (placeholder(column.kind), &column.name));
        let descending = table.indexes.iter().filter(|index| index.parts.iter().any(|part| part.descending));
        let indexes = descending.map(|index| ("<descending>".to_owned(), &index.name));
        let of_postgres = table.indexes.iter().filter(|index| index.method != Method::Btree);
        let of_postgres = of_postgres.map(|index| ("<containment>".to_owned(), &index.name));
        for (place, name) in columns.chain(indexes).chain(of_postgres) {
            if difference.contains(&place) {
                differences.push(difference.replace("<table>", &table.name).replace(&place, name));
            }
        }
    }
    differences
}

/// The type as `schema.json` spells it.
fn placeholder(kind: ColumnType) -> String {
    let spelled = serde_json::to_value(kind).expect("a type is a word");
    format!("<{}>", spelled.as_str().expect("a type is a word"))
}
