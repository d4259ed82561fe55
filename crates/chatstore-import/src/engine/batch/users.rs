//! Users: who is stored already stays, who is not is added.

use chatstore_model::{
    ANOTHER_ADDRESS, CanonicalJson, Email, NewUser, UserId, UserName, is_own_name, limits,
};
use chatstore_sql::{Marked, StoreError, Tx};
use serde_json::Value;

use super::{Batch, BatchState, DELETED, LEFT_DELETED, Mode, StoreResult, Write};
use crate::plan::{PlannedUser, UserIdentity};
use crate::report::Issue;

pub(in crate::engine) struct UserBatch(pub(in crate::engine) Vec<PlannedUser>);

impl Batch for UserBatch {
    const NAME: &'static str = "import_users";
    /// The users of the batch whom the store has under other ids.
    type Outcome = Vec<(UserId, UserId)>;

    async fn decide<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
    ) -> StoreResult<Self::Outcome> {
        let mut others = Vec::new();
        state.found.look_up_users(tx, self.0.iter().map(|planned| planned.id).collect()).await?;
        for planned in &self.0 {
            match decide_user(tx, state, planned).await? {
                UserDecision::Present(id) => {
                    others.push((planned.id, id));
                    state.report.keep("users");
                }
                UserDecision::Same { id, metadata, issue } => {
                    if let Some(metadata) = metadata {
                        M::apply(tx, state, Write::UserMetadata(id, metadata)).await?;
                    }
                    others.push((planned.id, id));
                    state.report.keep("users");
                    state.report.issues.push(issue);
                }
                UserDecision::Deleted => {
                    let issue = Issue::of_row("users", &planned.key, DELETED, LEFT_DELETED);
                    state.report.issues.push(issue.leaving_out());
                }
                UserDecision::Add(new, issues) => {
                    M::apply(tx, state, Write::User(&new)).await?;
                    state.report.add("users", 1);
                    state.report.issues.extend(planned.issues.iter().cloned().chain(issues));
                }
            }
        }
        others.retain(|(planned, id)| planned != id);
        Ok(others)
    }
}

/// What is to become of a user.
pub(super) enum UserDecision {
    /// This user is stored already.
    Present(UserId),
    /// The row is about a user who has another row, or was there before any import: what to remember, and to report.
    Same {
        id: UserId,
        metadata: Option<CanonicalJson>,
        issue: Issue,
    },
    Add(Box<NewUser>, Vec<Issue>),
    /// The user is being deleted, and stays so.
    Deleted,
}

/// Decides about a user, and finds a name for one to whom neither name nor address remains.
pub(super) async fn decide_user<M>(
    tx: &mut Tx<'_, M>,
    state: &BatchState,
    planned: &PlannedUser,
) -> StoreResult<UserDecision> {
    let is_stored = match state.found.user(planned.id) {
        Some(is_stored) => is_stored,
        None => tx.users().get(planned.id).await?.is_some(),
    };
    if is_stored || state.has(|added| added.users.contains(&planned.id)) {
        return Ok(UserDecision::Present(planned.id));
    }
    if state.is_deleted(Marked::User(planned.id)) {
        return Ok(UserDecision::Deleted);
    }
    if let Some(decision) = find_same(tx, state, planned).await? {
        return Ok(decision);
    }
    let mut new = planned.new.clone();
    let mut issues = Vec::new();
    if let Some(email) = &planned.new.email {
        let is_added = state.addressed(email.key(), new.is_email_verified).is_some();
        if is_added || !tx.users().is_email_free(email, new.is_email_verified).await? {
            new = without_email(new, email);
            issues.push(without(planned, "email", taken(email.as_typed())));
        } else if new.is_email_verified
            && let Some(claiming) = tx.users().find_by_claimed_email(email.as_typed()).await?
        {
            let problem = format!("user {} claims this address", claiming.id);
            let done = "imported as an account of its own, whose address is verified";
            issues.push(issue(planned, "email", problem, done.to_owned()).needing_review());
        }
    }
    if let Some(name) = &planned.new.username {
        let problem = if !is_own_name(name, new.email.as_ref()) {
            Some(format!("{:?} {ANOTHER_ADDRESS}", name.as_typed()))
        } else if state.has(|added| added.usernames.contains(name.key()))
            || !tx.users().is_username_free(name, new.is_email_verified).await?
        {
            Some(taken(name.as_typed()))
        } else {
            None
        };
        if let Some(problem) = problem {
            new.username = None;
            new.metadata = with_source(new.metadata, "username", name.as_typed());
            issues.push(without(planned, "username", problem));
        }
    }
    if new.username.is_none() && new.email.is_none() {
        let name = placeholder(planned.id)?;
        let problem = "neither name nor address remains".to_owned();
        let done = format!("the account is named {name}");
        issues.push(issue(planned, "username", problem, done).needing_review());
        new.username = Some(name);
    }
    Ok(UserDecision::Add(Box::new(new), issues))
}

