//! What in a revision endangers the rows that are there or whoever works with them meanwhile.
//!
//! The schemas before and after say what becomes narrower. What is dropped and what a new column is
//! filled with is told by the SQL as well, and the locks of PostgreSQL by its SQL alone. A table
//! that a revision makes itself has no rows, so nothing done to it is a hazard.

mod constraints;
mod ddl;

use crate::dialect::Dialect;
use crate::diff::SchemaChange;
use crate::hazard::{Finding, Hazard};
use crate::model::Schema;
use crate::rename::Renames;
use crate::revision::Revision;

use ddl::{Constraint, Deed, Deeds};

/// What a revision comes after.
#[derive(Debug, Clone)]
pub struct Parent<'p> {
    /// The revision.
    pub revision: &'p Revision,
    /// What the schema is after it, where that was kept.
    pub schema: Option<Schema>,
}

/// The hazards of a revision between the schemas before and after it; without both of them, as far as
/// its SQL tells. Where it joins branches, those that it has beside every one of them. What the
/// revision accepts is none, but for what undoing it deletes while it says that it loses nothing.
#[must_use]
pub fn lint(revision: &Revision, parents: &[Parent<'_>], after: Option<&Schema>) -> Vec<Finding> {
    let up = [Dialect::Sqlite, Dialect::Postgres].map(|dialect| Deeds::of(revision.up(dialect)));
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

/// The change between two schemas, with what the SQL renames. A rename of what is only there for a
/// while is none of the schema's.
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
    up: &'l [Deeds; 2],
    /// Where both schemas are known.
    change: Option<SchemaChange>,
    /// Whether a revision before filled columns.
    was_filled: bool,
    findings: Vec<Finding>,
}

const DROP_LATER: &str = "drop it in a revision of its own, once no program uses it and what it holds is kept or not wanted; \
     what only gets another name is renamed";
const MARK_LOSS: &str = "remove `loses_data = false` from revision.toml";
const GIVE_DEFAULT: &str =
    "give it a default, or add it nullable, fill it, and set it not null in a later revision";
const FILL_FIRST: &str = "fill it first, by an update before or by the data step of a revision before";
const BUILD_ASIDE: &str =
    "create the index concurrently, in a revision of its own with `transaction = false`";
const USE_INDEX: &str = "create a unique index concurrently, in a revision of its own with \
     `transaction = false`, and add the constraint `using index` in the next";
const VALIDATE_LATER: &str = "add the constraint `not valid`, and validate it in a later revision";
const EXCLUDE_EMPTY: &str = "add it while nobody writes, or make a new table that has it and fill that";
const ADD_BARE: &str = "add the column without its constraint, and that in a later revision";
const PROVE_FIRST: &str = "add a check `(column is not null) not valid` first, validate it in a later \
     revision, and set the column not null after that";

impl Linted<'_> {
    fn run(mut self) -> Vec<Finding> {
        if self.up.iter().any(|deeds| !deeds.is_empty()) {
            self.data_loss();
            self.without_value();
            let narrower = match &self.change {
                Some(change) => constraints::by_schema(change),
                None => constraints::by_sql(&self.up[Dialect::Postgres as usize]),
            };
            narrower.into_iter().for_each(|finding| self.add(finding));
            self.locks();
            self.findings.retain(|finding| !self.revision.accepts.contains(&finding.hazard));
        }
        if !self.revision.loses_data {
            self.data_loss_on_the_way_down();
        }
        self.findings
    }

    fn add(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn data_loss(&mut self) {
        let mut gone = self.up.iter().flat_map(dropped).collect::<Vec<_>>();
        gone.extend(self.change.iter().flat_map(|change| missing(&change.before, &change.after)));
        for (table, column) in gone {
            let what = if column.is_some() { "the column is dropped" } else { "the table is dropped" };
            self.add(Finding::new(Hazard::DataLoss, &table, column.as_deref(), what, DROP_LATER));
        }
    }

    fn data_loss_on_the_way_down(&mut self) {
        let texts = [Dialect::Sqlite, Dialect::Postgres].map(|dialect| self.revision.down(dialect));
        let down: Vec<Deeds> = texts.into_iter().flatten().map(Deeds::of).collect();
        if down.iter().all(Deeds::is_empty) {
            return;
        }
        let mut gone = down.iter().flat_map(dropped).collect::<Vec<_>>();
        gone.extend(self.change.iter().flat_map(|change| missing(&change.after, &change.before)));
        for (table, column) in gone {
            let what = match column {
                Some(_) => "undoing drops the column, and the revision says that it loses nothing",
                None => "undoing drops the table, and the revision says that it loses nothing",
            };
            self.add(Finding::new(Hazard::DataLoss, &table, column.as_deref(), what, MARK_LOSS));
        }
    }

    fn without_value(&mut self) {
        const ADDED: &str = "the column is added not null without a default";
        let up = self.up;
        let mut found = Vec::new();
        for (table, deed) in up.iter().flat_map(|deeds| &deeds.all) {
            match deed {
                Deed::AddColumn { column, is_without_value: true, .. } => {
                    found.push((table.clone(), column.clone(), ADDED));
                }
                Deed::SetNotNull(column) if !self.is_required_before(table, column) => {
                    found.push((table.clone(), column.clone(), "the column is set not null"));
                }
                _ => {}
            }
        }
        for alteration in self.change.iter().flat_map(SchemaChange::altered) {
            let table = &alteration.after.name;
            for new in &alteration.columns.new {
                let is_seen = up.iter().any(|deeds| deeds.adds(table, &new.name));
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
            let is_filled = self.was_filled || up.iter().any(|deeds| deeds.fills(&table, &column));
            let instead = if what == ADDED { GIVE_DEFAULT } else { FILL_FIRST };
            if what == ADDED || !is_filled {
                self.add(Finding::new(Hazard::NotNullWithoutDefault, &table, Some(&column), what, instead));
            }
        }
    }

    fn is_required_before(&self, table: &str, column: &str) -> bool {
        let before = self.change.as_ref().and_then(|change| change.before.table(table));
        before.and_then(|table| table.column(column)).is_some_and(|column| !column.nullable)
    }

    /// PostgreSQL looks at no row to set a column not null that a check proves to be so.
    fn is_proved(&self, table: &str, column: &str) -> bool {
        let before = self.change.as_ref().and_then(|change| change.before.table(table));
        let proof = format!("{column} is not null");
        before.is_some_and(|table| {
            table.checks.iter().any(|check| check.condition.of(Dialect::Postgres) == proof)
        })
    }

    fn locks(&mut self) {
        let up = self.up;
        for (table, deed) in &up[Dialect::Postgres as usize].all {
            let (column, what, instead) = match deed {
                Deed::CreateIndex { name, columns, is_concurrent: false, .. } => {
                    let what = format!("the index {name} is created while nobody can write");
                    (columns.join(", "), what, BUILD_ASIDE)
                }
                Deed::Constrain { kind, name, columns, is_scanned: true } => {
                    let instead = match kind {
                        Constraint::Key => USE_INDEX,
                        Constraint::Exclusion => EXCLUDE_EMPTY,
                        Constraint::ForeignKey | Constraint::Check => VALIDATE_LATER,
                    };
                    let what = format!("the constraint {name} looks at every row while nobody can write");
                    (columns.join(", "), what, instead)
                }
                Deed::ValidateOwn(name) => {
                    let what = format!("the constraint {name} is validated under the lock that added it");
                    (String::new(), what, "validate it in a later revision")
                }
                Deed::AddColumn { column, is_scanned: true, .. } => {
                    let what = "the constraint of the new column looks at every row while nobody can read";
                    (column.clone(), what.to_owned(), ADD_BARE)
                }
                Deed::SetNotNull(column) if !self.is_proved(table, column) => {
                    let what = "setting it not null looks at every row while nobody can read";
                    (column.clone(), what.to_owned(), PROVE_FIRST)
                }
                _ => continue,
            };
            self.add(Finding::new(Hazard::LockingIndex, table, Some(&column), what, instead));
        }
    }
}

type Place = (String, Option<String>);

/// What a text drops.
fn dropped(deeds: &Deeds) -> impl Iterator<Item = Place> {
    deeds.all.iter().filter_map(|(table, deed)| match deed {
        Deed::DropTable => Some((table.clone(), None)),
        Deed::DropColumn(column) => Some((table.clone(), Some(column.clone()))),
        _ => None,
    })
}

/// What one schema has and another has not.
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
