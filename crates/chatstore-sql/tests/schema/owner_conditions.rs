//! Every statement on owned data says whose data it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chatstore_sql::schema::{TABLES, Table};
use chatstore_sql::{Sql, statements};

/// Statements that read the rows of all users, each with the reason. Beside them do those that read a
/// whole table for its digest.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("conversations.archived_of_all", CONVERSATIONS_OF_ALL),
    ("conversations.count_archived_of_all", CONVERSATIONS_OF_ALL),
    ("conversations.count_every_of_all", CONVERSATIONS_OF_ALL),
    ("conversations.count_of_all", CONVERSATIONS_OF_ALL),
    ("conversations.every_of_all", CONVERSATIONS_OF_ALL),
    ("conversations.of_all", CONVERSATIONS_OF_ALL),
    ("deletions.count", "how much is being deleted: numbers, never a row"),
    ("deletions.documents", CHOSEN_BY_OWNER),
    ("deletions.events_about", CHOSEN_BY_OWNER),
    ("deletions.events_by_user", "how much a user caused to others, who is erased: a number"),
    ("deletions.events_caused", "takes a user who is erased out of the events of others, and reads none"),
    ("deletions.events_caused_for", "as events_caused"),
    ("deletions.events_for_user", "as events_by_user"),
    ("deletions.kept_records", CHOSEN_BY_OWNER),
    ("deletions.keys", CHOSEN_BY_OWNER),
    (
        "deletions.marked_conversations",
        "what is being deleted, whose ever it is: for the sweep, which deletes it",
    ),
    ("deletions.members", CHOSEN_BY_OWNER),
    ("deletions.memberships", CHOSEN_BY_OWNER),
    ("deletions.messages", CHOSEN_BY_OWNER),
    ("deletions.own_conversations", CHOSEN_BY_OWNER),
    ("deletions.own_members", CHOSEN_BY_OWNER),
    ("deletions.records", CHOSEN_BY_OWNER),
    ("deletions.requests", CHOSEN_BY_OWNER),
    ("deletions.sessions", CHOSEN_BY_OWNER),
    ("deletions.tokens", CHOSEN_BY_OWNER),
    ("deletions.usage", CHOSEN_BY_OWNER),
    ("idempotency_keys.forget_with_messages", CHOSEN_BY_OWNER),
    ("idempotency_keys.prune", "deletes what expired, whose ever it is"),
    ("logs.at_level_ascending", LOG_OF_ALL),
    ("logs.at_level_descending", LOG_OF_ALL),
    ("logs.count_before", "how much prune deletes: a number"),
    ("logs.every_ascending", LOG_OF_ALL),
    ("logs.every_descending", LOG_OF_ALL),
    ("logs.named_ascending", LOG_OF_ALL),
    ("logs.named_descending", LOG_OF_ALL),
    ("logs.prune", "deletes what is old, whose ever it is"),
    ("refresh_tokens.prune", "deletes what expired, whose ever it is"),
    ("sessions.prune", "deletes what expired, whose ever it is"),
    ("statistics.counts", "an operator's counts: numbers, never a row"),
    ("usage.grouped_of_all", "the usage of all users, for administrators: sums, never a row"),
];

const CHOSEN_BY_OWNER: &str = "changes or deletes rows that a query in it chooses by the owner";
const CONVERSATIONS_OF_ALL: &str = "the conversations of all users, for administrators and applications";
const LOG_OF_ALL: &str = "the events of all users, for administrators";

/// A text without the condition that a conversation is not being deleted: it is on the owner and the id of another
/// row, which is held to the rule itself.
fn without_live_conditions(text: &str) -> String {
    let mut kept = String::new();
    let mut parts = text.split("exists (select 1 from conversations live where ");
    kept.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (_, after) = part.split_once(" and live.deleted_at is null)").unwrap();
        kept.push_str(after);
    }
    kept
}

/// Whether rows of the table belong to a user: its key begins with a user's id.
fn is_owned(table: &Table) -> bool {
    let first = table.primary_key[0];
    table.foreign_keys.iter().any(|key| {
        let parent = TABLES.iter().find(|parent| parent.name == key.parent).unwrap();
        key.columns[0] == first && (parent.name == "users" || is_owned(parent))
    })
}

fn owned() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().filter(|table| is_owned(table))
}

/// Columns that hold the id of a user.
fn user_columns() -> BTreeSet<&'static str> {
    let keys = TABLES.iter().flat_map(|table| table.foreign_keys);
    keys.filter(|key| key.parent == "users").map(|key| key.columns[0]).collect()
}

/// How often rows of an owned table are looked for.
fn uses(text: &str) -> usize {
    let words: Vec<&str> =
        text.split(|character: char| !character.is_alphanumeric() && character != '_').collect();
    let names: BTreeSet<&str> = owned().map(|table| table.name).collect();
    let is_use = |pair: &&[&str]| matches!(pair[0], "from" | "update") && names.contains(pair[1]);
    words.windows(2).filter(is_use).count()
}

/// How many conditions of a where clause name an owner by a parameter, or by a subquery that is
/// held to the rule itself.
fn conditions(text: &str) -> usize {
    let owners = user_columns();
    let mut count = 0;
    for clause in text.split(" where ").skip(1) {
        let clause = clause.split(" set ").next().unwrap_or_default();
        for part in clause.split(" and ") {
            let column = part.split([' ', '=']).next().unwrap_or_default();
            let column = column.rsplit('.').next().unwrap_or_default();
            let condition = part.split_once(" = ").map(|(_, value)| value.trim_start()).unwrap_or_default();
            let is_given = condition.starts_with('$') || condition.starts_with("(select ");
            count += usize::from(owners.contains(column) && is_given);
        }
    }
    count
}

fn texts(statement: &Sql) -> impl Iterator<Item = String> {
    let texts = [statement.sqlite(), statement.postgres()];
    texts
        .into_iter()
        .map(|text| without_live_conditions(&text.split_whitespace().collect::<Vec<_>>().join(" ")))
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
    let digests: Vec<String> = owned().map(|table| format!("{}.rows", table.repository)).collect();
    let expected = EXCEPTIONS.iter().map(|(name, _)| *name).chain(digests.iter().map(String::as_str));
    assert_eq!(without, expected.collect());
}

#[test]
fn every_table_but_that_of_users_is_owned_by_one() {
    let others: Vec<&str> = TABLES.iter().filter(|table| !is_owned(table)).map(|table| table.name).collect();
    assert_eq!(others, ["users"]);
    assert_eq!(user_columns(), BTreeSet::from(["caller_id", "owner_id", "sender_id", "user_id"]));
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

/// A statement that is not listed would escape every rule.
#[test]
fn every_statement_of_the_source_is_listed() {
    let listed: BTreeSet<&str> = statements().iter().map(Sql::name).collect();
    let mut found = 0;
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let text = code.join("\n");
        for constructor in ["Sql::same(", "Sql::pair(", "Sql::only_postgres("] {
            for built in text.split(constructor).skip(1) {
                let Some(built) = built.trim_start().strip_prefix('"') else { continue };
                let name = built.split('"').next().unwrap_or_default();
                assert!(listed.contains(name), "{name} in {}", path.display());
                found += 1;
            }
        }
    }
    assert!(found > 60, "only {found} statements were found");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
