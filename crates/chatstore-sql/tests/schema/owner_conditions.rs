//! Every statement on owned data says whose data it is.

use std::collections::BTreeSet;
use std::path::Path;

use chatstore_sql::{Sql, statements};

/// Tables whose rows belong to somebody.
const OWNED: [&str; 6] =
    ["conversations", "messages", "responses", "conversation_members", "usage_daily", "documents"];

/// Columns that say to whom.
const OWNERS: [&str; 4] = ["owner_id", "user_id", "sender_id", "caller_id"];

/// Statements that read everybody's rows, each with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("statistics.counts", "an operator's counts: numbers, never a row"),
    ("conversations.rows", "digests of whole tables, by which two databases are compared"),
    ("members.rows", "digests of whole tables, by which two databases are compared"),
    ("messages.rows", "digests of whole tables, by which two databases are compared"),
    ("responses.rows", "digests of whole tables, by which two databases are compared"),
    ("usage.grouped_of_all", "what everybody used, for administrators: sums, never a row"),
    ("usage.rows", "digests of whole tables, by which two databases are compared"),
];

/// How often rows of an owned table are looked for.
fn uses(text: &str) -> usize {
    let words: Vec<&str> =
        text.split(|character: char| !character.is_alphanumeric() && character != '_').collect();
    let is_use = |pair: &&[&str]| matches!(pair[0], "from" | "update") && OWNED.contains(&pair[1]);
    words.windows(2).filter(is_use).count()
}

/// How many conditions of a where clause name an owner by a parameter, or by a subquery that is
/// held to the rule itself.
fn conditions(text: &str) -> usize {
    let mut count = 0;
    for clause in text.split(" where ").skip(1) {
        let clause = clause.split(" set ").next().unwrap_or_default();
        for part in clause.split(" and ") {
            let column = part.split([' ', '=']).next().unwrap_or_default();
            let column = column.rsplit('.').next().unwrap_or_default();
            let condition = part.split_once(" = ").map(|(_, value)| value.trim_start()).unwrap_or_default();
            let is_given = condition.starts_with('$') || condition.starts_with("(select ");
            count += usize::from(OWNERS.contains(&column) && is_given);
        }
    }
    count
}

fn texts(statement: &Sql) -> impl Iterator<Item = String> {
    let texts = [statement.sqlite(), statement.postgres()];
    texts.into_iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn every_statement_on_owned_data_names_its_owner() {
    let mut without: BTreeSet<&str> = BTreeSet::new();
    let mut on_owned = 0;
    for statement in statements() {
        for text in texts(&statement) {
            on_owned += usize::from(uses(&text) > 0);
            if conditions(&text) < uses(&text) {
                without.insert(statement.name());
            }
        }
    }
    assert!(on_owned > 60, "only {on_owned} texts were understood");
    assert_eq!(without, EXCEPTIONS.iter().map(|(name, _)| *name).collect());
}

#[test]
fn the_rule_finds_a_statement_without_an_owner() {
    for (text, uses_of_owned, owner_conditions) in [
        ("select * from messages where id = $1", 1, 0),
        ("select * from messages m where m.owner_id = $1 and m.id = $2", 1, 1),
        ("select * from messages where owner_id = owner_id", 1, 0),
        ("delete from conversations", 1, 0),
        ("update usage_daily set requests = 0 where model = $1", 1, 0),
        ("select 1 from conversations where owner_id = $1 union all select 1 from conversations", 2, 1),
        ("select 1 from conversation_members m join conversations c on c.owner_id = m.owner_id", 1, 0),
        ("insert into messages (owner_id) values ($1)", 0, 0),
    ] {
        assert_eq!((uses(text), conditions(text)), (uses_of_owned, owner_conditions), "{text}");
    }
}

#[test]
fn every_statement_has_a_name_of_its_own() {
    let names: Vec<&str> = statements().iter().map(Sql::name).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len());
    assert!(names.iter().all(|name| name.split('.').count() == 2), "{names:?}");
}

/// A statement that nobody listed would escape every rule.
#[test]
fn every_statement_of_the_source_is_listed() {
    let listed: BTreeSet<&str> = statements().iter().map(Sql::name).collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = 0;
    for folder in [source.clone(), source.join("repo")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for constructor in ["Sql::same(", "Sql::pair(", "Sql::only_postgres("] {
                for made in text.split(constructor).skip(1) {
                    let Some(made) = made.trim_start().strip_prefix('"') else { continue };
                    let name = made.split('"').next().unwrap_or_default();
                    assert!(listed.contains(name), "{name} in {}", path.display());
                    found += 1;
                }
            }
        }
    }
    assert!(found > 60, "only {found} statements were found");
}
