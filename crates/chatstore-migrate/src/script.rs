//! The same SQL as text, for another client to run.

use std::fmt::Write as _;

use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::error::MigrationError;
use crate::graph::Target;
use crate::history::{self, History, Moment, Progress};
use crate::migrator::Migrator;
use crate::rebuild;
use crate::revision::Revision;

/// What a script does.
#[derive(Debug, Clone)]
pub enum Script {
    /// The same as [`Migrator::upgrade`].
    Upgrade(Target),
    /// The same as [`Migrator::downgrade`], also when it deletes data.
    Downgrade(Target),
    /// The same as [`Migrator::stamp`].
    Stamp(Target),
}

impl Migrator {
    /// The SQL that does the same to the database in its present state, including its history; changes
    /// nothing. The script uses the time of the database and takes no lock. For a database without a history it leaves
    /// out the data steps that have nothing to do in a new one.
    ///
    /// # Errors
    /// Those of the operation itself; [`MigrationError::DataStepInScript`] and
    /// [`MigrationError::InterruptedInScript`] where SQL is not enough.
    pub async fn script(
        &self,
        connection: &mut dyn Connection,
        script: &Script,
    ) -> Result<String, MigrationError> {
        let dialect = connection.dialect();
        let mut text = String::new();
        let history = match script {
            Script::Stamp(_) => History::read(connection).await?,
            _ => self.verified(connection).await?,
        };
        let mut steps = Vec::new();
        match script {
            Script::Upgrade(target) => {
                let is_new = history.entries.is_empty();
                for revision in self.graph.upgrade_path(|id| history.is_applied(id), target)? {
                    refuse_interrupted(&history, revision)?;
                    refuse_data_step(revision, is_new)?;
                    steps.push((format!("apply {revision}"), self.applying(dialect, revision)));
                }
            }
            Script::Downgrade(target) => {
                for revision in self.downgrade_path(&history, dialect, target, true)? {
                    refuse_interrupted(&history, revision)?;
                    steps.push((format!("undo {revision}"), self.undoing(dialect, revision)?));
                }
            }
            Script::Stamp(target) => {
                let mut step = Step::default();
                for (revision, is_applied) in self.stamped(&history, dialect, target)? {
                    step.before += &self.stamp_sql(dialect, revision, is_applied, Moment::OfTheDatabase);
                }
                if !step.before.is_empty() {
                    steps.push(("stamp".to_owned(), step));
                }
            }
        }
        let begin = if dialect == Dialect::Sqlite { "begin immediate" } else { "begin" };
        let mut prepare = (!history.exists).then(|| history::create(dialect));
        for (title, Step { before, alone, after }) in steps {
            let prepare = prepare.take().unwrap_or_default();
            let (off, on) = if rebuild::asks_for_no_foreign_keys(dialect, &before) {
                ("pragma foreign_keys = off;\n", "pragma foreign_keys = on;\n")
            } else {
                ("", "")
            };
            // Writing to a string does not fail.
            let _ = write!(text, "\n-- {title}\n{off}{begin};\n{prepare}{before}commit;\n{on}");
            if let Some(alone) = alone {
                let _ = write!(text, "{alone}{begin};\n{after}commit;\n");
            }
        }
        Ok(text)
    }

    fn applying(&self, dialect: Dialect, revision: &Revision) -> Step {
        let at = Moment::OfTheDatabase;
        let insert = |progress| history::insert(dialect, revision, at, None, &self.application, progress);
        let log = self.log(dialect, "upgrade", revision, at, None, None);
        let up = ended(revision.up(dialect));
        if !revision.runs_outside_transaction(dialect) {
            return Step { before: up + &insert(Progress::Applied) + &log, ..Step::default() };
        }
        let applied = history::mark(dialect, revision, at, None, Progress::Applied);
        Step { before: insert(Progress::Running), alone: Some(up), after: applied + &log }
    }

    fn undoing(&self, dialect: Dialect, revision: &Revision) -> Result<Step, MigrationError> {
        let at = Moment::OfTheDatabase;
        let down = ended(revision.down(dialect)?);
        let log = self.log(dialect, "downgrade", revision, at, None, None);
        let forget = history::delete(revision) + &log;
        if !revision.runs_outside_transaction(dialect) {
            return Ok(Step { before: down + &forget, ..Step::default() });
        }
        let before = history::mark(dialect, revision, at, None, Progress::Undoing);
        Ok(Step { before, alone: Some(down), after: forget })
    }
}

/// A transaction; for a step outside a transaction, that step and a second transaction.
#[derive(Default)]
struct Step {
    before: String,
    alone: Option<String>,
    after: String,
}

fn refuse_data_step(revision: &Revision, is_new: bool) -> Result<(), MigrationError> {
    match &revision.data_step {
        Some(step) if !(is_new && revision.skips_new_databases) => {
            Err(MigrationError::DataStepInScript { revision: revision.to_string(), step: step.clone() })
        }
        _ => Ok(()),
    }
}

fn refuse_interrupted(history: &History, revision: &Revision) -> Result<(), MigrationError> {
    match history.progress(&revision.id) {
        None | Some(Progress::Applied) => Ok(()),
        Some(_) => Err(MigrationError::InterruptedInScript(revision.id.clone())),
    }
}

/// A text with its last statement terminated, so that another may follow.
fn ended(text: &str) -> String {
    let text = text.trim_end();
    if text.is_empty() || text.ends_with(';') { format!("{text}\n") } else { format!("{text}\n;\n") }
}
