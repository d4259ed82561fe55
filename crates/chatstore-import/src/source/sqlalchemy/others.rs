//! Tables that are not read.

use super::SqlalchemyError;
use super::linked::is_membership;
use super::reader::Reader;
use crate::report::Issue;

/// Tables of sessions and their tokens, which end with the old application.
const SESSIONS: [&str; 4] = ["sessions", "session", "refresh_tokens", "refresh_token"];

/// Counts the rows of sessions, and names the tables that are not read.
pub(super) async fn report_others(
    reader: &mut Reader<'_>,
    read: &[&str],
    reads_members: bool,
) -> Result<(), SqlalchemyError> {
    for name in reader.database.table_names().await? {
        let is_read = read.contains(&name.as_str());
        if is_read || name == "alembic_version" {
            continue;
        }
        let Some(table) = reader.database.table(&name).await? else { continue };
        if reads_members && is_membership(&table) {
            continue;
        }
        let rows = reader.database.count(&table).await?;
        if SESSIONS.contains(&name.as_str()) {
            let problem = format!("{rows} rows of {name} of the old application");
            let issue = Issue::of_table("sessions", problem, "left out; users log in again");
            reader.import.report.pass_over(issue, rows);
        } else if rows > 0 {
            let problem = format!("the table {name} is not read: it has {rows} rows");
            reader.import.report.issue(Issue::of_table("tables", problem, "left out"));
        }
    }
    Ok(())
}
