//! What SQL text does to tables that it did not create itself, as far as hazards are concerned. Code in another
//! language, such as a `do` block, is not read.

use std::collections::BTreeSet;

use crate::syntax::statements;
use crate::syntax::tokens::{items, unquoted, words};

/// An operation on a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DdlOperation {
    DropTable,
    DropColumn(String),
    AddColumn {
        column: String,
        /// Not null, and without a value for existing rows.
        is_without_value: bool,
        /// Its constraints scan every row.
        is_scanned: bool,
    },
    SetNotNull(String),
    ChangeType {
        column: String,
        kind: String,
    },
    Constrain {
        kind: Constraint,
        name: String,
        columns: Vec<String>,
        /// Adding it scans the existing rows.
        is_scanned: bool,
    },
    /// Rows are scanned for a constraint that the same text added, whose lock is still held.
    ValidateOwn(String),
    CreateIndex {
        name: String,
        columns: Vec<String>,
        is_unique: bool,
        is_concurrent: bool,
    },
}

/// The kind of a constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Constraint {
    Key,
    Exclusion,
    ForeignKey,
    Check,
}

/// What the statements of a text do, in order.
#[derive(Debug, Default)]
pub(crate) struct StatementEffects {
    /// Each with the name that its table has then.
    pub(crate) operations: Vec<(String, DdlOperation)>,
    /// `old:new` and `table.old:new`, each with the names at that point.
    pub(crate) renames: Vec<String>,
    created: BTreeSet<String>,
    /// Tables that an update changes, with the words of the statement.
    updates: Vec<(String, Vec<String>)>,
    renamed_tables: Vec<(String, String)>,
    not_validated: BTreeSet<String>,
    is_empty: bool,
}

impl StatementEffects {
    pub(crate) fn of(text: &str) -> Self {
        let statements = statements::split(text);
        let mut effects = Self { is_empty: statements.is_empty(), ..Self::default() };
        for statement in &statements {
            let words: Vec<String> = words(statement).iter().map(|word| unquoted(word).to_owned()).collect();
            effects.statement(Words(&words));
        }
        effects
    }

    /// Whether there is no statement.
    pub(crate) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Whether existing rows are given values of a column.
    pub(crate) fn fills(&self, table: &str, column: &str) -> bool {
        self.updates.iter().any(|(of, words)| of == table && words.iter().any(|word| word == column))
    }

    pub(crate) fn adds(&self, table: &str, column: &str) -> bool {
        self.operations.iter().any(|(of, operation)| {
            of == table
                && matches!(operation, DdlOperation::AddColumn { column: added, .. } if added == column)
        })
    }

    fn push(&mut self, table: &str, operation: DdlOperation) {
        if !self.created.contains(table) {
            self.operations.push((table.to_owned(), operation));
        }
    }

    fn statement(&mut self, mut words: Words<'_>) {
        if words.take("create") {
            let _ = words.take("temp") || words.take("temporary") || words.take("unlogged");
            if words.take("table") {
                let _ = words.take("if not exists");
                self.created.extend(words.name());
                return;
            }
            let is_unique = words.take("unique");
            if words.take("index") {
                self.create_index(words, is_unique);
            }
        } else if words.take("drop table") {
            let _ = words.take("if exists");
            for mut table in words.parts() {
                if let Some(table) = table.name() {
                    self.drop_table(&table);
                }
            }
        } else if words.take("alter table") {
            let _ = words.take("if exists");
            let _ = words.take("only");
            let Some(table) = words.name() else { return };
            for part in words.parts() {
                self.alter(&table, part);
            }
        } else if words.take("update") {
            let _ = words.take("only");
            if let Some(table) = words.name() {
                self.updates.push((table, words.0.to_vec()));
            }
        }
    }

    /// A new table that replaces one that was renamed is that table.
    fn drop_table(&mut self, table: &str) {
        let stands_in = |(old, new): &(String, String)| new == table && self.created.contains(old);
        if let Some(place) = self.renamed_tables.iter().position(stands_in) {
            let (old, new) = self.renamed_tables.remove(place);
            self.renames.retain(|rename| *rename != format!("{old}:{new}"));
            self.created.remove(&old);
            return;
        }
        self.push(table, DdlOperation::DropTable);
        self.created.remove(table);
    }

    fn rename_table(&mut self, old: &str, new: &str) {
        let is_dropped =
            |(of, operation): &(String, DdlOperation)| of == new && *operation == DdlOperation::DropTable;
        if self.created.remove(old) {
            if self.operations.iter().any(is_dropped) {
                self.operations.retain(|operation| !is_dropped(operation));
            } else {
                self.created.insert(new.to_owned());
            }
            return;
        }
        self.renames.push(format!("{old}:{new}"));
        self.renamed_tables.push((old.to_owned(), new.to_owned()));
    }

