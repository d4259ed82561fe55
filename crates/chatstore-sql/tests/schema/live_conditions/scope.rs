//! A statement taken apart: the parts that name tables, and the conditions of each.

/// A query or change without the queries inside of it, of which `(#0)`, `(#1)` … are left.
#[derive(Debug)]
pub struct Scope {
    pub text: String,
    pub inner: Vec<Vec<Self>>,
}

/// A table that a scope names, and what its columns are called there.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    pub table: String,
    pub prefix: String,
}

impl Use {
    pub fn column(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

const BEGINNINGS: [&str; 4] = ["select ", "update ", "insert ", "delete "];

/// The scopes of a text with single blanks, one for each part of a union.
pub fn scopes(text: &str) -> Vec<Scope> {
    let mut flat = String::new();
    let mut inner = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('(') {
        let (before, from_open) = rest.split_at(open);
        flat.push_str(before);
        let after_open = from_open[1..].trim_start();
        if BEGINNINGS.iter().any(|beginning| after_open.starts_with(beginning)) {
            let length = balanced(from_open);
            flat.push_str(&format!("(#{})", inner.len()));
            inner.push(scopes(from_open[1..length - 1].trim()));
            rest = &from_open[length..];
        } else {
            flat.push('(');
            rest = &from_open[1..];
        }
    }
    flat.push_str(rest);
    let mut inner: Vec<Option<Vec<Scope>>> = inner.into_iter().map(Some).collect();
    flat.split(" union all ").map(|part| take_inner(part, &mut inner)).collect()
}

/// One part of a union with the queries inside of it, numbered anew.
fn take_inner(part: &str, all: &mut [Option<Vec<Scope>>]) -> Scope {
    let (mut text, mut inner) = (String::new(), Vec::new());
    let mut pieces = part.split("(#");
    text.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (number, after) = piece.split_once(')').unwrap();
        let number: usize = number.parse().unwrap();
        text.push_str(&format!("(#{})", inner.len()));
        text.push_str(after);
        inner.push(all[number].take().unwrap());
    }
    Scope { text, inner }
}

/// Bytes up to the parenthesis that closes the first one.
fn balanced(text: &str) -> usize {
    let mut depth = 0;
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => return index + 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    panic!("unbalanced: {text}");
}

impl Scope {
    /// The tables that it reads or changes.
    pub fn uses(&self) -> Vec<Use> {
        let words: Vec<&str> =
            self.text.split([' ', ',', '(', ')']).filter(|word| !word.is_empty()).collect();
        let mut uses = Vec::new();
        for (index, pair) in words.windows(2).enumerate() {
            let is_named = matches!(pair[0], "from" | "join") || (pair[0] == "update" && index == 0);
            if !is_named || pair[1].starts_with('#') {
                continue;
            }
            let next = words.get(index + 2).copied().unwrap_or("where");
            let keywords =
                ["where", "set", "on", "join", "left", "order", "group", "limit", "returning", "union"];
            let prefix = if keywords.contains(&next) { String::new() } else { format!("{next}.") };
            uses.push(Use { table: pair[1].to_owned(), prefix });
        }
        uses
    }

    /// What must hold for its rows.
    pub fn conditions(&self) -> Vec<&str> {
        let parts = self.text.split(" where ").flat_map(|part| part.split(" on "));
        let parts = parts.skip(1).flat_map(|part| part.split(" and "));
        parts.map(condition).collect()
    }

    /// The columns and values that are the same as this column, itself among them.
    pub fn equals(&self, column: &str) -> Vec<String> {
        let mut equal = vec![column.to_owned()];
        let mut seen = 0;
        while seen < equal.len() {
            let known = equal[seen].clone();
            for condition in self.conditions() {
                let Some((left, right)) = condition.split_once(" = ") else { continue };
                for (one, other) in [(left, right), (right, left)] {
                    if one == known && !equal.iter().any(|value| value == other) {
                        equal.push(other.to_owned());
                    }
                }
            }
            seen += 1;
        }
        equal
    }

    /// The queries behind `(#n)`.
    pub fn inner_of(&self, value: &str) -> Option<&[Self]> {
        let number = value.strip_prefix("(#")?.strip_suffix(')')?;
        Some(&self.inner[number.parse::<usize>().ok()?])
    }
}

/// Without what follows the conditions.
fn condition(part: &str) -> &str {
    let ends = [
        " order by ",
        " group by ",
        " limit ",
        " returning ",
        " for ",
        " join ",
        " left ",
        " on conflict ",
        " do ",
    ];
    let end = ends.iter().filter_map(|end| part.find(end)).min();
    part[..end.unwrap_or(part.len())].trim()
}
