//! What in a revision endangers existing rows, or blocks the clients that work with them.
//!
//! The schemas before and after show what becomes narrower. What is dropped and what a new column is
//! filled with is read from the SQL too, and the locks of PostgreSQL from its SQL alone. A table that a
//! revision creates itself has no rows, so nothing done to it is a hazard.

mod constraints;
mod ddl;

use crate::dialect::Dialect;
use crate::diff::SchemaChange;
use crate::hazard::{Hazard, LintFinding};
use crate::model::Schema;
use crate::rename::Renames;
use crate::revision::Revision;

use ddl::{Constraint, DdlOperation, StatementEffects};

/// A revision that another one comes after.
#[derive(Debug, Clone)]
pub struct Parent<'p> {
    /// The revision.
    pub revision: &'p Revision,
    /// The schema after it, if there is a snapshot.
    pub schema: Option<Schema>,
}

/// The hazards of a revision, found by the schemas before and after it; without both of them, by its SQL alone.
/// Where it joins branches, those that it has after each of them. Hazards that the revision allows are left out,
/// except for data that undoing it deletes although it says that it is not destructive.
#[must_use]
pub fn lint(revision: &Revision, parents: &[Parent<'_>], after: Option<&Schema>) -> Vec<LintFinding> {
    let up = [Dialect::Sqlite, Dialect::Postgres].map(|dialect| StatementEffects::of(revision.up(dialect)));
    let was_filled = parents.iter().any(|parent| parent.revision.data_step.is_some());
    let nothing = Schema::default();
    let mut befores: Vec<Option<&Schema>> = parents.iter().map(|parent| parent.schema.as_ref()).collect();
    if befores.is_empty() {
        befores.push(Some(&nothing));
    }
    let of = |before: &Option<&Schema>| {
        let change = before
            .zip(after)
            .map(|(before, after)| change(before, after, &up[Dialect::Postgres as usize].renames));
        Linted { revision, up: &up, change, was_filled, findings: Vec::new() }.run()
    };
    let mut each = befores.iter().map(of);
    let mut findings = each.next().unwrap_or_default();
    for other in each {
        findings.retain(|finding| other.contains(finding));
    }
    findings
}

/// The change between two schemas, with what the SQL renames. A rename of something temporary is not one of
/// the schema.
fn change(before: &Schema, after: &Schema, renames: &[String]) -> SchemaChange {
    let mut renamed = before.clone();
    for rename in renames {
        let applied = Renames::parse([rename.as_str()]).and_then(|rename| rename.apply(&renamed));
        renamed = applied.unwrap_or(renamed);
    }
    SchemaChange { renames: Renames::default(), before: renamed, after: after.clone() }
}

struct Linted<'l> {
    revision: &'l Revision,
    /// By dialect.
    up: &'l [StatementEffects; 2],
    /// Where both schemas are known.
    change: Option<SchemaChange>,
    /// Whether a parent has a data step, which may have filled columns.
    was_filled: bool,
    findings: Vec<LintFinding>,
}

const DROP_LATER: &str = "drop it in a separate revision, once no program uses it and its data is saved or not needed; \
     if it only gets another name, rename it";
const MARK_LOSS: &str = "remove `destructive = false` from revision.toml";
const GIVE_DEFAULT: &str =
    "give it a default, or add it nullable, fill it, and set it not null in a later revision";
const FILL_FIRST: &str =
    "fill it first, by an update in front of this or by the data step of an earlier revision";
const BUILD_ASIDE: &str = "create the index concurrently, in a separate revision with `transaction = false`";
const USE_INDEX: &str = "create a unique index concurrently, in a separate revision with \
     `transaction = false`, and add the constraint `using index` in the next";
const VALIDATE_LATER: &str = "add the constraint `not valid`, and validate it in a later revision";
const EXCLUDE_EMPTY: &str = "add it while no client writes, or create a new table that has it and fill that";
const ADD_BARE: &str = "add the column without its constraint, and the constraint in a later revision";
const PROVE_FIRST: &str = "add a check `(column is not null) not valid` first, validate it in a later \
     revision, and set the column not null after that";

