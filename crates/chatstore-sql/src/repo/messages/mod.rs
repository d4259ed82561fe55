//! Messages: appended with the next number of their conversation, read by number.

mod append;
mod around;
mod bounds;
mod change;
mod family;
mod import;
mod model;
mod names;
mod page;
mod path;
mod remove;
mod reply;
mod row;
mod runs;
mod select;
mod subtree;
mod tree;

use chatstore_model::Invalid;

use crate::db::Sql;
use crate::error::StoreError;
use crate::schema::MESSAGES;

pub use family::{Family, Relative};
pub use import::{ImportedResponse, PresentMessage};
pub use path::{PathBounds, PathStart};
pub use remove::RemovedPiece;
pub(super) use row::{MessageRow, count_of, number_after};
pub(super) use tree::Placement;

pub(super) const STATEMENTS: &[&[Sql]] = &[
    append::STATEMENTS,
    change::STATEMENTS,
    family::STATEMENTS,
    import::STATEMENTS,
    model::STATEMENTS,
    names::STATEMENTS,
    page::STATEMENTS,
    runs::STATEMENTS,
    remove::STATEMENTS,
    reply::STATEMENTS,
    select::STATEMENTS,
    subtree::STATEMENTS,
    tree::STATEMENTS,
];

/// What is wrong with the only message of a request.
fn of_one(error: StoreError) -> StoreError {
    let StoreError::Invalid(Invalid(mut errors)) = error else { return error };
    for error in &mut errors {
        if let Some(field) = error.field.strip_prefix("messages[0].") {
            error.field = field.to_owned();
        }
    }
    Invalid(errors).into()
}

const NOT_FOUND: StoreError = StoreError::NotFound { entity: MESSAGES.entity };

repository! {
    /// Messages.
    Messages, messages
}
