//! Brings users into the store: who is there already stays, who is not is added.

use std::sync::Arc;

use chatstore_model::{Json, NewUser, UserId, UserName};
use chatstore_sql::{ReadTx, StoreError, Tx, WriteTx};

use super::Reported;
use super::added::{Added, Unwritten, unwritten};
use super::plan::PlannedUser;

/// What became of a user.
#[derive(Debug)]
pub(super) enum UserOutcome {
    Add(Box<NewUser>),
    Present,
    /// Somebody who was here before has this address.
    Matched(UserId),
}

/// Looks whether a user is there, and finds a name for one that is not.
pub(super) async fn decide_user<M>(
    tx: &mut Tx<'_, M>,
    unwritten: &mut Unwritten,
    planned: &PlannedUser,
    reported: &mut Vec<Reported>,
) -> Result<UserOutcome, StoreError> {
    let id = planned.id;
    if unwritten.has(|added| added.users.contains(&id)) || tx.users().get(id).await?.is_some() {
        return Ok(UserOutcome::Present);
    }
    let mut new = planned.new.clone();
    let mut note = |column: &str, problem: String, done: String| {
        reported.push(Reported {
            table: "users",
            key: Some(planned.key.clone()),
            column: Some(column.to_owned()),
            problem,
            done,
            left_out: false,
        });
    };
    if let Some(email) = new.email.clone() {
        let holder = tx.users().find_by_email(email.as_typed()).await?;
        if let Some(holder) = &holder
            && planned.is_address
            && holder.metadata.value().get("source").is_none()
        {
            note(
                "email",
                "a user with this address was here before".to_owned(),
                format!("taken for {}", holder.id),
            );
            return Ok(UserOutcome::Matched(holder.id));
        }
        if holder.is_some() || unwritten.has(|added| added.addresses.contains(email.key())) {
            new.email = None;
            new.metadata = with_source(&new, "email", email.as_typed());
            let problem = taken(email.as_typed());
            note("email", problem, "an account of its own without it; it is in metadata.source".to_owned());
        }
    }
    if let Some(name) = new.username.clone() {
        let holder = tx.users().find_by_username(name.as_typed()).await?;
        if holder.is_some() || unwritten.has(|added| added.names.contains(name.key())) {
            new.username = None;
            new.metadata = with_source(&new, "username", name.as_typed());
            let problem = taken(name.as_typed());
            note(
                "username",
                problem,
                "an account of its own without it; it is in metadata.source".to_owned(),
            );
        }
    }
    if new.username.is_none() && new.email.is_none() {
        let name = placeholder(id)?;
        let problem = "neither name nor address is left".to_owned();
        note("username", problem, format!("the account has the name {name}"));
        new.username = Some(name);
    }
    unwritten.now.user(&new);
    Ok(UserOutcome::Add(Box::new(new)))
}

fn taken(typed: &str) -> String {
    format!("{typed:?} is taken, apart from case, width and blanks around it")
}

fn placeholder(id: UserId) -> Result<UserName, StoreError> {
    let name = format!("user-{}", &id.uuid().simple().to_string()[..12]);
    UserName::new(name).map_err(|_| StoreError::Refused("a placeholder is not allowed as a name"))
}

fn with_source(new: &NewUser, field: &str, value: &str) -> Json {
    let mut metadata = new.metadata.clone().into_value();
    if let Some(source) = metadata.get_mut("source").and_then(serde_json::Value::as_object_mut) {
        source.insert(field.to_owned(), value.into());
    }
    Json::new(metadata).unwrap_or_else(|_| new.metadata.clone())
}

/// Whether each user is new, and what was noted; and what is added with them.
pub(super) type Users = (Vec<(bool, Vec<Reported>)>, Added);

pub(super) async fn look_at_users(
    tx: &mut ReadTx<'_>,
    batch: &[PlannedUser],
    earlier: &Arc<Added>,
) -> Result<Users, StoreError> {
    let mut unwritten = unwritten(earlier);
    let mut outcomes = Vec::with_capacity(batch.len());
    for planned in batch {
        let mut reported = Vec::new();
        let outcome = decide_user(tx, &mut unwritten, planned, &mut reported).await?;
        outcomes.push((matches!(outcome, UserOutcome::Add(_)), reported));
    }
    Ok((outcomes, unwritten.now))
}

pub(super) async fn write_users(
    tx: &mut WriteTx<'_>,
    batch: &[PlannedUser],
    earlier: &Arc<Added>,
) -> Result<Users, StoreError> {
    let mut unwritten = unwritten(earlier);
    let mut outcomes = Vec::with_capacity(batch.len());
    for planned in batch {
        let mut reported = Vec::new();
        let outcome = decide_user(tx, &mut unwritten, planned, &mut reported).await?;
        if let UserOutcome::Add(new) = &outcome {
            tx.users().create(&**new).await?;
        }
        outcomes.push((matches!(outcome, UserOutcome::Add(_)), reported));
    }
    Ok((outcomes, unwritten.now))
}
