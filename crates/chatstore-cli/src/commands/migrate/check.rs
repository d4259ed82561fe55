//! `migrate check` and `migrate drift`: whether the tables are as they should be.

use chatstore::Store;
use chatstore::operations::{MigrationError, Migrations};
use chatstore_migrate::model::Schema;
use chatstore_migrate::{Deviation, Difference, Renames, SNAPSHOT};
use chatstore_sql::schema::declared;

use super::graph;
use crate::commands::eprint_message;
use crate::config::Config;
use crate::database;
use crate::error::{CliError, code};

/// Checks that the declared schema is the newest revision's snapshot, and what all revisions create.
pub(super) async fn check(config: &Config) -> Result<(), CliError> {
    check_snapshot(&declared())?;
    let store = if config.database_url().starts_with("sqlite:") {
        Store::connect("sqlite://:memory:").await?
    } else {
        database::open_for_migrations(config).await?
    };
    let deviations = store.migrations()?.deviations_from_declared().await?;
    store.close().await;
    if !deviations.is_empty() {
        return Err(failure("the revisions do not create the declared schema", &deviations)
            .hint("correct the SQL of the newest revision, or the declaration"));
    }
    eprint_message("the revisions create the declared schema");
    Ok(())
}

fn check_snapshot(declared: &Schema) -> Result<(), CliError> {
    const GENERATE: &str = "run `chatstore migrate revision --autogenerate -m TEXT`, read what it writes, and build the program again";
    let graph = graph()?;
    let heads = graph.heads();
    let [head] = heads[..] else {
        return Err(MigrationError::SeveralHeads(heads.iter().map(|head| head.id.clone()).collect()).into());
    };
    let Some(text) = chatstore_sql::snapshot(&head.id) else {
        let message = format!("the newest revision {head} has no {SNAPSHOT}");
        return Err(CliError::new(code::FAILED, message).hint(GENERATE));
    };
    let snapshot = Schema::from_json(text).map_err(|error| {
        CliError::new(
            code::BAD_DATA,
            format!("the {SNAPSHOT} of the revision {head} is not a schema: {error}"),
        )
    })?;
    let changes = match Difference::between(&snapshot, declared, &Renames::default()) {
        Ok(difference) => difference.up.descriptions(),
        Err(reason) => vec![reason.to_string()],
    };
    if changes.is_empty() {
        return Ok(());
    }
    let what = format!("the declared schema differs from that of the newest revision {head}");
    Err(failure(&what, &changes).hint(GENERATE))
}

/// Checks that the database contains what its applied revisions create. Tables of others are named and do not count.
pub(super) async fn drift(migrations: &Migrations<'_>) -> Result<(), CliError> {
    let (others, deviations): (Vec<_>, Vec<_>) =
        migrations.drift().await?.into_iter().partition(Deviation::is_other_table);
    for other in others {
        eprint_message(format!("not ours: {}", other.object));
    }
    if !deviations.is_empty() {
        return Err(failure("the database differs from what its applied revisions create", &deviations)
            .hint("undo the manual change, or declare it and write a revision"));
    }
    eprint_message("the database contains what its applied revisions create");
    Ok(())
}

/// A failure with each finding on a separate line.
fn failure(what: &str, findings: &[impl std::fmt::Display]) -> CliError {
    let lines: Vec<String> = findings.iter().map(|finding| format!("\n  {finding}")).collect();
    CliError::new(code::FAILED, format!("{what}:{}", lines.concat()))
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use chatstore_migrate::model::{Column, ColumnType, Schema};
    use chatstore_sql::schema::declared;

    use super::{check_snapshot, code};

    fn refusal_of(declared: &Schema) -> (String, Option<String>) {
        let failure = check_snapshot(declared).expect_err("the declaration was changed");
        assert_eq!(failure.report(), ExitCode::from(code::FAILED));
        failure.into_parts()
    }

    #[test]
    fn a_declaration_without_a_revision_is_refused_with_the_command_that_writes_one() {
        check_snapshot(&declared()).expect("nothing was changed");
        let mut changed = declared();
        let colour =
            Column { name: "colour".to_owned(), kind: ColumnType::Text, nullable: true, default: None };
        changed.tables[1].columns.push(colour);

        let (message, hint) = refusal_of(&changed);

        assert!(
            message.contains("the declared schema differs from that of the newest revision "),
            "{message}"
        );
        assert!(message.contains("\n  ") && message.contains("conversations.colour"), "{message}");
        assert_eq!(
            hint.as_deref(),
            Some(
                "run `chatstore migrate revision --autogenerate -m TEXT`, read what it writes, and build the program again"
            )
        );
    }

    #[test]
    fn a_possible_rename_in_the_declaration_is_refused_with_the_option_that_confirms_it() {
        let mut changed = declared();
        "whole_name".clone_into(&mut changed.tables[0].columns[5].name);

        let (message, _) = refusal_of(&changed);

        assert!(message.contains("add `--rename users.full_name:whole_name`"), "{message}");
    }
}
