//! Users.

use chatstore_model::{Email, InvalidName, NewUser, PasswordHash, Timestamp, UserName, limits};
use chatstore_sql::ForeignValue;

use super::{PlannedUser, addressed_id, user_id};
use crate::sqlalchemy::layout::{Layout, Schema};
use crate::sqlalchemy::row::{Row, quoted};

/// A user, made at the time of the row before when nothing else is said.
pub(in crate::sqlalchemy) fn user(
    schema: Schema,
    layout: &Layout,
    values: &[ForeignValue],
    before: Timestamp,
) -> (PlannedUser, Vec<&'static str>) {
    let is_address = schema == Schema::Pakton;
    let key_field = if is_address { "email" } else { "id" };
    let mut row = Row::new(layout, values, key_field);
    row.keep(key_field);
    let id = match schema {
        Schema::ChatApp => user_id(row.value("id"), row.value("created_at")),
        Schema::Pakton => addressed_id(&row.key),
    };
    let created_at = row.time_or("created_at", before);
    let updated_at = row.time("updated_at");
    let new = NewUser {
        id: Some(id),
        username: identity(&mut row, "username", UserName::new),
        email: identity(&mut row, "email", Email::new),
        full_name: row.text_within("full_name", limits::FULL_NAME),
        is_active: row.flag("is_active", true, false),
        password_hash: password_hash(&mut row),
        created_at: Some(created_at),
        updated_at: Some(updated_at.unwrap_or(created_at)),
        metadata: row.metadata(),
        ..NewUser::default()
    };
    let without_zone = std::mem::take(&mut row.without_zone);
    let planned = PlannedUser { id, new, key: row.key, is_address, reported: row.reported };
    (planned, without_zone)
}

/// A name or an address that is allowed; another is kept aside.
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
            row.report(Some(field), problem, "the user has none; it is in metadata.source");
            if !row.source.contains_key(field) {
                row.keep(field);
            }
            None
        }
    }
}

/// A hash whose form is known. Anything else may be a password, so it is shown and kept nowhere.
fn password_hash(row: &mut Row<'_>) -> Option<PasswordHash> {
    let hash = match row.value("hashed_password") {
        ForeignValue::Null => return None,
        ForeignValue::Text(text) => PasswordHash::known(text),
        ForeignValue::Bytes(bytes) => std::str::from_utf8(bytes).ok().and_then(PasswordHash::known),
        _ => None,
    };
    if hash.is_none() {
        let done = "left out; the user cannot log in with a password until a new one is set";
        row.report(Some("hashed_password"), "it is no hash of a known form", done);
    }
    hash
}
