//! Users, of whom those with one name are one.

use super::columns::Table;
use super::prepared::Prepared;
use super::spool::{Spool, SpoolError};
use crate::engine::Import;
use crate::plan::{PlannedUser, RowClock, UserIdentity};
use crate::report::Issue;
use crate::source::planning::plan_user;
use crate::source::row::TimesWithoutZone;

/// Hands over all users.
pub(super) async fn hand_over(
    spool: &Spool,
    import: &mut Import<'_>,
    wants_passwords: bool,
    zones: &mut TimesWithoutZone,
) -> Result<(), SpoolError> {
    let mut clock = RowClock::following(import.base_time());
    let mut after = 0;
    while let Some(spooled) = spool.next(Table::Users, after)? {
        after = spooled.position;
        let mut record = spooled.record;
        let mut issues = Vec::new();
        let mut same_after = 0;
        while let Some(same) = spool.next_same(Table::Users, spooled.position, same_after)? {
            same_after = same.position;
            record.fill(same.record);
            let problem = format!("it is the user of row {:?}, apart from the spelling", spooled.key);
            let issue = Issue::of_row("users", &same.key, problem, "one user, who has what both rows have");
            issues.push(issue.needing_review());
            import.report.keep("users");
        }
        let id = spool.user_id(spooled.position)?;
        record.join_salt();
        let prepared = Prepared::new(Table::Users, spooled.key, &record);
        let mut user = plan_user(prepared.row(), "id", |_| id, clock.time(), zones);
        clock.follow(user.new.created_at);
        user.issues.extend(issues);
        let has_name = user.new.username.as_ref().is_some_and(|name| !name.may_be_an_address());
        let identified_by = if has_name { UserIdentity::Username } else { UserIdentity::Id };
        let wants_password = wants_passwords && user.new.password_hash.is_none();
        import.user(PlannedUser { identified_by, wants_password, ..user }).await?;
    }
    import.flush().await?;
    Ok(())
}
