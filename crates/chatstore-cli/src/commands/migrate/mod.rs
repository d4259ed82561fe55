//! `migrate`: changes of the tables.

mod check;
mod lint;
mod roles;
mod show;
mod write;

use std::process::ExitCode;

use chatstore::Store;
use chatstore::operations::{MigrationError, Migrations, Revision};
use chatstore_migrate::{DatabaseErrorKind, MigrationEvent, Script, Target};
use clap::Subcommand;

use super::{eprint_message, print};
use crate::config::{Alone, Config, NoFlags};
use crate::database;
use crate::error::{CliError, code};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply pending revisions, each in its own transaction
    Upgrade {
        /// How far: head, heads (of every branch), +N, or a revision
        #[arg(value_name = "TARGET", default_value = "head")]
        to: String,
        /// Print the SQL without running it
        #[arg(long)]
        sql: bool,
    },
    /// Undo revisions
    #[command(allow_negative_numbers = true)]
    Downgrade {
        /// How far: -N, a revision to go back to, or base
        #[arg(value_name = "TARGET", default_value = "-1", allow_hyphen_values = true)]
        to: String,
        /// Allow revisions whose undoing deletes data
        #[arg(long)]
        allow_data_loss: bool,
        /// Print the SQL without running it
        #[arg(long)]
        sql: bool,
    },
    /// Show which revisions are applied and which are pending
    Current(show::Json),
    /// List all migrations of the database, also failed ones, newest first
    Log(show::Json),
    /// List the revisions of this version, newest first
    History(Alone<show::Json>),
    /// List the revisions that nothing comes after
    Heads(Alone<show::Json>),
    /// List the revisions that more than one revision comes after
    Branches {
        #[command(flatten)]
        _flags: NoFlags,
    },
    /// Show one revision with its SQL
    Show {
        /// The revision, by id, beginning of the id, or label
        revision: String,
        #[command(flatten)]
        _flags: NoFlags,
    },
    /// List what an upgrade would apply
    Plan(show::Plan),
    /// Compare the applied revisions with those of this version
    Verify,
    /// Record that revisions are applied, without running them
    Stamp {
        /// What is applied: a revision and everything it builds on, heads (everything), or base (nothing)
        #[arg(value_name = "TARGET")]
        to: String,
        /// Print the SQL without running it
        #[arg(long)]
        sql: bool,
    },
    /// Print the SQL that creates roles with the rights they need; for PostgreSQL, needs no database
    Roles(Alone<roles::Roles>),
    /// Check that the revisions create the declared schema; needs no database on SQLite
    Check,
    /// Compare the tables of the database with what its applied revisions create
    Drift,
    /// List what in the revisions endangers rows or blocks clients; needs no database
    Lint(Alone<lint::Lint>),
    /// Create the folder of a new revision, with empty files or generated SQL
    Revision(Alone<write::Revision>),
    /// Create the folder of a revision that joins branches
    Merge(Alone<write::Merge>),
}