impl Linted<'_> {
    fn run(mut self) -> Vec<LintFinding> {
        if self.up.iter().any(|effects| !effects.is_empty()) {
            self.data_loss();
            self.without_value();
            let narrower = match &self.change {
                Some(change) => constraints::by_schema(change),
                None => constraints::by_sql(&self.up[Dialect::Postgres as usize]),
            };
            narrower.into_iter().for_each(|finding| self.add(finding));
            self.locks();
            self.findings.retain(|finding| !self.revision.allow.contains(&finding.hazard));
        }
        if !self.revision.destructive {
            self.data_loss_on_the_way_down();
        }
        self.findings
    }

    fn add(&mut self, finding: LintFinding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn data_loss(&mut self) {
        let mut gone = self.up.iter().flat_map(dropped).collect::<Vec<_>>();
        gone.extend(self.change.iter().flat_map(|change| missing(&change.before, &change.after)));
        for (table, column) in gone {
            let what = if column.is_some() { "the column is dropped" } else { "the table is dropped" };
            self.add(LintFinding::new(Hazard::DataLoss, &table, column.as_deref(), what, DROP_LATER));
        }
    }

    fn data_loss_on_the_way_down(&mut self) {
        let texts = [Dialect::Sqlite, Dialect::Postgres].map(|dialect| self.revision.down(dialect));
        let down: Vec<StatementEffects> = texts.into_iter().flatten().map(StatementEffects::of).collect();
        if down.iter().all(StatementEffects::is_empty) {
            return;
        }
        let mut gone = down.iter().flat_map(dropped).collect::<Vec<_>>();
        gone.extend(self.change.iter().flat_map(|change| missing(&change.after, &change.before)));
        for (table, column) in gone {
            let what = match column {
                Some(_) => "undoing drops the column, and the revision says that it is not destructive",
                None => "undoing drops the table, and the revision says that it is not destructive",
            };
            self.add(LintFinding::new(Hazard::DataLoss, &table, column.as_deref(), what, MARK_LOSS));
        }
    }

    fn without_value(&mut self) {
        const ADDED: &str = "the column is added not null without a default";
        let up = self.up;
        let mut found = Vec::new();
        for (table, operation) in up.iter().flat_map(|effects| &effects.operations) {
            match operation {
                DdlOperation::AddColumn { column, is_without_value: true, .. } => {
                    found.push((table.clone(), column.clone(), ADDED));
                }
                DdlOperation::SetNotNull(column) if !self.is_required_before(table, column) => {
                    found.push((table.clone(), column.clone(), "the column is set not null"));
                }
                _ => {}
            }
        }
        for alteration in self.change.iter().flat_map(SchemaChange::altered) {
            let table = &alteration.after.name;
            for new in &alteration.columns.new {
                let is_seen = up.iter().any(|effects| effects.adds(table, &new.name));
                if !is_seen && !new.nullable && new.default.is_none() {
                    found.push((table.clone(), new.name.clone(), ADDED));
                }
            }
            for (old, new) in &alteration.columns.changed {
                if old.nullable && !new.nullable {
                    found.push((table.clone(), new.name.clone(), "the column is set not null"));
                }
            }
        }
        for (table, column, what) in found {
            let is_filled = self.was_filled || up.iter().any(|effects| effects.fills(&table, &column));
            let instead = if what == ADDED { GIVE_DEFAULT } else { FILL_FIRST };
            if what == ADDED || !is_filled {
                self.add(LintFinding::new(
                    Hazard::NotNullWithoutDefault,
                    &table,
                    Some(&column),
                    what,
                    instead,
                ));
            }
        }
    }

    fn is_required_before(&self, table: &str, column: &str) -> bool {
        let before = self.change.as_ref().and_then(|change| change.before.table(table));
        before.and_then(|table| table.column(column)).is_some_and(|column| !column.nullable)
    }

    /// PostgreSQL scans no rows to set a column not null if a check already proves it.
    fn is_proved(&self, table: &str, column: &str) -> bool {
        let before = self.change.as_ref().and_then(|change| change.before.table(table));
        let proof = format!("{column} is not null");
        before.is_some_and(|table| {
            table.checks.iter().any(|check| check.condition.of(Dialect::Postgres) == proof)
        })
    }

    fn locks(&mut self) {
        let up = self.up;
        for (table, operation) in &up[Dialect::Postgres as usize].operations {
            let (column, what, instead) = match operation {
                DdlOperation::CreateIndex { name, columns, is_concurrent: false, .. } => {
                    let what = format!("the index {name} is created while no client can write");
                    (columns.join(", "), what, BUILD_ASIDE)
                }
                DdlOperation::Constrain { kind, name, columns, is_scanned: true } => {
                    let instead = match kind {
                        Constraint::Key => USE_INDEX,
                        Constraint::Exclusion => EXCLUDE_EMPTY,
                        Constraint::ForeignKey | Constraint::Check => VALIDATE_LATER,
                    };
                    let what = format!("the constraint {name} scans every row while no client can write");
                    (columns.join(", "), what, instead)
                }
                DdlOperation::ValidateOwn(name) => {
                    let what = format!("the constraint {name} is validated under the lock that added it");
                    (String::new(), what, "validate it in a later revision")
                }
                DdlOperation::AddColumn { column, is_scanned: true, .. } => {
                    let what = "the constraint of the new column scans every row while no client can read";
                    (column.clone(), what.to_owned(), ADD_BARE)
                }
                DdlOperation::SetNotNull(column) if !self.is_proved(table, column) => {
                    let what = "setting it not null scans every row while no client can read";
                    (column.clone(), what.to_owned(), PROVE_FIRST)
                }
                _ => continue,
            };
            self.add(LintFinding::new(Hazard::LockingIndex, table, Some(&column), what, instead));
        }
    }
}

type Place = (String, Option<String>);

/// The tables and columns that a text drops.
fn dropped(effects: &StatementEffects) -> impl Iterator<Item = Place> {
    effects.operations.iter().filter_map(|(table, operation)| match operation {
        DdlOperation::DropTable => Some((table.clone(), None)),
        DdlOperation::DropColumn(column) => Some((table.clone(), Some(column.clone()))),
        _ => None,
    })
}

/// The tables and columns of one schema that another lacks.
fn missing(from: &Schema, to: &Schema) -> Vec<Place> {
    let mut missing = Vec::new();
    for table in &from.tables {
        let Some(other) = to.table(&table.name) else {
            missing.push((table.name.clone(), None));
            continue;
        };
        let gone = table.columns.iter().filter(|column| other.column(&column.name).is_none());
        missing.extend(gone.map(|column| (table.name.clone(), Some(column.name.clone()))));
    }
    missing
}
