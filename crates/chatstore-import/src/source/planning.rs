//! What becomes of users and conversations in every schema.

use chatstore_model::{
    ConversationId, Email, IntoValid, InvalidName, NewConversation, NewUser, PasswordHash, Timestamp, UserId,
    UserName, limits,
};
use chatstore_sql::ExternalValue;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::plan::{PlannedConversation, PlannedOwner, PlannedUser, UserIdentity, derived_uuid};
use crate::source::row::{Row, TimesWithoutZone, quoted, shown};

/// The name space of imported ids. It was generated once and must never change.
const NAMESPACE: Uuid = Uuid::from_u128(0x2b8f_41c6_3d0a_4e57_9a6e_71d2_c0b4_f583);

pub(in crate::source) fn derived(parts: &[&[u8]]) -> Uuid {
    derived_uuid(NAMESPACE, &[], parts)
}

/// A user, created at the time `otherwise` when the row has none.
pub(in crate::source) fn plan_user(
    mut row: Row<'_>,
    key: &'static str,
    id_of: impl FnOnce(&Row<'_>) -> UserId,
    otherwise: Timestamp,
    zones: &mut TimesWithoutZone,
) -> PlannedUser {
    row.keep(key);
    let id = id_of(&row);
    let created_at = row.time_or("created_at", otherwise);
    let updated_at = row.time("updated_at");
    let is_email_the_key = key == "email";
    let username = identity(&mut row, "username", UserName::imported);
    // A name with an @ is its user's address: without one they claim it.
    let email = identity(&mut row, "email", Email::new).or_else(|| {
        let name = username.as_ref().filter(|name| name.may_be_an_address())?;
        Email::new(name.as_typed()).ok()
    });
    if let Some(column) = administrator_column(&row.source) {
        let done = "imported as an ordinary user; PATCH /users/{id} with the role admin changes that";
        row.report_for_review(column, "the user is an administrator in the source", done);
    }
    let new = NewUser {
        id: Some(id),
        username,
        is_email_verified: is_email_the_key && email.is_some(),
        email,
        full_name: row.text_within("full_name", limits::FULL_NAME),
        is_active: row.flag("is_active", true, false),
        password_hash: password_hash(&mut row),
        created_at: Some(created_at),
        updated_at: Some(updated_at.unwrap_or(created_at)),
        metadata: row.metadata(),
        ..NewUser::default()
    };
    zones.count(&row);
    let identified_by = if is_email_the_key { UserIdentity::Email } else { UserIdentity::Id };
    PlannedUser { identified_by, issues: row.issues, ..PlannedUser::new(id, new, row.key) }
}

/// The column that says that a user administers the application, among those that have no field.
fn administrator_column(source: &Map<String, Value>) -> Option<&'static str> {
    let says_so = |value: &Value| match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_i64() == Some(1),
        Value::String(text) => {
            matches!(text.trim().to_lowercase().as_str(), "admin" | "administrator" | "superuser" | "true")
        }
        _ => false,
    };
    let mut columns = ["is_admin", "is_superuser", "admin", "role"].into_iter();
    columns.find(|column| source.get(*column).is_some_and(says_so))
}

/// A valid name or address; an invalid one is kept aside.
fn identity<T>(
    row: &mut Row<'_>,
    field: &'static str,
    parse: fn(String) -> Result<T, InvalidName>,
) -> Option<T> {
    let text = row.text(field)?;
    match parse(text) {
        Ok(identity) => Some(identity),
        Err(error) => {
            let problem = format!("{} {error}", quoted(row.value(field)));
            row.report(
                Some(field),
                problem,
                "the user is imported without it; the value is in metadata.source",
            );
            if !row.source.contains_key(field) {
                row.keep(field);
            }
            None
        }
    }
}

/// A hash of a known format. Anything else may be a password, so it is neither reported nor kept.
fn password_hash(row: &mut Row<'_>) -> Option<PasswordHash> {
    let hash = match row.value("hashed_password") {
        ExternalValue::Null => return None,
        ExternalValue::Text(text) => PasswordHash::known(text),
        ExternalValue::Bytes(bytes) => std::str::from_utf8(bytes).ok().and_then(PasswordHash::known),
        _ => None,
    };
    if hash.is_none() {
        let done = "left out; the user cannot log in with a password until one is set";
        row.report(Some("hashed_password"), "it is not a hash of a known format", done);
    }
    hash
}

/// Who gets what names no owner, for a report.
pub(in crate::source) fn whose(owner: UserId) -> String {
    let name = if owner == UserId::ANONYMOUS { "anonymous".to_owned() } else { owner.to_string() };
    format!("it belongs to {name}")
}

/// When a conversation was created and last changed.
#[derive(Debug, Clone, Copy)]
pub(in crate::source) struct Times {
    pub(in crate::source) created_at: Timestamp,
    updated_at: Timestamp,
}

impl Times {
    /// The times of a row, the first of which is reported where it is missing.
    pub(in crate::source) fn read(row: &mut Row<'_>, otherwise: Timestamp) -> Self {
        let times = Self::known_or(row, otherwise);
        if row.is_null("created_at") {
            let done = format!("taken from the rows around it: {}", times.created_at);
            row.report(Some("created_at"), "it is null", done);
        }
        times
    }

    /// The times of a row whose source may have none.
    pub(in crate::source) fn known_or(row: &mut Row<'_>, otherwise: Timestamp) -> Self {
        let (created_at, updated_at) = (row.time("created_at"), row.time("updated_at"));
        let created = created_at.or(updated_at).unwrap_or(otherwise);
        Self { created_at: created, updated_at: updated_at.unwrap_or(created).max(created) }
    }
}

/// The id of a conversation that follows from its owner, its key, and the id that its application shows.
pub(in crate::source) fn conversation_id(
    schema: &str,
    owner: UserId,
    row: &Row<'_>,
    shown_field: &str,
) -> ConversationId {
    let kind = format!("{schema} conversation");
    let (owner, shown) = (owner.uuid(), shown(row.value(shown_field)));
    let parts = [kind.as_bytes(), owner.as_bytes(), row.key.as_bytes(), shown.as_bytes()];
    ConversationId::from_uuid(derived(&parts))
}

/// The application's own id, when it is one that can be asked for.
pub(in crate::source) fn thread_id(row: &mut Row<'_>, field: &'static str) -> Option<String> {
    let text = row.text(field)?;
    let new = NewConversation::thread(text);
    match new.into_valid() {
        Ok(new) => new.into_inner().thread_id,
        Err(error) => {
            row.report(
                Some(field),
                error.to_string(),
                "imported without a thread_id; the text is in metadata.source",
            );
            None
        }
    }
}

/// A conversation whose owner and ids were read.
pub(in crate::source) fn plan_conversation(
    mut row: Row<'_>,
    times: Times,
    owner: PlannedOwner,
    (id, fallback_id): (ConversationId, ConversationId),
    thread_id: Option<String>,
    zones: &mut TimesWithoutZone,
) -> PlannedConversation {
    let new = NewConversation {
        id: Some(id),
        thread_id,
        title: row.text_within("title", limits::TITLE),
        default_model: row.filled_text("default_model", limits::MODEL),
        last_message: row.text_within("last_message", limits::LAST_MESSAGE),
        created_at: Some(times.created_at),
        updated_at: Some(times.updated_at),
        metadata: row.metadata(),
    };
    zones.count(&row);
    PlannedConversation {
        owner,
        new,
        id,
        fallback_id,
        key: row.key,
        is_thread: false,
        members: Vec::new(),
        issues: row.issues,
    }
}
