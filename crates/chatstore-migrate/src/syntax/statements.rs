//! Where statements of SQL text end and how they begin.

use super::tokens::{is_comment, tokens};

/// The statements of a text without comments, in order. Semicolons in quotes, dollar quotes and comments do
/// not end a statement.
pub(crate) fn split(text: &str) -> Vec<String> {
    let tokens: Vec<&str> =
        tokens(text).into_iter().map(|token| if is_comment(token) { " " } else { token }).collect();
    let statements = tokens.split(|token| *token == ";").map(<[&str]>::concat);
    statements.filter(|statement| !statement.trim().is_empty()).collect()
}

/// The first words of a statement in lower case.
fn words(statement: &str, count: usize) -> Vec<String> {
    statement.split_whitespace().take(count).map(str::to_lowercase).collect()
}

/// Whether a statement begins or ends a transaction.
pub(crate) fn controls_transaction(statement: &str) -> bool {
    let first = words(statement, 1).concat();
    matches!(first.as_str(), "begin" | "commit" | "rollback" | "start")
}

/// The index that a statement creates or drops, as it is written there; `None` for other statements.
pub(crate) fn index_name(statement: &str) -> Option<String> {
    const BEFORE_THE_NAME: [&str; 8] =
        ["create", "drop", "unique", "index", "concurrently", "if", "not", "exists"];
    let lower = words(statement, usize::MAX);
    let is_about_index = matches!(lower.first()?.as_str(), "create" | "drop")
        && lower.iter().take(3).any(|word| word == "index");
    if !is_about_index {
        return None;
    }
    let position = lower.iter().position(|word| !BEFORE_THE_NAME.contains(&word.as_str()))?;
    if lower[position] == "on" {
        return None;
    }
    let name = statement.split_whitespace().nth(position)?;
    // A quoted name with a space in it is in two parts here.
    (name.matches('"').count() % 2 == 0).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{controls_transaction, index_name, split};

    #[test]
    fn statements_end_at_semicolons_outside_quotes_and_comments() {
        let text =
            "select 'a;''b'; -- not; here\ncreate function f() as $x$ begin; end $x$;\n/* ; */ select \";\"";
        let statements = split(text);
        assert_eq!(statements.len(), 3, "{statements:?}");
        assert!(statements[1].contains("begin; end"));
        assert_eq!(split("-- nothing\n;;\n"), [] as [&str; 0]);
    }

    #[test]
    fn a_transaction_is_told_by_its_first_word() {
        assert!(controls_transaction(" BEGIN immediate"));
        assert!(controls_transaction("commit"));
        assert!(!controls_transaction("create trigger t after insert on a begin select 1"));
    }

    #[test]
    fn an_index_is_found_by_its_name() {
        let name = |text| index_name(text);
        assert_eq!(name("create unique index concurrently if not exists ix_a on a (b)").unwrap(), "ix_a");
        assert_eq!(name("DROP INDEX CONCURRENTLY \"Ix\"").unwrap(), "\"Ix\"");
        assert_eq!(name("create index concurrently on a (b)"), None);
        assert_eq!(name("create index concurrently \"a b\" on a (b)"), None);
        assert_eq!(name("create table a (b text)"), None);
    }
}
