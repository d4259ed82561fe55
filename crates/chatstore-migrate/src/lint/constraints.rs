//! Constraints that rows may meet before a revision and not after it.

use std::collections::{BTreeMap, BTreeSet};

use super::ddl::{Constraint, DdlOperation, StatementEffects};
use crate::dialect::Dialect;
use crate::diff::{Alteration, SchemaChange};
use crate::hazard::{Hazard, LintFinding};
use crate::model::{ColumnType, Indexed, SqlText, Table};
use crate::syntax::tokens::words;

const KEEP_BOTH: &str =
    "add a column of the new type, fill it by a data step, and drop the old one in a later revision";
const FILL_BEFORE: &str = "find the rows without a value and fill them in an earlier revision";
const CORRECT_BEFORE: &str = "find the rows that fail it and correct them in an earlier revision";
const JOIN_BEFORE: &str = "find the rows with equal values and separate or merge them in an earlier revision";

/// Found by comparing the schemas.
pub(crate) fn by_schema(change: &SchemaChange) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    for alteration in change.altered() {
        columns(&alteration, &mut findings);
        keys(&alteration, &mut findings);
        checks(&alteration, &mut findings);
    }
    findings
}

/// Found in the SQL, where the schemas are not known. Every type except text is assumed to be narrower.
pub(crate) fn by_sql(effects: &StatementEffects) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    for (table, operation) in &effects.operations {
        findings.push(match operation {
            DdlOperation::SetNotNull(column) if !effects.adds(table, column) => not_null(table, column),
            DdlOperation::ChangeType { column, kind } if kind != "text" => {
                narrowing(table, column, format!("the type becomes {kind}"), KEEP_BOTH)
            }
            DdlOperation::Constrain { kind: Constraint::Key, name, columns, .. }
            | DdlOperation::CreateIndex { name, columns, is_unique: true, .. } => {
                unique(table, columns, name)
            }
            DdlOperation::Constrain { kind: Constraint::Check, name, .. } => check(table, name, "new"),
            _ => continue,
        });
    }
    findings
}

fn narrowing(table: &str, column: &str, what: String, instead: &'static str) -> LintFinding {
    LintFinding::new(Hazard::Narrowing, table, Some(column), what, instead)
}

fn not_null(table: &str, column: &str) -> LintFinding {
    narrowing(table, column, "the column may no longer be null".to_owned(), FILL_BEFORE)
}

fn unique(table: &str, columns: &[String], name: &str) -> LintFinding {
    narrowing(
        table,
        &columns.join(", "),
        format!("no two rows may be equal in {name} any longer"),
        JOIN_BEFORE,
    )
}

fn check(table: &str, name: &str, how: &str) -> LintFinding {
    narrowing(table, "", format!("the check {name} is {how}"), CORRECT_BEFORE)
}

fn columns(alteration: &Alteration<'_>, findings: &mut Vec<LintFinding>) {
    let table = &alteration.after.name;
    for (old, new) in &alteration.columns.changed {
        if !holds_all_of(new.kind, old.kind) {
            let what = format!("the type {:?} becomes {:?}", old.kind, new.kind).to_lowercase();
            findings.push(narrowing(table, &new.name, what, KEEP_BOTH));
        }
        if old.nullable && !new.nullable {
            findings.push(not_null(table, &new.name));
        }
    }
}

/// Whether every value of one type is, and stays, a value of another.
fn holds_all_of(new: ColumnType, old: ColumnType) -> bool {
    use ColumnType::{Bool, Float, Int, Json, Text, Time, Uuid};
    old == new || matches!((old, new), (Bool | Int | Float | Json | Time | Uuid, Text) | (Bool, Int | Float))
}

fn keys(alteration: &Alteration<'_>, findings: &mut Vec<LintFinding>) {
    let table = alteration.after;
    let keys = alteration.primary_key.added().chain(alteration.uniques.added());
    for key in keys.filter(|key| !is_unique_already(alteration, &key.columns)) {
        findings.push(unique(&table.name, &key.columns, &key.name));
    }
    for index in alteration.indexes.added().filter(|index| index.unique) {
        let columns: Vec<String> = index.parts.iter().filter_map(|part| column_of(&part.of)).collect();
        let has_expressions = columns.len() < index.parts.len();
        if has_expressions || !is_unique_already(alteration, &columns) {
            findings.push(unique(&table.name, &columns, &index.name));
        }
    }
}

