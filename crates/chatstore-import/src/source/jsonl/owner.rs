//! Who owns what a line says.

use std::collections::HashMap;

use chatstore_model::{CanonicalJson, Email, NewUser, UserId, UserName};
use chatstore_sql::Tx;
use serde_json::{Value, json};
use uuid::Uuid;

use super::known::Fields;
use crate::engine::{BatchState, Mode, StoreResult, Write, find_described, look_up_described};
use crate::plan::{PlannedOwner, PlannedUser, UserIdentity, derived_uuid};
use crate::report::Issue;

/// The name space of the users of lines. It was generated once and must never change.
const NAMESPACE: Uuid = Uuid::from_u128(0x41c9_e2a7_05d8_4f3e_9b60_d5a3_7c18_e94b);

/// The fields that may name an owner, the first of which counts.
const NAMES: [&str; 7] = ["owner", "owner_id", "user", "username", "user_id", "user_email", "email"];

/// The owner of a line.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    /// The owner of lines that name none.
    Otherwise(UserId),
    /// The user with this id.
    Named(UserId),
    /// The user with this name or address, who is created when there is none.
    Described(Box<PlannedUser>),
}

impl Owner {
    /// Takes the owner from the fields of a line.
    pub(super) fn take(fields: &mut Fields, otherwise: UserId) -> Result<Self, String> {
        for name in NAMES {
            let text = match fields.get(name) {
                Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
                Some(Value::Number(number)) => number.to_string(),
                _ => continue,
            };
            let owner = Self::named(&text).ok_or_else(|| {
                format!("{name}: {text:.100?} is no id, user name or e-mail address of a user")
            })?;
            fields.remove(name);
            return Ok(owner);
        }
        Ok(Self::Otherwise(otherwise))
    }

    fn named(text: &str) -> Option<Self> {
        if text == "anonymous" {
            return Some(Self::Otherwise(UserId::ANONYMOUS));
        }
        if let Ok(id) = text.parse::<UserId>() {
            return Some(Self::Named(id));
        }
        let email = Email::new(text).ok();
        let username = if email.is_some() { None } else { Some(UserName::imported(text).ok()?) };
        let (identity, identified_by) = match (&email, &username) {
            (Some(email), _) => (format!("email:{}", email.key()), UserIdentity::Email),
            (None, name) => {
                (format!("name:{}", name.as_ref().map_or("", UserName::key)), UserIdentity::Username)
            }
        };
        let id = UserId::from_uuid(derived_uuid(NAMESPACE, b"jsonl user", &[identity.as_bytes()]));
        let metadata = CanonicalJson::new(json!({ "source": { "owner": text } }));
        let new = NewUser {
            id: Some(id),
            is_email_verified: email.is_some(),
            email,
            username,
            metadata: metadata.unwrap_or_else(|_| CanonicalJson::object()),
            ..NewUser::default()
        };
        Some(Self::Described(Box::new(PlannedUser { identified_by, ..PlannedUser::new(id, new, text) })))
    }

    /// The id that ids of what they own follow from.
    pub(super) fn id(&self) -> UserId {
        match self {
            Self::Otherwise(id) | Self::Named(id) => *id,
            Self::Described(user) => user.id,
        }
    }

    /// The id of the owner in the store, where a user with a new name is created; none when there is no such user.
    pub(super) async fn put<M: Mode>(
        &self,
        tx: &mut Tx<'_, M>,
        state: &mut BatchState,
    ) -> StoreResult<Option<UserId>> {
        let user = match self {
            Self::Otherwise(id) => return Ok(Some(*id)),
            Self::Named(id) => {
                let is_stored = match state.found.user(*id) {
                    Some(is_stored) => is_stored,
                    None => tx.users().get(*id).await?.is_some(),
                };
                return Ok(is_stored.then_some(*id));
            }
            Self::Described(user) => PlannedOwner::Described(user.clone()),
        };
        let issue = |problem, done: &str| Issue::of_table("users", problem, done);
        let (id, new, _) = find_described(tx, state, &user, issue).await?;
        if let Some(new) = &new {
            M::apply(tx, state, Write::User(new)).await?;
            state.report.add("users", 1);
        }
        Ok(Some(id))
    }
}

/// Looks up owners of lines: the ids that the store has, or will have, for them, by the ids that they were planned with.
pub(super) async fn look_up_owners<M>(
    tx: &mut Tx<'_, M>,
    state: &mut BatchState,
    owners: &[&Owner],
) -> StoreResult<HashMap<UserId, UserId>> {
    state.found.look_up_users(tx, owners.iter().map(|owner| owner.id()).collect()).await?;
    let mut stored = HashMap::new();
    for owner in owners {
        if stored.contains_key(&owner.id()) {
            continue;
        }
        let id = match owner {
            Owner::Otherwise(id) | Owner::Named(id) => *id,
            Owner::Described(user) => look_up_described(tx, state, user).await?,
        };
        stored.insert(owner.id(), id);
    }
    Ok(stored)
}