    fn create_index(&mut self, mut words: Words<'_>, is_unique: bool) {
        let is_concurrent = words.take("concurrently");
        let _ = words.take("if not exists");
        let name = if words.begins_with("on") { String::new() } else { words.name().unwrap_or_default() };
        let _ = words.take("on only") || words.take("on");
        let Some(table) = words.name() else { return };
        let columns = words.columns();
        self.push(&table, DdlOperation::CreateIndex { name, columns, is_unique, is_concurrent });
    }

    fn alter(&mut self, table: &str, mut words: Words<'_>) {
        if words.take("rename to") {
            if let Some(new) = words.name() {
                self.rename_table(table, &new);
            }
        } else if words.take("rename") && !words.begins_with("constraint") {
            let _ = words.take("column");
            let (old, is_rename, new) = (words.name(), words.take("to"), words.name());
            if let (Some(old), true, Some(new)) = (old, is_rename, new)
                && !self.created.contains(table)
            {
                self.renames.push(format!("{table}.{old}:{new}"));
            }
        } else if words.take("drop") && !words.begins_with("constraint") {
            let _ = words.take("column");
            let _ = words.take("if exists");
            match words.name() {
                Some(column) if !self.adds(table, &column) => {
                    self.push(table, DdlOperation::DropColumn(column))
                }
                _ => {}
            }
        } else if words.take("add") {
            self.add(table, words);
        } else if words.take("alter") {
            let _ = words.take("column");
            let Some(column) = words.name() else { return };
            if words.take("set not null") {
                self.push(table, DdlOperation::SetNotNull(column));
            } else if words.take("set data type") || words.take("type") {
                let kind = words.0.first().cloned().unwrap_or_default();
                self.push(table, DdlOperation::ChangeType { column, kind });
            }
        } else if words.take("validate constraint") {
            match words.name() {
                Some(name) if self.not_validated.contains(&name) => {
                    self.push(table, DdlOperation::ValidateOwn(name));
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, table: &str, mut words: Words<'_>) {
        let name = if words.take("constraint") { words.name() } else { None };
        let kind = match words.0.first().map(String::as_str) {
            Some("unique" | "primary") => Some(Constraint::Key),
            Some("exclude") => Some(Constraint::Exclusion),
            Some("foreign") => Some(Constraint::ForeignKey),
            Some("check") => Some(Constraint::Check),
            _ => None,
        };
        if let Some(kind) = kind {
            let name = name.unwrap_or_default();
            let is_valid = !words.has("not valid");
            if !is_valid {
                self.not_validated.insert(name.clone());
            }
            let is_scanned = is_valid && !words.has("using index");
            let columns = if kind == Constraint::Check { Vec::new() } else { words.columns() };
            return self.push(table, DdlOperation::Constrain { kind, name, columns, is_scanned });
        }
        let _ = words.take("column");
        let _ = words.take("if not exists");
        let Some(column) = words.name() else { return };
        let has_value =
            words.has("default") || words.has("generated") || words.0.iter().any(|it| it.ends_with("serial"));
        let is_without_value = !has_value && (words.has("not null") || words.has("primary key"));
        let is_scanned =
            ["unique", "primary key", "references", "check"].into_iter().any(|phrase| words.has(phrase));
        self.push(table, DdlOperation::AddColumn { column, is_without_value, is_scanned });
    }
}

/// The rest of a statement.
#[derive(Debug, Clone, Copy)]
struct Words<'w>(&'w [String]);

impl<'w> Words<'w> {
    fn begins_with(&self, phrase: &str) -> bool {
        let mut words = self.0.iter();
        phrase.split(' ').all(|wanted| words.next().is_some_and(|word| word == wanted))
    }

    fn take(&mut self, phrase: &str) -> bool {
        let is_next = self.begins_with(phrase);
        if is_next {
            self.0 = &self.0[phrase.split(' ').count()..];
        }
        is_next
    }

    /// A name without the schema before it.
    fn name(&mut self) -> Option<String> {
        let (first, mut rest) = self.0.split_first()?;
        let mut name = first;
        while let [point, next, after @ ..] = rest {
            if point != "." {
                break;
            }
            (name, rest) = (next, after);
        }
        self.0 = rest;
        Some(name.clone())
    }

    /// The parts between the commas outside of parentheses.
    fn parts(self) -> Vec<Self> {
        let mut depth = 0_usize;
        let is_between = |word: &String| {
            match word.as_str() {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && word == ","
        };
        self.0.split(is_between).map(Words).collect()
    }

    /// Whether a phrase stands outside of parentheses.
    fn has(&self, phrase: &str) -> bool {
        let mut depth = 0_usize;
        (0..self.0.len()).any(|place| {
            match self.0[place].as_str() {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && Words(&self.0[place..]).begins_with(phrase)
        })
    }

    /// The columns in the first parentheses; no expressions.
    fn columns(&self) -> Vec<String> {
        let Some((parts, _)) = items(self.0) else { return Vec::new() };
        let is_column = |part: &&&[String]| !part.is_empty() && !part.contains(&"(".to_owned());
        parts.iter().filter(is_column).map(|part| part[0].clone()).collect()
    }
}
