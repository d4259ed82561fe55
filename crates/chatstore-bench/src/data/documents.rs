//! Documents: each of a user's contains a number that no other has.

use chatstore_model::{DocumentId, UserId};
use chatstore_sql::DatabaseKind;

use super::dialect::{DOCUMENT_PREFIX, USER_PREFIX, id, numbers, time};
use super::{Scale, content, user_id};
use crate::error::Error;

/// Documents of each user.
const DOCUMENTS_EACH: u64 = 100;

/// How many documents there are.
#[must_use]
pub const fn count(scale: Scale) -> u64 {
    scale.users() * DOCUMENTS_EACH
}

/// The document with this number, and its owner.
///
/// # Errors
/// None but a defect of the ids' form.
pub fn document(scale: Scale, number: u64) -> Result<(UserId, DocumentId), Error> {
    Ok((user_id(number % scale.users())?, super::id(DOCUMENT_PREFIX, number).map(DocumentId::from_uuid)?))
}

/// The statement that inserts all of them.
#[must_use]
pub fn statement(kind: DatabaseKind, scale: Scale) -> String {
    let text = format!("'{{\"kind\":' || (n % 7) || ',\"number\":' || n || ',\"text\":\"{}\"}}'", content());
    let json = match kind {
        DatabaseKind::Sqlite => text,
        DatabaseKind::Postgres => format!("({text})::jsonb"),
    };
    format!(
        "insert into documents (owner_id, id, metadata, revision, created_at, updated_at, content) \
         select {owner}, {id}, '{{}}', 1, {at}, {at}, {json} from {numbers}",
        owner = id(kind, USER_PREFIX, &format!("n % {}", scale.users())),
        id = id(kind, DOCUMENT_PREFIX, "n"),
        at = time(kind, "n"),
        numbers = numbers(kind, count(scale)),
    )
}
