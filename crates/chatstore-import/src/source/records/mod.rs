//! Rows of whatever form that name each other by ids, names and addresses, in any order. They are first put into a
//! temporary file, where what they name is looked up, so that memory does not grow with them.

mod columns;
mod conversations;
mod documents;
mod messages;
mod prepared;
mod record;
mod spool;
mod users;

use chatstore_model::UserId;
use uuid::Uuid;

use super::row::TimesWithoutZone;
use crate::engine::Import;
use crate::plan::derived_uuid;
use crate::report::Issue;

pub(super) use columns::{PARTS_FORMAT, Table, is_any_field};
pub(super) use record::{Record, is_field};
pub(super) use spool::{Spool, SpoolError};

/// The name space of imported ids. It was generated once and must never change.
const NAMESPACE: Uuid = Uuid::from_u128(0x9c1e_53d7_8a40_4b6f_b2d9_4e0f_7716_ca35);

fn derived(parts: &[&[u8]]) -> Uuid {
    derived_uuid(NAMESPACE, &[], parts)
}

/// What the rows do not say.
#[derive(Debug, Clone, Copy)]
pub(super) struct HandOver {
    /// Who has what names no owner.
    pub(super) owner: UserId,
    /// Whether users without a password get a random one.
    pub(super) wants_passwords: bool,
    /// Whether a conversation without a time is reported.
    pub(super) has_times: bool,
}

/// Hands over everything that was put into the spool.
pub(super) async fn hand_over(
    spool: &Spool,
    import: &mut Import<'_>,
    settings: HandOver,
) -> Result<(), SpoolError> {
    spool.prepare()?;
    import.report.expect_rows(spool.rows()? + import.report.read());
    let mut zones = TimesWithoutZone::default();
    users::hand_over(spool, import, settings.wants_passwords, &mut zones).await?;
    conversations::hand_over(spool, import, settings, &mut zones).await?;
    documents::hand_over(spool, import, settings.owner, &mut zones).await?;
    import.flush().await?;
    zones.report(import);
    for (table, column, rows) in spool.unknown_columns()? {
        let problem = format!("the column has no equivalent ({rows} rows)");
        let issue = Issue::of_table(table.name(), problem, "kept in metadata.source").in_column(&column);
        if import.report.added(table.name()) > 0 {
            import.report.issue(issue);
        }
    }
    Ok(())
}
