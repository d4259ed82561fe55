//! Messages: appended with the next number of their conversation, read by number.

mod append;
mod bounds;
mod change;
mod import;
mod model;
mod names;
mod page;
mod remove;
mod reply;
mod row;
mod select;

use crate::db::Sql;
use crate::error::StoreError;
use crate::schema::MESSAGES;

pub(super) use append::{count_of, number_after};
pub use import::{ImportedResponse, PresentMessage};
pub use remove::RemovedPiece;
pub(super) use row::MessageRow;

pub(super) const STATEMENTS: &[&[Sql]] = &[
    append::STATEMENTS,
    change::STATEMENTS,
    import::STATEMENTS,
    model::STATEMENTS,
    names::STATEMENTS,
    page::STATEMENTS,
    remove::STATEMENTS,
    reply::STATEMENTS,
    select::STATEMENTS,
];

const NOT_FOUND: StoreError = StoreError::NotFound { entity: MESSAGES.entity };

repository! {
    /// Messages.
    Messages, messages
}