fn column_of(indexed: &Indexed) -> Option<String> {
    match indexed {
        Indexed::Column(column) => Some(column.clone()),
        Indexed::Expression(_) => None,
    }
}

/// Whether no two rows could be equal in these columns before. Nulls are never equal.
fn is_unique_already(alteration: &Alteration<'_>, columns: &[String]) -> bool {
    let Table { primary_key, uniques, indexes, .. } = alteration.before;
    let all_within = |key: &[String]| key.iter().all(|column| columns.contains(column));
    let is_key = std::iter::once(primary_key).chain(uniques).any(|key| all_within(&key.columns));
    let is_index = indexes.iter().filter(|index| index.unique && index.predicate.is_none()).any(|index| {
        let of: Option<Vec<String>> = index.parts.iter().map(|part| column_of(&part.of)).collect();
        of.is_some_and(|of| all_within(&of))
    });
    let is_null = alteration.columns.new.iter().any(|new| {
        let is_empty = new.nullable && new.default.is_none();
        is_empty && columns.contains(&new.name)
    });
    is_key || is_index || is_null
}

fn checks(alteration: &Alteration<'_>, findings: &mut Vec<LintFinding>) {
    let table = &alteration.after.name;
    for new in &alteration.checks.new {
        findings.push(check(table, &new.name, "new"));
    }
    for (old, new) in &alteration.checks.changed {
        if !admits_all_of(&new.condition, &old.condition) {
            findings.push(check(table, &new.name, "changed and may admit less"));
        }
    }
}

/// Whether a condition holds wherever another does, in two simple cases: limits that were moved outward
/// and lists that were extended.
fn admits_all_of(new: &SqlText, old: &SqlText) -> bool {
    [Dialect::Sqlite, Dialect::Postgres].into_iter().all(|dialect| {
        let (old, new) = (Condition::of(old.of(dialect)), Condition::of(new.of(dialect)));
        let negates = |condition: &Condition| {
            let words = &condition.words;
            words.iter().enumerate().any(|(place, word)| word == "not" && !follows(words, place, &["is"]))
        };
        old == new || (!negates(&old) && !negates(&new) && new.admits_all_of(&old))
    })
}

/// The words of a condition, with the lists of `in` kept separately.
#[derive(Debug, PartialEq, Eq)]
struct Condition {
    words: Vec<String>,
    /// The list after the word at this position.
    lists: BTreeMap<usize, BTreeSet<String>>,
}

impl Condition {
    fn of(text: &str) -> Self {
        let mut condition = Self { words: Vec::new(), lists: BTreeMap::new() };
        let mut words = words(text).into_iter().peekable();
        while let Some(word) = words.next() {
            let begins_list = word == "in" && words.peek().is_some_and(|next| next == "(");
            condition.words.push(word);
            if begins_list {
                let list = words.by_ref().skip(1).take_while(|word| word != ")").filter(|word| word != ",");
                condition.lists.insert(condition.words.len() - 1, list.collect());
            }
        }
        condition
    }

    fn admits_all_of(&self, old: &Self) -> bool {
        let keeps = |(place, list): (&usize, &BTreeSet<String>)| {
            self.lists.get(place).is_some_and(|new| new.is_superset(list))
        };
        let mut both = old.words.iter().zip(&self.words).enumerate();
        self.words.len() == old.words.len()
            && self.lists.len() == old.lists.len()
            && old.lists.iter().all(keeps)
            && both.all(|(place, (old, new))| old == new || self.is_moved_outward(place, old, new))
    }

    fn is_moved_outward(&self, place: usize, old: &str, new: &str) -> bool {
        let (Ok(old), Ok(new)) = (old.parse::<u64>(), new.parse::<u64>()) else { return false };
        (follows(&self.words, place, &["<", "<="]) && new >= old)
            || (follows(&self.words, place, &[">", ">="]) && new <= old)
    }
}

fn follows(words: &[String], place: usize, before: &[&str]) -> bool {
    place.checked_sub(1).is_some_and(|place| before.contains(&words[place].as_str()))
}
