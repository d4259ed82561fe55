//! One step of the schema.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dialect::Dialect;
use crate::error::MigrationError;
use crate::hazard::Hazard;
use crate::syntax::statements;

const ID_DIGITS: usize = 12;

/// The files of a revision's folder, as they are.
#[derive(Debug, Clone, Default)]
pub struct RevisionFiles {
    /// The folder's name, `<id>_<slug>`.
    pub folder: Cow<'static, str>,
    /// `revision.toml`.
    pub description: Cow<'static, str>,
    /// `up.sqlite.sql`.
    pub up_sqlite: Option<Cow<'static, str>>,
    /// `up.pg.sql`.
    pub up_postgres: Option<Cow<'static, str>>,
    /// `down.sqlite.sql`; without it the revision cannot be undone.
    pub down_sqlite: Option<Cow<'static, str>>,
    /// `down.pg.sql`; without it the revision cannot be undone.
    pub down_postgres: Option<Cow<'static, str>>,
}

/// A step of the schema. Serialized without its SQL.
#[derive(Debug, Clone, Serialize)]
pub struct Revision {
    /// Twelve hexadecimal digits.
    pub id: String,
    /// A few words, joined by underscores.
    pub slug: String,
    /// What it does, in plain words.
    pub message: String,
    /// The revisions it comes after and replaces as a head.
    pub revises: Vec<String>,
    /// Revisions of other branches that must be applied before it.
    pub depends_on: Vec<String>,
    /// Names of a branch.
    pub labels: Vec<String>,
    /// Whether programs that do not know it can no longer work with the database.
    pub breaking: bool,
    /// Whether undoing it deletes data.
    #[serde(skip)]
    pub destructive: bool,
    /// Whether it runs in a transaction.
    #[serde(rename = "transaction")]
    pub in_transaction: bool,
    /// The function that is run after its SQL.
    pub data_step: Option<String>,
    /// Whether its data step has nothing to do in a new database, so that a script for one leaves it out.
    #[serde(skip)]
    pub skips_new_databases: bool,
    /// Hazards of applying it that `lint` does not report.
    #[serde(skip)]
    pub allow: Vec<Hazard>,
    #[serde(skip)]
    up: [Cow<'static, str>; 2],
    #[serde(skip)]
    down: [Option<Cow<'static, str>>; 2],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    id: String,
    slug: String,
    message: String,
    revises: Vec<String>,
    #[serde(default)]
    depends_on: Vec<String>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    breaking: bool,
    #[serde(default = "yes")]
    destructive: bool,
    #[serde(default = "yes")]
    transaction: bool,
    data_step: Option<String>,
    #[serde(default)]
    skips_new_databases: bool,
    #[serde(default)]
    allow: Vec<Hazard>,
}

const fn yes() -> bool {
    true
}

impl Revision {
    /// Reads a revision's files.
    ///
    /// # Errors
    /// [`MigrationError::Malformed`], which names the folder and what is wrong.
    pub fn parse(files: RevisionFiles) -> Result<Self, MigrationError> {
        let folder = files.folder.clone();
        Self::read(files).map_err(|reason| MigrationError::Malformed { folder: folder.into_owned(), reason })
    }

    fn read(files: RevisionFiles) -> Result<Self, String> {
        let description: Description =
            toml::from_str(&files.description).map_err(|error| format!("revision.toml: {error}"))?;
        let Description { id, slug, message, revises, depends_on, labels, .. } = description;
        if !is_id(&id) {
            return Err(format!("its id {id:?} is not {ID_DIGITS} hexadecimal digits in lower case"));
        }
        if slug.is_empty() || !slug.chars().all(is_of_a_name) {
            return Err(format!(
                "its slug {slug:?} has other characters than lower-case letters, digits and underscores"
            ));
        }
        if files.folder != format!("{id}_{slug}") {
            return Err(format!("by its id and slug the folder should be named {id}_{slug}"));
        }
        let wrong_label = |label: &&String| {
            let is_reserved = matches!(label.as_str(), "head" | "heads" | "base");
            is_reserved || label.is_empty() || !label.chars().all(is_of_a_name)
        };
        if let Some(label) = labels.iter().find(wrong_label) {
            return Err(format!(
                "its label {label:?} is reserved, or has other characters than lower-case letters, digits and underscores"
            ));
        }
        let revision = Self {
            id,
            slug,
            message,
            revises,
            depends_on,
            labels,
            breaking: description.breaking,
            destructive: description.destructive,
            in_transaction: description.transaction,
            data_step: description.data_step,
            skips_new_databases: description.skips_new_databases,
            allow: description.allow,
            up: [
                files.up_sqlite.ok_or("it has no up.sqlite.sql")?,
                files.up_postgres.ok_or("it has no up.pg.sql")?,
            ],
            down: [files.down_sqlite, files.down_postgres],
        };
        revision.check_statements()?;
        Ok(revision)
    }

    fn check_statements(&self) -> Result<(), String> {
        if !self.in_transaction && self.data_step.is_some() {
            return Err("a data step needs the transaction that transaction = false takes away".to_owned());
        }
        if self.skips_new_databases && self.data_step.is_none() {
            return Err("skips_new_databases is about a data step, and there is none".to_owned());
        }
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let suffix = dialect.suffix();
            for (way, text) in [("up", Some(self.up(dialect))), ("down", self.down_text(dialect))] {
                let Some(text) = text else { continue };
                let statements = statements::split(text);
                if statements.iter().any(|statement| statements::controls_transaction(statement)) {
                    return Err(format!(
                        "{way}.{suffix}.sql begins or ends a transaction, which the engine does"
                    ));
                }
                if !self.in_transaction && statements.len() != 1 {
                    return Err(format!(
                        "{way}.{suffix}.sql has {} statements, but outside a transaction there must be exactly one",
                        statements.len()
                    ));
                }
            }
        }
        Ok(())
    }

    /// The SQL that applies it.
    #[must_use]
    pub fn up(&self, dialect: Dialect) -> &str {
        &self.up[dialect as usize]
    }

    /// The SQL that undoes it.
    ///
    /// # Errors
    /// [`MigrationError::MissingDown`].
    pub fn down(&self, dialect: Dialect) -> Result<&str, MigrationError> {
        self.down_text(dialect).ok_or_else(|| MigrationError::MissingDown {
            revision: self.to_string(),
            file: format!("down.{}.sql", dialect.suffix()),
        })
    }

    fn down_text(&self, dialect: Dialect) -> Option<&str> {
        self.down[dialect as usize].as_deref()
    }

    /// Whether it runs outside a transaction on this database. On SQLite nothing needs that, and the
    /// transaction is also what keeps other processes away.
    #[must_use]
    pub fn runs_outside_transaction(&self, dialect: Dialect) -> bool {
        !self.in_transaction && dialect == Dialect::Postgres
    }

    /// The index that a step outside a transaction creates; what to look for after an interruption.
    pub(crate) fn index(&self, dialect: Dialect) -> Option<String> {
        statements::split(self.up(dialect)).first().and_then(|statement| statements::index_name(statement))
    }

    /// The digest of what applying it runs.
    #[must_use]
    pub fn sha256(&self, dialect: Dialect) -> String {
        let mut digest = Sha256::new();
        digest.update(self.up(dialect));
        if let Some(step) = &self.data_step {
            digest.update("\n-- data step: ");
            digest.update(step);
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Everything it builds on, of its own branch and of others.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &String> {
        self.revises.iter().chain(&self.depends_on)
    }
}

impl fmt::Display for Revision {
    /// Its name in messages.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.id, self.slug)
    }
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(crate) const fn is_of_a_name(letter: char) -> bool {
    matches!(letter, 'a'..='z' | '0'..='9' | '_')
}
