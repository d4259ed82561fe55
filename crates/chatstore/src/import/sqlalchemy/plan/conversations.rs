//! Conversations, and whose they are.

use chatstore_model::{
    ConversationId, Email, IntoValid, Json, NewConversation, NewUser, Timestamp, UserId, limits,
};
use chatstore_sql::ForeignValue;

use super::{Owner, PlannedConversation, PlannedUser, addressed_id, derived, user_id, uuid};
use crate::import::sqlalchemy::layout::{Layout, Schema};
use crate::import::sqlalchemy::row::{Row, quoted, shown};

/// Whose conversation a row is, when its user is known.
pub(in crate::import::sqlalchemy) enum OwnerKey<'r> {
    /// Nobody's, or somebody's who is gone.
    Nobody,
    /// The user's with this number, made then.
    Numbered(&'r ForeignValue, &'r ForeignValue),
    /// The user's with the address that the row names.
    Addressed,
}

/// A conversation, made at the time of the row before when nothing else is said.
pub(in crate::import::sqlalchemy) fn conversation(
    schema: Schema,
    layout: &Layout,
    values: &[ForeignValue],
    owner: &OwnerKey<'_>,
    before: Timestamp,
) -> (PlannedConversation, Vec<&'static str>) {
    let is_thread = schema == Schema::Pakton;
    let key_field = if is_thread { "thread_id" } else { "id" };
    let mut row = Row::new(layout, values, key_field);
    let (created_at, updated_at) = (row.time("created_at"), row.time("updated_at"));
    let made = created_at.or(updated_at).unwrap_or(before);
    if created_at.is_none() && *row.value("created_at") == ForeignValue::Null {
        row.report(Some("created_at"), "it is null", format!("taken from the rows around it: {made}"));
    }
    row.keep(key_field);
    let owner = match owner {
        OwnerKey::Numbered(id, at) => {
            row.keep("user_id");
            Owner::Known(user_id(id, at))
        }
        OwnerKey::Nobody => nobodys(&mut row, if is_thread { "user_email" } else { "user_id" }),
        OwnerKey::Addressed => addressed(&mut row, made),
    };
    let owner_name = match &owner {
        Owner::Known(id) => *id,
        Owner::Addressed(user) => user.id,
    };
    let own = shown(row.value(if is_thread { "thread_id" } else { "uuid" }));
    let owner_name = owner_name.uuid();
    let kind = format!("{} conversation", schema.as_str());
    let parts = [kind.as_bytes(), owner_name.as_bytes(), row.key.as_bytes(), own.as_bytes()];
    let derived = ConversationId::from_uuid(derived(&parts));
    let (id, thread_id) = match schema {
        Schema::Pakton => (derived, thread_id(&mut row, "thread_id")),
        Schema::ChatApp => match uuid(&mut row) {
            Some(id) => (ConversationId::from_uuid(id), None),
            None => (derived, thread_id(&mut row, "uuid")),
        },
    };
    let new = NewConversation {
        id: Some(id),
        thread_id,
        title: row.text_within("title", limits::TITLE),
        default_model: row.filled_text("default_model", limits::MODEL),
        last_message: row.text_within("last_message", limits::LAST_MESSAGE),
        created_at: Some(made),
        updated_at: Some(updated_at.unwrap_or(made).max(made)),
        metadata: row.metadata(),
    };
    let without_zone = std::mem::take(&mut row.without_zone);
    let (key, reported) = (row.key, row.reported);
    (PlannedConversation { owner, new, id, derived, key, is_thread, reported }, without_zone)
}

fn nobodys(row: &mut Row<'_>, field: &'static str) -> Owner {
    if *row.value(field) != ForeignValue::Null {
        row.keep(field);
        let problem = format!("there is no user {}", quoted(row.value(field)));
        row.report(Some(field), problem, "it belongs to anonymous");
    } else if field == "user_email" {
        row.report(Some(field), "it names no user", "it belongs to anonymous");
    }
    Owner::Known(UserId::ANONYMOUS)
}

/// Whoever has the address, to be made when nobody has.
fn addressed(row: &mut Row<'_>, made: Timestamp) -> Owner {
    row.keep("user_email");
    let address = shown(row.value("user_email"));
    let email = Email::new(address.clone()).ok();
    let id = addressed_id(&address);
    let source = serde_json::json!({ "source": { "email": address.replace('\0', "\u{fffd}") } });
    let new = NewUser {
        id: Some(id),
        email,
        created_at: Some(made),
        metadata: Json::new(source).unwrap_or_else(|_| Json::object()),
        ..NewUser::default()
    };
    Owner::Addressed(Box::new(PlannedUser { id, new, key: address, is_address: true, reported: Vec::new() }))
}

/// The application's own id, when it is one that can be asked for.
fn thread_id(row: &mut Row<'_>, field: &'static str) -> Option<String> {
    if *row.value(field) == ForeignValue::Null {
        return None;
    }
    let text = row.text(field)?;
    let new = NewConversation::thread(text);
    match new.into_valid() {
        Ok(new) => new.into_inner().thread_id,
        Err(error) => {
            row.report(Some(field), error.to_string(), "it has no thread_id; the text is in metadata.source");
            None
        }
    }
}
