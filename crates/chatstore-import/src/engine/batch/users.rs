//! Users: who is stored already stays, who is not is added.

use chatstore_model::{CanonicalJson, NewUser, User, UserId, UserName};
use chatstore_sql::{StoreError, Tx};

use super::{Batch, BatchState, Mode, StoreResult, Write};
use crate::plan::PlannedUser;
use crate::report::{Issue, RowsReport};

pub(in crate::engine) struct UserBatch(pub(in crate::engine) Vec<PlannedUser>);

impl Batch for UserBatch {
    const NAME: &'static str = "import_users";
    type Outcome = RowsReport;

    async fn decide<M: Mode>(&self, tx: &mut Tx<'_, M>, state: &mut BatchState) -> StoreResult<RowsReport> {
        let mut report = RowsReport::default();
        for planned in &self.0 {
            let stored = StoredUser::find(tx, state, planned).await?;
            match decide_user(planned, &stored)? {
                UserDecision::Present => report.keep("users"),
                UserDecision::Match(_, issue) => {
                    report.keep("users");
                    report.issues.push(issue);
                }
                UserDecision::Add(new, issues) => {
                    M::apply(tx, state, Write::User(&new)).await?;
                    report.add("users", 1);
                    report.issues.extend(planned.issues.iter().cloned().chain(issues));
                }
            }
        }
        Ok(report)
    }
}

/// What is stored of a planned user.
#[derive(Default)]
pub(super) struct StoredUser {
    is_present: bool,
    /// The user who has the address.
    email_holder: Option<User>,
    is_email_taken: bool,
    is_username_taken: bool,
}

impl StoredUser {
    pub(super) async fn find<M>(
        tx: &mut Tx<'_, M>,
        state: &BatchState,
        planned: &PlannedUser,
    ) -> StoreResult<Self> {
        if state.has_user(planned.id) || tx.users().get(planned.id).await?.is_some() {
            return Ok(Self { is_present: true, ..Self::default() });
        }
        let mut stored = Self::default();
        if let Some(email) = &planned.new.email {
            stored.email_holder = tx.users().find_by_email(email.as_typed()).await?;
            stored.is_email_taken = stored.email_holder.is_some() || state.has_email(email.key());
        }
        if let Some(name) = &planned.new.username {
            let holder = tx.users().find_by_username(name.as_typed()).await?;
            stored.is_username_taken = holder.is_some() || state.has_username(name.key());
        }
        Ok(stored)
    }
}

/// What is to become of a user.
pub(super) enum UserDecision {
    Present,
    /// The user who had the address before any import is this one.
    Match(UserId, Issue),
    Add(Box<NewUser>, Vec<Issue>),
}

/// Decides about a user, and finds a name for one to whom neither name nor address remains.
pub(super) fn decide_user(planned: &PlannedUser, stored: &StoredUser) -> StoreResult<UserDecision> {
    if stored.is_present {
        return Ok(UserDecision::Present);
    }
    let issue = |column: &str, problem: String, done: String| {
        Issue::of_row("users", &planned.key, problem, done).in_column(column)
    };
    if let Some(holder) = &stored.email_holder
        && planned.is_email_the_key
        && holder.metadata.value().get("source").is_none()
    {
        let problem = "a user with this address existed before the import".to_owned();
        return Ok(UserDecision::Match(
            holder.id,
            issue("email", problem, format!("imported as user {}", holder.id)),
        ));
    }
    let mut new = planned.new.clone();
    let mut issues = Vec::new();
    let taken = |typed: &str| format!("{typed:?} is taken, apart from case, width and blanks around it");
    let without = "imported as an account of its own without it; the value is in metadata.source";
    if stored.is_email_taken
        && let Some(email) = new.email.take()
    {
        new.metadata = with_source(new.metadata, "email", email.as_typed());
        issues.push(issue("email", taken(email.as_typed()), without.to_owned()));
    }
    if stored.is_username_taken
        && let Some(name) = new.username.take()
    {
        new.metadata = with_source(new.metadata, "username", name.as_typed());
        issues.push(issue("username", taken(name.as_typed()), without.to_owned()));
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
    let mut changed = metadata.clone().into_value();
    if let Some(source) = changed.get_mut("source").and_then(serde_json::Value::as_object_mut) {
        source.insert(field.to_owned(), value.into());
    }
    CanonicalJson::new(changed).unwrap_or(metadata)
}
