//! Users: who is stored already stays, who is not is added.

use chatstore_model::{CanonicalJson, NewUser, UserId, UserName};
use chatstore_sql::{StoreError, Tx};

use super::{Batch, BatchState, Mode, StoreResult, Write};
use crate::plan::PlannedUser;
use crate::report::Issue;

pub(in crate::engine) struct UserBatch(pub(in crate::engine) Vec<PlannedUser>);

impl Batch for UserBatch {
    const NAME: &'static str = "import_users";
    type Outcome = ();

    async fn decide<M: Mode>(&self, tx: &mut Tx<'_, M>, state: &mut BatchState) -> StoreResult<()> {
        for planned in &self.0 {
            match decide_user(tx, state, planned).await? {
                UserDecision::Present(_, issue) => {
                    state.report.keep("users");
                    state.report.issues.extend(issue);
                }
                UserDecision::Add(new, issues) => {
                    M::apply(tx, state, Write::User(&new)).await?;
                    state.report.add("users", 1);
                    state.report.issues.extend(planned.issues.iter().cloned().chain(issues));
                }
            }
        }
        Ok(())
    }
}

/// What is to become of a user.
pub(super) enum UserDecision {
    /// This user is stored already; reported when they had the address before any import.
    Present(UserId, Option<Issue>),
    Add(Box<NewUser>, Vec<Issue>),
}

/// Decides about a user, and finds a name for one to whom neither name nor address remains.
pub(super) async fn decide_user<M>(
    tx: &mut Tx<'_, M>,
    state: &BatchState,
    planned: &PlannedUser,
) -> StoreResult<UserDecision> {
    if state.has(|added| added.users.contains(&planned.id)) || tx.users().get(planned.id).await?.is_some() {
        return Ok(UserDecision::Present(planned.id, None));
    }
    let issue = |column: &str, problem: String, done: String| {
        Issue::of_row("users", &planned.key, problem, done).in_column(column)
    };
    let taken = |column: &str, typed: &str| {
        let problem = format!("{typed:?} is taken, apart from case, width and blanks around it");
        let without = "imported as an account of its own without it; the value is in metadata.source";
        issue(column, problem, without.to_owned())
    };
    let mut new = planned.new.clone();
    let mut issues = Vec::new();
    if let Some(email) = &planned.new.email {
        let holder = tx.users().find_by_email(email.as_typed()).await?;
        let is_taken = holder.is_some() || state.has(|added| added.emails.contains(email.key()));
        if let Some(holder) = holder
            && planned.is_email_the_key
            && holder.metadata.to_value().get("source").is_none()
        {
            let problem = "a user with this address existed before the import".to_owned();
            let issue = issue("email", problem, format!("imported as user {}", holder.id));
            return Ok(UserDecision::Present(holder.id, Some(issue)));
        }
        if is_taken {
            new.email = None;
            new.metadata = with_source(new.metadata, "email", email.as_typed());
            issues.push(taken("email", email.as_typed()));
        }
    }
    if let Some(name) = &planned.new.username
        && (tx.users().find_by_username(name.as_typed()).await?.is_some()
            || state.has(|added| added.usernames.contains(name.key())))
    {
        new.username = None;
        new.metadata = with_source(new.metadata, "username", name.as_typed());
        issues.push(taken("username", name.as_typed()));
    }
    if new.username.is_none() && new.email.is_none() {
        let name = placeholder(planned.id)?;
        let problem = "neither name nor address remains".to_owned();
        issues.push(issue("username", problem, format!("the account is named {name}")));
        new.username = Some(name);
    }
    Ok(UserDecision::Add(Box::new(new), issues))
}

fn placeholder(id: UserId) -> StoreResult<UserName> {
    let name = format!("user-{}", &id.uuid().simple().to_string()[..12]);
    UserName::new(name).map_err(|_| StoreError::InvalidState("a placeholder is not allowed as a name"))
}

fn with_source(metadata: CanonicalJson, field: &str, value: &str) -> CanonicalJson {
    let mut changed = metadata.to_value();
    if let Some(source) = changed.get_mut("source").and_then(serde_json::Value::as_object_mut) {
        source.insert(field.to_owned(), value.into());
    }
    CanonicalJson::new(changed).unwrap_or(metadata)
}