/// The user who has the name or the address, where that is what identifies a user.
pub(super) async fn find_same<M>(
    tx: &mut Tx<'_, M>,
    state: &BatchState,
    planned: &PlannedUser,
) -> StoreResult<Option<UserDecision>> {
    match (planned.identified_by, &planned.new.email, &planned.new.username) {
        (UserIdentity::Email, Some(email), _) => find_addressed(tx, state, planned, email).await,
        (UserIdentity::Username, _, Some(name)) => find_named(tx, planned, name).await,
        _ => Ok(None),
    }
}

/// The user who has the name.
async fn find_named<M>(
    tx: &mut Tx<'_, M>,
    planned: &PlannedUser,
    name: &UserName,
) -> StoreResult<Option<UserDecision>> {
    let Some(holder) = tx.users().find_by_username(name.as_typed()).await? else { return Ok(None) };
    let id = holder.id;
    let problem = format!("user {id} has had this name since before the import");
    let issue = issue(planned, "username", problem, "imported as this user".to_owned()).needing_review();
    Ok(Some(UserDecision::Same { id, metadata: None, issue }))
}

/// The user who has the address. The row is remembered, so that the next import does not report it again.
async fn find_addressed<M>(
    tx: &mut Tx<'_, M>,
    state: &BatchState,
    planned: &PlannedUser,
    email: &Email,
) -> StoreResult<Option<UserDecision>> {
    let same = |id: UserId, metadata, problem: &str, done: String| {
        let issue = issue(planned, "email", problem.to_owned(), done);
        Some(UserDecision::Same { id, metadata, issue: issue.needing_review() })
    };
    const ANOTHER_SPELLING: &str = "another row has this address in another spelling";
    if let Some(id) = state.addressed(email.key(), true) {
        return Ok(same(id, None, ANOTHER_SPELLING, format!("one user, {id}, with the threads of both")));
    }
    let Some(holder) = tx.users().find_by_email(email.as_typed()).await? else { return Ok(None) };
    let id = holder.id;
    let source = holder.metadata.to_value();
    let rows = source.pointer("/source/rows").and_then(Value::as_array);
    if rows.is_some_and(|rows| rows.contains(&shown_key(&planned.key))) {
        return Ok(Some(UserDecision::Present(id)));
    }
    if source.get("source").is_none() {
        let issue = issue(
            planned,
            "email",
            "a user with this address existed before the import".to_owned(),
            format!("imported as user {id}"),
        );
        return Ok(Some(UserDecision::Same { id, metadata: None, issue }));
    }
    let metadata = with_row(&holder.metadata, &planned.key);
    Ok(same(id, metadata, ANOTHER_SPELLING, format!("one user, {id}, with the threads of both")))
}

fn issue(planned: &PlannedUser, column: &str, problem: String, done: String) -> Issue {
    Issue::of_row("users", &planned.key, problem, done).in_column(column)
}

fn taken(typed: &str) -> String {
    format!("{typed:?} is taken, apart from its spelling")
}

fn without(planned: &PlannedUser, column: &str, problem: String) -> Issue {
    let done = "imported as an account of its own without it; the value is in metadata.source";
    issue(planned, column, problem, done.to_owned()).needing_review()
}

fn without_email(new: NewUser, email: &Email) -> NewUser {
    let metadata = with_source(new.metadata, "email", email.as_typed());
    NewUser { email: None, is_email_verified: false, metadata, ..new }
}

/// The key of a row as metadata can hold it.
fn shown_key(key: &str) -> Value {
    key.replace('\0', "\u{fffd}").into()
}

/// The metadata of a user with the key of one more row that is theirs; `None` when there is no place for it.
fn with_row(metadata: &CanonicalJson, key: &str) -> Option<CanonicalJson> {
    let mut changed = metadata.to_value();
    let source = changed.get_mut("source").and_then(Value::as_object_mut)?;
    let rows = source.entry("rows").or_insert_with(|| Value::Array(Vec::new()));
    rows.as_array_mut()?.push(shown_key(key));
    CanonicalJson::new(changed).ok().filter(|changed| changed.as_str().len() <= limits::METADATA_BYTES)
}

fn placeholder(id: UserId) -> StoreResult<UserName> {
    let name = format!("user-{}", &id.uuid().simple().to_string()[..12]);
    UserName::new(name).map_err(|_| StoreError::InvalidState("a placeholder is not allowed as a name"))
}

fn with_source(metadata: CanonicalJson, field: &str, value: &str) -> CanonicalJson {
    let mut changed = metadata.to_value();
    if let Some(source) = changed.get_mut("source").and_then(Value::as_object_mut) {
        source.insert(field.to_owned(), value.into());
    }
    CanonicalJson::new(changed).unwrap_or(metadata)
}