pub(crate) async fn run(config: &Config, command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Lint(lint) => return lint.arguments.run(),
        Command::Roles(roles) => roles.arguments.print(),
        Command::Revision(new) => new.arguments.run()?,
        Command::Merge(merge) => merge.arguments.run()?,
        Command::History(json) => show::history(json.arguments)?,
        Command::Heads(json) => show::heads(json.arguments)?,
        Command::Branches { .. } => show::branches()?,
        Command::Show { revision, .. } => show::one(&revision)?,
        Command::Upgrade { to, sql: true } => {
            print_script(config, Script::Upgrade(to.as_str().into())).await?
        }
        Command::Downgrade { to, sql: true, .. } => {
            print_script(config, Script::Downgrade(to.as_str().into())).await?;
        }
        Command::Stamp { to, sql: true } => print_script(config, Script::Stamp(to.as_str().into())).await?,
        Command::Current(json) => {
            let store = open_without_creating(config).await?;
            show::current(&store.operations().migration_status().await?, json)?;
            store.close().await;
        }
        Command::Log(json) => {
            let store = open_without_creating(config).await?;
            show::log(&store.migrations()?, json).await?;
            store.close().await;
        }
        Command::Plan(plan) => {
            let store = open_without_creating(config).await?;
            plan.show(&store.migrations()?).await?;
            store.close().await;
        }
        Command::Verify => {
            let store = open_without_creating(config).await?;
            verify(&store).await?;
            store.close().await;
        }
        Command::Check => check::check(config).await?,
        Command::Drift => {
            let store = open_without_creating(config).await?;
            check::drift(&store.migrations()?).await?;
            store.close().await;
        }
        Command::Upgrade { to, .. } => {
            let store = database::open_for_migrations(config).await?;
            upgrade(&store.migrations()?, &to).await?;
            store.close().await;
        }
        Command::Downgrade { to, allow_data_loss, .. } => {
            let store = database::open_for_migrations(config).await?;
            downgrade(&store.migrations()?, &to, allow_data_loss).await?;
            store.close().await;
        }
        Command::Stamp { to, .. } => {
            let store = database::open_for_migrations(config).await?;
            stamp(&store.migrations()?, &to).await?;
            store.close().await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn upgrade(migrations: &Migrations<'_>, to: &str) -> Result<(), CliError> {
    let applied = migrations.upgrade(Target::from(to), report).await.map_err(stopped)?;
    if applied.is_empty() {
        eprint_message("nothing to apply: the tables are up to date");
    }
    Ok(())
}

/// The failure of an upgrade that ended before its target.
fn stopped(error: MigrationError) -> CliError {
    let hint = match &error {
        MigrationError::Database { cause, .. } if cause.kind == DatabaseErrorKind::Failed => {
            // Both databases use these words.
            let exists = cause.to_string().contains("already exists");
            Some(if exists { TAKE_OVER } else { CORRECT })
        }
        _ => None,
    };
    let failure = CliError::from(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

const CORRECT: &str = "the revision was rolled back; correct what the database reports and upgrade again";
const TAKE_OVER: &str = "the revision was rolled back; if the tables are another program's, give chatstore a database of its own; if they are chatstore's, created in another way, record them with `chatstore migrate stamp`";

async fn downgrade(migrations: &Migrations<'_>, to: &str, allow_data_loss: bool) -> Result<(), CliError> {
    let undone = match migrations.downgrade(Target::from(to), allow_data_loss, report).await {
        Err(MigrationError::TooFar { left: 0, .. }) => Vec::new(),
        undone => undone?,
    };
    if undone.is_empty() {
        eprint_message("nothing to undo: no revision after the target is applied");
    }
    Ok(())
}

async fn stamp(migrations: &Migrations<'_>, to: &str) -> Result<(), CliError> {
    let stamped = migrations.stamp(Target::from(to)).await?;
    for revision in &stamped {
        eprint_message(format_args!("stamped {} {}", revision.id, revision.slug));
    }
    if stamped.is_empty() {
        eprint_message("nothing to stamp: the history is already like that");
    }
    Ok(())
}

fn report(event: &MigrationEvent<'_>) {
    let named = |what: &str, revision: &Revision| {
        eprint_message(format_args!("{what} {} {}", revision.id, revision.slug));
    };
    match event {
        MigrationEvent::Waiting => eprint_message("waiting for another process that is migrating"),
        MigrationEvent::Applied(revision) => named("applied", revision),
        MigrationEvent::Undone(revision) => named("undone", revision),
        MigrationEvent::Rows { revision, rows } => {
            let rows = counted(*rows, "row");
            eprint_message(format_args!("working on {} {}: {rows} so far", revision.id, revision.slug));
        }
        MigrationEvent::Note { revision, text } => {
            eprint_message(format_args!("{} {}: {text}", revision.id, revision.slug));
        }
        MigrationEvent::Applying(_) => {}
    }
}

async fn verify(store: &Store) -> Result<(), CliError> {
    let status = store.operations().migration_status().await?;
    status.verify()?;
    let applied = counted(status.applied().count(), "applied revision");
    eprint_message(format_args!("{applied}, identical to those of this version"));
    Ok(())
}

async fn print_script(config: &Config, script: Script) -> Result<(), CliError> {
    let store = open_without_creating(config).await?;
    let text = store.migrations()?.script(script).await?;
    store.close().await;
    if text.is_empty() {
        eprint_message("nothing to do: the database is already at the target");
        return Ok(());
    }
    print(text.trim_end());
    Ok(())
}

/// Opens the database without creating one: a SQLite file that does not exist is treated as empty.
async fn open_without_creating(config: &Config) -> Result<Store, CliError> {
    if database::refuse_absent_file(config).is_ok() {
        return database::open_for_migrations(config).await;
    }
    Store::connect("sqlite://:memory:").await.map_err(CliError::from)
}

/// `1 row`, `2 rows`.
fn counted<N: std::fmt::Display + From<u8> + PartialEq>(count: N, what: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {what}{ending}")
}

/// The program's own revisions.
fn graph() -> Result<chatstore_migrate::Graph, CliError> {
    Ok(chatstore_migrate::Graph::new(chatstore_sql::revisions()?)?)
}

/// A failure to write or read a folder of revisions.
fn cannot_write(what: &str, error: &std::io::Error) -> CliError {
    CliError::new(code::CANNOT_CREATE, format!("cannot write {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use chatstore::operations::MigrationError;
    use chatstore_migrate::{DatabaseError, DatabaseErrorKind};

    use super::{counted, stopped};

    #[test]
    fn a_failed_upgrade_has_a_hint_how_to_continue() {
        let hint = |kind, cause: &str| {
            let cause = DatabaseError::new(kind, cause);
            stopped(MigrationError::Database { doing: "applying".to_owned(), cause }).into_parts().1
        };
        let nulls = hint(DatabaseErrorKind::Failed, "column \"notes\" contains null values");
        assert!(
            nulls.is_some_and(|hint| hint.ends_with("correct what the database reports and upgrade again"))
        );
        let taken = hint(DatabaseErrorKind::Failed, "relation \"users\" already exists");
        assert!(taken.is_some_and(|hint| hint.ends_with("record them with `chatstore migrate stamp`")));
        assert_eq!(hint(DatabaseErrorKind::StorageFull, "the disk is full"), None);
    }

    #[test]
    fn one_is_counted_as_one() {
        let counts = [0_usize, 1, 2].map(|count| counted(count, "hazard"));
        assert_eq!(counts, ["0 hazards", "1 hazard", "2 hazards"]);
    }
}
