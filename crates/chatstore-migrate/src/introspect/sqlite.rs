//! SQLite's catalog: the statements that created everything. Its pragmas do not name constraints.

use super::rows::{is_of_the_history, object, query, texts};
use crate::catalog::Catalog;
use crate::connection::Connection;
use crate::error::MigrationError;
use crate::syntax::tokens::{items, words};

const OBJECTS: &str = "\
select type, name, tbl_name, sql
from sqlite_schema
where sql is not null and name not like 'sqlite\\_%' escape '\\'
order by tbl_name, type desc, name";

pub(super) async fn read(connection: &mut dyn Connection) -> Result<Catalog, MigrationError> {
    let mut catalog = Catalog::default();
    for row in query(connection, OBJECTS).await? {
        let [kind, name, table, sql] = texts(row);
        if is_of_the_history(&table) {
            continue;
        }
        let words = words(&sql);
        match kind.as_str() {
            "table" => add_table(&mut catalog, &name, &words),
            "view" => catalog.add(object("view", &name, ""), joined(&words)),
            // `unique` stands before the name, and the name is not part of the definition.
            _ => {
                let place = words.iter().position(|word| *word == name).map_or(0, |place| place + 1);
                let (head, rest) = words.split_at(place);
                let unique = if head.iter().any(|word| word == "unique") { "unique " } else { "" };
                catalog.add(object(&kind, &table, &name), format!("{unique}{}", joined(rest)));
            }
        }
    }
    Ok(catalog)
}

fn add_table(catalog: &mut Catalog, table: &str, words: &[String]) {
    let Some((items, options)) = items(words) else {
        catalog.add(object("table", table, ""), joined(words));
        return;
    };
    catalog.add(object("table", table, ""), joined(options));
    for item in items {
        match item {
            [first, ..]
                if matches!(first.as_str(), "constraint" | "primary" | "unique" | "check" | "foreign") =>
            {
                add_constraint(catalog, table, item);
            }
            [name, ..] => {
                let end = item.iter().position(|word| word == "constraint").unwrap_or(item.len());
                catalog.add(object("column", table, name), joined(&item[1..end]));
                for constraint in constraints(&item[end..]) {
                    add_constraint(catalog, table, constraint);
                }
            }
            [] => {}
        }
    }
}

fn add_constraint(catalog: &mut Catalog, table: &str, item: &[String]) {
    match item {
        [first, name, definition @ ..] if first == "constraint" => {
            catalog.add(object("constraint", table, name), joined(definition));
        }
        unnamed => {
            let text = joined(unnamed);
            catalog.add(object("constraint", table, &text), text.clone());
        }
    }
}

/// Parts that each begin with the word `constraint`.
fn constraints(words: &[String]) -> Vec<&[String]> {
    let mut starts: Vec<usize> = (0..words.len()).filter(|place| words[*place] == "constraint").collect();
    starts.push(words.len());
    starts.windows(2).map(|pair| &words[pair[0]..pair[1]]).collect()
}

/// The same text for the same words.
fn joined(words: &[String]) -> String {
    let mut text = String::new();
    let mut previous = "(";
    for word in words {
        let is_tight = matches!(previous, "(" | ".") || matches!(word.as_str(), ")" | "," | ".");
        if !is_tight {
            text.push(' ');
        }
        text.push_str(word);
        previous = word;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{joined, words};

    #[test]
    fn spaces_case_comments_and_needless_quotes_make_no_difference() {
        let one = words("CREATE TABLE \"t\" (\n  a  TEXT NOT NULL, -- here\n CHECK(a<>'It''s'))");
        let other = words("create table t (a text not null, check (a <> 'It''s'))");
        assert_eq!(joined(&one), joined(&other));
        assert_ne!(joined(&words("check (a <> 'x')")), joined(&words("check (a <> 'X')")));
    }
}
