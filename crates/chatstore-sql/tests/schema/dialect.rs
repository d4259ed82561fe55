//! `docs/sql-dialect.md` lists exactly the statements whose texts differ.

use std::collections::BTreeSet;

use chatstore_sql::{Sql, statements};

const DOCUMENT: &str = include_str!("../../../../docs/sql-dialect.md");

#[test]
fn the_document_lists_exactly_the_statements_whose_texts_differ() {
    let differing: BTreeSet<&str> = statements()
        .iter()
        .filter(|statement| statement.sqlite() != statement.postgres())
        .map(Sql::name)
        .collect();
    let (_, section) = DOCUMENT.split_once("## Statements that differ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: Vec<(&str, &str)> = rows.collect();
    let names: BTreeSet<&str> = listed.iter().map(|(name, _)| *name).collect();

    assert_eq!(names, differing);
    assert_eq!(names.len(), listed.len(), "each is listed once");
    for (name, row) in listed {
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 2 && cells.iter().all(|cell| !cell.is_empty()), "{name} has a reason");
    }
}

#[test]
fn the_document_says_which_database_runs_each_of_them() {
    for statement in statements() {
        let row = DOCUMENT.lines().find(|line| line.starts_with(&format!("| `{}` |", statement.name())));
        let Some(row) = row else { continue };
        let only = match (statement.sqlite(), statement.postgres()) {
            ("", _) => "PostgreSQL only",
            (_, "") => "SQLite only",
            _ => "both",
        };
        assert!(row.contains(&format!("| {only} |")), "{row}");
    }
}
